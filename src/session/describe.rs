//! DESCRIBE: the columns of a table or of a query.

use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use portolan_connector::ConnectorTable;

use super::answer::TextRows;
use super::types::type_name;
use super::{Answer, Request, Session};
use crate::catalog::Resolved;
use crate::error::Result;

const COLUMNS: [&str; 5] = ["column", "type", "source_type", "nullable", "comment"];

/// The columns of a resolved table: visible ones, hidden ones, and those that cannot be read with the reason.
pub(super) fn table(resolved: &Resolved) -> Result<Answer> {
    let mut rows = TextRows::new(&COLUMNS);
    match resolved {
        Resolved::Source(table) => source_rows(table.as_ref(), &mut rows),
        Resolved::Own(provider) => {
            for field in provider.schema().fields() {
                rows.push([
                    Some(field.name().clone()),
                    Some(type_name(field.data_type())),
                    None,
                    Some(yes_or_no(field.is_nullable())),
                    None,
                ]);
            }
        }
    }
    rows.answer()
}

fn source_rows(table: &dyn ConnectorTable, rows: &mut TextRows) {
    for column in table.columns() {
        let comment = match &column.hidden {
            Some(hidden) => Some(format!("hidden: {}", hidden.help)),
            None => column.comment.clone(),
        };
        rows.push([
            Some(column.name().to_owned()),
            Some(type_name(column.field.data_type())),
            Some(column.source_type.clone()),
            Some(yes_or_no(column.field.is_nullable())),
            comment,
        ]);
    }
    for column in table.unsupported_columns() {
        rows.push([
            Some(column.name.clone()),
            None,
            Some(column.source_type.clone()),
            None,
            Some(format!("not readable: {}", column.reason)),
        ]);
    }
}

/// The columns that a query would return. The query is planned and does not run.
pub(super) async fn query(session: &Session, query: SqlStatement) -> Result<Answer> {
    let schema = session.planning(&Request::default()).schema(query).await?;
    let mut rows = TextRows::new(&COLUMNS);
    for field in schema.fields() {
        rows.push([
            Some(field.name().clone()),
            Some(type_name(field.data_type())),
            None,
            Some(yes_or_no(field.is_nullable())),
            None,
        ]);
    }
    rows.answer()
}

fn yes_or_no(yes: bool) -> String {
    if yes { "YES" } else { "NO" }.to_owned()
}
