//! The steps from a parsed query to a physical plan.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
    SchemaProvider, TableProvider,
};
use datafusion::common::{ScalarValue, TableReference};
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::PhysicalPlanner;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{ObjectName, Statement, TableFactor};
use futures::{StreamExt, TryStreamExt};
use portolan_connector::ConnectorTable;

use super::ahead::read_ahead;
use super::assign::Assignment;
use super::builds::builds;
use super::built_once::build_once;
use super::conjunction::one_by_one;
use super::fold::{Folding, fold_judged, physical_planner};
use super::follow;
use super::gathered;
use super::hidden::{keep_out_of_wildcards, named_columns, normalized};
use super::keyset::filter_by_keys;
use super::naming::{name_columns, tell_from_wildcards};
use super::native;
use super::once::{once, only_equal};
use super::outer_constants::cover_outer_constants;
use super::parameters::{self, Parameter};
use super::patience::{await_joins, keys_max};
use super::refusals::note_refusals;
use super::remembered::{Remembered, Unchanged};
use super::reorder::reorder;
use super::session_values::{self, SessionValues};
use super::shared_sums::share_sums;
use super::sides::choose_sides;
use super::spelling::find_columns;
use super::stopwatch::Stopwatch;
use super::table::FederatedTable;
use super::using::write_joins_with_on;
use super::version::{self, Wanted};
use crate::catalog::{Gathered, Resolved, Resolver};
use crate::error::{Error, Position, Result};
use crate::query::QueryScope;
use crate::semantics;
use crate::syntax::{self, Flow, ON, Reader, STOP};

/// Tables that one query looks up at the same time.
const TABLES_AT_ONCE: usize = 8;

/// The catalog and schema under which DataFusion files names that the session leaves open. Nothing is found there;
/// the resolver has already said so.
const NOWHERE: &str = "?";

/// A planned query.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The columns as they are announced to the client, whatever more the plan that runs knows of them.
    pub schema: SchemaRef,
    /// The optimized logical plan from which the physical plan was made.
    pub logical: LogicalPlan,
    /// The plan that runs.
    pub physical: Arc<dyn ExecutionPlan>,
    /// What it runs in.
    pub task: Arc<TaskContext>,
}

/// What planning needs to know of the engine and the session.
#[derive(Clone, Debug)]
pub struct Planner {
    /// Functions and rules that all queries share.
    pub base: Arc<SessionState>,
    /// The session's configuration.
    pub config: SessionConfig,
    /// Where names are looked up.
    pub resolver: Resolver,
    /// What the query shares between its scans.
    pub scope: Arc<QueryScope>,
    /// Whether sources get any work at all.
    pub pushdown: bool,
    /// Which of the operators above its scans a source is given.
    pub folding: Folding,
    /// Whether joins are put into the order that is expected to be the best one.
    pub join_reordering: bool,
    /// How long a scan waits for a join to know its keys.
    pub patience: Duration,
    /// What functions such as `current_catalog` tell.
    pub values: SessionValues,
    /// The values of the statement's parameters.
    pub parameters: Vec<ScalarValue>,
    /// What the query runs in: its share of the memory, the disk.
    pub runtime: Arc<RuntimeEnv>,
    /// The columns that the rows are put into, where a statement writes them.
    pub(crate) assignment: Option<Assignment>,
}

/// A statement before optimization.
struct Logical {
    plan: LogicalPlan,
    state: SessionState,
    /// How many parameters it has.
    parameters: usize,
}

/// A statement before its scans are planned.
struct Optimized {
    schema: SchemaRef,
    logical: LogicalPlan,
    state: SessionState,
}

/// What is known of a statement before its parameters have values.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The columns of its answer.
    pub schema: SchemaRef,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
}

