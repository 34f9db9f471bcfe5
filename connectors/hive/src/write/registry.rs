//! What a metastore is told of a table that is written. Each call may be made again: what is done already is left as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portolan_connector::{ConnectorError, Result};
use serde::{Deserialize, Serialize};

use super::commit::Goal;
use super::definition::Definition;
use super::record::{Change, Record};
use super::tally::uncounted;
use crate::metastore::{Client, Counted, HAS_LOG, MADE_BY, Made, Remembered};
use crate::names::{NULL_PARTITION, parse_partition};
use crate::thrift::{Struct, Value};

const EXTERNAL: &str = "EXTERNAL_TABLE";
const MANAGED: &str = "MANAGED_TABLE";

/// Fields of Thrift's structs, as `hive_metastore.thrift` numbers them.
const TABLE_STORAGE: i16 = 7;
pub(super) const TABLE_PARTITIONS: i16 = 8;
pub(super) const TABLE_PARAMETERS: i16 = 9;
const TABLE_KIND: i16 = 12;
pub(super) const PARTITION_VALUES: i16 = 1;
const PARTITION_STORAGE: i16 = 6;
pub(super) const PARTITION_PARAMETERS: i16 = 7;
const STORAGE_LOCATION: i16 = 2;

/// How a new table is to be registered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Registration {
    /// Where it is, as the metastore writes it.
    pub(super) location: String,
    /// Whether its files outlive it.
    pub(super) external: bool,
}

/// A table of a metastore.
#[derive(Clone, Debug)]
pub(super) struct Registry {
    pub(super) client: Arc<Client>,
    /// What the catalog remembers of statistics.
    pub(super) remembered: Arc<Remembered>,
    pub(super) schema: String,
    pub(super) table: String,
    /// Where it is, as the metastore writes it.
    pub(super) location: String,
    pub(super) external: bool,
    /// The write that made it, where it was one of ours.
    pub(super) made_by: Option<String>,
}

impl Registry {
    pub(super) fn registration(&self) -> Registration {
        Registration { location: self.location.clone(), external: self.external }
    }

    /// Whether the metastore has the table.
    pub(super) async fn exists(&self) -> Result<bool> {
        Ok(self.client.raw_table(&self.schema, &self.table).await?.is_some())
    }

    /// Whether the metastore has the table still, and no other write has made it anew.
    pub(super) async fn is_same(&self) -> Result<bool> {
        let Some(table) = self.client.raw_table(&self.schema, &self.table).await? else { return Ok(false) };
        Ok(parameter(&table, TABLE_PARAMETERS, MADE_BY) == self.made_by)
    }

    /// Whether this write made the table that the metastore has.
    pub(super) async fn is_made_by(&self, write: &str) -> Result<bool> {
        let table = self.client.raw_table(&self.schema, &self.table).await?;
        Ok(table.is_some_and(|table| parameter(&table, TABLE_PARAMETERS, MADE_BY).as_deref() == Some(write)))
    }

    /// Before the first write to a table: tells readers that it has a log.
    pub(super) async fn announce(&self, goal: Goal) -> Result<()> {
        if matches!(goal, Goal::New(_)) {
            return Ok(());
        }
        let Some(table) = self.client.raw_table(&self.schema, &self.table).await? else { return Ok(()) };
        if parameter(&table, TABLE_PARAMETERS, HAS_LOG).as_deref() == Some("true") {
            return Ok(());
        }
        let table = with_parameters(table, TABLE_PARAMETERS, &[(HAS_LOG, "true".to_owned())]);
        self.client.alter_table(&self.schema, &self.table, table, Counted::AsBefore).await
    }

