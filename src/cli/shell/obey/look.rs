//! What is there, and where the session stands: `\l`, `\d`, `\c` and the like.

use crate::catalog::INFORMATION_SCHEMA;
use crate::cli::client::{Client, Failure, SharedClient, ask, literal, standing};
use crate::cli::shell::command::{Listed, ListedKind};
use crate::cli::shell::pattern::quoted;
use crate::cli::shell::statement::Presentation;
use crate::cli::shell::{Shell, Stop, listing, pattern};

/// Schemas that people mean when they name a catalog alone.
const DEFAULT_SCHEMAS: [&str; 3] = ["public", "default", "main"];

/// What is told of each query; statements are put on one line.
const QUERIES: &str = "SELECT query_id, state, user_name AS \"user\", elapsed_ms, rows, peak_memory_bytes AS peak_memory, \
                       left(regexp_replace(query, '\\s+', ' ', 'g'), 60) AS query FROM system.runtime.queries";

impl Shell {
    /// Shows what is there, and below it what could not be listed.
    pub(super) async fn list(&mut self, listed: &Listed) -> Result<(), Stop> {
        let client = SharedClient::clone(&self.client);
        let client = client.as_ref();
        let pattern = listed.pattern.as_deref();
        let question = async {
            match listed.what {
                ListedKind::Catalogs => listing::catalogs(client, pattern).await,
                ListedKind::Functions => listing::functions(client, pattern).await,
                ListedKind::Schemas => listing::schemas(client, standing(client).await?, pattern).await,
                ListedKind::Tables => listing::tables(client, standing(client).await?, pattern, false).await,
                ListedKind::Views => listing::tables(client, standing(client).await?, pattern, true).await,
            }
        };
        let listing = self.unless_interrupted(question).await?.map_err(|failure| self.failed(&failure.text))?;
        let batch = listing.batch().map_err(|failure| self.failed(&failure.text))?;
        self.show(&batch)?;
        for failure in &listing.failures {
            self.console.error(&failure.text);
        }
        if listing.failures.is_empty() { Ok(()) } else { Err(Stop::Failed) }
    }

    /// The columns of a table; a list of tables if the name is a pattern.
    pub(super) async fn describe(&mut self, name: &str) -> Result<(), Stop> {
        if pattern::parts(name).iter().any(|part| part.name().is_none()) {
            return self.list(&Listed { what: ListedKind::Tables, pattern: Some(name.to_owned()) }).await;
        }
        let here = standing(self.client.as_ref()).await.unwrap_or_default();
        let place: Vec<String> = match pattern::parts(name).len() {
            1 => here.catalog.into_iter().chain(here.schema).collect(),
            2 => here.catalog.into_iter().collect(),
            _ => Vec::new(),
        };
        let mut full: Vec<String> = place.iter().map(|part| pattern::identifier(part)).collect();
        full.push(name.to_owned());
        let title = Some(format!("Table {}", full.join(".")));
        let presentation = Presentation { title, metadata: true, ..Presentation::default() };
        self.run_statement(&format!("DESCRIBE {name}"), None, presentation).await
    }

    pub(super) async fn connect(&mut self, place: &str) -> Result<(), Stop> {
        let client = SharedClient::clone(&self.client);
        match self.unless_interrupted(choose_place(client.as_ref(), place)).await? {
            Ok(()) => {
                self.look_where().await;
                let here = self.standing.get();
                let schema = here.schema.map(|schema| format!(", schema \"{schema}\""));
                let catalog = here.catalog.unwrap_or_default();
                self.tell(&format!("Names are looked up in catalog \"{catalog}\"{}.", schema.unwrap_or_default()))
            }
            Err(failure) => Err(self.failed(&failure.text)),
        }
    }

    pub(super) async fn connection_info(&mut self) -> Result<(), Stop> {
        let client = SharedClient::clone(&self.client);
        let here = self.unless_interrupted(standing(client.as_ref())).await?;
        let here = here.map_err(|failure| self.failed(&failure.text))?;
        let mut text = client.about();
        if let Some(user) = here.user {
            text.push_str(&format!("\nThe session is of user {user}."));
        }
        text.push_str(&match (here.catalog, here.schema) {
            (Some(catalog), Some(schema)) => format!("\nNames are looked up in {catalog}.{schema}."),
            (Some(catalog), None) => format!("\nNames are looked up in {catalog}."),
            (None, _) => "\nNames are looked up nowhere: write catalog.schema.table, or choose with \\c.".to_owned(),
        });
        self.say(&text)
    }

    pub(super) async fn queries(&mut self) -> Result<(), Stop> {
        let presentation = Presentation { metadata: true, ..Presentation::default() };
        self.run_statement(QUERIES, None, presentation).await
    }

    pub(super) async fn kill(&mut self, id: &str) -> Result<(), Stop> {
        let sql = format!("CALL system.kill_query({})", literal(id));
        self.run_statement(&sql, None, Presentation::default()).await
    }
}

/// Chooses where names are looked up. A catalog alone stands for its usual schema, if it has one.
async fn choose_place(client: &dyn Client, place: &str) -> Result<(), Failure> {
    let parts = pattern::parts(place);
    let statement = match parts.as_slice() {
        [only] => {
            let catalogs = listing::catalog_names(client).await?;
            match only.name().and_then(|name| listing::find(&catalogs, name)) {
                Some(catalog) => match usual_schema(client, &catalog).await? {
                    Some(schema) => format!("USE {}.{}", quoted(&catalog), quoted(&schema)),
                    None => format!("USE {}", quoted(&catalog)),
                },
                // A schema of the current catalog, or an error that names the nearest catalog.
                None => format!("USE {place}"),
            }
        }
        [_, _] => format!("USE {place}"),
        _ => return Err(Failure::new(format!("\\c takes CATALOG or CATALOG.SCHEMA, not {place}"))),
    };
    ask(client, &statement).await.map(drop)
}

/// The schema that people mean when they name a catalog alone.
async fn usual_schema(client: &dyn Client, catalog: &str) -> Result<Option<String>, Failure> {
    let mut schemas = listing::schema_names(client, catalog).await?;
    schemas.retain(|schema| schema != INFORMATION_SCHEMA);
    if let Some(usual) = DEFAULT_SCHEMAS.into_iter().find(|usual| schemas.iter().any(|schema| schema == usual)) {
        return Ok(Some(usual.to_owned()));
    }
    Ok(schemas.pop().filter(|_| schemas.is_empty()))
}
