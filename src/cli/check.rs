//! `portolan check`: whether each catalog of a file works, and what is there.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::time::timeout;

use super::Ending;
use super::shell::Console;
use crate::catalog::{Catalog, CatalogFile, CatalogSet};
use crate::error::{Error, Result};

/// Catalogs that are checked at the same time.
const CATALOGS_AT_ONCE: usize = 16;

/// Schemas of one catalog whose tables are listed at the same time.
const SCHEMAS_AT_ONCE: usize = 4;

/// How long one catalog may take.
const CATALOG_MAX: Duration = Duration::from_secs(60);

/// Runs the subcommand: a line for each catalog, in the file's order.
pub(super) async fn run(file: &Path, mut console: Console) -> Ending {
    let catalogs = match CatalogFile::read(file) {
        Ok(file) => CatalogSet::open(file),
        Err(error) => {
            console.error(&error.to_string());
            return Ending::Failure;
        }
    };
    match report(&catalogs, &mut console.out).await {
        Ok(true) => Ending::Success,
        Ok(false) => Ending::Failure,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ending::OutputClosed,
        Err(error) => {
            console.error(&format!("cannot write: {error}"));
            Ending::Failure
        }
    }
}

/// Writes the lines. Returns whether all catalogs work.
async fn report(catalogs: &CatalogSet, out: &mut dyn Write) -> io::Result<bool> {
    let widest = |text: fn(&Catalog) -> &str| catalogs.iter().map(|it| text(it).chars().count()).max().unwrap_or(0);
    let names = widest(|catalog| &catalog.name);
    let kinds = widest(|catalog| &catalog.connector_name);
    if catalogs.iter().next().is_none() {
        writeln!(out, "the file has no catalogs")?;
    }
    let mut works = true;
    let mut found = stream::iter(catalogs.iter())
        .map(|catalog| async move {
            let found = timeout(CATALOG_MAX, look(catalog)).await;
            let late = || Err(Error::user(format!("no answer within {} seconds", CATALOG_MAX.as_secs())));
            (catalog, found.unwrap_or_else(|_| late()))
        })
        .buffered(CATALOGS_AT_ONCE);
    while let Some((catalog, found)) = found.next().await {
        let (state, text) = match found {
            Ok(found) => ("ok", found),
            Err(error) => {
                works = false;
                ("error", error.to_string())
            }
        };
        let head = format!("{:<names$}  {state:<5}  {:<kinds$}  ", catalog.name, catalog.connector_name);
        // What a message says on further lines stands below its first.
        let indent = format!("\n{}", " ".repeat(head.chars().count()));
        writeln!(out, "{head}{}", text.replace('\n', &indent))?;
        out.flush()?;
    }
    Ok(works)
}

/// Connects, and counts what is there.
async fn look(catalog: &Catalog) -> Result<String> {
    let connector = catalog.connector()?;
    let schemas = connector.list_schemas().await?;
    let mut tables = 0;
    let mut lists = stream::iter(&schemas)
        .map(|schema| async move { connector.list_tables(schema).await })
        .buffer_unordered(SCHEMAS_AT_ONCE);
    while let Some(list) = lists.next().await {
        tables += list?.len();
    }
    Ok(format!("{}, {}", count(schemas.len(), "schema"), count(tables, "table")))
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Environment;

    fn lines(text: &str) -> (bool, String) {
        let secrets = Environment { directory: std::path::PathBuf::new() };
        let catalogs = CatalogSet::open(CatalogFile::parse(text, "c.toml", &secrets).unwrap());
        let mut out = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let works = runtime.block_on(report(&catalogs, &mut out)).unwrap();
        (works, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_broken_catalog_does_not_hide_the_others() {
        let lake = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(lake.path().join("sales/orders")).unwrap();
        let text = format!(
            "[lake]\nconnector = 'hive'\nlocation = '{}'\n\n[pg]\nconnector = 'postgre'\n",
            lake.path().display()
        );
        let (works, shown) = lines(&text);
        assert!(!works);
        let mut shown = shown.lines();
        assert!(shown.next().unwrap().starts_with("lake  ok     hive     "));
        assert_eq!(
            shown.next().unwrap(),
            "pg    error  postgre  c.toml:6: catalog pg: unknown connector \"postgre\": did you mean \"postgres\"?"
        );
    }

    #[test]
    fn an_empty_file_says_so() {
        assert_eq!(lines(""), (true, "the file has no catalogs\n".to_owned()));
    }
}
