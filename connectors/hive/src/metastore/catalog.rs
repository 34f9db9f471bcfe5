//! The schemas and tables of a metastore.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use portolan_connector::{
    Column, ColumnStatistics, Properties, Result, TableEntry, TableName, TableStatistics, UnsupportedColumn,
};

use crate::metastore::address::parse_addresses;
use crate::metastore::client::Client;
use crate::metastore::description::{Described, describe};
use crate::metastore::partitions::PartitionSource;
use crate::metastore::statistics::{Basic, Remembered, asked, basic, of_metastore, of_spark};
use crate::store::Store;

/// The parameter of a table that has a log of our writes: its readers need not look for one otherwise.
pub(crate) const HAS_LOG: &str = "portolan.log";

/// The parameter of a table that names the write that made it.
pub(crate) const MADE_BY: &str = "portolan.made-by";

/// How many partitions are asked for to estimate the rows of all.
const SAMPLED_PARTITIONS: usize = 50;

/// Of how many partitions, spread over all, the metastore is asked to take the statistics of columns together.
const AGGREGATED_PARTITIONS: usize = 1000;

/// A metastore as a catalog's list of tables.
#[derive(Debug)]
pub(crate) struct Metastore {
    pub(crate) client: Arc<Client>,
    pub(crate) remembered: Arc<Remembered>,
}

/// What a table keeps of its description.
#[derive(Debug)]
pub(crate) struct MetastoreTable {
    client: Arc<Client>,
    pub(crate) remembered: Arc<Remembered>,
    name: TableName,
    /// The metastore's partitions; `None` for a table without, or whose directories are its partitions.
    pub(crate) partitions: Option<PartitionSource>,
    pub(crate) unsupported: Vec<UnsupportedColumn>,
    /// By column name.
    pub(crate) comments: BTreeMap<String, String>,
    /// By column name, of columns that Hive itself describes.
    pub(crate) hive_types: BTreeMap<String, String>,
    parameters: BTreeMap<String, String>,
    /// Where the table is, as the metastore writes it.
    pub(crate) location: String,
    /// Whether its files outlive it.
    pub(crate) is_external: bool,
}

impl Metastore {
    /// Reads `metastore` and its settings; `None` for a catalog that has none. Opens no connection.
    pub(crate) fn new(properties: &Properties) -> Result<Option<Self>> {
        let Some(addresses) = properties.text("metastore") else { return Ok(None) };
        let seconds = |name: &str, otherwise: u64| {
            let seconds = properties.integer(name).and_then(|seconds| u64::try_from(seconds).ok());
            Duration::from_secs(seconds.unwrap_or(otherwise))
        };
        let client = Client::new(
            parse_addresses(addresses)?,
            seconds("metastore_timeout_seconds", 30),
            seconds("connect_timeout_seconds", 5),
        );
        Ok(Some(Self { client: Arc::new(client), remembered: Arc::default() }))
    }

    /// The databases, sorted by name.
    pub(crate) async fn schemas(&self) -> Result<Vec<String>> {
        let mut schemas = self.client.databases().await?;
        schemas.sort();
        Ok(schemas)
    }

    /// Forgets what was asked before. Returns of how many tables.
    pub(crate) fn forget(&self) -> usize {
        self.remembered.forget()
    }

    /// Forgets what was asked of one table before.
    pub(crate) fn forget_table(&self, schema: &str, table: &str) {
        self.remembered.forget_table(schema, table);
    }

    /// The tables and views of a database, sorted by name.
    pub(crate) async fn tables(&self, schema: &str) -> Result<Vec<TableEntry>> {
        if !is_plain(schema) {
            return Ok(Vec::new());
        }
        let mut tables = self.client.tables(schema).await?;
        tables.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(tables)
    }

    /// A table by its exact name.
    pub(crate) async fn table(&self, name: &TableName) -> Result<Option<(Described, MetastoreTable)>> {
        // The metastore would fold the case of the name, which is for the engine to do, and take special characters for
        // something else.
        if !is_plain(&name.schema) || !is_plain(&name.table) {
            return Ok(None);
        }
        let Some(description) = self.client.table(&name.schema, &name.table).await? else {
            return Ok(None);
        };
        let described = describe(&description)?;
        let partitions = described.partitions_in_metastore.then(|| PartitionSource {
            client: Arc::clone(&self.client),
            schema: name.schema.clone(),
            table: name.table.clone(),
            columns: described.partition_columns.clone(),
            format: described.partition_format.clone(),
            parameters: description.parameters.clone(),
        });
        let table = MetastoreTable {
            client: Arc::clone(&self.client),
            remembered: Arc::clone(&self.remembered),
            name: name.clone(),
            partitions,
            unsupported: described.unsupported.clone(),
            comments: described.comments.clone(),
            hive_types: described.hive_types.clone(),
            location: described.location.clone(),
            is_external: description.kind != "MANAGED_TABLE",
            parameters: description.parameters,
        };
        Ok(Some((described, table)))
    }
}

/// Whether the metastore can have something of this name.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(['*', '|', '/', '#', '@']) && !name.chars().any(char::is_uppercase)
}

