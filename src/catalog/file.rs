//! The catalog file: TOML, one table per catalog.

use std::ops::Range;
use std::path::{Path, PathBuf};

use portolan_connector::properties::{self, Secrets};
use portolan_connector::{CatalogEntry, ConnectorFactory, PropertyKind, PropertySpec};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{SYSTEM_CATALOG, limits, registry};
use crate::error::{Error, Result};

/// The key of a catalog's table that names its connector.
const CONNECTOR: &str = "connector";

/// What a catalog file says, catalog by catalog. A mistake in one catalog does not hide the others.
#[derive(Debug)]
pub struct CatalogFile {
    /// The catalogs in the file's order.
    pub catalogs: Vec<CatalogDefinition>,
}

/// One catalog of the file.
#[derive(Debug)]
pub struct CatalogDefinition {
    /// The catalog's name.
    pub name: String,
    /// The kind of source, as the file writes it; empty when it is missing.
    pub connector: String,
    /// The validated entry and its factory, or what is wrong with it.
    pub entry: Result<(&'static dyn ConnectorFactory, CatalogEntry)>,
}

impl CatalogFile {
    /// Reads and validates a file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::user(format!("cannot read the catalog file {}: {error}", path.display()))
                .hint("`portolan demo` shows one; docs/catalog-file.md describes it")
        })?;
        let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Self::parse(&text, &path.display().to_string(), &Environment { directory })
    }

    /// Validates the text of a file. `origin` is how messages call the file.
    pub fn parse(text: &str, origin: &str, secrets: &dyn Secrets) -> Result<Self> {
        let root = DeTable::parse(text).map_err(|error| {
            let place = error.span().map_or_else(String::new, |span| format!(":{}", line_of(text, &span)));
            Error::user(format!("{origin}{place}: {}", error.message()))
        })?;
        let mut tables: Vec<_> = root.get_ref().iter().collect();
        tables.sort_by_key(|(name, _)| name.span().start);
        let catalogs = tables
            .into_iter()
            .map(|(name, value)| {
                let name = name.get_ref().to_string();
                let connector = connector_name(value).unwrap_or_default().to_owned();
                let entry = entry(&name, value, secrets).map_err(|(message, span)| {
                    Error::user(format!("{origin}:{}: catalog {name}: {message}", line_of(text, &span)))
                });
                CatalogDefinition { name, connector, entry }
            })
            .collect();
        Ok(Self { catalogs })
    }
}

fn connector_name<'t>(value: &'t Spanned<DeValue<'_>>) -> Option<&'t str> {
    value.get_ref().as_table()?.get(CONNECTOR)?.get_ref().as_str()
}

fn entry(
    name: &str,
    value: &Spanned<DeValue<'_>>,
    secrets: &dyn Secrets,
) -> Result<(&'static dyn ConnectorFactory, CatalogEntry), (String, Range<usize>)> {
    let Some(table) = value.get_ref().as_table() else {
        return Err(("a catalog is a table: [name] with a line `connector = \"...\"`".to_owned(), value.span()));
    };
    if name.eq_ignore_ascii_case(SYSTEM_CATALOG) {
        return Err(("the name is taken by the engine's own tables: choose another".to_owned(), value.span()));
    }
    let names = registry::factories().map(|factory| factory.name());
    let Some(connector) = table.get(CONNECTOR) else {
        return Err((format!("`connector` is missing: it is one of {}", names.join(", ")), value.span()));
    };
    let factory = connector.get_ref().as_str().and_then(registry::factory).ok_or_else(|| {
        let word = connector.get_ref().as_str().unwrap_or_default();
        let message = match properties::nearest(word, names) {
            Some(near) => format!("unknown connector \"{word}\": did you mean \"{near}\"?"),
            None => format!("unknown connector \"{word}\": it is one of {}", names.join(", ")),
        };
        (message, connector.span())
    })?;
    let specs = [factory.properties(), limits::SPECS].concat();
    let properties = properties::parse(table, value.span(), &specs, &[CONNECTOR], secrets)
        .map_err(|error| (error.message, error.span))?;
    Ok((factory, CatalogEntry { name: name.to_owned(), properties }))
}

