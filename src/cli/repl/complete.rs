//! Completion of commands, keywords, functions and names.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::mention::{Cursor, Mention, Place, cursor};
use super::names::{List, Names};
use crate::cli::client::{LastStanding, SharedClient};
use crate::cli::shell::command::{Argument, COMMANDS};
use crate::cli::shell::lex::{self, Piece};
use crate::cli::shell::{listing, pattern, words};

/// How long a press of the Tab key waits for sources.
const WAIT_MAX: Duration = Duration::from_millis(900);

/// Candidates that are offered.
const CANDIDATES_MAX: usize = 1_000;

/// Completes what is typed.
#[derive(Debug)]
pub(crate) struct Completions {
    names: Names,
    standing: LastStanding,
}

impl Completions {
    /// Completions for a session. Must be called in a runtime.
    pub(crate) fn new(client: SharedClient, standing: LastStanding) -> Self {
        Self { names: Names::new(client), standing }
    }

    /// Where the unfinished word starts, in bytes, and what it may become.
    pub(super) fn complete(&self, text: &str, at: usize) -> (usize, Vec<String>) {
        let before = text.get(..at).unwrap_or(text);
        let mut rest = before;
        loop {
            let (piece, after) = lex::first_piece(rest);
            match piece {
                Piece::Command { .. } if after.is_empty() && !rest.ends_with('\n') => {
                    let start = rest.rfind('\\').map_or(at, |slash| before.len() - rest.len() + slash + 1);
                    return self.command(before, start);
                }
                Piece::Rest(_) => break,
                _ => rest = after,
            }
        }
        let skipped = before.len() - rest.len();
        let (start, found) = self.sql(text.get(skipped..).unwrap_or_default(), at - skipped);
        (start + skipped, found)
    }

    /// A command or its argument; `start` is behind its backslash.
    fn command(&self, before: &str, start: usize) -> (usize, Vec<String>) {
        let line = before.get(start..).unwrap_or_default();
        let Some((name, _)) = line.split_once(char::is_whitespace) else {
            let names = COMMANDS.iter().map(|spec| spec.name).filter(|name| name.starts_with(line));
            return (start, names.map(str::to_owned).collect());
        };
        let word = line.rfind(char::is_whitespace).map_or(0, |space| space + 1);
        let typed = line.get(word..).unwrap_or_default();
        let start = start + word;
        let argument = COMMANDS.iter().find(|spec| spec.name == name.trim_end_matches('+')).map(|spec| spec.argument);
        match argument {
            Some(Argument::OneOf(words)) => {
                (start, words.iter().filter(|word| word.starts_with(typed)).map(|word| (*word).to_owned()).collect())
            }
            Some(Argument::File) => (start, files(typed)),
            Some(Argument::Name) => {
                // The argument reads like the name behind FROM.
                let sql = format!("FROM {typed}");
                let (within, found) = self.sql(&sql, sql.len());
                (start + within.saturating_sub("FROM ".len()), found)
            }
            _ => (start, Vec::new()),
        }
    }

    fn sql(&self, text: &str, at: usize) -> (usize, Vec<String>) {
        let cursor = cursor(text, at);
        let mut found =
            Found { partial: cursor.partial.to_lowercase(), names: BTreeSet::new(), words: BTreeSet::new() };
        let deadline = Instant::now() + WAIT_MAX;
        match (cursor.place, cursor.path.as_slice()) {
            (Place::Nothing, _) => {}
            (Place::Setting, _) => found.list(&self.names.get(List::Settings, deadline)),
            (Place::Table, []) => self.tables_from_here(&mut found, deadline),
            (Place::Expression, []) => self.expression(&cursor, &mut found, deadline),
            (place, path) => {
                if place == Place::Expression {
                    self.columns_behind(path, &cursor.mentions, &mut found, deadline);
                }
                self.names_behind(path, &mut found, deadline);
            }
        }
        (cursor.start, found.finish(&cursor.partial))
    }

    /// Catalogs, and schemas and tables of where the session stands.
    fn tables_from_here(&self, found: &mut Found, deadline: Instant) {
        found.list(&self.names.get(List::Catalogs, deadline));
        let here = self.standing.get();
        if let Some(catalog) = here.catalog {
            if let Some(schema) = here.schema {
                found.list(&self.names.get(List::Tables { catalog: catalog.clone(), schema }, deadline));
            }
            found.list(&self.names.get(List::Schemas { catalog }, deadline));
        }
    }

    /// Columns of the statement's tables, their names, functions and keywords.
    fn expression(&self, cursor: &Cursor, found: &mut Found, deadline: Instant) {
        for mention in &cursor.mentions {
            found.names(mention.alias.iter().chain(mention.path.last()).map(String::as_str));
            self.columns(mention, found, deadline);
        }
        found.words(words::all());
        if !found.partial.is_empty() {
            found.words(self.names.get(List::Functions, deadline).iter().map(String::as_str));
        }
    }

    /// Columns of the table that a qualifier names.
    fn columns_behind(&self, path: &[String], mentions: &[Mention], found: &mut Found, deadline: Instant) {
        let same = |left: &String, right: &String| left.eq_ignore_ascii_case(right);
        for mention in mentions {
            let by_alias = matches!((path, &mention.alias), ([only], Some(alias)) if same(only, alias));
            let by_name = mention.alias.is_none()
                && path.len() <= mention.path.len()
                && path.iter().rev().zip(mention.path.iter().rev()).all(|(left, right)| same(left, right));
            if by_alias || by_name {
                self.columns(mention, found, deadline);
            }
        }
    }

