//! What a metastore is told to change. Each of these calls may be made again when its answer was lost.

use std::collections::BTreeMap;

use portolan_connector::{ConnectorError, Result};

use crate::metastore::calls::PARTITIONS_PER_CALL;
use crate::metastore::client::{Client, Exception, Outcome};
use crate::thrift::{Struct, Value};

/// Whether something was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    Yes,
    /// Something of this name is there.
    ThereAlready,
}

impl Client {
    /// The database's location; `None` where there is no such database.
    pub(crate) async fn database_location(&self, database: &str) -> Result<Option<String>> {
        const NO_SUCH_OBJECT: i16 = 1;
        let wanted = format!("the database {database}");
        match self.call("get_database", &Struct::new().with(1, database), &wanted).await? {
            Ok(result) => Ok(result.structure(0).and_then(|database| database.text(3))),
            Err(Exception { field: NO_SUCH_OBJECT, .. }) => Ok(None),
            Err(exception) => Err(self.refused(&wanted, exception)),
        }
    }

    /// Makes a database in the warehouse's directory.
    pub(crate) async fn create_database(&self, database: &str) -> Result<Made> {
        const ALREADY_EXISTS: i16 = 1;
        let description = Struct::new().with(1, database).with(2, "").with(4, Value::Map(Vec::new()));
        let made = self.call("create_database", &Struct::new().with(1, description), "a new database").await?;
        self.made(made, ALREADY_EXISTS, &format!("make the database {database}"))
    }

    /// Drops a database without tables. False where there is none.
    pub(crate) async fn drop_database(&self, database: &str) -> Result<bool> {
        const NO_SUCH_OBJECT: i16 = 1;
        let arguments = Struct::new().with(1, database).with(2, true).with(3, false);
        match self.call("drop_database", &arguments, "the end of a database").await? {
            Ok(_) => Ok(true),
            Err(Exception { field: NO_SUCH_OBJECT, .. }) => Ok(false),
            Err(exception) => Err(self.will_not(&format!("drop the database {database}"), exception)),
        }
    }

    /// A table as the metastore says it; `None` when there is none.
    pub(crate) async fn raw_table(&self, database: &str, table: &str) -> Result<Option<Struct>> {
        const NO_SUCH_OBJECT: i16 = 2;
        let wanted = format!("the table {database}.{table}");
        let request = Struct::new().with(1, database).with(2, table);
        match self.call("get_table_req", &Struct::new().with(1, request), &wanted).await? {
            Ok(result) => Ok(result.structure(0).and_then(|result| result.structure(1)).cloned()),
            Err(Exception { field: NO_SUCH_OBJECT, .. }) => Ok(None),
            Err(exception) => Err(self.refused(&wanted, exception)),
        }
    }

    /// Makes a table.
    pub(crate) async fn create_table(&self, database: &str, table: &str, description: Struct) -> Result<Made> {
        const ALREADY_EXISTS: i16 = 1;
        let made = self.call("create_table", &Struct::new().with(1, description), "a new table").await?;
        self.made(made, ALREADY_EXISTS, &format!("make the table {database}.{table}"))
    }

    /// Puts a description into the place of a table's.
    pub(crate) async fn alter_table(
        &self,
        database: &str,
        table: &str,
        description: Struct,
        counts: Counted,
    ) -> Result<()> {
        let arguments = Struct::new().with(1, database).with(2, table).with(3, description).with(4, context(counts));
        let altered = self.call("alter_table_with_environment_context", &arguments, "a change of a table").await?;
        altered.map(drop).map_err(|exception| self.will_not(&format!("change the table {database}.{table}"), exception))
    }

