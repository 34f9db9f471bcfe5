//! The partitions of a table in a metastore: their names, typed, and the places of those that a scan keeps.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path;
use portolan_connector::{ConnectorError, Result};

use crate::format::Format;
use crate::metastore::calls::{PARTITIONS_PER_CALL, PartitionDescription};
use crate::metastore::client::Client;
use crate::metastore::format::format_of;
use crate::metastore::statistics::basic;
use crate::names::{NULL_PARTITION, parse_partition};
use crate::partition::PartitionColumn;
use crate::store::Store;
use crate::types::{parse_value, sql_name};
use crate::write::LogState;

/// How many calls for partitions a scan makes at the same time.
const CALLS_AT_ONCE: usize = 4;

/// About how many bytes the place of a partition takes besides its name.
const LOCATION_BYTES: usize = 100;

/// How the partitions of one table are asked for.
#[derive(Clone, Debug)]
pub(crate) struct PartitionSource {
    pub(crate) client: Arc<Client>,
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) columns: Vec<PartitionColumn>,
    /// The format that the partitions must have; `None` where it does not depend on them.
    pub(crate) format: Option<Format>,
    /// The parameters of the table.
    pub(crate) parameters: BTreeMap<String, String>,
}

/// A partition as its name says it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    /// As the metastore knows it: `year=2026/region=a%2Fb`.
    pub(crate) name: String,
    pub(crate) values: Vec<ScalarValue>,
}

/// Where a partition is.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) path: Path,
    /// How many rows it has, if somebody counted them.
    pub(crate) rows: Option<u64>,
}

/// The partitions of a table as one query sees them.
#[derive(Debug)]
pub(crate) struct Partitions {
    /// When the metastore was asked.
    pub(crate) at: DateTime<Utc>,
    /// All of them, sorted by name.
    pub(crate) names: Vec<Named>,
    /// The partition columns and the format for which they were asked.
    columns: Vec<(String, DataType)>,
    format: Option<Format>,
    /// What the table's log said before they were asked for; `None` of a table without a log.
    log: Option<LogState>,
    /// Those that were asked for, by their place among the names.
    located: Mutex<HashMap<usize, Arc<Located>>>,
}

impl Partitions {
    /// The same, asked for after the table's log said this.
    pub(crate) fn under(self, log: Option<LogState>) -> Self {
        Self { log, ..self }
    }

    /// Whether they are what this source would ask for, and no write of ours has been committed since: the table may have been
    /// defined anew.
    pub(crate) fn fit(&self, source: &PartitionSource, log: Option<&LogState>) -> bool {
        self.columns == source.typed_columns() && self.format == source.format && self.log.as_ref() == log
    }

    /// About how many bytes of memory they take, with the places of all.
    pub(crate) fn bytes(&self) -> usize {
        let of = |named: &Named| {
            let values: usize = named.values.iter().map(ScalarValue::size).sum();
            size_of::<Named>() + size_of::<Located>() + 2 * named.name.len() + values + LOCATION_BYTES
        };
        let log = self.log.as_ref().map_or(0, LogState::bytes);
        size_of::<Self>() + log + self.names.iter().map(of).sum::<usize>()
    }
}

impl PartitionSource {
    fn typed_columns(&self) -> Vec<(String, DataType)> {
        self.columns.iter().map(|column| (column.name.clone(), column.data_type.clone())).collect()
    }

    /// Asks for the names of all partitions.
    pub(crate) async fn names(&self) -> Result<Partitions> {
        let at = Utc::now();
        let mut names = self.client.partition_names(&self.schema, &self.table).await?;
        names.sort();
        let names = names.into_iter().map(|name| self.named(name)).collect::<Result<_>>()?;
        let columns = self.typed_columns();
        Ok(Partitions { at, names, columns, format: self.format.clone(), log: None, located: Mutex::default() })
    }

