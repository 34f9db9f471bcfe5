//! What a source knows of a table's size and values, and where it knows it from.

use std::collections::BTreeMap;

use datafusion::common::ScalarValue;

/// Estimates that the planner chooses join sides by. Never used to answer a query.
#[derive(Clone, Debug, Default)]
pub struct TableStatistics {
    /// Rows in the table.
    pub rows: Option<u64>,
    /// Bytes that reading the whole table would transfer.
    pub bytes: Option<u64>,
    /// By column name.
    pub columns: BTreeMap<String, ColumnStatistics>,
    /// Where the numbers come from, such as `pg_class.reltuples`.
    pub origin: String,
}

/// Estimates for one column.
#[derive(Clone, Debug, Default)]
pub struct ColumnStatistics {
    /// Number of distinct values.
    pub distinct: Option<u64>,
    /// Share of NULLs, from 0 to 1.
    pub null_fraction: Option<f64>,
    /// Smallest value, of the column's Arrow type.
    pub min: Option<ScalarValue>,
    /// Largest value, of the column's Arrow type.
    pub max: Option<ScalarValue>,
    /// Bytes of a value on average, as the source stores it.
    pub width: Option<u64>,
    /// Values that are more frequent than others, of the column's Arrow type, each with its share of all rows, from 0 to 1;
    /// the most frequent first.
    pub frequent: Vec<(ScalarValue, f64)>,
}