    /// Puts another table into the place of one, under its name. False where the metastore will not.
    pub(crate) async fn replace_table(&self, database: &str, table: &str, description: Struct) -> Result<bool> {
        const INVALID_OPERATION: i16 = 1;
        let arguments =
            Struct::new().with(1, database).with(2, table).with(3, description).with(4, context(Counted::ByUs));
        match self.call("alter_table_with_environment_context", &arguments, "a change of a table").await? {
            Ok(_) => Ok(true),
            Err(exception) if exception.field == INVALID_OPERATION => {
                tracing::debug!(database, table, said = exception.message, "the metastore does not change the table");
                Ok(false)
            }
            Err(exception) => Err(self.will_not(&format!("change the table {database}.{table}"), exception)),
        }
    }

    /// Removes partitions of these names, as far as they are there, and keeps their files.
    pub(crate) async fn drop_partitions(&self, database: &str, table: &str, names: &[String]) -> Result<()> {
        for batch in names.chunks(PARTITIONS_PER_CALL) {
            let parts = Struct::new().with(1, batch.to_vec());
            let request = Struct::new()
                .with(1, database)
                .with(2, table)
                .with(3, parts)
                .with(4, false)
                .with(5, true)
                .with(8, false);
            let arguments = Struct::new().with(1, request);
            let dropped = self.call("drop_partitions_req", &arguments, "an end of partitions").await?;
            dropped.map_err(|exception| self.will_not(&format!("drop partitions of {database}.{table}"), exception))?;
        }
        Ok(())
    }

    /// Removes a table and keeps its files. False where there is none.
    pub(crate) async fn drop_table(&self, database: &str, table: &str) -> Result<bool> {
        const NO_SUCH_OBJECT: i16 = 1;
        let arguments = Struct::new().with(1, database).with(2, table).with(3, false);
        match self.call("drop_table", &arguments, "the end of a table").await? {
            Ok(_) => Ok(true),
            Err(Exception { field: NO_SUCH_OBJECT, .. }) => Ok(false),
            Err(exception) => Err(self.will_not(&format!("drop the table {database}.{table}"), exception)),
        }
    }

    /// Adds partitions, without those that are there.
    pub(crate) async fn add_partitions(&self, database: &str, table: &str, partitions: Vec<Struct>) -> Result<()> {
        for batch in partitions.chunks(PARTITIONS_PER_CALL) {
            let request =
                Struct::new().with(1, database).with(2, table).with(3, batch.to_vec()).with(4, true).with(5, false);
            let added = self.call("add_partitions_req", &Struct::new().with(1, request), "new partitions").await?;
            added.map_err(|exception| self.will_not(&format!("add partitions to {database}.{table}"), exception))?;
        }
        Ok(())
    }

    /// The partitions of these names as the metastore says them, in any order.
    pub(crate) async fn raw_partitions(&self, database: &str, table: &str, names: &[String]) -> Result<Vec<Struct>> {
        let wanted = format!("{} partitions of {database}.{table}", names.len());
        let mut found = Vec::with_capacity(names.len());
        for batch in names.chunks(PARTITIONS_PER_CALL) {
            let arguments = Struct::new().with(1, database).with(2, table).with(3, batch.to_vec());
            let result = self.call("get_partitions_by_names", &arguments, &wanted).await?;
            let result = result.map_err(|exception| self.refused(&wanted, exception))?;
            found.extend(result.structures(0).cloned());
        }
        Ok(found)
    }

    /// Puts descriptions into the places of those of partitions.
    pub(crate) async fn alter_partitions(&self, database: &str, table: &str, partitions: Vec<Struct>) -> Result<()> {
        for batch in partitions.chunks(PARTITIONS_PER_CALL) {
            let arguments =
                Struct::new().with(1, database).with(2, table).with(3, batch.to_vec()).with(4, context(Counted::ByUs));
            let altered =
                self.call("alter_partitions_with_environment_context", &arguments, "a change of partitions").await?;
            altered
                .map_err(|exception| self.will_not(&format!("change partitions of {database}.{table}"), exception))?;
        }
        Ok(())
    }

