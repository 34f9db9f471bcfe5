//! What a connector implements whose source can be changed by statements.
//!
//! All of a statement or nothing: rows are given to a [`TableWriter`] and seen by nobody until [`TableWriter::commit`].
//! A writer that is dropped before leaves nothing behind.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::logical_expr::Expr;

use crate::{ConnectorError, ConnectorTable, PropertySpec, QueryContext, Reason, Result, TableName};

/// Tells a statement that is tried again from one that is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteToken {
    /// The name that the client chose for the write.
    pub token: String,
    /// The statement with the values of its parameters. A token that comes again with another statement is a mistake.
    pub statement: String,
}

/// What belongs to every write.
#[derive(Clone, Debug)]
pub struct WriteContext {
    /// The query that writes.
    pub query: QueryContext,
    /// With it, a write that was committed before is not made again: [`Begun::Already`] says what it wrote then.
    pub token: Option<WriteToken>,
}

/// What to do when the table that a statement makes is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExisting {
    /// The statement fails: `CREATE TABLE`.
    Fail,
    /// Nothing is done: `CREATE TABLE IF NOT EXISTS`.
    Skip,
    /// The new table takes the place of the old one: `CREATE OR REPLACE TABLE`.
    Replace,
}

/// The value of a property of a new table, of the kind that the source declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableValue {
    /// Text; in lower case where it is one of the declared words.
    Text(String),
    /// A whole number within the declared bounds.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// Texts in the order of the statement.
    List(Vec<String>),
}

/// A table to make.
#[derive(Clone, Debug)]
pub struct NewTable {
    /// Its name. The schema is spelled as the source spells it, if the source has it.
    pub name: TableName,
    /// Its columns, in order; their names differ in more than case.
    pub columns: SchemaRef,
    /// What to do when it is there.
    pub on_existing: OnExisting,
    /// `WITH (name = value)`: only those that [`WritableCatalog::table_properties`] declares.
    pub properties: BTreeMap<&'static str, TableValue>,
}

/// What becomes of the rows that are there when others are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InsertMode {
    /// They stay: `INSERT INTO`.
    #[default]
    Append,
    /// The new ones take their place, in the partitions that get rows, or in the whole table where it has no partitions:
    /// `INSERT OVERWRITE`.
    Overwrite,
    /// They stay, and a partition that is there already gets none: the statement fails.
    NewPartitions,
}

impl InsertMode {
    /// Refuses what a source cannot do that only adds rows.
    pub fn only_append(self) -> Result<()> {
        match self {
            Self::Append => Ok(()),
            Self::Overwrite => {
                Err(ConnectorError::user("INSERT OVERWRITE replaces partitions, and its tables have none")
                    .hint("DELETE the rows first, or CREATE OR REPLACE TABLE"))
            }
            Self::NewPartitions => {
                Err(ConnectorError::user("its tables have no partitions that could be there already")
                    .hint("RESET SESSION insert_existing_partitions_behavior"))
            }
        }
    }
}

/// By which of the written columns rows must be sorted before a source takes them, ascending, with NULLs first.
pub type RowOrder = Vec<usize>;

/// What becomes of rows where they are.
#[derive(Clone, Debug)]
pub enum RowAction {
    /// They are removed: `DELETE`.
    Remove,
    /// The columns at these indexes of the table's get new values, computed of the old ones: `UPDATE`. Each value has the
    /// column's type.
    Set(Vec<(usize, Expr)>),
}

/// A change of rows where they are.
#[derive(Clone, Debug)]
pub struct RowChange {
    /// Of those rows for which all of these hold. The table has judged each of them to be exact.
    pub filters: Vec<Expr>,
    /// What becomes of them.
    pub action: RowAction,
}

/// How a write begins.
pub enum Begun {
    /// It takes rows.
    Writer(Box<dyn TableWriter>),
    /// There is nothing to do: the table exists and may, or the same write was committed before and wrote this many rows.
    Already(u64),
}

impl Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Writer(_) => f.write_str("Writer"),
            Self::Already(rows) => f.debug_tuple("Already").field(rows).finish(),
        }
    }
}

/// Takes the rows of one statement.
#[async_trait]
pub trait TableWriter: Send {
    /// Takes rows, in the order of the columns that were announced. Waits while the source is slower than the query.
    async fn write(&mut self, batch: RecordBatch) -> Result<()>;

    /// Makes all rows visible at once, or none of them. Returns how many there are. Runs to its end, whether or not
    /// somebody still waits for the statement.
    async fn commit(self: Box<Self>) -> Result<u64>;
}

/// A source that statements can change.
#[async_trait]
pub trait WritableCatalog: Debug + Send + Sync {
    /// Makes a schema. Returns false when it is there already.
    async fn create_schema(&self, schema: &str) -> Result<bool>;

    /// Removes a schema, whose tables go only where `cascade` says so. Returns false when there is none.
    async fn drop_schema(&self, schema: &str, cascade: bool) -> Result<bool>;

    /// The properties that a new table may have: `CREATE TABLE ... WITH (name = value)`.
    fn table_properties(&self) -> &'static [PropertySpec] {
        &[]
    }

    /// The order in which a new table takes its rows; empty where it takes them as they come.
    fn order_of_new(&self, _table: &NewTable) -> Result<RowOrder> {
        Ok(Vec::new())
    }

    /// Begins to make a table with rows. The table is there from the writer's commit on.
    async fn create_table(&self, table: NewTable, context: WriteContext) -> Result<Begun>;

    /// Begins to add rows to a table. Batches have the columns at these indexes of the table's, in this order and with
    /// the table's types; the source gives the others what they have by default.
    async fn insert(
        &self,
        table: &Arc<dyn ConnectorTable>,
        columns: &[usize],
        mode: InsertMode,
        context: WriteContext,
    ) -> Result<Begun>;

    /// Why rows cannot be changed or removed where they are; `None` where they can.
    fn refuses_row_changes(&self) -> Option<Reason> {
        Some("rows of its tables are not changed where they are".into())
    }

    /// Changes or removes rows, which are counted by the commit of a writer that takes none. An expression that the source
    /// does not compute as the engine would is an error.
    async fn change_rows(
        &self,
        table: &Arc<dyn ConnectorTable>,
        change: RowChange,
        context: WriteContext,
    ) -> Result<Begun> {
        let _ = (change, context);
        Err(ConnectorError::user("rows are not changed where they are").in_table(table.name()))
    }

    /// Removes a table. Returns false when there is none.
    async fn drop_table(&self, table: &TableName) -> Result<bool>;
}