impl Planner {
    /// Plans a query.
    pub async fn plan(self, statement: Statement) -> Result<Plan> {
        let folding = self.folding();
        let (patience, reordering, runtime) = (self.patience, self.join_reordering, Arc::clone(&self.runtime));
        let pushdown = self.pushdown;
        let mut watch = Stopwatch::start();
        let mut unchanged = Unchanged::default();
        let hoped = self.clone().optimized(statement.clone(), Some(&mut unchanged), &mut watch).await;
        // What was remembered may be the reason for an error, too.
        let Optimized { schema, logical, mut state } = match unchanged.holds().await {
            true => hoped?,
            false => self.optimized(statement, None, &mut watch).await?,
        };
        watch.lap("tables are as they were");
        let logical = fold_judged(logical, folding, &state).await?;
        watch.lap("folding");
        let logical = match reordering {
            true => {
                let (logical, settled) = choose_sides(logical)?;
                state.config_mut().options_mut().optimizer.join_reordering = !settled;
                logical
            }
            false => logical,
        };
        let logical = share_sums(once(logical)?)?;
        watch.lap("build sides");
        let physical = physical_planner().create_physical_plan(&logical, &state).await?;
        watch.lap("physical plan");
        let physical = one_by_one(await_joins(only_equal(physical)?, patience)?)?;
        let keys_max = keys_max(&physical)?;
        let physical = if pushdown { by_keys(&logical, physical, keys_max, &runtime)? } else { physical };
        let physical = follow::at_once(cover_outer_constants(build_once(physical)?)?)?;
        watch.lap("dynamic filters");
        // Operators have their functions with them: nobody looks one up by its name.
        let mut config = state.config().clone();
        config.options_mut().optimizer.hash_join_inlist_pushdown_max_distinct_values = keys_max;
        let task = TaskContext::default().with_session_config(config).with_runtime(runtime);
        Ok(Plan { schema, logical, physical, task: Arc::new(task) })
    }

    /// The query in the form in which its scans are planned. With `hope`, which says later whether that will do, tables are taken
    /// for what is remembered of them.
    async fn optimized(
        self,
        statement: Statement,
        hope: Option<&mut Unchanged>,
        watch: &mut Stopwatch,
    ) -> Result<Optimized> {
        let folding = self.folding();
        let (reordering, values) = (self.join_reordering, self.parameters.clone());
        let Logical { plan, state, parameters } = self.logical(statement, hope).await?;
        let logical = parameters::bind(plan, parameters, &values)?;
        watch.lap("statement to logical plan");
        let analyzed = analyzed(logical, &state, watch)?;
        let schema = columns_of(&analyzed);
        let logical = state.optimizer().optimize(analyzed, &state, |_, rule| watch.lap(rule.name()))?;
        let logical = if reordering { reorder(logical, folding, &state)? } else { logical };
        watch.lap("join order");
        Ok(Optimized { schema, logical: note_refusals(logical)?, state })
    }

    /// Which operators sources are given.
    fn folding(&self) -> Folding {
        if self.pushdown { self.folding } else { Folding::Never }
    }

    /// The columns of a query. Its sources are asked for its tables, and for nothing more.
    pub async fn schema(self, statement: Statement) -> Result<SchemaRef> {
        let (logical, state) = self.bound(statement).await?;
        Ok(columns_of(&analyzed(logical, &state, &mut Stopwatch::start())?))
    }

    /// The columns and the parameters of a query whose parameters have no values yet.
    pub async fn prepare(self, statement: Statement) -> Result<Prepared> {
        let Logical { plan: logical, state, parameters: count } = self.logical(statement, None).await?;
        let parameters = parameters::describe(&logical, count)?;
        // A NULL of the right type lets the columns that depend on a parameter have a type.
        let nulls: Vec<ScalarValue> =
            parameters.iter().map(|parameter| ScalarValue::try_from(&parameter.data_type)).collect::<Result<_, _>>()?;
        let logical = parameters::bind(logical, count, &nulls)?;
        Ok(Prepared { schema: columns_of(&analyzed(logical, &state, &mut Stopwatch::start())?), parameters })
    }

    pub(super) async fn bound(self, statement: Statement) -> Result<(LogicalPlan, SessionState)> {
        let values = self.parameters.clone();
        let Logical { plan, state, parameters } = self.logical(statement, None).await?;
        Ok((parameters::bind(plan, parameters, &values)?, state))
    }