/// The line, counted from 1, on which a span begins.
fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1
}

/// Secrets from the process's environment and from files; relative paths start at the catalog file's directory.
#[derive(Debug)]
pub struct Environment {
    /// Where relative paths start.
    pub directory: PathBuf,
}

impl Secrets for Environment {
    fn env(&self, name: &str) -> Result<String, String> {
        std::env::var(name).map_err(|error| match error {
            std::env::VarError::NotPresent => format!("the environment variable {name} is not set"),
            std::env::VarError::NotUnicode(_) => format!("the environment variable {name} is not UTF-8"),
        })
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let path = self.directory.join(path);
        let text =
            std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok(text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text)).unwrap_or(&text).to_owned())
    }
}

/// The reference of all properties as Markdown, made from the connectors' own declarations.
pub fn reference() -> String {
    let mut text = String::new();
    for factory in registry::factories() {
        text.push_str(&format!(
            "## connector = \"{}\"\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
            factory.name()
        ));
        reference_rows(&mut text, "", factory.properties());
        text.push('\n');
        if !factory.table_properties().is_empty() {
            text.push_str("A new table: `CREATE TABLE ... WITH (key = value)`\n\n| key | value | default | meaning |\n|---|---|---|---|\n");
            reference_rows(&mut text, "", factory.table_properties());
            text.push('\n');
        }
    }
    text.push_str("## In every catalog\n\n| key | value | default | meaning |\n|---|---|---|---|\n");
    reference_rows(&mut text, "", limits::SPECS);
    text.push('\n');
    text
}

fn reference_rows(text: &mut String, prefix: &str, specs: &[PropertySpec]) {
    for spec in specs {
        let default = match (spec.required, spec.default) {
            (true, _) => "required".to_owned(),
            (false, Some(default)) => format!("`{default}`"),
            (false, None) => String::new(),
        };
        let key = format!("{prefix}{}", spec.name);
        text.push_str(&format!("| `{key}` | {} | {default} | {} |\n", spec.kind.describe(), spec.help));
        match spec.kind {
            PropertyKind::Section(inner) => reference_rows(text, &format!("{key}."), inner),
            PropertyKind::Sections(inner) => reference_rows(text, &format!("{key}.NAME."), inner),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoSecrets;

    impl Secrets for NoSecrets {
        fn env(&self, name: &str) -> Result<String, String> {
            Err(format!("the environment variable {name} is not set"))
        }
        fn file(&self, path: &str) -> Result<String, String> {
            Err(format!("cannot read {path}"))
        }
    }

    fn errors(text: &str) -> Vec<String> {
        match CatalogFile::parse(text, "c.toml", &NoSecrets) {
            Err(error) => vec![error.to_string()],
            Ok(file) => file
                .catalogs
                .into_iter()
                .filter_map(|catalog| catalog.entry.err())
                .map(|error| error.to_string())
                .collect(),
        }
    }

    #[test]
    fn one_broken_catalog_does_not_hide_the_others() {
        let text = "[a]\nconnector = 'hive'\nlocation = '/x'\n\n[b]\nconnector = 'hive'\nlocatoin = '/x'\n";
        assert_eq!(errors(text), ["c.toml:7: catalog b: unknown key `locatoin`: did you mean `location`?"]);
    }

    #[test]
    fn mistakes_come_with_their_line() {
        assert_eq!(
            errors("[a]\nlocation = '/x'\n"),
            ["c.toml:1: catalog a: `connector` is missing: it is one of hive, postgres, kafka, memory"]
        );
        assert_eq!(
            errors("[a]\n\nconnector = 'postgre'\n"),
            ["c.toml:3: catalog a: unknown connector \"postgre\": did you mean \"postgres\"?"]
        );
        assert_eq!(
            errors("[system]\nconnector = 'hive'\nlocation = '/x'\n"),
            ["c.toml:1: catalog system: the name is taken by the engine's own tables: choose another"]
        );
        assert!(errors("[a\n").first().is_some_and(|message| message.starts_with("c.toml:1: ")));
    }
}
