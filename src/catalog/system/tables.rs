//! The engine's own system tables: declared once, from which their columns, their rows and their reference come.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use portolan_connector::{SystemColumn, SystemKind};

use crate::query::{Query, SourceProgress};

/// The time zone of the instants in system tables.
const UTC: &str = "UTC";

/// A table of what the engine knows of itself.
#[derive(Debug)]
pub struct SystemTable {
    /// The schema in which it is.
    pub schema: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What its rows are.
    pub help: &'static str,
    /// Its columns.
    pub columns: &'static [SystemColumn],
    rows: fn(&[Arc<Query>]) -> Vec<Vec<Value>>,
}

/// A value; `None` is NULL.
#[derive(Clone, Debug)]
enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Instant(Option<SystemTime>),
}

impl SystemTable {
    /// The rows about these queries, as one array for each of these columns.
    pub(super) fn arrays(&self, queries: &[Arc<Query>], projection: &[usize]) -> (Vec<ArrayRef>, usize) {
        let rows = (self.rows)(queries);
        let column = |index: &usize| {
            let kind = self.columns.get(*index).map_or(SystemKind::Text, |column| column.kind);
            array(kind, rows.iter().map(|row| row.get(*index)))
        };
        (projection.iter().map(column).collect(), rows.len())
    }
}

/// Values of one kind.
fn array<'v>(kind: SystemKind, values: impl Iterator<Item = Option<&'v Value>>) -> ArrayRef {
    match kind {
        SystemKind::Text => Arc::new(
            values
                .map(|value| match value {
                    Some(Value::Text(text)) => text.as_deref(),
                    _ => None,
                })
                .collect::<StringArray>(),
        ),
        SystemKind::Number => Arc::new(
            values
                .map(|value| match value {
                    Some(Value::Number(number)) => *number,
                    _ => None,
                })
                .collect::<Int64Array>(),
        ),
        SystemKind::Instant => Arc::new(
            values
                .map(|value| match value {
                    Some(Value::Instant(time)) => time.and_then(microseconds),
                    _ => None,
                })
                .collect::<TimestampMicrosecondArray>()
                .with_timezone(UTC),
        ),
    }
}

/// All tables of what the engine knows of itself.
pub fn system_tables() -> &'static [SystemTable] {
    const TABLES: &[SystemTable] = &[
        SystemTable {
            schema: "runtime",
            name: "queries",
            help: "The queries that wait or run, and the last ones that ended, the newest first. Users see their own \
                   queries; administrators see all. Those that only read this schema are forgotten when they end, \
                   unless they failed.",
            columns: &[
                text("query_id", "the query's id; `CALL system.kill_query('id')` ends it"),
                text("state", "queued, planning, running, finishing, finished, failed or cancelled"),
                text("user_name", "whose query it is"),
                text("query", "the statement"),
                instant("created", "when it was asked"),
                instant("ended", "when it ended"),
                number("queued_ms", "milliseconds that it waited for its turn"),
                number("planning_ms", "milliseconds in which it was planned"),
                number("running_ms", "milliseconds since it was planned, or until it ended"),
                number("elapsed_ms", "milliseconds since it was asked, or until it ended"),
                number("rows", "rows that its client was given"),
                number("bytes", "bytes of these rows in memory"),
                number("memory_bytes", "memory that its operators have now"),
                number("peak_memory_bytes", "the most memory that its operators had at one time"),
                text("error", "why it failed or was cancelled"),
            ],
            rows: queries,
        },
        SystemTable {
            schema: "runtime",
            name: "sources",
            help: "What was read of each source of these queries: a row for each scan, in the order of the plan.",
            columns: &[
                text("query_id", "the query's id"),
                text("source", "the table that is read"),
                text("catalog", "its catalog"),
                text("connector", "the kind of source"),
                text("state", "waiting: nothing came yet; reading; done"),
                number("rows", "rows that the source gave"),
                number("bytes", "bytes that the source sent, where they are counted"),
                number("waiting_ms", "milliseconds spent waiting for the source, over all parts that read at once"),
                number("splits_done", "splits or files that were read"),
                number("splits_total", "splits or files to read, where that is known"),
            ],
            rows: sources,
        },
    ];
    TABLES
}

const fn text(name: &'static str, help: &'static str) -> SystemColumn {
    SystemColumn::new(name, SystemKind::Text, help).nullable()
}

const fn number(name: &'static str, help: &'static str) -> SystemColumn {
    SystemColumn::new(name, SystemKind::Number, help).nullable()
}

const fn instant(name: &'static str, help: &'static str) -> SystemColumn {
    SystemColumn::new(name, SystemKind::Instant, help).nullable()
}

fn queries(queries: &[Arc<Query>]) -> Vec<Vec<Value>> {
    let row = |query: &Arc<Query>| {
        let times = query.times();
        let (memory, peak) = query.memory_bytes();
        let known = |text: &str| Value::Text(Some(text.to_owned()));
        vec![
            known(query.id()),
            known(query.state().label()),
            known(query.user()),
            known(query.sql()),
            Value::Instant(Some(query.created_at())),
            Value::Instant(query.ended_at()),
            milliseconds(times.queued),
            milliseconds(times.planning),
            milliseconds(times.running),
            milliseconds(times.total),
            count(query.rows()),
            count(query.bytes()),
            count(memory as u64),
            count(peak as u64),
            Value::Text(query.error().map(|error| error.message().text.clone())),
        ]
    };
    queries.iter().map(row).collect()
}

fn sources(queries: &[Arc<Query>]) -> Vec<Vec<Value>> {
    let row = |id: &str, source: SourceProgress| {
        let tables: Vec<String> = source.tables.iter().map(ToString::to_string).collect();
        vec![
            Value::Text(Some(id.to_owned())),
            Value::Text(Some(tables.join(", "))),
            Value::Text(Some(source.catalog)),
            Value::Text(Some(source.connector.to_owned())),
            Value::Text(Some(source.state.label().to_owned())),
            count(source.rows),
            source.bytes.map_or(Value::Number(None), count),
            milliseconds(Duration::from_nanos(source.waiting_nanoseconds)),
            count(source.splits_done),
            source.splits_total.map_or(Value::Number(None), count),
        ]
    };
    queries.iter().flat_map(|query| query.sources().into_iter().map(move |source| row(query.id(), source))).collect()
}

fn count(count: u64) -> Value {
    Value::Number(Some(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn milliseconds(duration: Duration) -> Value {
    Value::Number(Some(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
}

fn microseconds(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_micros()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_value_of_its_kind_for_each_column() {
        let engine = crate::Engine::start(crate::EngineOptions::default()).unwrap();
        let session = engine.session();
        let run = engine.queries().begin(session.principal(), "SELECT 1", crate::query::Wishes::default());
        for table in system_tables() {
            for row in (table.rows)(&[Arc::clone(run.query())]) {
                assert_eq!(row.len(), table.columns.len(), "{}", table.name);
                for (value, column) in row.iter().zip(table.columns) {
                    let kind = match value {
                        Value::Text(_) => SystemKind::Text,
                        Value::Number(_) => SystemKind::Number,
                        Value::Instant(_) => SystemKind::Instant,
                    };
                    assert_eq!(kind, column.kind, "{}", column.name);
                }
            }
        }
    }
}