    /// The logical plan before optimization.
    async fn logical(self, mut statement: Statement, hope: Option<&mut Unchanged>) -> Result<Logical> {
        let natives = native::take(&mut statement)?;
        let versions = version::take(&mut statement);
        semantics::refuse_ignored_syntax(&statement).map_err(|refusal| {
            let place = refusal.location().map(|place| Position { line: place.line, column: place.column });
            Error::unsupported(refusal.to_string()).at(place)
        })?;
        name_columns(&mut statement);
        session_values::fill_in(&mut statement, &self.values);
        let parameters = parameters::number(&mut statement)?;
        semantics::respell(&mut statement);
        semantics::rewrite_literals(&mut statement);
        let known: Vec<&TableReference> =
            natives.iter().map(|query| &query.reference).chain(versions.iter().map(|table| &table.reference)).collect();
        let mut watch = Stopwatch::start();
        let mut tables = self.tables(&statement, &known, hope).await?;
        watch.lap("tables");
        for query in natives {
            let catalog = self.resolver.catalog(Some(&query.catalog)).map_err(|error| error.at(query.position))?;
            let table = catalog.connector()?.native(&query.text).await;
            let table = table.map_err(|error| Error::from(error).at(query.position))?;
            tables.insert(query.reference, Table::Source(table, None));
        }
        for version in versions {
            let found = match &version.wanted {
                Wanted::At(text) => self.resolver.resolve_at(&version.table, text).await,
                Wanted::Following(since) => self.resolver.resolve_following(&version.table, since.as_deref()).await,
            };
            let found = found.map_err(|error| error.at(version.position))?;
            tables.insert(version.reference, Table::load(Resolved::Source(found)).await);
        }
        let named = named_columns(&statement);
        self.adapt_names(&mut statement, &tables, &named)?;
        let mut state = self.state(&tables, &named)?;
        let plan = state.statement_to_plan(DfStatement::Statement(Box::new(statement))).await?;
        if follow::check(&plan)? {
            // Rows that come one by one are not worth being handed to other threads, where they would wait for more.
            state.config_mut().options_mut().execution.target_partitions = 1;
        }
        let plan = match &self.assignment {
            Some(assignment) => assignment.apply(plan)?,
            None => plan,
        };
        Ok(Logical { plan, state, parameters })
    }

    /// The tables that a statement names, each looked up once, without those that are known already.
    async fn tables(
        &self,
        statement: &Statement,
        known: &[&TableReference],
        hope: Option<&mut Unchanged>,
    ) -> Result<HashMap<TableReference, Table>> {
        let wrapped = DfStatement::Statement(Box::new(statement.clone()));
        let references = self.base.resolve_table_references(&wrapped)?;
        let functions: HashSet<&String> = self.base.table_functions().keys().collect();
        let is_function = |reference: &TableReference| {
            reference.schema().is_none() && functions.contains(&reference.table().to_owned())
        };
        let wanted = references.into_iter().filter(|reference| !is_function(reference) && !known.contains(&reference));
        let mut remembered = Remembered::default();
        let wanted: Vec<_> = wanted
            .map(|reference| match self.resolver.remembered(&reference).filter(|_| hope.is_some()) {
                Some((connector, table)) => {
                    remembered.add(connector, Arc::clone(&table));
                    (reference, Some(Resolved::Source(table)))
                }
                None => (reference, None),
            })
            .collect();
        if let Some(hope) = hope {
            *hope = remembered.ask();
        }
        futures::stream::iter(wanted)
            .map(|(reference, found)| async {
                let resolved = match found {
                    Some(found) => found,
                    None => {
                        let resolved = self.resolver.resolve(&reference).await;
                        resolved.map_err(|error| error.at(position_of(statement, &reference)))?
                    }
                };
                Ok((reference, Table::load(resolved).await))
            })
            .buffer_unordered(TABLES_AT_ONCE)
            .try_collect()
            .await
    }

