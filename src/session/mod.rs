//! One client's session: where it stands, its settings, and its statements.

mod answer;
mod describe;
mod principal;
mod script;
mod settings;
mod show;
mod statement;
mod types;

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::physical_plan::execute_stream;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;

pub use answer::{Answer, AnswerKind};
pub use principal::Principal;
pub use script::{Script, ScriptPart};
pub use settings::{Settings, setting_specs};
pub use statement::{ExplainFormat, ExplainRequest, Statement};
pub(crate) use types::type_name;

use crate::Engine;
use crate::catalog::Resolver;
use crate::error::{Error, Result};
use crate::explain;
use crate::planner::{Plan, Planner};

/// Where a session stands and how it wants things done.
#[derive(Clone, Debug, Default)]
struct Standing {
    catalog: Option<String>,
    schema: Option<String>,
    settings: Settings,
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
        match Statement::parse(sql)? {
            Statement::Query(query) => self.run(*query).await,
            Statement::Explain(request) => self.explain(request).await,
            Statement::Use { catalog, schema } => self.change_place(catalog, schema).await,
            Statement::Set { name, value } => self.set(&name, &value),
            Statement::Reset { name } => self.reset(name.as_deref()),
            Statement::DescribeQuery(query) => describe::query(self, *query).await,
            other => show::answer(self, other).await,
        }
    }

    /// The schema of a statement's answer, without running it.
    pub async fn schema_of(&self, sql: &str) -> Result<SchemaRef> {
        match Statement::parse(sql)? {
            Statement::Query(query) => {
                let plan = self.planner(&self.new_scope()).plan(*query).await?;
                Ok(plan.physical.schema())
            }
            Statement::Explain(_) => Ok(explain::schema()),
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

    fn standing(&self) -> Standing {
        // A poisoned lock means that another thread panicked; the values themselves are still whole.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.standing.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn new_scope(&self) -> Arc<crate::query::QueryScope> {
        self.engine.new_scope()
    }

    fn planner(&self, scope: &Arc<crate::query::QueryScope>) -> Planner {
        let settings = self.settings();
        Planner {
            base: self.engine.base_state().clone(),
            config: settings.apply(self.engine.base_state().config().clone()),
            resolver: self.resolver(),
            scope: Arc::clone(scope),
            pushdown: settings.pushdown(),
        }
    }

    async fn run(&self, query: SqlStatement) -> Result<Answer> {
        let scope = self.new_scope();
        let Plan { physical, state, .. } = self.planner(&scope).plan(query).await?;
        let rows = execute_stream(physical, state.task_ctx())?;
        Ok(Answer::rows(scope.query_id(), scope.hold(rows)))
    }

    async fn explain(&self, request: ExplainRequest) -> Result<Answer> {
        let scope = self.new_scope();
        let plan = self.planner(&scope).plan(*request.query.clone()).await?;
        let text = explain::explain(plan, &request).await?;
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
        let mut settings = self.settings();
        settings.set(name, value)?;
        self.change(|standing| standing.settings = settings);
        Answer::done("SET SESSION")
    }

    fn reset(&self, name: Option<&str>) -> Result<Answer> {
        let mut settings = self.settings();
        match name {
            Some(name) => settings.reset(name)?,
            None => settings = Settings::default(),
        }
        self.change(|standing| standing.settings = settings);
        Answer::done("RESET SESSION")
    }
}

/// Refuses what is not a query, by name.
pub(crate) fn only_queries(statement: &SqlStatement) -> Result<()> {
    if matches!(statement, SqlStatement::Query(_)) {
        return Ok(());
    }
    let text = statement.to_string();
    let verb: Vec<&str> = text.split_whitespace().take(2).collect();
    Err(Error::user(format!("{} is not supported: catalogs are read only", verb.join(" "))))
}
