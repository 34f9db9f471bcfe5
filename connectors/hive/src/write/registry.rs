//! What a metastore is told of a table that is written. Each call may be made again: what is done already is left as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portolan_connector::{ConnectorError, Result};
use serde::{Deserialize, Serialize};

use super::commit::Goal;
use super::definition::Definition;
use super::record::{Change, Record};
use crate::metastore::{Client, ColumnSummary, Counted, HAS_LOG, MADE_BY, Made, Remembered, united};
use crate::names::{NULL_PARTITION, parse_partition, partition_directory};
use crate::thrift::{Struct, Value};

/// The parameter of a table or partition with the number of the last write whose rows it has counted.
const COUNTED: &str = "portolan.counted";

const EXTERNAL: &str = "EXTERNAL_TABLE";
const MANAGED: &str = "MANAGED_TABLE";

/// Fields of Thrift's structs, as `hive_metastore.thrift` numbers them.
const TABLE_STORAGE: i16 = 7;
const TABLE_PARTITIONS: i16 = 8;
const TABLE_PARAMETERS: i16 = 9;
const TABLE_KIND: i16 = 12;
const PARTITION_VALUES: i16 = 1;
const PARTITION_STORAGE: i16 = 6;
const PARTITION_PARAMETERS: i16 = 7;
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

/// Rows and bytes of a table or partition.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    files: u64,
    rows: u64,
    bytes: u64,
    raw_bytes: u64,
}

const NUM_FILES: &str = "numFiles";
const NUM_ROWS: &str = "numRows";
const TOTAL_SIZE: &str = "totalSize";
const RAW_DATA_SIZE: &str = "rawDataSize";

/// The parameter in which Hive says which of its statistics are those of the rows that are there.
const ACCURATE: &str = "COLUMN_STATS_ACCURATE";

