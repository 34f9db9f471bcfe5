//! What is asked of a metastore. The numbers are those of Hive's `hive_metastore.thrift`, of version 2.3 and later.

use std::collections::BTreeMap;

use portolan_connector::{ConnectorError, Result, TableEntry, TableKind};

use crate::metastore::client::{Client, Exception};
use crate::thrift::Struct;

/// Of how many partitions one call asks. An answer has a few kilobytes for each.
pub(crate) const PARTITIONS_PER_CALL: usize = 200;

/// Ask for all, where a method takes a limit.
const NO_LIMIT: i16 = -1;

/// A column as the metastore describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HiveColumn {
    pub(crate) name: String,
    /// Hive's name of the type, such as `array<decimal(12,2)>`.
    pub(crate) hive_type: String,
    pub(crate) comment: Option<String>,
}

/// Where and how rows are stored: of a table, or of a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storage {
    pub(crate) columns: Vec<HiveColumn>,
    pub(crate) location: Option<String>,
    pub(crate) input_format: String,
    /// The class that reads rows, and its parameters.
    pub(crate) serde: String,
    pub(crate) serde_parameters: BTreeMap<String, String>,
}

/// A table as the metastore describes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableDescription {
    /// `MANAGED_TABLE`, `EXTERNAL_TABLE`, `VIRTUAL_VIEW`, ...
    pub(crate) kind: String,
    pub(crate) storage: Storage,
    pub(crate) partition_keys: Vec<HiveColumn>,
    pub(crate) parameters: BTreeMap<String, String>,
}

