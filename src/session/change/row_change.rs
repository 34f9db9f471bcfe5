//! UPDATE and DELETE: what the source is asked, and why it may not be.

use std::sync::Arc;

use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use portolan_connector::{ConnectorTable, RowAction, RowChange};

use super::Modify;
use super::target::{Place, Target};
use crate::error::{Error, Result};
use crate::planner::Planner;
use crate::session::{Answer, Request, Session};

/// What is asked of which source.
struct Planned {
    place: Place,
    table: Arc<dyn ConnectorTable>,
    change: RowChange,
}

impl Session {
    /// Changes or removes rows where they are.
    pub(super) async fn modify(&self, modify: Modify, schema: SchemaRef, request: &Request) -> Result<Answer> {
        let mut run = self.begin(false, request);
        let planner = self.planner_of(&run, request);
        let context = self.write_context(&run, request);
        let Planned { place, table, change } = run.plan(Box::pin(plan(planner, modify))).await?;
        let id = run.query().id().to_owned();
        let changing = async move { Ok(place.writable()?.change_rows(&table, change, context).await?) };
        let rows = run.write(Box::pin(changing)).await?;
        Answer::written(&id, schema, rows)
    }
}

/// The table of such a statement, and the fields of the columns that get values.
pub(super) async fn target(planner: &Planner, modify: &Modify) -> Result<(Target, Vec<usize>, Vec<FieldRef>)> {
    let target = Target::find(&planner.resolver, &modify.table).await?;
    if let Some(reason) = target.place.writable()?.refuses_row_changes() {
        let verb = if modify.columns.is_some() { "UPDATE" } else { "DELETE" };
        return Err(Error::unsupported(format!("no {verb} in catalog {}: {reason}", target.place.catalog))
            .hint("make the table anew with the rows that it is to have: CREATE OR REPLACE TABLE ... AS SELECT")
            .at(modify.table.position));
    }
    let (columns, fields) = match &modify.columns {
        Some(columns) => target.columns(columns)?,
        None => (Vec::new(), Vec::new()),
    };
    Ok((target, columns, fields))
}

async fn plan(planner: Planner, modify: Modify) -> Result<Planned> {
    let (target, columns, fields) = target(&planner, &modify).await?;
    let is_update = modify.columns.is_some();
    let (filters, values) = planner.row_change(*modify.query, &fields, target.table.as_ref()).await?;
    let action = match is_update {
        true => RowAction::Set(columns.into_iter().zip(values).collect()),
        false => RowAction::Remove,
    };
    Ok(Planned { place: target.place, table: target.table, change: RowChange { filters, action } })
}
