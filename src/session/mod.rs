//! One client's session: where it stands, its settings, and its statements.

mod answer;
mod call;
mod change;
mod describe;
mod follow;
mod materialized;
mod precedence;
mod principal;
mod script;
mod settings;
mod show;
mod statement;
mod stats;
mod types;
mod version;
mod words;

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;

pub(crate) use answer::WRITTEN_WORDS;
pub use answer::{Answer, AnswerKind};
pub use call::{Call, own_procedures};
pub use change::Change;
pub(crate) use change::{IfMissing, IfThere, Ingest};
pub use principal::Principal;
pub use script::{Script, ScriptPart};
pub use settings::{Settings, setting_specs};
pub use statement::{ExplainFormat, ExplainRequest, Statement};
pub(crate) use types::type_name;

use crate::Engine;
use crate::catalog::{Resolver, is_of_the_engine};
use crate::error::{Error, Result};
use crate::explain;
pub(crate) use crate::planner::Prepared;
use crate::planner::{Plan, Planner, SessionValues, guard, never_ends, reads_only};
use crate::query::{QueryRun, QueryScope, TraceHeaders, Wishes};

/// Where a session stands and how it wants things done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) catalog: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) settings: Settings,
}

/// A statement with what belongs to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// The statement.
    pub(crate) sql: String,
    /// The values of its parameters, in order.
    pub(crate) parameters: Vec<ScalarValue>,
    /// What the client calls the query, to find it again.
    pub(crate) tag: Option<Arc<str>>,
    /// The query's id, if the client has been told of it already.
    pub(crate) id: Option<String>,
    /// The statement as it was parsed before, if it was.
    pub(crate) parsed: Option<Arc<Statement>>,
    /// The client's place in a trace.
    pub(crate) trace: Option<TraceHeaders>,
}

impl Request {
    /// The parsed statement.
    fn statement(&self) -> Result<Statement> {
        match &self.parsed {
            Some(parsed) => Ok(Statement::clone(parsed)),
            None => Statement::parse(&self.sql),
        }
    }

    /// A statement alone.
    pub(crate) fn of(sql: &str) -> Self {
        Self { sql: sql.to_owned(), ..Self::default() }
    }
}

/// One client's session. Statements of one session may run at the same time; each sees the settings of its start.
#[derive(Debug)]
pub struct Session {
    engine: Arc<Engine>,
    principal: Principal,
    standing: Mutex<Standing>,
}

impl Session {
    /// A session that stands nowhere and has default settings.
    pub fn new(engine: Arc<Engine>, principal: Principal) -> Self {
        Self { engine, principal, standing: Mutex::new(Standing::default()) }
    }

    /// Who the session belongs to.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The current catalog and schema.
    pub fn current(&self) -> (Option<String>, Option<String>) {
        let standing = self.standing();
        (standing.catalog, standing.schema)
    }

    /// The session's settings, as they are now.
    pub fn settings(&self) -> Settings {
        self.standing().settings
    }

    /// Runs one statement. The answer's rows stream; dropping it cancels the query at its sources.
    pub async fn execute(&self, sql: &str) -> Result<Answer> {
        self.answer(&Request::of(sql)).await
    }

    /// Runs one statement with what belongs to it.
    pub(crate) async fn answer(&self, request: &Request) -> Result<Answer> {
        match request.statement()? {
            Statement::Query(query) => Box::pin(self.run(*query, request)).await,
            Statement::Explain(explained) => Box::pin(self.explain(explained, request)).await,
            Statement::Change(change) => Box::pin(self.make_change(*change, request)).await,
            _ if !request.parameters.is_empty() => {
                let given = request.parameters.len();
                Err(Error::user(format!("the statement has no parameters, and values for {given} were given")))
            }
            Statement::Call(call) => self.call(&call, request).await,
            Statement::Use { catalog, schema } => self.change_place(catalog, schema).await,
            Statement::Set { name, value } => self.set(&name, &value),
            Statement::Reset { name } => self.reset(name.as_deref()),
            Statement::DescribeQuery(query) => describe::query(self, *query).await,
            other => show::answer(self, other).await,
        }
    }

    /// The schema of a statement's answer, without running it.
    pub async fn schema_of(&self, sql: &str) -> Result<SchemaRef> {
        self.announce(&Request::of(sql)).await
    }

    /// The schema of the answer to a statement with what belongs to it.
    pub(crate) async fn announce(&self, request: &Request) -> Result<SchemaRef> {
        match request.statement()? {
            Statement::Query(query) => self.planning(request).schema(*query).await,
            other => self.schema_without_parameters(other, &request.sql).await,
        }
    }

