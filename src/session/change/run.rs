//! Doing what a statement changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execute_stream;
use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{ColumnDef, ColumnOption, SqlOption, Statement as SqlStatement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use portolan_connector::{Begun, InsertMode, NewTable, OnExisting, QueryContext, TableValue, WriteContext, WriteToken};

use super::options;
use super::order::sorted;
use super::target::{self, Place, Target};
use super::{Change, Content, CreateTable, Insert, Modify, Named, row_change};
use crate::error::{Error, Result};
use crate::planner::{Assignment, Plan, Planner, give_types, never_ends, new_columns, normalized};
use crate::query::{QueryRun, QueryScope, fill};
use crate::session::{Answer, Prepared, Request, Session};

/// What a write begins with, once its rows are planned.
struct Planned {
    plan: Plan,
    place: Place,
    goal: Goal,
}

/// Where rows go.
pub(super) enum Goal {
    New(NewTable),
    Into { target: Target, columns: Vec<usize>, schema: SchemaRef, mode: InsertMode },
}

impl Goal {
    /// The columns that batches have.
    fn schema(&self) -> SchemaRef {
        match self {
            Self::New(table) => Arc::clone(&table.columns),
            Self::Into { schema, .. } => Arc::clone(schema),
        }
    }

    async fn begin(self, place: &Place, context: WriteContext) -> Result<Begun> {
        let writable = place.writable()?;
        Ok(match self {
            Self::New(table) => writable.create_table(table, context).await?,
            Self::Into { target, columns, mode, .. } => writable.insert(&target.table, &columns, mode, context).await?,
        })
    }
}

/// The columns of a change's answer: the number of written rows, where rows are written.
pub(in crate::session) fn schema(change: &Change) -> SchemaRef {
    match change {
        Change::Insert(_) => Answer::written_schema("INSERT 0"),
        Change::CreateTable(CreateTable { content: Content::Query(_), .. }) => Answer::written_schema("SELECT"),
        Change::Modify(Modify { columns: Some(_), .. }) => Answer::written_schema("UPDATE"),
        Change::Modify(Modify { columns: None, .. }) => Answer::written_schema("DELETE"),
        _ => Answer::empty_schema(),
    }
}

impl Session {
    /// Makes a change.
    pub(in crate::session) async fn make_change(&self, change: Change, request: &Request) -> Result<Answer> {
        if change.query().is_none() && !request.parameters.is_empty() {
            let given = request.parameters.len();
            return Err(Error::user(format!("the statement has no parameters, and values for {given} were given")));
        }
        let schema = schema(&change);
        match change {
            Change::Insert(insert) => {
                let mode = match insert.overwrite {
                    true => InsertMode::Overwrite,
                    false => self.settings().insert_mode(),
                };
                let planning = |planner| -> Planning { Box::pin(plan_insert(planner, insert, mode)) };
                self.write(planning, schema, request).await
            }
            Change::CreateTable(CreateTable { table, on_existing, options, content: Content::Query(query) }) => {
                let planning =
                    |planner| -> Planning { Box::pin(plan_creation(planner, table, on_existing, options, *query)) };
                self.write(planning, schema, request).await
            }
            Change::Modify(modify) => self.modify(modify, schema, request).await,
            other => {
                let run = self.begin(false, request);
                let planner = self.planner_of(&run, request);
                let context = self.write_context(&run, request);
                let words = run.complete(Box::pin(define(planner, other, context))).await?;
                Answer::done(words)
            }
        }
    }

    /// Plans what a change would write, to find its mistakes and its parameters.
    pub(in crate::session) async fn prepare_change(&self, change: Change) -> Result<Prepared> {
        let schema = schema(&change);
        let planner = self.planning(&Request::default());
        let parameters = match change {
            Change::Insert(mut insert) => {
                let target = Target::find(&planner.resolver, &insert.table).await?;
                let (_, fields) = target.columns(&insert.columns)?;
                let assignment = Some(Assignment::new(fields, &mut insert.query));
                Planner { assignment, ..planner }.prepare(*insert.query).await?.parameters
            }
            Change::Modify(modify) => {
                let (_, _, fields) = row_change::target(&planner, &modify).await?;
                let mut query = *modify.query;
                give_types(&mut query, &fields);
                planner.prepare(query).await?.parameters
            }
            Change::CreateTable(CreateTable { table, options, content: Content::Query(query), .. }) => {
                let (place, _) = target::new_table(&planner.resolver, &table).await?;
                properties(&place, &options)?;
                planner.prepare(*query).await?.parameters
            }
            Change::CreateTable(CreateTable { table, options, content: Content::Columns(columns), .. }) => {
                let (place, _) = target::new_table(&planner.resolver, &table).await?;
                properties(&place, &options)?;
                declared(planner, &columns).await?;
                Vec::new()
            }
            Change::DropTable { table, if_exists } => {
                if !if_exists {
                    Target::find(&planner.resolver, &table).await?;
                }
                Vec::new()
            }
            Change::CreateSchema { name, .. } | Change::DropSchema { name, .. } => {
                target::schema(&planner.resolver, &name)?;
                Vec::new()
            }
        };
        Ok(Prepared { schema, parameters })
    }

    /// Plans the rows of a statement and writes them.
    async fn write(
        &self,
        planning: impl FnOnce(Planner) -> Planning,
        schema: SchemaRef,
        request: &Request,
    ) -> Result<Answer> {
        let mut run = self.begin(false, request);
        let planner = self.planner_of(&run, request);
        let scope = Arc::clone(&planner.scope);
        let context = self.write_context(&run, request);
        let Planned { mut plan, place, goal } = run.plan(planning(planner)).await?;
        if never_ends(&plan.physical) {
            let error = Error::user(
                "a statement that writes rows is made once they are all there, and rows that are followed have no end",
            );
            return run.checked(Err(error.hint("add LIMIT, or leave FOLLOW out")));
        }
        plan.physical = self.guarded(plan.physical)?;
        run.query().follow(Arc::clone(&plan.physical));
        let id = run.query().id().to_owned();
        let rows = run.write(Box::pin(write_rows(plan, scope, place, goal, context))).await?;
        Answer::written(&id, schema, rows)
    }

    pub(super) fn planner_of(&self, run: &QueryRun, request: &Request) -> Planner {
        let scope = self.new_scope(run.query().id().to_owned());
        self.planner(request, &scope, self.runtime_of(run))
    }

    pub(super) fn write_context(&self, run: &QueryRun, request: &Request) -> WriteContext {
        let token = self.settings().write_token().map(|token| WriteToken {
            token: token.to_owned(),
            statement: format!("{}\n{:?}", request.sql.trim(), request.parameters),
        });
        WriteContext { query: QueryContext { query_id: run.query().id().to_owned() }, token }
    }
}

/// What a statement says of the table that it makes, as the catalog declares it.
fn properties(place: &Place, options: &[SqlOption]) -> Result<BTreeMap<&'static str, TableValue>> {
    options::typed(&place.catalog, place.writable()?.table_properties(), options)
}