    fn columns(&self, mention: &Mention, found: &mut Found, deadline: Instant) {
        let here = self.standing.get();
        let full = match (mention.path.as_slice(), here.catalog, here.schema) {
            ([catalog, schema, table], ..) => Some((catalog.clone(), schema.clone(), table.clone())),
            ([schema, table], Some(catalog), _) => Some((catalog, schema.clone(), table.clone())),
            ([table], Some(catalog), Some(schema)) => Some((catalog, schema, table.clone())),
            _ => None,
        };
        if let Some((catalog, schema, table)) = full {
            found.list(&self.names.get(List::Columns { catalog, schema, table }, deadline));
        }
    }

    /// Schemas behind a catalog, tables behind a schema.
    fn names_behind(&self, path: &[String], found: &mut Found, deadline: Instant) {
        match path {
            [name] => {
                if let Some(catalog) = self.catalog(name, deadline) {
                    found.list(&self.names.get(List::Schemas { catalog }, deadline));
                }
                if let Some(catalog) = self.standing.get().catalog {
                    found.list(&self.names.get(List::Tables { catalog, schema: name.clone() }, deadline));
                }
            }
            [catalog, schema] => {
                if let Some(catalog) = self.catalog(catalog, deadline) {
                    found.list(&self.names.get(List::Tables { catalog, schema: schema.clone() }, deadline));
                }
            }
            _ => {}
        }
    }

    /// A catalog's name as it is configured.
    fn catalog(&self, name: &str, deadline: Instant) -> Option<String> {
        listing::find(&self.names.get(List::Catalogs, deadline), name)
    }
}

/// What was found for a beginning.
struct Found {
    /// The beginning in lower case.
    partial: String,
    names: BTreeSet<String>,
    words: BTreeSet<String>,
}

impl Found {
    fn fits(&self, name: &str) -> bool {
        // Names like `$path` are hidden: they are offered to those who begin to type them.
        let hidden = name.starts_with(['$', '_']);
        name.to_lowercase().starts_with(&self.partial) && !(hidden && self.partial.is_empty())
    }

    fn names<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        for name in names {
            if self.fits(name) {
                self.names.insert(pattern::identifier(name));
            }
        }
    }

    fn list(&mut self, names: &[String]) {
        self.names(names.iter().map(String::as_str));
    }

    fn words<'a>(&mut self, words: impl Iterator<Item = &'a str>) {
        for word in words {
            if self.fits(word) {
                self.words.insert(word.to_owned());
            }
        }
    }

    /// Names, then words in the case in which the person types.
    fn finish(self, typed: &str) -> Vec<String> {
        let upper = typed.chars().any(char::is_uppercase) || typed.is_empty();
        let words = self.words.into_iter().map(|word| match upper && words::all().any(|known| known == word) {
            true => word.to_uppercase(),
            false => word,
        });
        self.names.into_iter().chain(words).take(CANDIDATES_MAX).collect()
    }
}

/// Files whose path begins so.
fn files(typed: &str) -> Vec<String> {
    let (directory, partial) = typed.rsplit_once('/').map_or(("", typed), |(directory, name)| (directory, name));
    let shown = if typed.contains('/') { format!("{directory}/") } else { String::new() };
    let read = match (shown.as_str(), directory) {
        ("", _) => ".",
        ("/", _) => "/",
        (_, directory) => directory,
    };
    let entries = std::fs::read_dir(read).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let slash = if entry.file_type().ok()?.is_dir() { "/" } else { "" };
            let hidden = name.starts_with('.') && !partial.starts_with('.');
            (name.starts_with(partial) && !hidden).then(|| format!("{shown}{name}{slash}"))
        })
        .take(CANDIDATES_MAX)
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cli::client::LocalClient;
    use crate::{Engine, EngineOptions};

    fn complete(text: &str) -> (usize, Vec<String>) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _guard = runtime.enter();
        let session = Engine::start(EngineOptions::default()).unwrap().session();
        let client = Arc::new(LocalClient::new(session, None));
        Completions::new(client, LastStanding::default()).complete(text, text.len())
    }

    #[test]
    fn commands_and_their_words() {
        assert_eq!(complete("\\ti"), (1, vec!["timing".to_owned()]));
        assert_eq!(complete("select 1 \\g"), (10, ["g", "gx", "gdesc", "gset"].map(str::to_owned).to_vec()));
        assert_eq!(complete("\\x a"), (3, vec!["auto".to_owned()]));
        assert_eq!(complete("\\timing\nsel"), (8, vec!["select".to_owned()]));
    }

    #[test]
    fn keywords_follow_the_case_that_is_typed() {
        assert_eq!(complete("SEL").1, ["SELECT"]);
        assert_eq!(complete("sel").1, ["select"]);
        assert_eq!(complete("select regexp_co").1, ["regexp_count"]);
        assert_eq!(complete("select 'sel").1, Vec::<String>::new());
        assert_eq!(complete("SET SESSION push").1, ["pushdown"]);
    }

    #[test]
    fn columns_of_the_engines_own_tables_are_not_asked_of_a_missing_catalog() {
        let before = Instant::now();
        assert_eq!(complete("select x.| from nowhere.a.b x".split('|').next().unwrap()).1, Vec::<String>::new());
        assert!(before.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn files_of_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("query.sql"), "").unwrap();
        std::fs::create_dir(directory.path().join("queries")).unwrap();
        let typed = format!("{}/quer", directory.path().display());
        let names = files(&typed);
        assert_eq!(names.len(), 2);
        assert!(names[0].ends_with("/queries/") && names[1].ends_with("/query.sql"), "{names:?}");
    }
}
