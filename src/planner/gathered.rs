//! What all catalogs of a connector tell of their sources, as a view: `UNION ALL` of what each one has, with its name in front.
//!
//! As a plain part of the plan it is treated like a union that somebody has written: filters, projections and limits reach the
//! catalogs, and one whose name a condition rules out is not asked.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, TableReference};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType, Union, lit};
use datafusion::physical_plan::ExecutionPlan;
use portolan_connector::{Column as SourceColumn, ConnectorTable, TableName};

use super::table::FederatedTable;
use crate::catalog::{Gathered, GatheredPart};
use crate::error::{Error, Result};

/// The view.
pub(super) fn view(gathered: &Gathered, pushdown: bool) -> Result<Arc<dyn TableProvider>> {
    let parts: Result<Vec<Arc<LogicalPlan>>> =
        gathered.parts().iter().map(|part| rows_of(gathered, part, pushdown).map(Arc::new)).collect();
    let plan = match <[Arc<LogicalPlan>; 1]>::try_from(parts?) {
        Ok([only]) => Arc::unwrap_or_clone(only),
        Err(parts) => LogicalPlan::Union(Union::try_new(parts)?),
    };
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// The rows of one catalog.
fn rows_of(gathered: &Gathered, part: &GatheredPart, pushdown: bool) -> Result<LogicalPlan> {
    let [catalog_name, columns @ ..] = gathered.columns() else {
        return Err(Error::internal(format!("{} has no columns", gathered.name())));
    };
    let TableName { catalog, schema, table } = &part.name;
    let reference = TableReference::full(catalog.as_str(), schema.as_str(), table.as_str());
    let provider: Arc<dyn TableProvider> = match &part.table {
        Ok(table) => Arc::new(FederatedTable::new(Arc::clone(table), None, |_| false, pushdown)),
        Err(error) => Arc::new(Unreadable::new(columns, error)),
    };
    let values = columns
        .iter()
        .map(|column| Expr::Column(Column::new(Some(reference.clone()), column.name())).alias(column.name()));
    let all: Vec<Expr> = std::iter::once(lit(catalog.as_str()).alias(catalog_name.name())).chain(values).collect();
    Ok(LogicalPlanBuilder::scan(reference.clone(), provider_as_source(provider), None)?.project(all)?.build()?)
}

/// The table of a catalog that cannot be used. It is an error where it is read, and none where the plan leaves it out.
#[derive(Debug)]
struct Unreadable {
    schema: SchemaRef,
    error: Error,
}

impl Unreadable {
    fn new(columns: &[SourceColumn], error: &Error) -> Self {
        let fields: Vec<_> = columns.iter().map(|column| Arc::clone(&column.field)).collect();
        Self { schema: Arc::new(Schema::new(fields)), error: error.clone() }
    }
}

#[async_trait]
impl TableProvider for Unreadable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Err(DataFusionError::External(Box::new(self.error.clone())))
    }
}