type Planning = futures::future::BoxFuture<'static, Result<Planned>>;

async fn plan_insert(planner: Planner, mut insert: Insert, mode: InsertMode) -> Result<Planned> {
    let target = Target::find(&planner.resolver, &insert.table).await?;
    let (columns, fields) = target.columns(&insert.columns)?;
    let schema = Arc::new(Schema::new(fields.clone()));
    let assignment = Some(Assignment::new(fields, &mut insert.query));
    let mut plan = Planner { assignment, ..planner }.plan(*insert.query).await?;
    let place = target.place.clone();
    let order = target.table.order_of_rows(&columns);
    plan.physical = sorted(plan.physical, &order)?;
    Ok(Planned { plan, place, goal: Goal::Into { target, columns, schema, mode } })
}

async fn plan_creation(
    planner: Planner,
    table: Named,
    on_existing: OnExisting,
    options: Vec<SqlOption>,
    query: SqlStatement,
) -> Result<Planned> {
    let (place, name) = target::new_table(&planner.resolver, &table).await?;
    let properties = properties(&place, &options)?;
    let mut plan = planner.plan(query).await?;
    let columns = new_columns(&plan.schema)?;
    let table = NewTable { name, columns, on_existing, properties };
    let order = place.writable()?.order_of_new(&table).map_err(|error| error.in_table(&table.name))?;
    plan.physical = sorted(plan.physical, &order)?;
    Ok(Planned { plan, place, goal: Goal::New(table) })
}

