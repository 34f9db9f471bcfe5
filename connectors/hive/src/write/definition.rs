//! What a table is that we made: its columns with their types, and by which it is partitioned. A directory of files alone
//! does not say it: it may be empty, and types of partition columns would be guessed from their values.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use portolan_connector::{ConnectorError, Result};
use serde::{Deserialize, Serialize};

use super::types::type_name;
use crate::factory::DeclaredColumn;
use crate::metastore::arrow_type;
use crate::schema::{FileColumn, engine_type};

/// The version of the file that we write. A later one is not understood.
const VERSION: u32 = 1;

/// The definition of a table, as it is kept beside its files.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Definition {
    version: u32,
    /// Partition columns are the last ones.
    columns: Vec<DefinedColumn>,
    /// From the outermost directory inwards.
    pub(crate) partitioned_by: Vec<String>,
    /// By which columns the rows of each file are sorted.
    pub(crate) sorted_by: Vec<String>,
    pub(crate) compression: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
struct DefinedColumn {
    name: String,
    /// Hive's name of the type, such as `array<decimal(12,2)>`.
    #[serde(rename = "type")]
    kind: String,
}

impl Definition {
    pub(super) fn new(
        schema: &Schema,
        partitioned_by: Vec<String>,
        sorted_by: Vec<String>,
        compression: String,
    ) -> Result<Self> {
        let columns = schema.fields().iter().map(|field| {
            let kind = type_name(field.data_type()).map_err(|reason| refused(field.name(), &reason))?;
            Ok(DefinedColumn { name: field.name().clone(), kind })
        });
        Ok(Self { version: VERSION, columns: columns.collect::<Result<_>>()?, partitioned_by, sorted_by, compression })
    }

    /// The columns in order, partition columns last, with their types.
    fn typed(&self) -> Result<Vec<(&str, &str, DataType)>> {
        if self.version > VERSION {
            return Err(ConnectorError::source("the table was made by a later version").said(format!(
                "its definition has version {}, and {VERSION} is the last that is known here",
                self.version
            )));
        }
        let typed = self.columns.iter().map(|column| {
            let data_type = arrow_type(&column.kind).map_err(|reason| {
                ConnectorError::source(format!("cannot understand the table's column `{}`", column.name)).said(reason)
            })?;
            Ok((column.name.as_str(), column.kind.as_str(), data_type))
        });
        typed.collect()
    }

    /// About how many bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.columns.iter().flat_map(|column| [&column.name, &column.kind]);
        let texts = texts.chain(&self.partitioned_by).chain(&self.sorted_by);
        size_of::<Self>() + texts.map(|text| size_of::<String>() + text.len()).sum::<usize>()
    }

    fn is_partition(&self, name: &str) -> bool {
        self.partitioned_by.iter().any(|known| known == name)
    }

    /// The columns of the files.
    pub(crate) fn file_columns(&self) -> Result<Vec<FileColumn>> {
        let columns = self.typed()?.into_iter().filter(|(name, ..)| !self.is_partition(name));
        Ok(columns
            .map(|(name, kind, data_type)| FileColumn {
                field: Arc::new(Field::new(name, engine_type(&data_type), true)),
                source_type: kind.to_owned(),
            })
            .collect())
    }

    /// The columns with Hive's names of their types.
    pub(super) fn hive_columns(&self) -> HiveColumns {
        let mut columns = HiveColumns::default();
        for column in &self.columns {
            let pair = (column.name.clone(), column.kind.clone());
            match self.is_partition(&column.name) {
                true => columns.partitions.push(pair),
                false => columns.files.push(pair),
            }
        }
        columns
    }

    /// The partition columns, from the outermost directory inwards.
    pub(crate) fn partition_columns(&self) -> Result<Vec<DeclaredColumn>> {
        let columns = self.typed()?.into_iter().filter(|(name, ..)| self.is_partition(name));
        Ok(columns
            .map(|(name, kind, data_type)| DeclaredColumn {
                name: name.to_owned(),
                data_type,
                written: kind.to_owned(),
            })
            .collect())
    }
}

/// Columns with Hive's names of their types.
#[derive(Clone, Debug, Default)]
pub(super) struct HiveColumns {
    pub(super) files: Vec<(String, String)>,
    pub(super) partitions: Vec<(String, String)>,
}

/// The error of a column that a table of the lake cannot have.
pub(super) fn refused(column: &str, reason: &str) -> ConnectorError {
    ConnectorError::user(format!("column {column}: {reason}"))
        .hint("write CAST(... AS varchar), or leave the column out")
}

/// A schema of these fields.
pub(super) fn schema_of(fields: impl IntoIterator<Item = FieldRef>) -> Schema {
    Schema::new(fields.into_iter().collect::<Vec<_>>())
}