    /// What the metastore knows of columns of each of these partitions, by name.
    pub(crate) async fn column_statistics_by_partition(
        &self,
        database: &str,
        table: &str,
        columns: &[String],
        names: &[String],
    ) -> Result<BTreeMap<String, Vec<Struct>>> {
        let wanted = format!("the statistics of {} partitions of {database}.{table}", names.len());
        let mut found = BTreeMap::new();
        for batch in names.chunks(PARTITIONS_PER_CALL) {
            let request =
                Struct::new().with(1, database).with(2, table).with(3, columns.to_vec()).with(4, batch.to_vec());
            let result = self.call("get_partitions_statistics_req", &Struct::new().with(1, request), &wanted).await?;
            let result = result.map_err(|exception| self.refused(&wanted, exception))?;
            let entries = match result.structure(0).and_then(|result| result.get(1)) {
                Some(Value::Map(entries)) => entries.as_slice(),
                _ => &[],
            };
            found.extend(entries.iter().filter_map(|(name, objects)| {
                let Value::List(objects) = objects else { return None };
                let objects = objects.iter().filter_map(|object| match object {
                    Value::Struct(object) => Some(object.clone()),
                    _ => None,
                });
                Some((name.to_text()?, objects.collect()))
            }));
        }
        Ok(found)
    }

    /// Tells what is known of columns of a table without partitions.
    pub(crate) async fn set_column_statistics(&self, database: &str, table: &str, objects: Vec<Struct>) -> Result<()> {
        let description = Struct::new().with(1, true).with(2, database).with(3, table);
        let statistics = Struct::new().with(1, description).with(2, objects);
        let arguments = Struct::new().with(1, statistics);
        let told = self.call("update_table_column_statistics", &arguments, "statistics of columns").await?;
        told.map(drop).map_err(|exception| self.will_not(&format!("keep statistics of {database}.{table}"), exception))
    }

    /// Tells what is known of columns of partitions, by their names.
    pub(crate) async fn set_partition_statistics(
        &self,
        database: &str,
        table: &str,
        partitions: Vec<(String, Vec<Struct>)>,
    ) -> Result<()> {
        for batch in partitions.chunks(PARTITIONS_PER_CALL) {
            let of = |(name, objects): &(String, Vec<Struct>)| {
                let description = Struct::new().with(1, false).with(2, database).with(3, table).with(4, name.as_str());
                Struct::new().with(1, description).with(2, objects.clone())
            };
            let request = Struct::new().with(1, batch.iter().map(of).collect::<Vec<_>>());
            let told =
                self.call("set_aggr_stats_for", &Struct::new().with(1, request), "statistics of columns").await?;
            told.map_err(|exception| self.will_not(&format!("keep statistics of {database}.{table}"), exception))?;
        }
        Ok(())
    }

    fn made(&self, outcome: Outcome, already_exists: i16, tried: &str) -> Result<Made> {
        match outcome {
            Ok(_) => Ok(Made::Yes),
            Err(exception) if exception.field == already_exists => Ok(Made::ThereAlready),
            Err(exception) => Err(self.will_not(tried, exception)),
        }
    }

    fn will_not(&self, tried: &str, exception: Exception) -> ConnectorError {
        ConnectorError::source(format!("the metastore at {} will not {tried}", self.place()))
            .said(exception.message)
            .hint("the metastore's log says more")
    }
}

/// What a metastore is to think of the counts in parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// They are right, so that it neither counts itself nor doubts them.
    ByUs,
    /// What it thought before.
    AsBefore,
}

fn context(counts: Counted) -> Struct {
    let mut entries = vec![("DO_NOT_UPDATE_STATS", "true")];
    if counts == Counted::ByUs {
        entries.push(("STATS_GENERATED", "TASK"));
    }
    let entries = entries.into_iter().map(|(name, value)| (name.into(), value.into()));
    Struct::new().with(1, Value::Map(entries.collect()))
}
