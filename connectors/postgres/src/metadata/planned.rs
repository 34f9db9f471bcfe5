//! What PostgreSQL's planner makes of a query.

use std::time::Duration;

use portolan_connector::Estimate;
use portolan_remote_sql::{Dialect, PostgresDialect};
use serde_json::Value;
use tokio_postgres::SimpleQueryMessage;

/// A table, or the partitions in which it has its rows. Of each: schema, name, whether it may be read on its own, and its size in
/// blocks where ranges of blocks can be read: in heaps, since PostgreSQL 14.
///
/// Places in a table are for those alone who may read all of its columns. A partition may be closed to who may read the whole,
/// and neither may have rules of who sees which rows.
const PIECES: &str = "\
SELECT n.nspname, c.relname, has_table_privilege(c.oid, 'SELECT')
           AND (c.oid = root.oid OR NOT c.relrowsecurity AND NOT root.relrowsecurity),
       CASE WHEN c.relkind IN ('r', 'm') AND m.amname = 'heap' AND current_setting('server_version_num')::int >= 140000
           THEN pg_relation_size(c.oid) / current_setting('block_size')::bigint END
FROM pg_catalog.pg_class root
JOIN LATERAL (SELECT p.relid AS oid FROM pg_partition_tree(root.oid) p WHERE p.isleaf
              UNION SELECT root.oid WHERE root.relkind <> 'p') AS part ON true
JOIN pg_catalog.pg_class c ON c.oid = part.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam
WHERE root.oid = ";

/// The question for the tables in which a table has its rows.
pub(crate) fn pieces(schema: &str, table: &str) -> String {
    let name = format!("{}.{}", PostgresDialect.quote_identifier(schema), PostgresDialect.quote_identifier(table));
    format!("{PIECES}{}::regclass", PostgresDialect.write_text(&name))
}

/// Microseconds in which a server of a few years ago, its tables in memory, does what its planner counts as 1, a page read from the
/// first to the last (manual, section 20.7.2): 3 to 6 for scans and joins of TPC-H, scale 1.
pub(crate) const COST_UNIT_MICROS: f64 = 4.0;

/// How long PostgreSQL works for so much of its planner's cost.
fn works(cost: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(cost * COST_UNIT_MICROS / 1e6).ok()
}

/// What PostgreSQL's planner makes of a query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Planned {
    /// What it expects to return: rows, and bytes in its own measure.
    pub(crate) estimate: Estimate,
    /// What it expects to spend, in its own measure.
    pub(crate) cost: f64,
    /// The tables that it reads from the first block to the last for it, and nothing else: a table, or partitions of one.
    pub(crate) reads_whole: Vec<String>,
}

/// The question for what PostgreSQL's planner makes of a query.
pub(crate) fn explain(sql: &str) -> String {
    format!("EXPLAIN (FORMAT JSON) {sql}")
}

/// The first column of each row of an answer.
pub(crate) fn first_columns(answer: &[SimpleQueryMessage]) -> impl Iterator<Item = &str> {
    answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}

impl Planned {
    /// Reads the answer to [`explain`].
    pub(crate) fn read(json: &str) -> Self {
        let plan: Value = serde_json::from_str(json).unwrap_or_default();
        let field = |name: &str| plan.pointer(&format!("/0/Plan/{name}"));
        let number = |name: &str| field(name).and_then(Value::as_u64);
        let rows = number("Plan Rows");
        let bytes = rows.zip(number("Plan Width")).map(|(rows, width)| rows.saturating_mul(width));
        let cost = field("Total Cost").and_then(Value::as_f64).unwrap_or(f64::INFINITY);
        Self {
            estimate: Estimate { rows, bytes, works: works(cost) },
            cost,
            reads_whole: plan.pointer("/0/Plan").and_then(read_whole).unwrap_or_default(),
        }
    }
}

/// The tables that a plan reads one after the other, if it reads each as a whole.
fn read_whole(plan: &Value) -> Option<Vec<String>> {
    let text = |name: &str| plan.get(name).and_then(Value::as_str);
    match (text("Node Type")?, plan.get("Plans").and_then(Value::as_array)) {
        // Foreign partitions are read as wholes in any case.
        ("Seq Scan" | "Foreign Scan", None) => Some(vec![text("Relation Name")?.to_owned()]),
        ("Append", Some(parts)) => {
            let parts = parts.iter().map(read_whole).collect::<Option<Vec<_>>>()?;
            Some(parts.into_iter().flatten().collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read() {
        let plan = |node: &str, more: &str| {
            format!(
                r#"[{{"Plan": {{"Node Type": "{node}", "Total Cost": 7.5, "Plan Rows": 3, "Plan Width": 8{more}}}}}]"#
            )
        };
        let whole = Planned::read(&plan("Seq Scan", r#", "Relation Name": "t""#));
        assert_eq!(whole.estimate, Estimate { rows: Some(3), bytes: Some(24), works: Some(Duration::from_micros(30)) });
        assert!(whole.reads_whole == ["t"] && whole.cost < 8.0);
        let parts = |second: &str| {
            let scan = |node: &str, name: &str| format!(r#"{{"Node Type": "{node}", "Relation Name": "{name}"}}"#);
            plan("Append", &format!(r#", "Plans": [{}, {}]"#, scan("Seq Scan", "a"), scan(second, "b")))
        };
        assert_eq!(Planned::read(&parts("Seq Scan")).reads_whole, ["a", "b"]);
        assert!(Planned::read(&parts("Index Scan")).reads_whole.is_empty());
        assert!(Planned::read(&plan("Index Scan", r#", "Relation Name": "t""#)).reads_whole.is_empty());
        assert!(Planned::read("").reads_whole.is_empty());
    }

    #[test]
    fn a_table_of_any_name_is_asked_for() {
        assert!(pieces("a'b", "C\"d").ends_with("root.oid = '\"a''b\".\"C\"\"d\"'::regclass"));
    }
}
