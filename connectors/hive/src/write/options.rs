//! `WITH (...)` of a new table.

use std::collections::BTreeMap;

use parquet::basic::{Compression, ZstdLevel};
use portolan_connector::{ConnectorError, NewTable, PropertyKind, PropertySpec, Result, TableValue};

const PARTITIONED_BY: &str = "partitioned_by";
const SORTED_BY: &str = "sorted_by";
const COMPRESSION: &str = "compression";
const EXTERNAL_LOCATION: &str = "external_location";
const ZSTD: &str = "zstd";

/// The properties that a new table may have, under Trino's names.
pub(crate) const TABLE_PROPERTIES: &[PropertySpec] = &[
    PropertySpec::new(
        COMPRESSION,
        PropertyKind::OneOf(&[ZSTD, "snappy", "none"]),
        "how pages are compressed: zstd is the smallest, snappy is what Hive up to version 3 reads as well",
    )
    .or(ZSTD),
    PropertySpec::new(
        EXTERNAL_LOCATION,
        PropertyKind::Text,
        "an empty directory for the table, which outlives it; only with a metastore",
    ),
    PropertySpec::new("format", PropertyKind::OneOf(&["parquet"]), "the format of the files").or("parquet"),
    PropertySpec::new(
        PARTITIONED_BY,
        PropertyKind::List,
        "the columns whose values are the names of directories, from the outermost inwards: the last ones of the table, in this order",
    ),
    PropertySpec::new(
        SORTED_BY,
        PropertyKind::List,
        "the columns by which the rows of each file are sorted, ascending and with NULLs first",
    ),
];

/// What a statement says of a new table.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) partitioned_by: Vec<String>,
    pub(super) sorted_by: Vec<String>,
    pub(super) compression: String,
    pub(super) external_location: Option<String>,
}

impl Options {
    pub(super) fn of(table: &NewTable) -> Result<Self> {
        let text = |name: &str| match table.properties.get(name) {
            Some(TableValue::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let this = Self {
            partitioned_by: columns(&table.properties, PARTITIONED_BY, table)?,
            sorted_by: columns(&table.properties, SORTED_BY, table)?,
            compression: text(COMPRESSION).unwrap_or_else(|| ZSTD.to_owned()),
            external_location: text(EXTERNAL_LOCATION),
        };
        this.check(table)?;
        Ok(this)
    }

    fn check(&self, table: &NewTable) -> Result<()> {
        let count = table.columns.fields().len();
        let partitions = self.partitioned_by.len();
        if partitions >= count {
            return Err(ConnectorError::user("a table has at least one column that it is not partitioned by"));
        }
        let last: Vec<&String> =
            table.columns.fields().iter().skip(count - partitions).map(|field| field.name()).collect();
        if !self.partitioned_by.iter().eq(last.iter().copied()) {
            let wanted = self.partitioned_by.join(", ");
            return Err(ConnectorError::user(format!(
                "the partition columns must be the last columns of the table, in the order of partitioned_by: {wanted}"
            ))
            .hint("name the columns of the query in the order in which the table is to have them"));
        }
        match self.sorted_by.iter().find(|name| self.partitioned_by.contains(name)) {
            Some(name) => Err(ConnectorError::user(format!(
                "sorted_by names {name}, which has one value in each partition: name columns of the files"
            ))),
            None => Ok(()),
        }
    }
}

/// The columns that a property names, as the table spells them.
fn columns(properties: &BTreeMap<&'static str, TableValue>, property: &str, table: &NewTable) -> Result<Vec<String>> {
    let Some(TableValue::List(names)) = properties.get(property) else { return Ok(Vec::new()) };
    let mut found: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let fields = table.columns.fields();
        let known = fields.iter().find(|field| field.name() == name);
        let known = known.or_else(|| fields.iter().find(|field| field.name().to_lowercase() == name.to_lowercase()));
        let known = known.ok_or_else(|| {
            let all: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
            ConnectorError::user(format!("{property} names {name}, which is no column of the table"))
                .hint(format!("the columns are {}", all.join(", ")))
        })?;
        if found.contains(known.name()) {
            return Err(ConnectorError::user(format!("{property} names {name} twice")));
        }
        found.push(known.name().clone());
    }
    Ok(found)
}

/// How pages are compressed. Level 1 of zstd makes files a quarter smaller than snappy's and is read as fast; higher levels
/// cost more time than they save space.
pub(super) fn compression(name: &str) -> Compression {
    match name {
        "none" => Compression::UNCOMPRESSED,
        "snappy" => Compression::SNAPPY,
        _ => Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()),
    }
}