impl MetastoreTable {
    /// Whether the table has a log of our writes.
    pub(crate) fn has_log(&self) -> bool {
        self.parameters.get(HAS_LOG).is_some_and(|value| value == "true")
    }

    /// The write that made the table, where it was one of ours.
    pub(crate) fn made_by(&self) -> Option<&str> {
        self.parameters.get(MADE_BY).map(String::as_str)
    }

    /// Whether the metastore has the table still, and no other in its place.
    pub(crate) async fn is_same(&self) -> Result<bool> {
        let now = self.client.table(&self.name.schema, &self.name.table).await?;
        Ok(now.is_some_and(|now| now.parameters.get(MADE_BY).map(String::as_str) == self.made_by()))
    }

    /// Rows and bytes of the whole table, where its parameters say.
    pub(crate) fn basic(&self) -> Basic {
        basic(&self.parameters)
    }

    /// What the metastore knows of the table's rows and values.
    pub(crate) async fn statistics(&self, columns: &[Column], store: &Store) -> Result<Option<TableStatistics>> {
        let (schema, table) = (self.name.schema.as_str(), self.name.table.as_str());
        if let Some(known) = self.remembered.get(schema, table) {
            return Ok(known.as_ref().clone());
        }
        let mut known = self.basic();
        if self.partitions.is_some() {
            // Writers count rows in partitions, and may leave a zero at the table.
            known.rows = known.rows.filter(|rows| *rows > 0);
        }
        let (mut distinct, mut names, mut scale) = (BTreeMap::new(), Vec::new(), 1.0);
        if known.rows.is_none()
            && let Some(source) = &self.partitions
        {
            let sampled = sample(source, store).await?;
            (known, distinct) = (sampled.basic, sampled.distinct);
            (names, scale) = (sampled.names, sampled.scale);
        }
        let mut found = of_spark(&self.parameters, known.rows, columns);
        if found.is_empty() {
            let objects = self.client.column_statistics(schema, table, asked(columns)).await;
            // Not every metastore has this call, and the rest is of use without it.
            let objects = objects.unwrap_or_else(|error| {
                tracing::debug!(table = %self.name, %error, "no column statistics");
                Vec::new()
            });
            found = of_metastore(&objects, known.rows, columns);
            if found.is_empty() && !names.is_empty() {
                let objects = self.client.statistics_of_partitions(schema, table, asked(columns), names).await;
                let objects = objects.unwrap_or_else(|error| {
                    tracing::debug!(table = %self.name, %error, "no column statistics of partitions");
                    Vec::new()
                });
                // NULLs are counted in the partitions that were asked for.
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "an estimate, not negative"
                )]
                let rows = known.rows.map(|rows| (rows as f64 / scale) as u64);
                found = of_metastore(&objects, rows, columns);
            }
        }
        for (column, count) in distinct {
            found
                .entry(column)
                .or_insert_with(|| ColumnStatistics { distinct: Some(count), ..ColumnStatistics::default() });
        }
        let any = known.rows.is_some() || known.bytes.is_some() || !found.is_empty();
        let statistics = any.then(|| TableStatistics {
            rows: known.rows,
            bytes: known.bytes,
            columns: found,
            origin: "the metastore".to_owned(),
        });
        self.remembered.keep(schema, table, statistics.clone());
        Ok(statistics)
    }
}

/// What some partitions tell of all.
struct Sampled {
    /// Rows of all, estimated.
    basic: Basic,
    /// How many values each partition column has.
    distinct: BTreeMap<String, u64>,
    /// Names of partitions whose columns the metastore is asked about: all of them, unless there are very many.
    names: Vec<String>,
    /// How many partitions there are for each of these.
    scale: f64,
}

/// Looks at partitions that are spread over all.
async fn sample(source: &PartitionSource, store: &Store) -> Result<Sampled> {
    let partitions = source.names().await?;
    let count = partitions.names.len();
    let step = count.div_ceil(SAMPLED_PARTITIONS).max(1);
    let wanted: Vec<usize> = (0..count).step_by(step).collect();
    let located = source.locate(&partitions, &wanted, store).await?;
    let counted: Vec<u64> = located.iter().filter_map(|partition| partition.rows).collect();
    let rows = (!counted.is_empty()).then(|| {
        let mean = counted.iter().sum::<u64>() as f64 / counted.len() as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, not negative")]
        let rows = (mean * count as f64) as u64;
        rows
    });
    let distinct = source.columns.iter().enumerate().map(|(at, column)| {
        let values: HashSet<_> = partitions.names.iter().filter_map(|named| named.values.get(at)).collect();
        (column.name.clone(), values.len() as u64)
    });
    let step = count.div_ceil(AGGREGATED_PARTITIONS).max(1);
    let names: Vec<String> = partitions.names.iter().step_by(step).map(|named| named.name.clone()).collect();
    let scale = count as f64 / names.len().max(1) as f64;
    Ok(Sampled { basic: Basic { rows, bytes: None }, distinct: distinct.collect(), names, scale })
}
