//! The catalog `system`: what the engine knows of itself, as tables, and what all catalogs of a connector tell of their sources.

mod connector;
mod gathered;
mod tables;

use datafusion::common::TableReference;
use portolan_connector::{SYSTEM_SCHEMA, SystemColumn};

pub(super) use connector::SystemConnector;
pub(crate) use gathered::{Gathered, GatheredPart};
pub use tables::{SystemTable, system_tables};

use self::gathered::CATALOG_NAME;
use super::{INFORMATION_SCHEMA, registry};

/// The catalog's name, which no configured catalog may have.
pub(crate) const SYSTEM_CATALOG: &str = "system";

/// Whether a name is one of what the engine knows of itself, for which no source is asked.
pub(crate) fn is_of_the_engine(reference: &TableReference) -> bool {
    let of_engine =
        |schema: &str| schema == INFORMATION_SCHEMA || system_tables().iter().any(|table| table.schema == schema);
    reference.catalog() == Some(SYSTEM_CATALOG) && reference.schema().is_some_and(of_engine)
}

/// The reference of all system tables as Markdown, made from their declarations.
pub fn system_reference() -> String {
    let mut text = String::new();
    for table in system_tables() {
        describe(&mut text, table.schema, table.name, table.help, table.columns.iter());
    }
    for factory in registry::factories() {
        for spec in factory.system_tables() {
            let connector = factory.name();
            let help = format!(
                "`catalog.{SYSTEM_SCHEMA}.{}` of all {connector} catalogs. {} Where a catalog cannot be read, the query fails; \
                 conditions on `{}` leave catalogs out. The schema is there when there is such a catalog.",
                spec.name, spec.help, CATALOG_NAME.name
            );
            let columns = std::iter::once(&CATALOG_NAME).chain(spec.columns);
            describe(&mut text, connector, spec.name, &help, columns);
        }
    }
    text
}

fn describe<'c>(
    text: &mut String,
    schema: &str,
    name: &str,
    help: &str,
    columns: impl Iterator<Item = &'c SystemColumn>,
) {
    text.push_str(&format!("## {SYSTEM_CATALOG}.{schema}.{name}\n\n{help}\n\n"));
    text.push_str("| column | type | meaning |\n|---|---|---|\n");
    for column in columns {
        text.push_str(&format!("| `{}` | {} | {} |\n", column.name, column.kind.sql(), column.help));
    }
    text.push('\n');
}