    fn adapt_names(
        &self,
        statement: &mut Statement,
        tables: &HashMap<TableReference, Table>,
        named: &HashSet<String>,
    ) -> Result<()> {
        let columns = tables.values().filter_map(Table::source).flat_map(|table| table.columns());
        find_columns(statement, columns.map(|column| column.name()));
        let source = |factor: &TableFactor| match factor {
            TableFactor::Table { name, args: None, .. } => tables.get(&reference_of(name)).and_then(Table::source),
            _ => None,
        };
        write_joins_with_on(statement, &|factor| match factor {
            TableFactor::Table { name, args: None, .. } => tables.get(&reference_of(name)).map(Table::names),
            _ => None,
        })?;
        keep_out_of_wildcards(statement, &|factor| {
            let Some(table) = source(factor) else { return Vec::new() };
            let hidden = table.columns().iter().filter(|column| column.hidden.is_some());
            hidden.map(|column| column.name().to_owned()).filter(|name| named.contains(name)).collect()
        });
        tell_from_wildcards(statement);
        Ok(())
    }

    /// DataFusion's state for this query: it knows the tables that the statement names and no others.
    fn state(&self, tables: &HashMap<TableReference, Table>, named: &HashSet<String>) -> Result<SessionState> {
        let default_catalog = self.resolver.current_catalog.as_deref().unwrap_or(NOWHERE);
        let default_schema = self.resolver.current_schema.as_deref().unwrap_or(NOWHERE);
        let list = MemoryCatalogProviderList::new();
        for (reference, table) in tables {
            let resolved = reference.clone().resolve(default_catalog, default_schema);
            let schema = schema_of(&list, &resolved.catalog, &resolved.schema)?;
            schema.register_table(resolved.table.to_string(), table.provider(named, self.pushdown)?)?;
        }
        let config = self
            .config
            .clone()
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(default_catalog, default_schema)
            .with_extension(Arc::clone(&self.scope))
            .with_extension(self.scope.connectors());
        // A builder would register every function anew.
        let mut state = SessionState::clone(&self.base);
        *state.config_mut() = config;
        state.register_catalog_list(Arc::new(list));
        state.mark_start_execution();
        Ok(state)
    }
}

/// The plan whose scans go by what is expected of the joins above them: they start at once or wait for their keys, and
/// leave out what has no partner.
fn by_keys(
    logical: &LogicalPlan,
    plan: Arc<dyn ExecutionPlan>,
    keys_max: usize,
    runtime: &RuntimeEnv,
) -> Result<Arc<dyn ExecutionPlan>> {
    let memory = match runtime.memory_pool.memory_limit() {
        MemoryLimit::Finite(bytes) => Some(bytes),
        MemoryLimit::Infinite | MemoryLimit::Unknown => None,
    };
    let builds = builds(logical, &plan)?;
    Ok(filter_by_keys(read_ahead(plan, &builds, keys_max, memory)?, &builds)?)
}

/// The plan once its types are settled.
fn analyzed(logical: LogicalPlan, state: &SessionState, watch: &mut Stopwatch) -> Result<LogicalPlan> {
    let told = |_: &LogicalPlan, rule: &dyn AnalyzerRule| watch.lap(rule.name());
    Ok(state.analyzer().execute_and_check(logical, state.config_options(), told)?)
}

fn columns_of(analyzed: &LogicalPlan) -> SchemaRef {
    Arc::new(analyzed.schema().as_arrow().clone())
}

/// The schema of a catalog list, made when it is missing.
fn schema_of(list: &MemoryCatalogProviderList, catalog: &str, schema: &str) -> Result<Arc<dyn SchemaProvider>> {
    let catalog = match list.catalog(catalog) {
        Some(found) => found,
        None => {
            let made: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
            list.register_catalog(catalog.to_owned(), Arc::clone(&made));
            made
        }
    };
    match catalog.schema(schema) {
        Some(found) => Ok(found),
        None => {
            let made: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
            catalog.register_schema(schema, Arc::clone(&made))?;
            Ok(made)
        }
    }
}

