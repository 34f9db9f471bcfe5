//! What every connector promises whose source can be changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::{ContractReport, Subject};
use crate::{
    Begun, Connector, ConnectorError, ConnectorTable, ErrorKind, InsertMode, NewTable, OnExisting, QueryContext,
    Result, RowAction, RowChange, TableName, TableWriter, WritableCatalog, WriteContext, WriteToken,
};

/// Checks the writes of a connector in a schema that it makes and removes:
///
/// * a table is there from its writer's commit on and not before; one that is there is kept, skipped or replaced;
/// * rows are there from the commit on; a writer that is dropped leaves none; a snapshot sees what was there before it;
/// * columns that a statement does not name get NULL;
/// * a write with a token is made once, and the token is good for that statement only;
/// * rows are removed where they are from the commit on, unless the source refuses that;
/// * schemas and tables are made and removed once.
///
/// An error means that something failed that should not have.
pub async fn check_writes(connector: &Arc<dyn Connector>, catalog: &str, schema: &str) -> Result<ContractReport> {
    let writable =
        connector.writable().ok_or_else(|| ConnectorError::internal("the connector says that it cannot be written"))?;
    let mut checks = Checks { connector, writable, catalog, schema, report: ContractReport::default() };
    checks.schemas().await?;
    checks.creation().await?;
    checks.insertion().await?;
    checks.tokens().await?;
    checks.row_changes().await?;
    checks.removal().await?;
    Ok(checks.report)
}

struct Checks<'a> {
    connector: &'a Arc<dyn Connector>,
    writable: &'a dyn WritableCatalog,
    catalog: &'a str,
    schema: &'a str,
    report: ContractReport,
}

fn columns() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("t", DataType::Utf8, true)]))
}

fn rows(first: i64, count: i64) -> Result<RecordBatch> {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(first..first + count));
    let texts: StringArray = (first..first + count).map(|number| Some(format!("t{number}"))).collect();
    RecordBatch::try_new(columns(), vec![numbers, Arc::new(texts)]).map_err(cannot_make)
}

fn cannot_make(error: ArrowError) -> ConnectorError {
    ConnectorError::internal("cannot make rows for the test").said(error)
}

fn context(token: Option<(&str, &str)>) -> WriteContext {
    let token = token.map(|(token, statement)| WriteToken { token: token.to_owned(), statement: statement.to_owned() });
    WriteContext { query: QueryContext { query_id: "testkit".to_owned() }, token }
}

fn writer(begun: Begun) -> Result<Box<dyn TableWriter>> {
    match begun {
        Begun::Writer(writer) => Ok(writer),
        Begun::Already(rows) => Err(ConnectorError::internal(format!("a new write was said to have written {rows}"))),
    }
}

