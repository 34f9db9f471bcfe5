//! Rows as multisets.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use arrow::util::pretty::pretty_format_batches;
use datafusion::common::DFSchema;
use datafusion::common::cast::as_boolean_array;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::physical_expr::create_physical_expr;

/// How many rows a description shows.
const MAX_SHOWN_ROWS: usize = 5;

/// The rows of one schema, comparable with others of the same.
#[derive(Debug)]
pub(super) struct Rows {
    batch: RecordBatch,
    /// For each row, bytes that are equal for equal rows and only for them; to them, 0 is not -0, as no source may
    /// change one into the other.
    keys: Vec<Vec<u8>>,
}

impl Rows {
    /// Takes batches of this schema, which has at least one column.
    pub(super) fn new(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self> {
        // A batch's own schema may have other metadata; what counts are the columns.
        let batches = batches
            .iter()
            .map(|batch| RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec()))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        Self::of(concat_batches(schema, &batches)?)
    }

    fn of(batch: RecordBatch) -> Result<Self> {
        let fields = batch.schema().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
        let rows = RowConverter::new(fields)?.convert_columns(batch.columns())?;
        let keys = rows.iter().map(|row| row.data().to_vec()).collect();
        Ok(Self { batch, keys })
    }

    /// The rows themselves.
    pub(super) fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Whether others come in the same order.
    pub(super) fn in_the_order_of(&self, other: &Self) -> bool {
        self.keys == other.keys
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The rows for which the engine itself finds the expression true.
    pub(super) fn filtered(&self, expr: &Expr) -> Result<Self> {
        let schema = DFSchema::try_from(self.batch.schema())?;
        let context = PhysicalPlanningContext::default();
        let predicate = create_physical_expr(expr, &schema, &ExecutionProps::new(), &context)?;
        let mask = predicate.evaluate(&self.batch)?.into_array(self.batch.num_rows())?;
        Self::of(filter_record_batch(&self.batch, as_boolean_array(&mask)?)?)
    }

    /// The rows that are here more often than there.
    pub(super) fn beyond(&self, other: &Self) -> Vec<usize> {
        let mut left: HashMap<&[u8], usize> = HashMap::new();
        for key in &other.keys {
            *left.entry(key).or_default() += 1;
        }
        let mut beyond = Vec::new();
        for (index, key) in self.keys.iter().enumerate() {
            match left.get_mut(key.as_slice()) {
                Some(count) if *count > 0 => *count -= 1,
                _ => beyond.push(index),
            }
        }
        beyond
    }

    /// Some rows as a table for a person.
    pub(super) fn describe(&self, rows: &[usize]) -> String {
        let shown = rows.iter().take(MAX_SHOWN_ROWS).filter_map(|row| u64::try_from(*row).ok());
        let table = take_record_batch(&self.batch, &arrow::array::UInt64Array::from_iter_values(shown))
            .and_then(|batch| pretty_format_batches(&[batch]).map(|table| table.to_string()))
            .unwrap_or_else(|error| error.to_string());
        let more = rows.len().saturating_sub(MAX_SHOWN_ROWS);
        if more > 0 { format!("{table}\n... and {more} more") } else { table }
    }

    /// The same rows with some of their columns.
    pub(super) fn project(&self, projection: &[usize]) -> Result<Self> {
        Self::of(self.batch.project(projection).map_err(DataFusionError::from)?)
    }
}
