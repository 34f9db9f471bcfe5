//! What PostgreSQL's planner knows.

use std::collections::BTreeMap;

use portolan_connector::{ColumnStatistics, Estimate, TableStatistics};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

/// Of the table with what inherits from it, where ANALYZE looked at that. A column that the user may not read has no
/// row.
const COLUMNS: &str = "\
SELECT s.attname::text, s.null_frac::float8, s.n_distinct::float8, s.avg_width
FROM pg_catalog.pg_stats s WHERE s.schemaname = $1 AND s.tablename = $2 ORDER BY s.inherited";

/// Statistics by the last ANALYZE; `None` when there was none.
pub(crate) async fn statistics(
    client: &Client,
    schema: &str,
    table: &str,
    rows: Option<u64>,
) -> Result<Option<TableStatistics>, Error> {
    let mut columns = BTreeMap::new();
    let mut width: u64 = 0;
    for row in client.query_typed(COLUMNS, &[(&schema, Type::TEXT), (&table, Type::TEXT)]).await? {
        let distinct: f64 = row.try_get("n_distinct")?;
        let average: i32 = row.try_get("avg_width")?;
        width += u64::try_from(average).unwrap_or_default();
        columns.insert(
            row.try_get("attname")?,
            ColumnStatistics {
                distinct: distinct_values(distinct, rows),
                null_fraction: row.try_get("null_frac")?,
                min: None,
                max: None,
            },
        );
    }
    if rows.is_none() && columns.is_empty() {
        return Ok(None);
    }
    Ok(Some(TableStatistics {
        rows,
        bytes: rows.filter(|_| width > 0).map(|rows| rows.saturating_mul(width)),
        columns,
        origin: "pg_class.reltuples and pg_stats".to_owned(),
    }))
}

/// A negative number is a share of the rows; 0 is unknown.
fn distinct_values(distinct: f64, rows: Option<u64>) -> Option<u64> {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let distinct = if distinct < 0.0 { -distinct * rows? as f64 } else { distinct };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, positive")]
    (distinct >= 1.0).then_some(distinct.round() as u64)
}

/// The size of a table in blocks, where ranges of blocks can be read: tables in heaps, since PostgreSQL 14.
const HEAP_BLOCKS: &str = "\
SELECT pg_relation_size(c.oid) / current_setting('block_size')::bigint
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_am m ON m.oid = c.relam
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'r' AND m.amname = 'heap'
  AND current_setting('server_version_num')::int >= 140000";

/// The size of a table in blocks; `None` where it cannot be read in ranges of them.
pub(crate) async fn heap_blocks(client: &Client, schema: &str, table: &str) -> Result<Option<u64>, Error> {
    let rows = client.query_typed(HEAP_BLOCKS, &[(&schema, Type::TEXT), (&table, Type::TEXT)]).await?;
    let blocks: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?;
    Ok(blocks.and_then(|blocks| u64::try_from(blocks).ok()))
}

/// What PostgreSQL's planner makes of a query.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Planned {
    /// What it expects to return: rows, and bytes in its own measure.
    pub(crate) estimate: Estimate,
    /// What it expects to spend, in its own measure.
    pub(crate) cost: f64,
    /// Whether it reads a whole table for it, block by block, and nothing else.
    pub(crate) reads_whole_table: bool,
}

/// Asks PostgreSQL's planner about a query.
pub(crate) async fn planned(client: &Client, sql: &str) -> Result<Planned, Error> {
    let rows = client.query_typed(&format!("EXPLAIN (FORMAT JSON) {sql}"), &[]).await?;
    let plan: Option<String> = match rows.first() {
        Some(row) => row.try_get::<_, Json>(0).map(|json| Some(json.0))?,
        None => None,
    };
    let plan: serde_json::Value = plan.and_then(|plan| serde_json::from_str(&plan).ok()).unwrap_or_default();
    let field = |name: &str| plan.pointer(&format!("/0/Plan/{name}"));
    let number = |name: &str| field(name).and_then(serde_json::Value::as_u64);
    let rows = number("Plan Rows");
    let bytes = rows.zip(number("Plan Width")).map(|(rows, width)| rows.saturating_mul(width));
    Ok(Planned {
        estimate: Estimate { rows, bytes },
        cost: field("Total Cost").and_then(serde_json::Value::as_f64).unwrap_or(f64::INFINITY),
        reads_whole_table: field("Node Type").and_then(serde_json::Value::as_str) == Some("Seq Scan")
            && field("Plans").is_none(),
    })
}

/// The text of a `json`, whose binary form is its text.
struct Json(String);

impl<'a> tokio_postgres::types::FromSql<'a> for Json {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(std::str::from_utf8(raw)?.to_owned()))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSON
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_rows_counts_as_values() {
        assert_eq!(distinct_values(25.0, None), Some(25));
        assert_eq!(distinct_values(-0.5, Some(1000)), Some(500));
        assert_eq!(distinct_values(-1.0, None), None);
        assert_eq!(distinct_values(0.0, Some(1000)), None);
    }
}