impl Checks<'_> {
    fn check(&mut self, holds: bool, otherwise: &str) {
        self.report.check(holds, || otherwise.to_owned());
    }

    fn name(&self, table: &str) -> TableName {
        TableName::new(self.catalog, self.schema, table)
    }

    fn new_table(&self, table: &str, on_existing: OnExisting) -> NewTable {
        NewTable { name: self.name(table), columns: columns(), on_existing, properties: BTreeMap::new() }
    }

    async fn table(&self, table: &str) -> Result<Option<Arc<dyn ConnectorTable>>> {
        self.connector.table(self.schema, table).await
    }

    async fn existing(&self, table: &str) -> Result<Arc<dyn ConnectorTable>> {
        let found = self.table(table).await?;
        found.ok_or_else(|| ConnectorError::internal("the table is not there").in_table(&self.name(table)))
    }

    /// How many rows a table has.
    async fn count(&self, table: &str) -> Result<usize> {
        let subject = Subject::new(Arc::clone(self.connector), self.existing(table).await?);
        let snapshot = subject.begin().await?;
        let reading = subject.read(&subject.everything(), &snapshot, &subject.session(8_192)).await?;
        Ok(reading.rows())
    }

    async fn schemas(&mut self) -> Result<()> {
        let made = self.writable.create_schema(self.schema).await?;
        self.check(made, "a new schema was said to be there already");
        let again = self.writable.create_schema(self.schema).await?;
        self.check(!again, "a schema was made twice");
        let listed = self.connector.list_schemas().await?;
        self.check(listed.iter().any(|schema| schema == self.schema), "a new schema is not listed");
        Ok(())
    }

    async fn creation(&mut self) -> Result<()> {
        let left = self.new_table("left", OnExisting::Fail);
        let mut dropped = writer(self.writable.create_table(left, context(None)).await?)?;
        dropped.write(rows(0, 10)?).await?;
        drop(dropped);
        let there = self.table("left").await?.is_some();
        self.check(!there, "a table is there whose writer was dropped");

        let made = self.new_table("made", OnExisting::Fail);
        let mut making = writer(self.writable.create_table(made.clone(), context(None)).await?)?;
        making.write(rows(0, 10)?).await?;
        let early = self.table("made").await?.is_some();
        self.check(!early, "a table is there before its writer is committed");
        making.write(rows(10, 5)?).await?;
        let written = making.commit().await?;
        self.check(written == 15, "the commit did not tell how many rows were written");
        let count = self.count("made").await?;
        self.check(count == 15, "a new table does not have the rows that were written");
        let found = self.existing("made").await?;
        let names: Vec<&str> = found.columns().iter().map(|column| column.name()).collect();
        self.check(names.starts_with(&["n", "t"]), "a new table has other columns");

        let again = self.writable.create_table(made, context(None)).await;
        let told = matches!(&again, Err(error) if error.detail().kind == ErrorKind::Exists);
        self.check(told, "that a table exists already was not told as that");
        let skipped = self.writable.create_table(self.new_table("made", OnExisting::Skip), context(None)).await?;
        self.check(matches!(skipped, Begun::Already(0)), "an existing table was not skipped");
        let replacing = self.new_table("made", OnExisting::Replace);
        let mut replacing = writer(self.writable.create_table(replacing, context(None)).await?)?;
        replacing.write(rows(0, 3)?).await?;
        let before = self.count("made").await?;
        self.check(before == 15, "a table was replaced before the commit");
        replacing.commit().await?;
        let after = self.count("made").await?;
        self.check(after == 3, "a table was not replaced");
        Ok(())
    }

    async fn insertion(&mut self) -> Result<()> {
        let table = self.existing("made").await?;
        let mut adding = writer(self.writable.insert(&table, &[0, 1], InsertMode::Append, context(None)).await?)?;
        adding.write(rows(3, 4)?).await?;
        let early = self.count("made").await?;
        self.check(early == 3, "rows are there before they are committed");
        // A query that has read something before the commit goes on to see what was there then.
        let subject = Subject::new(Arc::clone(self.connector), Arc::clone(&table));
        let snapshot = subject.begin().await?;
        let (everything, session) = (subject.everything(), subject.session(8_192));
        let first = subject.read(&everything, &snapshot, &session).await?.rows();
        adding.commit().await?;
        let seen = subject.read(&everything, &snapshot, &session).await?.rows();
        self.check(first == 3 && seen == 3, "a snapshot sees rows that were committed after it was read from");
        let late = self.count("made").await?;
        self.check(late == 7, "committed rows are not there");
        drop(snapshot);

        let mut dropped = writer(self.writable.insert(&table, &[0, 1], InsertMode::Append, context(None)).await?)?;
        dropped.write(rows(7, 4)?).await?;
        drop(dropped);
        let without = self.count("made").await?;
        self.check(without == 7, "rows are there whose writer was dropped");

        // One column alone; the other is NULL.
        let mut partial = writer(self.writable.insert(&table, &[1], InsertMode::Append, context(None)).await?)?;
        partial.write(rows(7, 1)?.project(&[1]).map_err(cannot_make)?).await?;
        partial.commit().await?;
        let subject = Subject::new(Arc::clone(self.connector), self.existing("made").await?);
        let snapshot = subject.begin().await?;
        let reading = subject.read(&subject.everything(), &snapshot, &subject.session(8_192)).await?;
        let nulls: usize =
            reading.batches.iter().filter_map(|batch| batch.columns().first()).map(|column| column.null_count()).sum();
        self.check(reading.rows() == 8 && nulls == 1, "a column that was not named is not NULL");
        Ok(())
    }

    async fn tokens(&mut self) -> Result<()> {
        let table = self.existing("made").await?;
        let token = Some(("testkit", "INSERT 1"));
        let mut first = writer(self.writable.insert(&table, &[0, 1], InsertMode::Append, context(token)).await?)?;
        first.write(rows(100, 2)?).await?;
        first.commit().await?;
        let again = self.writable.insert(&table, &[0, 1], InsertMode::Append, context(token)).await?;
        self.check(matches!(again, Begun::Already(2)), "a write with a token that was committed began again");
        let other =
            self.writable.insert(&table, &[0, 1], InsertMode::Append, context(Some(("testkit", "INSERT 2")))).await;
        self.check(other.is_err(), "a token served for another statement");
        // Two tries that overlap: the second to commit writes nothing.
        let token = Some(("testkit, both", "INSERT 3"));
        let mut one = writer(self.writable.insert(&table, &[0, 1], InsertMode::Append, context(token)).await?)?;
        one.write(rows(200, 1)?).await?;
        if let Begun::Writer(mut two) =
            self.writable.insert(&table, &[0, 1], InsertMode::Append, context(token)).await?
        {
            two.write(rows(200, 1)?).await?;
            let (one, two) = (one.commit().await?, two.commit().await?);
            self.check(one == 1 && two == 1, "overlapping tries of one write do not tell the same");
        } else {
            one.commit().await?;
        }
        let count = self.count("made").await?;
        self.check(count == 11, "a write with a token was made twice, or not at all");
        Ok(())
    }

    async fn row_changes(&mut self) -> Result<()> {
        let table = self.existing("made").await?;
        let all = RowChange { filters: Vec::new(), action: RowAction::Remove };
        if self.writable.refuses_row_changes().is_some() {
            let refused = self.writable.change_rows(&table, all, context(None)).await;
            self.check(refused.is_err(), "rows were removed of a source that refuses that");
            return Ok(());
        }
        drop(writer(self.writable.change_rows(&table, all.clone(), context(None)).await?)?);
        let kept = self.count("made").await?;
        self.check(kept == 11, "rows are gone whose removal was not committed");
        let token = Some(("testkit, removal", "DELETE"));
        let removing = writer(self.writable.change_rows(&table, all.clone(), context(token)).await?)?;
        let early = self.count("made").await?;
        self.check(early == 11, "rows are gone before their removal is committed");
        let removed = removing.commit().await?;
        let left = self.count("made").await?;
        self.check(removed == 11 && left == 0, "rows are not removed, or not counted");
        let again = self.writable.change_rows(&table, all, context(token)).await?;
        self.check(matches!(again, Begun::Already(11)), "a removal with a token that was committed began again");
        Ok(())
    }

    async fn removal(&mut self) -> Result<()> {
        let full = self.writable.drop_schema(self.schema, false).await;
        self.check(full.is_err(), "a schema with a table was dropped without CASCADE");
        let dropped = self.writable.drop_table(&self.name("made")).await?;
        let again = self.writable.drop_table(&self.name("made")).await?;
        self.check(dropped && !again, "a table was not dropped once");
        let there = self.table("made").await?.is_some();
        self.check(!there, "a dropped table is there");
        let dropped = self.writable.drop_schema(self.schema, false).await?;
        let again = self.writable.drop_schema(self.schema, false).await?;
        self.check(dropped && !again, "a schema was not dropped once");
        Ok(())
    }
}
