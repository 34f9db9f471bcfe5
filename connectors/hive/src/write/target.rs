//! Where rows go: the columns of the files and the partition columns, and which columns of the rows they come from.

use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use parquet::basic::Compression;
use portolan_connector::{ConnectorError, NewTable, Result, TableName};

use super::definition::{Definition, refused, schema_of};
use super::log::Log;
use super::options::{Options, compression};
use super::registry::Registry;
use super::types::stored;
use crate::format::Format;
use crate::metastore::PartitionSource;
use crate::partition::PartitionColumn;
use crate::table::Written;
use crate::types::is_partition_type;

/// A table that takes rows.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: TableName,
    pub(super) log: Log,
    /// The columns of the files.
    pub(super) files: SchemaRef,
    pub(super) partitions: Vec<PartitionColumn>,
    /// For each column of the files and then for each partition column: which column of the rows it gets. The others get
    /// NULL.
    pub(super) sources: Vec<Option<usize>>,
    pub(super) compression: Compression,
    /// By which columns of the files rows come sorted.
    pub(super) sorted: Vec<usize>,
    /// What the table is, where its log is to say so.
    pub(super) definition: Option<Definition>,
    /// Of a catalog with a metastore.
    pub(super) registry: Option<Registry>,
    /// Where the metastore knows the partitions.
    pub(super) source: Option<PartitionSource>,
}

impl Target {
    /// A table to make, in the directory of this log.
    pub(super) fn new_table(table: &NewTable, log: Log, registry: Option<Registry>) -> Result<Self> {
        let options = Options::of(table)?;
        let precise = registry.is_none();
        let mut fields: Vec<FieldRef> = Vec::with_capacity(table.columns.fields().len());
        for field in table.columns.fields() {
            let data_type = stored(field.data_type(), precise).map_err(|reason| refused(field.name(), &reason))?;
            if !field.is_nullable() {
                return Err(ConnectorError::user(format!("column {}: the lake does not know NOT NULL", field.name()))
                    .hint("leave NOT NULL out"));
            }
            // Metastores know names in lower case.
            let name = if precise { field.name().clone() } else { field.name().to_lowercase() };
            check_column_name(&name)?;
            fields.push(Arc::new(Field::new(name, data_type, true)));
        }
        let named = |names: &[String]| -> Vec<String> {
            names.iter().map(|name| if precise { name.clone() } else { name.to_lowercase() }).collect()
        };
        let (partitioned_by, sorted_by) = (named(&options.partitioned_by), named(&options.sorted_by));
        let definition = Definition::new(
            &schema_of(fields.clone()),
            partitioned_by,
            sorted_by.clone(),
            options.compression.clone(),
        )?;
        let count = fields.len() - options.partitioned_by.len();
        let (files, partitions) = fields.split_at_checked(count).unwrap_or((&fields, &[]));
        let partitions: Vec<PartitionColumn> =
            partitions.iter().map(|field| partition_column(field)).collect::<Result<_>>()?;
        Ok(Self {
            name: table.name.clone(),
            log,
            files: Arc::new(schema_of(files.to_vec())),
            sorted: places(files, &sorted_by),
            partitions,
            sources: (0..fields.len()).map(Some).collect(),
            compression: compression(&options.compression),
            definition: Some(definition),
            registry,
            source: None,
        })
    }

    /// A table that is there. Rows have these of its columns, by name.
    pub(super) fn existing(
        table: &Written<'_>,
        log: Log,
        columns: &[String],
        registry: Option<Registry>,
    ) -> Result<Self> {
        if *table.format != Format::Parquet {
            return Err(ConnectorError::user(format!(
                "its files are {}, and only Parquet is written",
                table.format.name()
            ))
            .hint("make a table of Parquet files: CREATE TABLE ... AS SELECT"));
        }
        if let Some(part) = table.root.filename().filter(|part| part.contains('=')) {
            return Err(ConnectorError::user(format!(
                "the table's directory is called {part}, as a partition's would be: such a table is only read"
            )));
        }
        let files: Vec<FieldRef> = table.file_columns.iter().map(|column| Arc::clone(&column.field)).collect();
        let names =
            files.iter().map(|field| field.name()).chain(table.partition_columns.iter().map(|column| &column.name));
        let sources = names.map(|name| columns.iter().position(|given| given == name)).collect();
        let unset = |column: &&PartitionColumn| !columns.contains(&column.name);
        if let Some(column) = table.partition_columns.iter().find(unset) {
            return Err(ConnectorError::user(format!("the partition column {} gets no value", column.name))
                .hint("name it among the columns; write NULL for the partition of NULL"));
        }
        let sorted_by = table.definition.map(|definition| definition.sorted_by.clone()).unwrap_or_default();
        let kept = table.definition.map_or("zstd", |definition| definition.compression.as_str());
        Ok(Self {
            name: table.name.clone(),
            log,
            sorted: places(&files, &sorted_by),
            files: Arc::new(Schema::new(files)),
            partitions: table.partition_columns.to_vec(),
            sources,
            compression: compression(kept),
            definition: table.definition.cloned(),
            registry,
            source: table.metastore.and_then(|table| table.partitions.clone()),
        })
    }

    /// Whether the definition is one of these columns.
    pub(super) fn could_be(&self, definition: &Definition) -> bool {
        self.define().is_ok_and(|own| own == *definition)
    }

    /// The definition of a table of files that nobody has defined: what it is once none of its files are left.
    pub(super) fn define(&self) -> Result<Definition> {
        Definition::new(&self.files, Vec::new(), Vec::new(), "zstd".to_owned())
    }
}

fn places(files: &[FieldRef], names: &[String]) -> Vec<usize> {
    names.iter().filter_map(|name| files.iter().position(|field| field.name() == name)).collect()
}

fn partition_column(field: &Field) -> Result<PartitionColumn> {
    if !is_partition_type(field.data_type()) {
        return Err(refused(field.name(), "no table is partitioned by values of this type"));
    }
    let data_type = field.data_type().clone();
    Ok(PartitionColumn { name: field.name().clone(), data_type, declared: true, distinct: 0 })
}

fn check_column_name(name: &str) -> Result<()> {
    match name.is_empty() || name.starts_with('$') {
        true => Err(ConnectorError::user(format!("a column cannot be called \"{name}\" in the lake"))),
        false => Ok(()),
    }
}