    /// The answer's schema and the parameters of a statement whose parameters have no values yet.
    pub(crate) async fn prepare(&self, sql: &str) -> Result<Prepared> {
        let planner = || self.planning(&Request::of(sql));
        match Statement::parse(sql)? {
            Statement::Query(query) => planner().prepare(*query).await,
            Statement::Explain(explained) => {
                let Prepared { parameters, .. } = planner().prepare(*explained.query).await?;
                Ok(Prepared { schema: explain::schema(), parameters })
            }
            Statement::Change(change) => self.prepare_change(*change).await,
            other => Ok(Prepared { schema: self.schema_without_parameters(other, sql).await?, parameters: Vec::new() }),
        }
    }

    async fn schema_without_parameters(&self, statement: Statement, sql: &str) -> Result<SchemaRef> {
        match statement {
            Statement::Explain(_) => Ok(explain::schema()),
            Statement::Call(call) => self.schema_of_call(&call),
            Statement::Change(change) => Ok(self.prepare_change(*change).await?.schema),
            Statement::Use { catalog, schema } => self.place(catalog, schema).await.map(|_| Answer::empty_schema()),
            Statement::Set { name, value } => self.settings().set(&name, &value).map(|()| Answer::empty_schema()),
            Statement::Reset { name } => {
                name.map_or(Ok(()), |name| self.settings().reset(&name)).map(|()| Answer::empty_schema())
            }
            // What is left reads metadata at most.
            _ => Ok(self.execute(sql).await?.schema),
        }
    }

    /// Where names of this session are looked up.
    pub fn resolver(&self) -> Resolver {
        let standing = self.standing();
        Resolver {
            catalogs: self.engine.catalogs(),
            current_catalog: standing.catalog,
            current_schema: standing.schema,
        }
    }

