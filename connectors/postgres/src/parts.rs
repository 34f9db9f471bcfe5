//! A large table in parts that are read at the same time: its partitions, and ranges of their blocks.
//!
//! One session sends what one processor of the server's can. Ranges of blocks cost the server nothing more than the whole;
//! ranges of an index would read the table once for each.

use portolan_connector::{PlanContext, TableName};
use portolan_remote_sql::{CompareOp, From, RemoteExpr, RemoteLiteral, RemoteQuery, RemoteValue, SourceId};
use tokio_postgres::SimpleQueryMessage;

use crate::metadata::{self, Planned};
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

/// The most statements that a partitioned table is read with.
const PARTITIONS_MAX: usize = 256;

/// A table that is read on its own: the table of the query, or a partition of it.
#[derive(Debug)]
struct Piece {
    schema: String,
    table: String,
    /// Its size, where ranges of its blocks can be read.
    blocks: Option<u64>,
}

/// The queries for parts of a table; none where the whole is one statement, because it is small, or filtered by an
/// index, or because something is computed over all of its rows.
pub(crate) async fn of(
    query: &RemoteQuery,
    table: &TableName,
    shared: &Shared,
    planned: &Planned,
    snapshot: &PostgresSnapshot,
    context: &PlanContext<'_>,
) -> Vec<RemoteQuery> {
    let From::Table { source, .. } = &query.from else { return Vec::new() };
    let readers = readers(shared, context);
    if !may_have(query, planned) || readers < 2 {
        return Vec::new();
    }
    // Parts are places in the table. A table that is rewritten between two of them (VACUUM FULL, CLUSTER) would have its rows
    // elsewhere, but the snapshot's transaction holds the table since the query was planned.
    let question = metadata::pieces(&table.schema, &table.table);
    // Without its size the table is read as a whole.
    let Ok(answer) = snapshot.ask(&question, &shared.config).await else { return Vec::new() };
    let Some(pieces) = pieces(&answer, planned) else { return Vec::new() };
    let total: u64 = pieces.iter().filter_map(|piece| piece.blocks).sum();
    let most = readers as u64 * PARTS_PER_READER;
    if pieces.len() > PARTITIONS_MAX || total / BLOCKS_MIN < 2 {
        return Vec::new();
    }
    let mut parts = Vec::new();
    for piece in pieces {
        let mut query = query.clone();
        query.from = From::Table { source: *source, schema: piece.schema, table: piece.table };
        let blocks = piece.blocks.unwrap_or_default();
        // Of all parts as many as the piece has of all blocks.
        let share = (most * blocks).div_ceil(total);
        parts.extend(ranges(&query, *source, blocks, (blocks / BLOCKS_MIN).min(share)));
    }
    if parts.len() < 2 { Vec::new() } else { parts }
}

/// Whether parts of a query are worth looking for.
pub(crate) fn may_have(query: &RemoteQuery, planned: &Planned) -> bool {
    let is_scan = matches!(query.from, From::Table { .. })
        && query.group.is_none()
        && query.having.is_empty()
        && !query.distinct
        && query.order.is_empty()
        && query.limit.is_none()
        && query.offset == 0;
    let is_large = planned.estimate.rows.is_some_and(|rows| rows >= ROWS_MIN);
    is_scan && is_large && !planned.reads_whole.is_empty()
}

/// Parts that are read at the same time, at most.
pub(crate) fn readers(shared: &Shared, context: &PlanContext<'_>) -> usize {
    context.session.config().target_partitions().min(shared.config.connections_max / SHARE_OF_CONNECTIONS).max(1)
}

/// What the answer to [`metadata::pieces`] says of the tables that PostgreSQL would read. `None` where they cannot all be read
/// on their own.
fn pieces(answer: &[SimpleQueryMessage], planned: &Planned) -> Option<Vec<Piece>> {
    let (mut pieces, mut found) = (Vec::new(), 0);
    for message in answer {
        let SimpleQueryMessage::Row(row) = message else { continue };
        let (schema, table) = (row.get(0)?.to_owned(), row.get(1)?.to_owned());
        // PostgreSQL knows which partitions have no row that the conditions keep.
        if !planned.reads_whole.contains(&table) {
            continue;
        }
        found += 1;
        if row.get(2) != Some("t") {
            return None;
        }
        let blocks: Option<u64> = row.get(3).and_then(|blocks| blocks.parse().ok());
        // What had no block when the size was asked for had no row at the query's moment.
        if blocks != Some(0) {
            pieces.push(Piece { schema, table, blocks });
        }
    }
    // Tables that inherit from the query's are no partitions, and two tables may have one name.
    (found == planned.reads_whole.len()).then_some(pieces)
}

/// A query as several for so many ranges of blocks.
fn ranges(query: &RemoteQuery, source: SourceId, blocks: u64, count: u64) -> Vec<RemoteQuery> {
    let first = |part: u64| blocks * part / count;
    (0..count.max(1))
        .map(|part| {
            let mut query = query.clone();
            if part > 0 {
                query.filter.push(bound(source, CompareOp::GtEq, first(part)));
            }
            // The last has no end: the table may have grown.
            if part + 1 < count {
                query.filter.push(bound(source, CompareOp::Lt, first(part + 1)));
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