async fn write_rows(
    plan: Plan,
    scope: Arc<QueryScope>,
    place: Place,
    goal: Goal,
    context: WriteContext,
) -> Result<Begun> {
    let rows = scope.hold(execute_stream(plan.physical, plan.task)?);
    begin_and_fill(place, goal, context, rows).await
}

/// Begins a write and gives it its rows, which are not asked for where there is nothing to do.
pub(super) async fn begin_and_fill(
    place: Place,
    goal: Goal,
    context: WriteContext,
    rows: SendableRecordBatchStream,
) -> Result<Begun> {
    let schema = goal.schema();
    let begun = goal.begin(&place, context).await?;
    fill(begun, schema, rows).await
}

/// Makes or removes a schema or a table without rows. Returns the words that say so.
async fn define(planner: Planner, change: Change, context: WriteContext) -> Result<&'static str> {
    match change {
        Change::CreateSchema { name, if_not_exists } => {
            let (place, schema) = target::schema(&planner.resolver, &name)?;
            if !place.writable()?.create_schema(&schema).await? && !if_not_exists {
                return Err(Error::exists(format!("schema {}.{schema} exists already", place.catalog)));
            }
            Ok("CREATE SCHEMA")
        }
        Change::DropSchema { name, if_exists, cascade } => {
            let (place, written) = target::schema(&planner.resolver, &name)?;
            let catalog = planner.resolver.catalog(Some(&place.catalog))?;
            let schema = planner.resolver.schema(catalog, &written).await;
            match schema {
                Ok(schema) if place.writable()?.drop_schema(&schema, cascade).await? || if_exists => {}
                Ok(schema) => return Err(Error::not_found(format!("schema {}.{schema} is gone", place.catalog))),
                Err(_) if if_exists => {}
                Err(error) => return Err(error),
            }
            Ok("DROP SCHEMA")
        }
        Change::CreateTable(CreateTable { table, on_existing, options, content: Content::Columns(columns) }) => {
            let (place, name) = target::new_table(&planner.resolver, &table).await?;
            let properties = properties(&place, &options)?;
            let columns = declared(planner, &columns).await?;
            create_empty(&place, NewTable { name, columns, on_existing, properties }, context).await?;
            Ok("CREATE TABLE")
        }
        Change::DropTable { table, if_exists } => {
            match Target::find(&planner.resolver, &table).await {
                Ok(target) if target.place.writable()?.drop_table(target.table.name()).await? || if_exists => {}
                Ok(target) => return Err(Error::not_found(format!("table {} is gone", target.table.name()))),
                Err(error) if if_exists && error.message().kind == crate::error::Kind::NotFound => {}
                Err(error) => return Err(error),
            }
            Ok("DROP TABLE")
        }
        Change::Insert(_) | Change::Modify(_) | Change::CreateTable(_) => {
            Err(Error::internal("the statement writes rows"))
        }
    }
}

async fn create_empty(place: &Place, table: NewTable, context: WriteContext) -> Result<()> {
    if let Begun::Writer(writer) = place.writable()?.create_table(table, context).await? {
        writer.commit().await?;
    }
    Ok(())
}

/// The fields of declared columns. Their types are what a CAST to them gives.
async fn declared(planner: Planner, columns: &[ColumnDef]) -> Result<SchemaRef> {
    let casts: Vec<String> =
        columns.iter().map(|column| format!("CAST(NULL AS {}) AS {}", column.data_type, column.name)).collect();
    let sql = format!("SELECT {}", casts.join(", "));
    let types = planner.schema(parsed(&sql)?).await?;
    let types = new_columns(&types)?;
    let fields = columns.iter().zip(types.fields()).map(|(column, field)| {
        let required = column.options.iter().any(|option| option.option == ColumnOption::NotNull);
        Arc::new(Field::clone(field).with_name(normalized(&column.name)).with_nullable(!required))
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<FieldRef>>())))
}

fn parsed(sql: &str) -> Result<SqlStatement> {
    let mut parser = DFParserBuilder::new(sql).with_dialect(&GenericDialect {}).build()?;
    match parser.parse_statement()? {
        DfStatement::Statement(statement) => Ok(*statement),
        _ => Err(Error::internal("a list of types is no query")),
    }
}
