//! Which partitions and files can hold matching rows: filters evaluated on their values, many at a time.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::PhysicalExpr;
use portolan_connector::{ConnectorError, Result};

/// A filter over constant columns.
#[derive(Clone, Debug)]
pub(crate) struct ConstantFilter {
    /// Its columns have no qualifiers.
    pub(crate) expression: Expr,
    /// Whether it is evaluated nowhere else, so that it must not fail.
    pub(crate) exact: bool,
}

/// The filters that can be evaluated when the values of some columns are known.
#[derive(Debug)]
pub(crate) struct Pruner {
    schema: SchemaRef,
    filters: Vec<(Arc<dyn PhysicalExpr>, bool)>,
}

impl Pruner {
    /// Prepares filters over some columns with the engine's own code.
    pub(crate) fn new<'a>(
        columns: Vec<FieldRef>,
        filters: impl Iterator<Item = &'a ConstantFilter>,
        session: &dyn Session,
    ) -> Result<Self> {
        let schema = Arc::new(Schema::new(columns));
        let failed = |error| ConnectorError::internal("cannot prepare a filter on partitions").said(error);
        let named = DFSchema::try_from(Arc::clone(&schema)).map_err(failed)?;
        let filters = filters
            .map(|filter| {
                Ok((session.create_physical_expr(filter.expression.clone(), &named).map_err(failed)?, filter.exact))
            })
            .collect::<Result<_>>()?;
        Ok(Self { schema, filters })
    }

    /// Whether there is anything to evaluate.
    pub(crate) fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// For each row of values (one per column, in the order of the columns), whether all filters may be true.
    pub(crate) fn keep(&self, rows: &[&[ScalarValue]]) -> Result<Vec<bool>> {
        let mut keep = vec![true; rows.len()];
        if self.filters.is_empty() || rows.is_empty() {
            return Ok(keep);
        }
        let batch = self.batch(rows)?;
        for (filter, exact) in &self.filters {
            match evaluate(filter, &batch) {
                Ok(matches) => keep.iter_mut().enumerate().for_each(|(row, keep)| *keep &= is_true(&matches, row)),
                Err(error) if *exact => {
                    return Err(ConnectorError::user("cannot evaluate a filter on partitions").said(error));
                }
                // Some value made it fail. Those for which it does not fail are told apart one by one; the others
                // are kept, and the engine raises the error if their rows are reached.
                Err(_) => {
                    for (row, keep) in keep.iter_mut().enumerate() {
                        if let Ok(matches) = evaluate(filter, &batch.slice(row, 1)) {
                            *keep &= is_true(&matches, 0);
                        }
                    }
                }
            }
        }
        Ok(keep)
    }

    fn batch(&self, rows: &[&[ScalarValue]]) -> Result<RecordBatch> {
        let failed = |error: String| ConnectorError::internal("cannot collect the values of partitions").said(error);
        let arrays = (0..self.schema.fields().len())
            .map(|column| {
                let values = rows.iter().filter_map(|row| row.get(column).cloned());
                ScalarValue::iter_to_array(values).map_err(|error| failed(error.to_string()))
            })
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| failed(error.to_string()))
    }
}

fn evaluate(filter: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray, String> {
    let array = filter
        .evaluate(batch)
        .and_then(|value| value.into_array(batch.num_rows()))
        .map_err(|error| error.strip_backtrace())?;
    if array.data_type().is_null() {
        return Ok(BooleanArray::new_null(array.len()));
    }
    array
        .as_any()
        .downcast_ref::<BooleanArray>()
        .cloned()
        .ok_or_else(|| format!("the filter is of type {}, not boolean", array.data_type()))
}

fn is_true(matches: &BooleanArray, row: usize) -> bool {
    row < matches.len() && matches.is_valid(row) && matches.value(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field};
    use datafusion::logical_expr::{ExprSchemable, col, lit};
    use datafusion::prelude::SessionContext;

    fn field(name: &str, data_type: DataType) -> FieldRef {
        Arc::new(Field::new(name, data_type, true))
    }

    fn keep(filter: Expr, exact: bool, values: &[Option<&str>]) -> Result<Vec<bool>> {
        let columns = vec![field("s", DataType::Utf8View)];
        let filter = ConstantFilter { expression: filter, exact };
        let pruner = Pruner::new(columns, [filter].iter(), &SessionContext::new().state())?;
        let rows: Vec<Vec<ScalarValue>> =
            values.iter().map(|value| vec![ScalarValue::Utf8View(value.map(str::to_owned))]).collect();
        pruner.keep(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn null_is_not_true() {
        assert_eq!(keep(col("s").eq(lit("a")), true, &[Some("a"), None, Some("b")]).unwrap(), [true, false, false]);
        assert_eq!(keep(col("s").is_null(), true, &[Some("a"), None]).unwrap(), [false, true]);
        assert_eq!(keep(col("s").not_eq(lit("a")), true, &[Some("a"), None, Some("b")]).unwrap(), [false, false, true]);
    }

    #[test]
    fn what_fails_is_kept_unless_it_must_not_fail() {
        let schema = DFSchema::try_from(Schema::new(vec![field("s", DataType::Utf8View)])).unwrap();
        let number = col("s").cast_to(&DataType::Int64, &schema).unwrap().gt(lit(5_i64));
        let values = [Some("9"), Some("1"), Some("x"), None];
        assert_eq!(keep(number.clone(), false, &values).unwrap(), [true, false, true, false]);
        assert!(keep(number, true, &values).is_err());
    }
}
