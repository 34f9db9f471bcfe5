//! `SHOW STATS FOR table`: what the planner knows of a table, and where from. The columns are Trino's, and one more.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::{ScalarValue, TableReference};
use portolan_connector::{ColumnStatistics, ConnectorTable, TableStatistics};

use super::{Answer, Session};
use crate::catalog::Resolved;
use crate::error::{Error, Result};

/// A row of the answer: of a column, or without a name of the table.
#[derive(Default)]
struct Row {
    column: Option<String>,
    data_size: Option<f64>,
    distinct: Option<f64>,
    nulls: Option<f64>,
    rows: Option<f64>,
    low: Option<String>,
    high: Option<String>,
    origin: Option<String>,
}

/// What is known of the visible columns, each on a row, and of the table, on the last one.
pub(super) async fn answer(session: &Session, name: &TableReference) -> Result<Answer> {
    match session.resolver().resolve(name).await? {
        Resolved::Source(table) => {
            let known = table.statistics().await?;
            table_rows(table.as_ref(), known.as_ref())
        }
        Resolved::Own(_) => Err(Error::user(format!("{name} is made by the engine, which keeps no statistics of it"))),
    }
}

fn table_rows(table: &dyn ConnectorTable, known: Option<&TableStatistics>) -> Result<Answer> {
    let visible = table.columns().iter().filter(|column| column.hidden.is_none());
    let mut rows: Vec<Row> = visible
        .map(|column| {
            let of_column = known.and_then(|known| known.columns.get(column.name()));
            column_row(column.name(), of_column, known)
        })
        .collect();
    rows.push(Row {
        data_size: known.and_then(|known| known.bytes).map(number),
        rows: known.and_then(|known| known.rows).map(number),
        origin: known.map(|known| known.origin.clone()),
        ..Row::default()
    });
    batch(&rows)
}

fn column_row(name: &str, column: Option<&ColumnStatistics>, table: Option<&TableStatistics>) -> Row {
    let Some(column) = column else { return Row { column: Some(name.to_owned()), ..Row::default() } };
    let rows = table.and_then(|table| table.rows).map(number);
    let filled = rows.map(|rows| rows * (1.0 - column.null_fraction.unwrap_or_default()));
    Row {
        column: Some(name.to_owned()),
        data_size: column.width.map(number).zip(filled).map(|(width, filled)| (width * filled).round()),
        distinct: column.distinct.map(number),
        nulls: column.null_fraction,
        rows: None,
        low: column.min.as_ref().and_then(text),
        high: column.max.as_ref().and_then(text),
        origin: table.map(|table| table.origin.clone()),
    }
}

fn number(count: u64) -> f64 {
    count as f64
}

/// A value as results show it.
fn text(value: &ScalarValue) -> Option<String> {
    let array = value.to_array().ok().filter(|_| !value.is_null())?;
    array_value_to_string(&array, 0).ok()
}

fn batch(rows: &[Row]) -> Result<Answer> {
    let texts = |of: fn(&Row) -> &Option<String>| {
        Arc::new(rows.iter().map(|row| of(row).as_deref()).collect::<StringArray>()) as ArrayRef
    };
    let numbers = |of: fn(&Row) -> Option<f64>| Arc::new(rows.iter().map(of).collect::<Float64Array>()) as ArrayRef;
    let columns: [(&str, ArrayRef); 8] = [
        ("column_name", texts(|row| &row.column)),
        ("data_size", numbers(|row| row.data_size)),
        ("distinct_values_count", numbers(|row| row.distinct)),
        ("nulls_fraction", numbers(|row| row.nulls)),
        ("row_count", numbers(|row| row.rows)),
        ("low_value", texts(|row| &row.low)),
        ("high_value", texts(|row| &row.high)),
        ("origin", texts(|row| &row.origin)),
    ];
    let field = |(name, array): &(&str, ArrayRef)| {
        let data_type = if array.data_type().is_floating() { DataType::Float64 } else { DataType::Utf8 };
        Field::new(*name, data_type, true)
    };
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect())
        .map(Answer::batch)
        .map_err(|error| Error::internal(format!("cannot build the answer: {error}")))
}
