//! A whole remote query.

use portolan_connector::Reason;

use crate::{Dialect, RemoteExpr};

/// A column of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectColumn {
    /// The column's name, in the source and in the result.
    pub name: String,
    /// The type to which the source converts the column before it sends it, as the source writes it.
    pub cast: Option<String>,
}

impl SelectColumn {
    /// The column as it is.
    pub fn plain(name: impl Into<String>) -> Self {
        Self { name: name.into(), cast: None }
    }

    /// The column converted by the source, such as an enumeration to `text`.
    pub fn cast(name: impl Into<String>, type_name: impl Into<String>) -> Self {
        Self { name: name.into(), cast: Some(type_name.into()) }
    }
}

/// One scan of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteQuery {
    /// The schema. Empty for a source that has none.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The columns to return, in order. Empty when only the number of rows matters.
    pub select: Vec<SelectColumn>,
    /// AND-ed together.
    pub filter: Vec<RemoteExpr>,
    /// At most this many rows.
    pub limit: Option<usize>,
}

impl RemoteQuery {
    /// All rows of a table and none of its columns.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: schema.into(), table: table.into(), select: Vec::new(), filter: Vec::new(), limit: None }
    }

    /// Whether the source can have such names at all. Names that came from the source's own catalog always pass.
    pub fn check(&self, dialect: &dyn Dialect) -> Result<(), Reason> {
        let columns = self.select.iter().map(|column| &column.name);
        [&self.schema, &self.table].into_iter().chain(columns).try_for_each(|name| dialect.check_identifier(name))
    }

    /// The query as SQL, without a semicolon.
    pub fn render(&self, dialect: &dyn Dialect) -> String {
        let select = self.select.iter().map(|column| render_column(column, dialect)).collect::<Vec<_>>().join(", ");
        let select = if select.is_empty() { dialect.empty_select_list() } else { &select };
        let mut sql = String::from("SELECT ");
        if !select.is_empty() {
            sql.push_str(select);
            sql.push(' ');
        }
        sql.push_str("FROM ");
        if !self.schema.is_empty() {
            sql.push_str(&dialect.quote_identifier(&self.schema));
            sql.push('.');
        }
        sql.push_str(&dialect.quote_identifier(&self.table));
        let mut keyword = " WHERE ";
        for conjunct in &self.filter {
            sql.push_str(keyword);
            sql.push_str(&conjunct.render_part(dialect));
            keyword = " AND ";
        }
        if let Some(rows) = self.limit {
            sql.push(' ');
            sql.push_str(&dialect.limit(rows));
        }
        sql
    }
}

fn render_column(column: &SelectColumn, dialect: &dyn Dialect) -> String {
    let name = dialect.quote_identifier(&column.name);
    match &column.cast {
        None => name,
        Some(type_name) => format!("{} AS {name}", dialect.cast(&name, type_name)),
    }
}