    /// Makes the table, or puts it into the place of another.
    pub(super) async fn define(&self, record: &Record) -> Result<()> {
        let (Some(definition), Some(registration)) = (&record.definition, &record.registration) else { return Ok(()) };
        if !matches!(record.change, Change::Create | Change::Replace) {
            return Ok(());
        }
        let known = self.client.raw_table(&self.schema, &self.table).await?;
        let is_made = |table: &Struct| parameter(table, TABLE_PARAMETERS, MADE_BY).as_deref() == Some(&record.write);
        if known.as_ref().is_some_and(is_made) {
            return Ok(());
        }
        let table = self.new_table(definition, registration, &record.write);
        if let Some(known) = known.filter(|_| record.change == Change::Replace) {
            if self.alter(&known, &table).await? {
                return Ok(());
            }
            // What the metastore does not change into the new table has to go first.
            self.client.drop_table(&self.schema, &self.table).await?;
        }
        match self.client.create_table(&self.schema, &self.table, table).await? {
            Made::Yes => Ok(()),
            Made::ThereAlready => match self.client.raw_table(&self.schema, &self.table).await? {
                Some(known) if is_made(&known) => Ok(()),
                _ => Err(ConnectorError::source(
                    "somebody else has made a table of this name in the metastore while this one was made",
                )
                .hint("drop that table, and call clean_staging to go on with this one")),
            },
        }
    }

    /// Puts the description of the new table into the place of the old one's, in one call. False where the metastore does not do
    /// that: it changes no partition columns, and no column into one of a type that does not hold its values.
    async fn alter(&self, known: &Struct, table: &Struct) -> Result<bool> {
        let keys = |table: &Struct| -> Vec<(Option<String>, Option<String>)> {
            table.structures(TABLE_PARTITIONS).map(|key| (key.text(1), key.text(2))).collect()
        };
        if keys(known) != keys(table) || known.text(TABLE_KIND) != table.text(TABLE_KIND) {
            return Ok(false);
        }
        self.client.replace_table(&self.schema, &self.table, table.clone()).await
    }

