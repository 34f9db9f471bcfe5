//! The catalog `system`: what the engine knows of itself, as tables.

mod connector;
mod tables;

pub(super) use connector::SystemConnector;
pub use tables::{SystemColumn, SystemTable, system_tables};

/// The catalog's name, which no configured catalog may have.
pub(crate) const SYSTEM_CATALOG: &str = "system";

/// The reference of all system tables as Markdown, made from their declarations.
pub fn system_reference() -> String {
    let mut text = String::new();
    for table in system_tables() {
        text.push_str(&format!("## {SYSTEM_CATALOG}.{}.{}\n\n{}\n\n", table.schema, table.name, table.help));
        text.push_str("| column | type | meaning |\n|---|---|---|\n");
        for column in table.columns {
            text.push_str(&format!("| `{}` | {} | {} |\n", column.name, column.kind.sql(), column.help));
        }
        text.push('\n');
    }
    text
}