    /// The places of some of the partitions, in the same order. Each partition is asked for once per query.
    pub(crate) async fn locate(
        &self,
        partitions: &Partitions,
        wanted: &[usize],
        store: &Store,
    ) -> Result<Vec<Arc<Located>>> {
        let missing: Vec<usize> = {
            let located = partitions.located.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.iter().copied().filter(|index| !located.contains_key(index)).collect()
        };
        let batches: Vec<Vec<usize>> = missing.chunks(PARTITIONS_PER_CALL).map(<[usize]>::to_vec).collect();
        let fetched: Vec<Vec<(usize, Located)>> = stream::iter(batches)
            .map(|batch| async move { self.fetch(partitions, &batch, store).await })
            .buffered(CALLS_AT_ONCE)
            .try_collect()
            .await?;
        let mut located = partitions.located.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, place) in fetched.into_iter().flatten() {
            located.entry(index).or_insert_with(|| Arc::new(place));
        }
        Ok(wanted.iter().filter_map(|index| located.get(index).cloned()).collect())
    }

    async fn fetch(&self, partitions: &Partitions, batch: &[usize], store: &Store) -> Result<Vec<(usize, Located)>> {
        let named: Vec<(usize, &Named)> =
            batch.iter().filter_map(|index| Some((*index, partitions.names.get(*index)?))).collect();
        let names: Vec<String> = named.iter().map(|(_, named)| named.name.clone()).collect();
        let found = self.client.partitions(&self.schema, &self.table, &names).await?;
        // The answer is in an order of its own, and has values in place of names.
        let mut by_values: HashMap<Vec<String>, PartitionDescription> =
            found.into_iter().map(|partition| (partition.values.clone(), partition)).collect();
        named
            .into_iter()
            .map(|(index, named)| {
                let partition = by_values.remove(&values_of(&named.name)).ok_or_else(|| {
                    ConnectorError::source(format!("the metastore no longer has the partition {}", named.name))
                        .hint("it was there when the query began: run the query again")
                })?;
                Ok((index, self.located(&named.name, &partition, store)?))
            })
            .collect()
    }

    fn located(&self, name: &str, partition: &PartitionDescription, store: &Store) -> Result<Located> {
        if let Some(wanted) = &self.format {
            // How many lines of a file are no rows the table says.
            let found = format_of(&partition.storage, &self.parameters, None);
            if found.as_ref() != Ok(wanted) {
                let reason = found.err().unwrap_or_else(|| "its files are in another format than the table".to_owned());
                return Err(ConnectorError::user(format!("the partition {name} cannot be read: {reason}"))
                    .hint("filter on the partition columns so that the query does not need it"));
            }
        }
        let location = partition.storage.location.as_deref().ok_or_else(|| {
            ConnectorError::source(format!("the metastore does not say where the partition {name} is"))
        })?;
        Ok(Located { path: store.resolve(location)?, rows: basic(&partition.parameters).rows })
    }

    /// The values that a partition's name gives.
    pub(crate) fn named(&self, name: String) -> Result<Named> {
        let wrong = |what: String| {
            ConnectorError::source(format!("cannot understand the partition {name}: {what}"))
                .hint("drop the partition in the metastore and add it again, or correct the table's partition columns")
        };
        let parts: Vec<(String, Option<String>)> = name.split('/').filter_map(parse_partition).collect();
        if parts.len() != self.columns.len() || name.split('/').count() != parts.len() {
            let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
            return Err(wrong(format!("the table is partitioned by {}", names.join(", "))));
        }
        let values = parts
            .iter()
            .zip(&self.columns)
            .map(|((key, value), column)| {
                if !key.eq_ignore_ascii_case(&column.name) {
                    return Err(wrong(format!("`{key}` stands in the place of `{}`", column.name)));
                }
                let value = match value {
                    None => ScalarValue::try_new_null(&column.data_type).ok(),
                    Some(text) => parse_value(text, &column.data_type),
                };
                let kind = sql_name(&column.data_type);
                value.ok_or_else(|| wrong(format!("the column `{}` is of type {kind}", column.name)))
            })
            .collect::<Result<_>>()?;
        Ok(Named { name, values })
    }
}

/// The values in a partition's name as the metastore keeps them in the partition itself.
fn values_of(name: &str) -> Vec<String> {
    let values = name.split('/').filter_map(parse_partition).map(|(_, value)| value);
    values.map(|value| value.unwrap_or_else(|| NULL_PARTITION.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn source() -> PartitionSource {
        let column = |name: &str, data_type: DataType| PartitionColumn {
            name: name.to_owned(),
            data_type,
            declared: true,
            distinct: 0,
        };
        PartitionSource {
            client: Arc::new(Client::new(Vec::new(), Duration::ZERO, Duration::ZERO)),
            schema: "s".to_owned(),
            table: "t".to_owned(),
            columns: vec![column("month", DataType::Int32), column("region", DataType::Utf8View)],
            format: Some(Format::Parquet),
            parameters: BTreeMap::new(),
        }
    }

    #[test]
    fn names_have_typed_values() {
        let values = |name: &str| source().named(name.to_owned()).unwrap().values;
        let text = |text: &str| ScalarValue::Utf8View(Some(text.to_owned()));
        assert_eq!(values("month=01/region=a%2Fb"), [ScalarValue::Int32(Some(1)), text("a/b")]);
        assert_eq!(
            values("month=__HIVE_DEFAULT_PARTITION__/region=x"),
            [ScalarValue::Int32(None), text("x")],
            "NULL has the type of the column"
        );
        assert_eq!(values_of("month=__HIVE_DEFAULT_PARTITION__/region=a%3Db"), [NULL_PARTITION, "a=b"]);
    }

    #[test]
    fn names_that_do_not_fit_the_table() {
        for (name, reason) in [
            ("month=1", "the table is partitioned by month, region"),
            ("month=1/region=a/more=b", "the table is partitioned by month, region"),
            ("region=a/month=1", "`region` stands in the place of `month`"),
            ("month=May/region=a", "the column `month` is of type integer"),
            ("month=1/region", "the table is partitioned by"),
        ] {
            let error = source().named(name.to_owned()).unwrap_err().to_string();
            assert!(error.contains(&format!("cannot understand the partition {name}: {reason}")), "{error}");
        }
    }
}
