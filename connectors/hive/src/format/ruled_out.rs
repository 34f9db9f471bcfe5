//! Files that need not be opened: what a join's keys, or another filter that is known only at run time, says of the values
//! that are the same in a whole file.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_expr::split_conjunction;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_adapter::replace_columns_with_literals;
use datafusion::physical_expr_common::physical_expr::snapshot_physical_expr;
use datafusion::physical_plan::PhysicalExpr;

/// Filters on columns that have one value in a whole file.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters {
    filters: Vec<Arc<dyn PhysicalExpr>>,
    /// The columns, in the order in which a file has their values.
    columns: Vec<FieldRef>,
}

impl Filters {
    pub(super) fn new(schema: &TableSchema) -> Self {
        Self { filters: Vec::new(), columns: schema.table_partition_cols().iter().cloned().collect() }
    }

    /// Whether the filter names one of the columns.
    pub(super) fn concerns(&self, filter: &Arc<dyn PhysicalExpr>) -> bool {
        collect_columns(filter).iter().any(|column| self.columns.iter().any(|known| known.name() == column.name()))
    }

    pub(super) fn and(&self, filters: impl IntoIterator<Item = Arc<dyn PhysicalExpr>>) -> Self {
        Self { filters: self.filters.iter().cloned().chain(filters).collect(), columns: self.columns.clone() }
    }

    pub(super) fn all(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.filters
    }

    /// Whether no row of the file can be wanted, by what is known of the filters now. What cannot be evaluated rules
    /// nothing out.
    pub(super) fn rule_out(&self, file: &PartitionedFile) -> bool {
        let values: HashMap<&str, &ScalarValue> =
            self.columns.iter().map(|column| column.name().as_str()).zip(&file.partition_values).collect();
        self.filters.iter().any(|filter| is_never(filter, &values).unwrap_or(false))
    }
}

/// Whether one of the conditions of a filter that name no other columns is not true.
fn is_never(filter: &Arc<dyn PhysicalExpr>, values: &HashMap<&str, &ScalarValue>) -> Result<bool> {
    let now = snapshot_physical_expr(Arc::clone(filter))?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    for condition in split_conjunction(&now) {
        if collect_columns(condition).iter().any(|column| !values.contains_key(column.name())) {
            continue;
        }
        let constant = replace_columns_with_literals(Arc::clone(condition), values)?;
        let answer = constant.evaluate(&row)?.into_array(1)?;
        let Some(answer) = answer.as_any().downcast_ref::<BooleanArray>() else { continue };
        if answer.is_null(0) || !answer.value(0) {
            return Ok(true);
        }
    }
    Ok(false)
}