/// What the parameters begin with in which Spark keeps its statistics.
const SPARK_STATISTICS: &str = "spark.sql.statistics.";

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

    /// Forgets the partitions of the table whose place another one has taken. Their files stay.
    pub(super) async fn forget_partitions(&self, record: &Record) -> Result<()> {
        match record.replaced_partitions.is_empty() {
            true => Ok(()),
            false => self.client.drop_partitions(&self.schema, &self.table, &record.replaced_partitions).await,
        }
    }

    fn new_table(&self, definition: &Definition, registration: &Registration, write: &str) -> Struct {
        let columns = definition.hive_columns();
        let kind = if registration.external { EXTERNAL } else { MANAGED };
        let mut parameters = vec![(HAS_LOG, "true".to_owned()), (MADE_BY, write.to_owned())];
        parameters.extend(Counts::default().parameters().into_iter().chain([(COUNTED, "0".to_owned())]));
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

    /// Adds the partitions of the write that the metastore does not know.
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
        let mut parameters = Counts::default().parameters();
        parameters.push((COUNTED, "0".to_owned()));
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
        self.client.add_partitions(&self.schema, &self.table, partitions).await
    }

    /// Adds what the write wrote to what the metastore has counted of the table or of its partitions.
    pub(super) async fn count(&self, record: &Record, number: u64) -> Result<()> {
        let Some(table) = self.client.raw_table(&self.schema, &self.table).await? else { return Err(self.gone()) };
        self.remembered.forget_table(&self.schema, &self.table);
        if table.structures(TABLE_PARTITIONS).next().is_none() {
            if let Some(counted) = counted(table, TABLE_PARAMETERS, record, "", number) {
                self.summarize_table(record, counted.rows_before).await;
                self.client.alter_table(&self.schema, &self.table, counted.of, Counted::ByUs).await?;
            }
            return Ok(());
        }
        let by_values: BTreeMap<Vec<String>, &str> =
            directories(record).into_iter().map(|directory| (values(directory), directory)).collect();
        // The metastore's names of the partition columns are in lower case, which those of directories need not be.
        let keys: Vec<String> = table.structures(TABLE_PARTITIONS).filter_map(|key| key.text(1)).collect();
        let name = |values: &Vec<String>| {
            let value = |text: &String| (text != NULL_PARTITION).then(|| text.clone());
            let parts = keys.iter().zip(values).map(|(key, text)| partition_directory(key, value(text).as_deref()));
            parts.collect::<Vec<_>>().join("/")
        };
        let names: Vec<String> = by_values.keys().map(name).collect();
        let known = self.client.raw_partitions(&self.schema, &self.table, &names).await?;
        let (mut changed, mut written) = (Vec::new(), Vec::new());
        for partition in known {
            let values: Vec<String> = partition.texts(PARTITION_VALUES).collect();
            let Some(directory) = by_values.get(&values) else { continue };
            let Some(counted) = counted(partition, PARTITION_PARAMETERS, record, directory, number) else { continue };
            written.push((name(&values), *directory, counted.rows_before));
            changed.push(counted.of);
        }
        self.summarize_partitions(record, &written).await;
        self.client.alter_partitions(&self.schema, &self.table, changed).await?;
        // What somebody has counted of all partitions together holds no longer.
        match without_claims(&table, TABLE_PARAMETERS) {
            Some(table) => self.client.alter_table(&self.schema, &self.table, table, Counted::AsBefore).await,
            None => Ok(()),
        }
    }

    /// Tells the metastore of the columns of a table without partitions. They only help to plan: where that fails, they are left
    /// as they are.
    async fn summarize_table(&self, record: &Record, rows_before: Option<u64>) {
        let Some(written) = summary_of(record, "") else { return };
        let told = async {
            let known = match rows_before {
                Some(0) => Vec::new(),
                _ => self.client.column_statistics(&self.schema, &self.table, column_names(written)).await?,
            };
            match united(written, rows_before.unwrap_or(1), &known) {
                objects if objects.is_empty() => Ok(()),
                objects => self.client.set_column_statistics(&self.schema, &self.table, objects).await,
            }
        };
        self.note(told.await);
    }

    /// The same of partitions: names, directories, and how many rows they had.
    async fn summarize_partitions(&self, record: &Record, partitions: &[(String, &str, Option<u64>)]) {
        let Some(columns) = record.summaries.first().map(|summary| column_names(&summary.columns)) else { return };
        let had_rows = partitions.iter().filter(|(.., rows)| *rows != Some(0)).map(|(name, ..)| name.clone());
        let had_rows: Vec<String> = had_rows.collect();
        let told = async {
            let known =
                self.client.column_statistics_by_partition(&self.schema, &self.table, &columns, &had_rows).await?;
            let of = |(name, directory, rows): &(String, &str, Option<u64>)| {
                let known = known.get(name).map(Vec::as_slice).unwrap_or_default();
                let objects = united(summary_of(record, directory)?, rows.unwrap_or(1), known);
                (!objects.is_empty()).then(|| (name.clone(), objects))
            };
            let told = partitions.iter().filter_map(of).collect();
            self.client.set_partition_statistics(&self.schema, &self.table, told).await
        };
        self.note(told.await);
    }

    fn note(&self, told: Result<()>) {
        if let Err(error) = told {
            tracing::debug!(schema = self.schema, table = self.table, %error, "statistics of columns are left as they were");
        }
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

/// A table or partition with what a write has added.
struct Changed {
    of: Struct,
    /// How many rows it had before; `None` where nobody had counted them.
    rows_before: Option<u64>,
}

/// The table or partition with what the write has added to a directory; `None` where that is counted already.
fn counted(of: Struct, parameters: i16, record: &Record, directory: &str, number: u64) -> Option<Changed> {
    let number_of = |name: &str| parameter(&of, parameters, name)?.parse::<u64>().ok();
    if number_of(COUNTED).is_some_and(|counted| counted >= number) {
        return None;
    }
    let mut written = Counts::default();
    for added in record.added.iter().filter(|added| added.directory == directory) {
        written.files += 1;
        written.rows += added.rows;
        written.bytes += added.bytes;
        written.raw_bytes += added.raw_bytes;
    }
    // What is overwritten is overwritten whole.
    let in_directory = |path: &String| path.rsplit_once('/').map_or("", |(outer, _)| outer) == directory;
    let before = match record.removed.iter().any(in_directory) {
        true => Some(Counts::default()),
        false => number_of(NUM_ROWS).map(|rows| Counts {
            files: number_of(NUM_FILES).unwrap_or_default(),
            rows,
            bytes: number_of(TOTAL_SIZE).unwrap_or_default(),
            raw_bytes: number_of(RAW_DATA_SIZE).unwrap_or_default(),
        }),
    };
    let mut changed = vec![(COUNTED, number.to_string())];
    changed.extend(before.iter().flat_map(|before| before.and(written).parameters()));
    let rows_before = before.map(|before| before.rows);
    let of = without_claims(&of, parameters).unwrap_or(of);
    Some(Changed { of: with_parameters(of, parameters, &changed), rows_before })
}

/// The table or partition without what others claim of its rows, which a write has made untrue; `None` where there is nothing of
/// the kind. Hive answers queries from statistics of columns that are said to be accurate; Spark takes its own before those
/// that are counted here.
fn without_claims(of: &Struct, parameters: i16) -> Option<Struct> {
    const BASIC: &str = "{\"BASIC_STATS\":\"true\"}";
    let known: BTreeMap<String, String> = of.text_map(parameters).collect();
    let mut kept = known.clone();
    kept.retain(|name, _| !name.starts_with(SPARK_STATISTICS));
    if let Some(accurate) = kept.get_mut(ACCURATE) {
        if accurate.contains("BASIC_STATS") {
            BASIC.clone_into(accurate);
        } else {
            kept.remove(ACCURATE);
        }
    }
    (kept != known).then(|| with_all_parameters(of.clone(), parameters, kept))
}

/// What was counted of the columns of a directory.
fn summary_of<'a>(record: &'a Record, directory: &str) -> Option<&'a [ColumnSummary]> {
    let found = record.summaries.iter().find(|summary| summary.directory == directory)?;
    Some(&found.columns)
}

