//! Rows that a client brings along, put into a table that is there or is made for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::TableReference;
use datafusion::execution::SendableRecordBatchStream;
use portolan_connector::{InsertMode, NewTable, OnExisting};

use super::Named;
use super::run::{Goal, begin_and_fill};
use super::target::{self, Target};
use crate::catalog::Resolver;
use crate::error::{Error, Kind, Result};
use crate::planner::{assignable, new_columns};
use crate::query::TraceHeaders;
use crate::session::{Request, Session};

/// What to do when the table of an ingest is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfMissing {
    /// It is made, with the columns that the rows have.
    Create,
    /// The ingest fails.
    Fail,
}

/// What to do when the table of an ingest is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfThere {
    /// The rows are added, column by column of the same name.
    Append,
    /// The rows take the place of the table.
    Replace,
    /// The ingest fails.
    Fail,
}

/// Where a client's rows go.
#[derive(Clone, Debug)]
pub(crate) struct Ingest {
    /// The table, as far as the client names it.
    pub(crate) table: TableReference,
    /// What happens when it is not there.
    pub(crate) if_missing: IfMissing,
    /// What happens when it is there.
    pub(crate) if_there: IfThere,
}

impl Session {
    /// Puts a client's rows into a table: all of them, or none. Returns how many there were.
    pub(crate) async fn ingest(
        &self,
        ingest: Ingest,
        rows: SendableRecordBatchStream,
        trace: Option<TraceHeaders>,
    ) -> Result<u64> {
        let sql = format!("INGEST INTO {}", ingest.table.to_quoted_string());
        let request = Request { sql, trace, ..Request::default() };
        let mut run = self.begin(false, &request);
        let context = self.write_context(&run, &request);
        let (resolver, columns) = (self.resolver(), rows.schema());
        let (place, goal) = run.plan(Box::pin(async move { goal(&resolver, ingest, &columns).await })).await?;
        run.write(Box::pin(begin_and_fill(place, goal, context, rows))).await
    }
}

async fn goal(resolver: &Resolver, ingest: Ingest, columns: &Schema) -> Result<(target::Place, Goal)> {
    let table = Named { reference: ingest.table, position: None };
    match Target::find(resolver, &table).await {
        Ok(target) => {
            let place = target.place.clone();
            let name = target.table.name().clone();
            let goal = match ingest.if_there {
                IfThere::Fail => return Err(Error::exists(format!("table {name} exists already"))),
                IfThere::Append => append(target, columns)?,
                IfThere::Replace => {
                    let (columns, on_existing) = (new_columns(columns)?, OnExisting::Replace);
                    Goal::New(NewTable { name, columns, on_existing, properties: BTreeMap::new() })
                }
            };
            Ok((place, goal))
        }
        Err(error) if error.message().kind == Kind::NotFound && ingest.if_missing == IfMissing::Create => {
            let (place, name) = target::new_table(resolver, &table).await?;
            let columns = new_columns(columns)?;
            let on_existing = OnExisting::Fail;
            Ok((place, Goal::New(NewTable { name, columns, on_existing, properties: BTreeMap::new() })))
        }
        Err(error) => Err(error),
    }
}

/// Rows into the columns of their names, in the order of the rows.
fn append(target: Target, rows: &Schema) -> Result<Goal> {
    let mut columns = Vec::with_capacity(rows.fields().len());
    let mut fields: Vec<FieldRef> = Vec::with_capacity(rows.fields().len());
    for given in rows.fields() {
        let index = target.column(given.name())?;
        if columns.contains(&index) {
            return Err(Error::user(format!("the rows have two columns {}", given.name())));
        }
        let Some(column) = target.table.columns().get(index) else { continue };
        assignable(column.name(), given.data_type(), column.field.data_type())?;
        columns.push(index);
        fields.push(Arc::clone(&column.field));
    }
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    Ok(Goal::Into { target, columns, schema, mode: InsertMode::Append })
}
