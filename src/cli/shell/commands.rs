//! What each backslash command does.

use std::future::Future;
use std::path::Path;

use super::command::{self, Command};
use super::console::Sink;
use super::lines::ScriptLines;
use super::statement::Presentation;
use super::{Shell, Stop, edit, lex, listing, pattern};
use crate::cli::output::{Expanded, Format};
use crate::error::{Error, Result};
use crate::session::Session;

/// Files that may include one another.
const INCLUDE_DEPTH_MAX: usize = 8;

/// Schemas that people mean when they name a catalog alone.
const DEFAULT_SCHEMAS: [&str; 3] = ["public", "default", "main"];

impl Shell {
    /// Does what a command says. `pending` is the statement that is being typed.
    pub(super) async fn obey(&mut self, command: Command, pending: &mut String) -> Result<(), Stop> {
        match command {
            Command::Quit => Err(Stop::Quit),
            Command::Help => self.say(command::help().trim_end()),
            Command::SqlHelp => self.say(command::SQL_HELP.trim_end()),
            Command::Catalogs { pattern } => {
                let resolver = self.session.resolver();
                self.show_listing(std::future::ready(listing::catalogs(&resolver, pattern.as_deref()))).await
            }
            Command::Schemas { pattern } => {
                let resolver = self.session.resolver();
                self.show_listing(listing::schemas(&resolver, pattern.as_deref())).await
            }
            Command::Tables { pattern, views_only } => {
                let resolver = self.session.resolver();
                self.show_listing(listing::tables(&resolver, pattern.as_deref(), views_only)).await
            }
            Command::Describe { name } => Box::pin(self.describe(&name)).await,
            Command::Connect { place } => Box::pin(self.connect(&place)).await,
            Command::ConnectionInfo => self.connection_info(),
            Command::Run { expanded } => self.run_pending(pending, expanded).await,
            Command::Print => match self.pending_or_last(pending) {
                Some(sql) => self.say(&sql),
                None => self.say("there is no statement"),
            },
            Command::Reset => {
                pending.clear();
                self.tell("the statement is forgotten")
            }
            Command::Edit => self.edit(pending).await,
            Command::Include(path) => self.include(&path).await,
            Command::Output(path) => self.redirect(path.as_deref()),
            Command::Expanded(_) | Command::Timing(_) | Command::Format(_) => self.change_view(&command),
        }
    }

    fn change_view(&mut self, command: &Command) -> Result<(), Stop> {
        let switched = |on: bool| if on { "on" } else { "off" };
        match command {
            Command::Expanded(wanted) => {
                self.view.expanded = wanted.unwrap_or(match self.view.expanded {
                    Expanded::On => Expanded::Off,
                    Expanded::Off | Expanded::Auto => Expanded::On,
                });
                let word = match self.view.expanded {
                    Expanded::On => "on",
                    Expanded::Off => "off",
                    Expanded::Auto => "used where rows do not fit the screen",
                };
                self.tell(&format!("Expanded display is {word}."))
            }
            Command::Timing(wanted) => {
                self.view.timing = wanted.unwrap_or(!self.view.timing);
                self.tell(&format!("Timing is {}.", switched(self.view.timing)))
            }
            Command::Format(Some(format)) if format.is_binary() && self.console.results().terminal => {
                Err(self.failed(&format!("{} is not text: choose a file with \\o FILE first", format.name())))
            }
            Command::Format(wanted) => {
                self.view.format = wanted.unwrap_or(self.view.format);
                self.tell(&format!("The format is {}.", self.view.format.name()))
            }
            _ => Ok(()),
        }
    }

    /// Shows a listing, and below it what could not be listed.
    async fn show_listing(&mut self, listing: impl Future<Output = listing::Listing>) -> Result<(), Stop> {
        let listing = self.unless_interrupted(listing).await?;
        match listing.batch() {
            Ok(batch) => self.show(&batch)?,
            Err(error) => return Err(self.failed(&error.to_string())),
        }
        for error in &listing.errors {
            self.console.error(&error.to_string());
        }
        if listing.errors.is_empty() { Ok(()) } else { Err(Stop::Failed) }
    }