fn column_names(columns: &[ColumnSummary]) -> Vec<String> {
    columns.iter().map(|column| column.name.to_lowercase()).collect()
}

impl Counts {
    fn and(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            rows: self.rows + other.rows,
            bytes: self.bytes + other.bytes,
            raw_bytes: self.raw_bytes + other.raw_bytes,
        }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        vec![
            (NUM_FILES, self.files.to_string()),
            (NUM_ROWS, self.rows.to_string()),
            (TOTAL_SIZE, self.bytes.to_string()),
            (RAW_DATA_SIZE, self.raw_bytes.to_string()),
        ]
    }
}

/// The directories of partitions that the write adds files to.
fn directories(record: &Record) -> BTreeSet<&str> {
    record.added.iter().map(|added| added.directory.as_str()).filter(|directory| !directory.is_empty()).collect()
}

/// The values in a partition's directory, as the metastore keeps them.
fn values(directory: &str) -> Vec<String> {
    let values = directory.split('/').filter_map(parse_partition).map(|(_, value)| value);
    values.map(|value| value.unwrap_or_else(|| NULL_PARTITION.to_owned())).collect()
}

fn parameter(of: &Struct, parameters: i16, name: &str) -> Option<String> {
    of.text_map(parameters).find(|(key, _)| key == name).map(|(_, value)| value)
}

fn with_parameters(of: Struct, id: i16, changed: &[(&str, String)]) -> Struct {
    let mut parameters: BTreeMap<String, String> = of.text_map(id).collect();
    parameters.extend(changed.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    with_all_parameters(of, id, parameters)
}

fn with_all_parameters(of: Struct, id: i16, parameters: BTreeMap<String, String>) -> Struct {
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