    /// The names of the partitions that the metastore has of the table, if it has the table.
    pub(super) async fn partition_names(&self) -> Result<Vec<String>> {
        match self.client.raw_table(&self.schema, &self.table).await? {
            Some(table) if table.structures(TABLE_PARTITIONS).next().is_some() => {
                self.client.partition_names(&self.schema, &self.table).await
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Forgets the partitions of the table whose place another one has taken. Those that the other one has as well are defined
    /// anew instead ([`Self::add_partitions`]): an end of them that the metastore carries out late, for a writer that is gone by
    /// then, would be the end of the new ones. Their files stay.
    pub(super) async fn forget_partitions(&self, record: &Record) -> Result<()> {
        let kept: BTreeSet<Vec<String>> = directories(record).into_iter().map(values).collect();
        let gone = record.replaced_partitions.iter().filter(|name| !kept.contains(&values(name)));
        let gone: Vec<String> = gone.cloned().collect();
        self.client.drop_partitions(&self.schema, &self.table, &gone).await
    }

    fn new_table(&self, definition: &Definition, registration: &Registration, write: &str) -> Struct {
        let columns = definition.hive_columns();
        let kind = if registration.external { EXTERNAL } else { MANAGED };
        let mut parameters = vec![(HAS_LOG, "true".to_owned()), (MADE_BY, write.to_owned())];
        // Of a table with partitions each of them is counted, and what is said of the table would be taken for all of it.
        if columns.partitions.is_empty() {
            parameters.extend(uncounted());
        }
        if registration.external {
            parameters.push(("EXTERNAL", "TRUE".to_owned()));
        }
        let serde = Struct::new()
            .with(1, self.table.as_str())
            .with(2, "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe")
            .with(3, map(&[("serialization.format", "1".to_owned())]));
        let storage = Struct::new()
            .with(1, fields(&columns.files))
            .with(STORAGE_LOCATION, registration.location.as_str())
            .with(3, "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat")
            .with(4, "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat")
            .with(5, false)
            .with(6, -1_i32)
            .with(7, serde)
            .with(8, Value::List(Vec::new()))
            .with(9, Value::List(Vec::new()))
            .with(10, map(&[]));
        let now = i32::try_from(chrono::Utc::now().timestamp()).unwrap_or_default();
        Struct::new()
            .with(1, self.table.as_str())
            .with(2, self.schema.as_str())
            .with(3, "portolan")
            .with(4, now)
            .with(5, 0_i32)
            .with(6, 0_i32)
            .with(TABLE_STORAGE, storage)
            .with(TABLE_PARTITIONS, fields(&columns.partitions))
            .with(TABLE_PARAMETERS, map(&parameters))
            .with(TABLE_KIND, kind)
    }

    /// Adds the partitions of the write that the metastore does not know, and puts those into the places of others that the table
    /// before this one had.
    pub(super) async fn add_partitions(&self, record: &Record) -> Result<()> {
        let directories = directories(record);
        if directories.is_empty() {
            return Ok(());
        }
        let Some(table) = self.client.raw_table(&self.schema, &self.table).await? else { return Err(self.gone()) };
        if table.structures(TABLE_PARTITIONS).next().is_none() {
            // The directories of a table of Spark's may be its partitions, and the metastore know none.
            return Ok(());
        }
        let location = self.location.trim_end_matches('/');
        let parameters = uncounted();
        let partition = |directory: &&str| {
            let storage = table.structure(TABLE_STORAGE).cloned().unwrap_or_default();
            let storage = storage.replaced(STORAGE_LOCATION, format!("{location}/{directory}"));
            Struct::new()
                .with(PARTITION_VALUES, values(directory))
                .with(2, self.schema.as_str())
                .with(3, self.table.as_str())
                .with(4, i32::try_from(chrono::Utc::now().timestamp()).unwrap_or_default())
                .with(5, 0_i32)
                .with(PARTITION_STORAGE, storage)
                .with(PARTITION_PARAMETERS, map(&parameters))
        };
        let partitions = directories.iter().map(partition).collect();
        self.client.add_partitions(&self.schema, &self.table, partitions).await?;
        let replaced: BTreeSet<Vec<String>> = record.replaced_partitions.iter().map(|name| values(name)).collect();
        let replaced = directories.iter().filter(|directory| replaced.contains(&values(directory)));
        self.client.alter_partitions(&self.schema, &self.table, replaced.map(partition).collect()).await
    }

    /// Removes the table from the metastore. Its files stay. False where it is not there.
    pub(super) async fn forget_table(&self) -> Result<bool> {
        self.client.drop_table(&self.schema, &self.table).await
    }

    /// The error of rows that were committed to a table that is gone.
    pub(super) fn gone(&self) -> ConnectorError {
        ConnectorError::user(format!(
            "the metastore no longer has the table {}.{}: it was dropped while rows were written to it",
            self.schema, self.table
        ))
        .hint("make the table again, and run the statement again")
    }
}

/// The directories of partitions that the write adds files to.
pub(super) fn directories(record: &Record) -> BTreeSet<&str> {
    record.added.iter().map(|added| added.directory.as_str()).filter(|directory| !directory.is_empty()).collect()
}

/// The values in a partition's directory, as the metastore keeps them.
pub(super) fn values(directory: &str) -> Vec<String> {
    let values = directory.split('/').filter_map(parse_partition).map(|(_, value)| value);
    values.map(|value| value.unwrap_or_else(|| NULL_PARTITION.to_owned())).collect()
}

pub(super) fn parameter(of: &Struct, parameters: i16, name: &str) -> Option<String> {
    of.text_map(parameters).find(|(key, _)| key == name).map(|(_, value)| value)
}

pub(super) fn with_parameters(of: Struct, id: i16, changed: &[(&str, String)]) -> Struct {
    let mut parameters: BTreeMap<String, String> = of.text_map(id).collect();
    parameters.extend(changed.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    with_all_parameters(of, id, parameters)
}

pub(super) fn with_all_parameters(of: Struct, id: i16, parameters: BTreeMap<String, String>) -> Struct {
    let entries = parameters.into_iter().map(|(name, value)| (name.into(), value.into()));
    of.replaced(id, Value::Map(entries.collect()))
}

fn map(entries: &[(&str, String)]) -> Value {
    Value::Map(entries.iter().map(|(name, value)| ((*name).into(), value.as_str().into())).collect())
}

fn fields(columns: &[(String, String)]) -> Value {
    let field =
        |(name, kind): &(String, String)| Struct::new().with(1, name.as_str()).with(2, kind.as_str()).with(3, "");
    Value::List(columns.iter().map(|column| Value::Struct(field(column))).collect())
}
