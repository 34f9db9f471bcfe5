//! What a metastore is told of rows: how many a write has added to a table or to its partitions, and what is in their columns.

use std::collections::BTreeMap;

use portolan_connector::Result;

use super::record::Record;
use super::registry::{
    PARTITION_PARAMETERS, PARTITION_VALUES, Registry, TABLE_PARAMETERS, TABLE_PARTITIONS, directories, parameter,
    values, with_all_parameters, with_parameters,
};
use crate::metastore::{ColumnSummary, Counted, united};
use crate::names::{NULL_PARTITION, partition_directory};
use crate::thrift::Struct;

/// The parameter of a table or partition with the number of the last write whose rows it has counted.
const COUNTED: &str = "portolan.counted";

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

/// The parameters of a table or partition that has no rows yet.
pub(super) fn uncounted() -> Vec<(&'static str, String)> {
    Counts::default().parameters().into_iter().chain([(COUNTED, "0".to_owned())]).collect()
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
