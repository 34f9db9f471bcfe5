//! A large table in parts that are read at the same time: ranges of its blocks.
//!
//! One session sends what one processor of the server's can. Ranges of blocks cost the server nothing more than the whole;
//! ranges of an index would read the table once for each.

use portolan_connector::{PlanContext, TableName};
use portolan_remote_sql::{CompareOp, From, RemoteExpr, RemoteLiteral, RemoteQuery, RemoteValue, SourceId};

use crate::metadata;
use crate::net::Purpose;
use crate::snapshot::PostgresSnapshot;
use crate::table::Shared;

/// Blocks that are worth a statement of their own: 32 MiB of 8 KiB each.
const BLOCKS_MIN: u64 = 4096;

/// Parts for each of those that read at the same time, so that none waits long for the last.
const PARTS_PER_READER: u64 = 4;

/// Rows below which a table is not worth asking for its size.
const ROWS_MIN: u64 = 100_000;

/// Connections that one scan may take of all that a catalog has: one in so many.
const SHARE_OF_CONNECTIONS: usize = 4;

/// The queries for parts of a table; none where the whole is one statement, because it is small, or filtered by an
/// index, or because something is computed over all of its rows.
pub(crate) async fn of(
    query: &RemoteQuery,
    table: &TableName,
    shared: &Shared,
    rows: Option<u64>,
    snapshot: &PostgresSnapshot,
    context: &PlanContext<'_>,
) -> Vec<RemoteQuery> {
    let From::Table { source, .. } = &query.from else { return Vec::new() };
    let readers =
        context.session.config().target_partitions().min(shared.config.connections_max / SHARE_OF_CONNECTIONS);
    let is_scan = query.group.is_none()
        && query.having.is_empty()
        && !query.distinct
        && query.order.is_empty()
        && query.limit.is_none()
        && query.offset == 0;
    if !is_scan || readers < 2 || rows.is_none_or(|rows| rows < ROWS_MIN) {
        return Vec::new();
    }
    // Parts are places in the table. A table that is rewritten between two of them (VACUUM FULL, CLUSTER) would have its rows
    // elsewhere.
    if !snapshot.hold(&table.schema, &table.table).await {
        return Vec::new();
    }
    let Ok(session) = shared.pool.get(Purpose::Metadata).await else { return Vec::new() };
    let blocks = metadata::heap_blocks(session.client(), &table.schema, &table.table).await;
    // Without its size the table is read as a whole.
    let blocks = session.release_after(blocks).ok().flatten().unwrap_or_default();
    let count = (blocks / BLOCKS_MIN).min(readers as u64 * PARTS_PER_READER);
    if count < 2 {
        return Vec::new();
    }
    let first = |part: u64| blocks * part / count;
    (0..count)
        .map(|part| {
            let mut query = query.clone();
            if part > 0 {
                query.filter.push(bound(*source, CompareOp::GtEq, first(part)));
            }
            // The last has no end: the table may have grown.
            if part + 1 < count {
                query.filter.push(bound(*source, CompareOp::Lt, first(part + 1)));
            }
            query
        })
        .collect()
}

/// Rows before a block, or from it on.
fn bound(source: SourceId, op: CompareOp, block: u64) -> RemoteExpr {
    let place = RemoteLiteral { value: RemoteValue::Text(format!("({block},0)")), type_name: "tid".to_owned() };
    RemoteExpr::Compare {
        op,
        left: Box::new(RemoteExpr::column(source, "ctid")),
        right: Box::new(RemoteExpr::Literal(place)),
        collation: None,
    }
}
