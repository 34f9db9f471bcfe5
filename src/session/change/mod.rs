//! Statements that change a source: what they say, and doing it.

mod ingest;
mod modify;
mod options;
mod order;
mod parse;
mod row_change;
mod run;
mod target;

use datafusion::common::TableReference;
use datafusion::sql::sqlparser::ast::{ColumnDef, Ident, SqlOption, Statement as SqlStatement};
pub(crate) use ingest::{IfMissing, IfThere, Ingest};
use portolan_connector::OnExisting;

use crate::error::Position;

/// A statement that changes a source.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the variants are SQL's own words")]
pub enum Change {
    CreateSchema {
        /// The schema, behind its catalog if that is given.
        name: Vec<String>,
        if_not_exists: bool,
    },
    DropSchema {
        /// The schema, behind its catalog if that is given.
        name: Vec<String>,
        if_exists: bool,
        cascade: bool,
    },
    CreateTable(CreateTable),
    DropTable {
        table: Named,
        if_exists: bool,
    },
    Insert(Insert),
    Modify(Modify),
}

/// A table as a statement names it.
#[derive(Clone, Debug)]
pub struct Named {
    /// The name as far as it is given.
    pub reference: TableReference,
    /// Where in the statement it is.
    pub position: Option<Position>,
}

/// CREATE TABLE, from a list of columns or from a query.
#[derive(Clone, Debug)]
pub struct CreateTable {
    /// The table.
    pub table: Named,
    /// What happens when it is there.
    pub on_existing: OnExisting,
    /// `WITH (name = value)`, as written.
    pub options: Vec<SqlOption>,
    /// Columns and rows.
    pub content: Content,
}

/// What a new table has.
#[derive(Clone, Debug)]
pub enum Content {
    /// These columns, and no rows.
    Columns(Vec<ColumnDef>),
    /// What a query answers.
    Query(Box<SqlStatement>),
}

/// INSERT INTO, or INSERT OVERWRITE.
#[derive(Clone, Debug)]
pub struct Insert {
    /// The table.
    pub table: Named,
    /// The columns that get values, in their order; all where none is named.
    pub columns: Vec<Ident>,
    /// What becomes of the rows that are there.
    pub overwrite: bool,
    /// The query that makes the rows.
    pub query: Box<SqlStatement>,
}

/// UPDATE or DELETE FROM.
#[derive(Clone, Debug)]
pub struct Modify {
    /// The table.
    pub table: Named,
    /// The columns that get new values; none where rows are removed.
    pub columns: Option<Vec<Ident>>,
    /// The query whose columns are the new values, of the rows that are changed.
    pub query: Box<SqlStatement>,
}

impl Change {
    /// The query that makes the rows of the statement.
    pub(super) fn query(&self) -> Option<&SqlStatement> {
        match self {
            Self::Insert(Insert { query, .. })
            | Self::Modify(Modify { query, .. })
            | Self::CreateTable(CreateTable { content: Content::Query(query), .. }) => Some(query),
            _ => None,
        }
    }
}