/// A partition as the metastore describes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartitionDescription {
    /// In the order of the partition keys, unescaped.
    pub(crate) values: Vec<String>,
    pub(crate) storage: Storage,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Client {
    /// The names of all databases.
    pub(crate) async fn databases(&self) -> Result<Vec<String>> {
        let wanted = "its databases";
        let result = self.call("get_all_databases", &Struct::new(), wanted).await?;
        let result = result.map_err(|exception| self.refused(wanted, exception))?;
        Ok(result.texts(0).collect())
    }

    /// The tables and views of a database; none where there is no such database.
    pub(crate) async fn tables(&self, database: &str) -> Result<Vec<TableEntry>> {
        let wanted = format!("the tables of {database}");
        // The name is a pattern: other databases may match it.
        let arguments = Struct::new().with(1, database).with(2, "*");
        let result = self.call("get_table_meta", &arguments, &wanted).await?;
        let result = result.map_err(|exception| self.refused(&wanted, exception))?;
        let of_database = result.structures(0).filter(|meta| meta.text(1).as_deref() == Some(database));
        let entries = of_database.filter_map(|meta| {
            let kind = if is_view(&meta.text(3).unwrap_or_default()) { TableKind::View } else { TableKind::Table };
            Some(TableEntry { name: meta.text(2)?, kind })
        });
        Ok(entries.collect())
    }

    /// The description of a table; `None` when there is none.
    pub(crate) async fn table(&self, database: &str, table: &str) -> Result<Option<TableDescription>> {
        const NO_SUCH_OBJECT: i16 = 2;
        let wanted = format!("the table {database}.{table}");
        let request = Struct::new().with(1, database).with(2, table);
        match self.call("get_table_req", &Struct::new().with(1, request), &wanted).await? {
            Ok(result) => Ok(result.structure(0).and_then(|result| result.structure(1)).map(table_description)),
            Err(Exception { field: NO_SUCH_OBJECT, .. }) => Ok(None),
            Err(exception) => Err(self.refused(&wanted, exception)),
        }
    }

    /// The names of all partitions of a table, as their directories would be called: `year=2026/month=10`.
    pub(crate) async fn partition_names(&self, database: &str, table: &str) -> Result<Vec<String>> {
        let wanted = format!("the partition names of {database}.{table}");
        let arguments = Struct::new().with(1, database).with(2, table).with(3, NO_LIMIT);
        let result = self.call("get_partition_names", &arguments, &wanted).await?;
        let result = result.map_err(|exception| self.refused(&wanted, exception))?;
        Ok(result.texts(0).collect())
    }

    /// The partitions of these names, in any order. One that has been dropped is missing.
    pub(crate) async fn partitions(
        &self,
        database: &str,
        table: &str,
        names: &[String],
    ) -> Result<Vec<PartitionDescription>> {
        let wanted = format!("{} partitions of {database}.{table}", names.len());
        let arguments = Struct::new().with(1, database).with(2, table).with(3, names.to_vec());
        let result = self.call("get_partitions_by_names", &arguments, &wanted).await?;
        let result = result.map_err(|exception| self.refused(&wanted, exception))?;
        let partitions = result.structures(0).map(|partition| PartitionDescription {
            values: partition.texts(1).collect(),
            storage: partition.structure(6).map(storage).unwrap_or_default(),
            parameters: partition.text_map(7).collect(),
        });
        Ok(partitions.collect())
    }

    /// What `ANALYZE TABLE ... FOR COLUMNS` of Hive left in the metastore: `ColumnStatisticsObj` for each column it knows.
    pub(crate) async fn column_statistics(
        &self,
        database: &str,
        table: &str,
        columns: Vec<String>,
    ) -> Result<Vec<Struct>> {
        let wanted = format!("the statistics of {database}.{table}");
        let request = Struct::new().with(1, database).with(2, table).with(3, columns);
        let result = self.call("get_table_statistics_req", &Struct::new().with(1, request), &wanted).await?;
        let result = result.map_err(|exception| self.refused(&wanted, exception))?;
        Ok(result.structure(0).map(|result| result.structures(1).cloned().collect()).unwrap_or_default())
    }

    /// The same of partitions of these names, taken together by the metastore.
    pub(crate) async fn statistics_of_partitions(
        &self,
        database: &str,
        table: &str,
        columns: Vec<String>,
        names: Vec<String>,
    ) -> Result<Vec<Struct>> {
        let wanted = format!("the statistics of {} partitions of {database}.{table}", names.len());
        let request = Struct::new().with(1, database).with(2, table).with(3, columns).with(4, names);
        let result = self.call("get_aggr_stats_for", &Struct::new().with(1, request), &wanted).await?;
        let result = result.map_err(|exception| self.refused(&wanted, exception))?;
        Ok(result.structure(0).map(|result| result.structures(1).cloned().collect()).unwrap_or_default())
    }

    pub(super) fn refused(&self, wanted: &str, exception: Exception) -> ConnectorError {
        ConnectorError::source(format!("the metastore at {} refused to tell {wanted}", self.place()))
            .said(exception.message)
            .hint("the metastore's log says more")
    }
}

/// Whether a kind of table is a view.
pub(crate) fn is_view(kind: &str) -> bool {
    matches!(kind, "VIRTUAL_VIEW" | "MATERIALIZED_VIEW")
}

fn table_description(table: &Struct) -> TableDescription {
    TableDescription {
        kind: table.text(12).unwrap_or_default(),
        storage: table.structure(7).map(storage).unwrap_or_default(),
        partition_keys: table.structures(8).map(column).collect(),
        parameters: table.text_map(9).collect(),
    }
}

fn storage(descriptor: &Struct) -> Storage {
    let serde = descriptor.structure(7);
    Storage {
        columns: descriptor.structures(1).map(column).collect(),
        location: descriptor.text(2).filter(|location| !location.is_empty()),
        input_format: descriptor.text(3).unwrap_or_default(),
        serde: serde.and_then(|serde| serde.text(2)).unwrap_or_default(),
        serde_parameters: serde.map(|serde| serde.text_map(3).collect()).unwrap_or_default(),
    }
}

fn column(field: &Struct) -> HiveColumn {
    HiveColumn {
        name: field.text(1).unwrap_or_default(),
        hive_type: field.text(2).unwrap_or_default(),
        comment: field.text(3).filter(|comment| !comment.is_empty()),
    }
}