    /// Where the session stands now.
    pub(crate) fn standing(&self) -> Standing {
        // A poisoned lock means that another thread panicked; the values themselves are still whole.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.standing.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Another session of the same user that stands elsewhere.
    pub(crate) fn standing_at(&self, standing: Standing) -> Self {
        Self { engine: Arc::clone(&self.engine), principal: self.principal.clone(), standing: Mutex::new(standing) }
    }

    /// Stands in a catalog, or nowhere.
    pub(crate) fn choose_catalog(&self, name: Option<&str>) -> Result<()> {
        let resolver = self.resolver();
        let catalog = name.map(|name| resolver.catalog(Some(name))).transpose()?.map(|catalog| catalog.name.clone());
        self.change(|standing| {
            if standing.catalog != catalog {
                standing.schema = None;
            }
            standing.catalog = catalog;
        });
        Ok(())
    }

    /// Stands in a schema of the current catalog, or in none.
    pub(crate) async fn choose_schema(&self, name: Option<&str>) -> Result<()> {
        let resolver = self.resolver();
        let schema = match name {
            Some(name) => Some(resolver.schema(resolver.catalog(None)?, name).await?),
            None => None,
        };
        self.change(|standing| standing.schema = schema);
        Ok(())
    }

    /// Changes the settings, all or nothing.
    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut Settings) -> Result<()>) -> Result<()> {
        let mut settings = self.settings();
        change(&mut settings)?;
        self.change(|standing| standing.settings = settings);
        Ok(())
    }

    /// Forgets where the session stands and what was set.
    pub(crate) fn start_anew(&self) {
        self.change(|standing| *standing = Standing::default());
    }

    fn new_scope(&self, id: String) -> Arc<QueryScope> {
        Arc::new(QueryScope::new(id, self.engine.catalogs().connectors()))
    }

    /// A planner for what is planned and does not run.
    fn planning(&self, request: &Request) -> Planner {
        let scope = self.new_scope(self.engine.queries().new_id());
        self.planner(request, &scope, Arc::clone(self.engine.base_state().runtime_env()))
    }

    /// What a query runs in: the engine's own, with the query's share of the memory.
    fn runtime_of(&self, run: &QueryRun) -> Arc<RuntimeEnv> {
        let shared = self.engine.base_state().runtime_env();
        Arc::new(RuntimeEnv { memory_pool: run.memory(), ..RuntimeEnv::clone(shared) })
    }

    fn planner(&self, request: &Request, scope: &Arc<QueryScope>, runtime: Arc<RuntimeEnv>) -> Planner {
        let Standing { catalog, schema, settings } = self.standing();
        Planner {
            base: Arc::clone(self.engine.base_state()),
            config: settings.apply(self.engine.base_state().config().clone()),
            resolver: self.resolver(),
            scope: Arc::clone(scope),
            pushdown: settings.pushdown(),
            folding: settings.folding(),
            join_reordering: settings.join_reordering(),
            patience: settings.dynamic_filter_wait(),
            values: SessionValues { catalog, schema, user: self.principal.name.to_string() },
            parameters: request.parameters.clone(),
            runtime,
            assignment: None,
        }
    }

    /// A query, from the moment at which it is asked.
    fn begin(&self, watches_others: bool, request: &Request) -> QueryRun {
        let settings = self.settings();
        let wishes = Wishes {
            id: request.id.clone(),
            tag: request.tag.clone(),
            run_time_max: settings.query_max_run_time(),
            memory_max: settings.query_max_memory(),
            watches_others,
            trace: request.trace.clone(),
        };
        self.engine.queries().begin(&self.principal, &request.sql, wishes)
    }

    /// The plan within what catalogs and session allow to take from sources.
    pub(crate) fn guarded(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let (catalogs, session) = (self.engine.catalogs(), self.settings().source_limits());
        guard(plan, |catalog| {
            catalogs.find(catalog).map_or_else(|| session.clone(), |found| session.and(&found.limits()))
        })
    }

    /// Plans a query when it is its turn. One that `runs` is held to the limits.
    async fn plan(
        &self,
        run: &mut QueryRun,
        query: SqlStatement,
        request: &Request,
        runs: bool,
    ) -> Result<(Plan, Arc<QueryScope>)> {
        let scope = self.new_scope(run.query().id().to_owned());
        let planner = self.planner(request, &scope, self.runtime_of(run));
        // On the heap: planning is a large future, and every step that it passes through would copy it on the stack.
        let mut plan = run.plan(Box::pin(planner.plan(query))).await?;
        if runs {
            plan.physical = self.guarded(plan.physical)?;
        }
        run.query().follow(Arc::clone(&plan.physical));
        Ok((plan, scope))
    }

    async fn run(&self, query: SqlStatement, request: &Request) -> Result<Answer> {
        let mut run = self.begin(reads_only(&query, is_of_the_engine), request);
        let (plan, scope) = self.plan(&mut run, query, request, true).await?;
        let rows = run.rows(plan.schema, || Ok(scope.hold(execute_stream(Arc::clone(&plan.physical), plan.task)?)))?;
        Ok(Answer::rows(scope.query_id(), rows))
    }

    async fn explain(&self, explained: ExplainRequest, request: &Request) -> Result<Answer> {
        let mut run = self.begin(reads_only(&explained.query, is_of_the_engine), request);
        let (plan, scope) = self.plan(&mut run, *explained.query.clone(), request, explained.analyze).await?;
        if explained.analyze && never_ends(&plan.physical) {
            let error = Error::user("EXPLAIN ANALYZE runs the query to its end, and rows that are followed have none");
            return run.checked(Err(error.hint("add LIMIT, or leave ANALYZE out")));
        }
        let shared = Arc::clone(&scope);
        let explaining = async move { explain::explain(plan, &shared, &explained).await };
        let text = run.complete(Box::pin(explaining)).await?;
        Answer::text(scope.query_id(), explain::schema(), text)
    }

    async fn change_place(&self, catalog: Option<String>, schema: String) -> Result<Answer> {
        let (catalog, schema) = self.place(catalog, schema).await?;
        self.change(|standing| {
            standing.catalog = Some(catalog);
            standing.schema = schema;
        });
        Answer::done("USE")
    }

    /// The catalog and schema that USE names. One name may be a schema of the current catalog or a catalog.
    async fn place(&self, catalog: Option<String>, schema: String) -> Result<(String, Option<String>)> {
        let resolver = self.resolver();
        if let Some(catalog) = catalog {
            let catalog = resolver.catalog(Some(&catalog))?;
            return Ok((catalog.name.clone(), Some(resolver.schema(catalog, &schema).await?)));
        }
        if resolver.current_catalog.is_none() {
            return Ok((resolver.catalog(Some(&schema))?.name.clone(), None));
        }
        let current = resolver.catalog(None)?;
        match resolver.schema(current, &schema).await {
            Ok(schema) => Ok((current.name.clone(), Some(schema))),
            Err(error) => match resolver.catalogs.find(&schema) {
                Some(catalog) => Ok((catalog.name.clone(), None)),
                None => Err(error),
            },
        }
    }

    fn set(&self, name: &str, value: &str) -> Result<Answer> {
        self.change_settings(|settings| settings.set(name, value))?;
        Answer::done("SET SESSION")
    }

    fn reset(&self, name: Option<&str>) -> Result<Answer> {
        self.change_settings(|settings| match name {
            Some(name) => settings.reset(name),
            None => {
                *settings = Settings::default();
                Ok(())
            }
        })?;
        Answer::done("RESET SESSION")
    }
}