    async fn unless_interrupted<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        let interrupt = self.interrupt.clone();
        tokio::select! {
            biased;
            () = interrupt.raised() => {
                self.console.error("cancelled");
                Err(Stop::Interrupted)
            }
            done = work => Ok(done),
        }
    }

    /// The columns of a table; a list of tables if the name is a pattern.
    async fn describe(&mut self, name: &str) -> Result<(), Stop> {
        if pattern::parts(name).iter().any(|part| part.name().is_none()) {
            let resolver = self.session.resolver();
            return self.show_listing(listing::tables(&resolver, Some(name), false)).await;
        }
        let (catalog, schema) = self.session.current();
        let place: Vec<String> = match pattern::parts(name).len() {
            1 => catalog.into_iter().chain(schema).collect(),
            2 => catalog.into_iter().collect(),
            _ => Vec::new(),
        };
        let mut full: Vec<String> = place.iter().map(|part| pattern::identifier(part)).collect();
        full.push(name.to_owned());
        let title = Some(format!("Table {}", full.join(".")));
        let presentation = Presentation { title, metadata: true, ..Presentation::default() };
        self.run_statement(&format!("DESCRIBE {name}"), None, presentation).await
    }

    async fn connect(&mut self, place: &str) -> Result<(), Stop> {
        let session = std::sync::Arc::clone(&self.session);
        match self.unless_interrupted(choose_place(&session, place)).await? {
            Ok(()) => {
                let (catalog, schema) = self.session.current();
                let schema = schema.map(|schema| format!(", schema \"{schema}\"")).unwrap_or_default();
                self.tell(&format!("Names are looked up in catalog \"{}\"{schema}.", catalog.unwrap_or_default()))
            }
            Err(error) => Err(self.failed(&error.to_string())),
        }
    }

    fn connection_info(&mut self) -> Result<(), Stop> {
        let catalogs = self.session.engine().catalogs();
        let names: Vec<&str> = catalogs.configured().map(|catalog| catalog.name.as_str()).collect();
        let mut text = format!("Portolan {}, in this process.\n", env!("CARGO_PKG_VERSION"));
        match (&self.catalogs_file, names.as_slice()) {
            (_, []) => text.push_str("No catalog is configured: start with --catalogs FILE."),
            (Some(file), names) => text.push_str(&format!("Catalogs from {}: {}.", file.display(), names.join(", "))),
            (None, names) => text.push_str(&format!("Catalogs: {}.", names.join(", "))),
        }
        text.push_str(&match self.session.current() {
            (Some(catalog), Some(schema)) => format!("\nNames are looked up in {catalog}.{schema}."),
            (Some(catalog), None) => format!("\nNames are looked up in {catalog}."),
            (None, _) => "\nNames are looked up nowhere: write catalog.schema.table, or choose with \\c.".to_owned(),
        });
        self.say(&text)
    }

    fn pending_or_last(&self, pending: &str) -> Option<String> {
        if lex::is_blank(pending) { self.last.clone() } else { Some(pending.trim().to_owned()) }
    }

    async fn run_pending(&mut self, pending: &mut String, expanded: bool) -> Result<(), Stop> {
        let Some(sql) = self.pending_or_last(pending) else {
            return Err(self.failed("there is no statement to run"));
        };
        pending.clear();
        let presentation = Presentation { expanded: expanded.then_some(Expanded::On), ..Presentation::default() };
        let outcome = self.run_statement(&sql, None, presentation).await;
        self.last = Some(sql);
        outcome
    }

    /// Lets the person edit the statement. A complete one runs, another is gone on with.
    async fn edit(&mut self, pending: &mut String) -> Result<(), Stop> {
        if !self.interactive {
            return Err(self.failed("\\e needs a terminal"));
        }
        let before = self.pending_or_last(pending).unwrap_or_default();
        match edit::edit(&before) {
            Ok(text) if lex::is_complete(&text) && !lex::is_blank(&text) => {
                pending.clear();
                *pending = Box::pin(self.run_input(&text, None)).await?;
                Ok(())
            }
            Ok(text) => {
                *pending = text.trim_end().to_owned();
                Ok(())
            }
            Err(error) => Err(self.failed(&error.to_string())),
        }
    }

    async fn include(&mut self, path: &Path) -> Result<(), Stop> {
        if self.depth >= INCLUDE_DEPTH_MAX {
            return Err(self.failed(&format!("files include one another more than {INCLUDE_DEPTH_MAX} deep")));
        }
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) => return Err(self.failed(&format!("cannot read {}: {error}", path.display()))),
        };
        let mut source = ScriptLines::new(std::io::BufReader::new(file));
        self.depth += 1;
        let outcome = Box::pin(self.run_source(&mut source, &path.display().to_string())).await;
        self.depth -= 1;
        outcome
    }

    fn redirect(&mut self, path: Option<&Path>) -> Result<(), Stop> {
        if let Some(mut sink) = self.console.redirected.take()
            && let Err(error) = std::io::Write::flush(&mut sink)
        {
            return Err(self.cannot_write(&error));
        }
        let Some(path) = path else {
            // Bytes cannot go back to a screen.
            if self.view.format.is_binary() && self.console.out.terminal {
                self.view.format = Format::Table;
            }
            return self.tell("Results go to the screen.");
        };
        match std::fs::File::create(path) {
            Ok(file) => {
                self.console.redirected = Some(Sink::file(file));
                self.tell(&format!("Results go to {}.", path.display()))
            }
            Err(error) => Err(self.failed(&format!("cannot write {}: {error}", path.display()))),
        }
    }
}

/// Chooses where names are looked up. A catalog alone stands for its usual schema, if it has one.
async fn choose_place(session: &Session, place: &str) -> Result<()> {
    let parts = pattern::parts(place);
    let resolver = session.resolver();
    let statement = match parts.as_slice() {
        [only] => match only.name().and_then(|name| resolver.catalogs.find(name)) {
            Some(catalog) => {
                let schemas = catalog.connector()?.list_schemas().await?;
                let usual = DEFAULT_SCHEMAS.into_iter().find(|usual| schemas.iter().any(|schema| schema == usual));
                let schema = match (usual, schemas.as_slice()) {
                    (Some(usual), _) => Some(usual),
                    (None, [only]) => Some(only.as_str()),
                    (None, _) => None,
                };
                match schema {
                    Some(schema) => format!("USE {}.{}", pattern::quoted(&catalog.name), pattern::quoted(schema)),
                    None => format!("USE {}", pattern::quoted(&catalog.name)),
                }
            }
            // A schema of the current catalog, or an error that names the nearest catalog.
            None if resolver.current_catalog.is_some() => format!("USE {place}"),
            None => return resolver.catalogs.get(place).map(drop),
        },
        [_, _] => format!("USE {place}"),
        _ => return Err(Error::user(format!("\\c takes CATALOG or CATALOG.SCHEMA, not {place}"))),
    };
    session.execute(&statement).await.map(drop)
}