/// A resolved table with what the planner wants to know of it.
#[derive(Debug)]
enum Table {
    Source(Arc<dyn ConnectorTable>, Option<Arc<portolan_connector::TableStatistics>>),
    Own(Arc<dyn TableProvider>),
}

impl Table {
    /// Statistics only help the planner choose, so a source that cannot give them does not fail the query.
    async fn load(resolved: Resolved) -> Self {
        match resolved {
            Resolved::Own(provider) => Self::Own(provider),
            Resolved::Source(table) => {
                let statistics = table.statistics().await.unwrap_or_else(|error| {
                    tracing::warn!(table = %table.name(), %error, "no statistics");
                    None
                });
                Self::Source(table, statistics.map(Arc::new))
            }
        }
    }

    fn source(&self) -> Option<&Arc<dyn ConnectorTable>> {
        match self {
            Self::Source(table, _) => Some(table),
            Self::Own(_) => None,
        }
    }

    /// The names of its columns, without hidden ones.
    fn names(&self) -> Vec<String> {
        match self {
            Self::Source(table, _) => {
                let visible = table.columns().iter().filter(|column| column.hidden.is_none());
                visible.map(|column| column.name().to_owned()).collect()
            }
            Self::Own(provider) => provider.schema().fields().iter().map(|field| field.name().clone()).collect(),
        }
    }

    fn provider(&self, named: &HashSet<String>, pushdown: bool) -> Result<Arc<dyn TableProvider>> {
        let (table, statistics) = match self {
            Self::Own(provider) => return Ok(Arc::clone(provider)),
            Self::Source(table, statistics) => (table, statistics),
        };
        if let Some(gathered) = table.downcast_ref::<Gathered>() {
            return gathered::view(gathered, pushdown);
        }
        let is_named = |name: &str| named.contains(name);
        Ok(Arc::new(FederatedTable::new(Arc::clone(table), statistics.clone(), is_named, pushdown)))
    }
}

/// A name in a statement as the reference that DataFusion makes of it.
pub(crate) fn reference_of(name: &ObjectName) -> TableReference {
    let mut parts: Vec<String> =
        name.0.iter().map(|part| part.as_ident().map(normalized).unwrap_or_default()).collect();
    let table = parts.pop().unwrap_or_default();
    match (parts.pop(), parts.pop()) {
        (Some(schema), Some(catalog)) => TableReference::full(catalog, schema, table),
        (Some(schema), None) => TableReference::partial(schema, table),
        (None, _) => TableReference::bare(table),
    }
}

/// Whether a statement names tables, and all of them are `among` these.
pub(crate) fn reads_only(statement: &Statement, among: fn(&TableReference) -> bool) -> bool {
    struct Tables {
        among: fn(&TableReference) -> bool,
        inside: usize,
        outside: usize,
    }
    impl Reader for Tables {
        fn table_factor(&mut self, factor: &TableFactor) -> Flow {
            // A native query is of the catalog that it is for.
            self.outside += usize::from(matches!(factor, TableFactor::TableFunction { .. }));
            ON
        }
        fn relation(&mut self, name: &ObjectName) -> Flow {
            match (self.among)(&reference_of(name)) {
                true => self.inside += 1,
                false => self.outside += 1,
            }
            ON
        }
    }
    let mut tables = Tables { among, inside: 0, outside: 0 };
    syntax::read(statement, &mut tables);
    tables.inside > 0 && tables.outside == 0
}

/// Where a statement names a table first.
fn position_of(statement: &Statement, reference: &TableReference) -> Option<Position> {
    struct Find<'a> {
        reference: &'a TableReference,
        found: Option<Position>,
    }
    impl Reader for Find<'_> {
        fn relation(&mut self, name: &ObjectName) -> Flow {
            if reference_of(name) == *self.reference
                && let Some(ident) = name.0.first().and_then(|part| part.as_ident())
                && ident.span.start.line > 0
            {
                let start = ident.span.start;
                self.found = Some(Position { line: start.line, column: start.column });
                return STOP;
            }
            ON
        }
    }
    let mut find = Find { reference, found: None };
    syntax::read(statement, &mut find);
    find.found
}
