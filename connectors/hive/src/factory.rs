//! The properties of a catalog of this kind, and the connector made from them.

use std::sync::Arc;

use arrow::datatypes::DataType;
use portolan_connector::{
    CatalogEntry, Connector, ConnectorError, ConnectorFactory, Properties, PropertyKind, PropertySpec, Result,
};

use crate::connector::HiveConnector;
use crate::format::{CODECS, FORMATS, FormatSettings, HEADERS, ROW_LENGTHS};
use crate::prices::{PRICES, Prices};
use crate::types::{KNOWN_TYPES, is_partition_type, parse_type};
use crate::write::TABLE_PROPERTIES;

/// The schema of tables that lie directly in `location`.
pub(crate) const DEFAULT_SCHEMA: &str = "default";

const LAYOUTS: &[&str] = &["auto", "schemas", "tables"];
const SUBDIRECTORIES: &[&str] = &["error", "ignore", "read"];

const READ_WRITE: &str = "read_write";
const ACCESS: &[&str] = &["read_only", READ_WRITE];

const ABSENT_PARTITIONS: &[&str] = &["error", "ignore"];

const SUBDIRECTORIES_PROPERTY: PropertySpec = PropertySpec::new(
    "subdirectories",
    PropertyKind::OneOf(SUBDIRECTORIES),
    "what to do with a directory among data files that is no partition: fail, pass over it, or read what is below it",
);

const COLUMNS_BY: &[&str] = &["name", "index"];
const ON_MISMATCH: &[&str] = &["error", "null"];

const COLUMNS_BY_PROPERTY: PropertySpec = PropertySpec::new(
    "columns_by",
    PropertyKind::OneOf(COLUMNS_BY),
    "how the columns of Parquet and ORC files are found: by their names, whatever their case and order, or by their place, whatever they are called; by \
     place only with columns that the catalog file or a metastore declares",
);

const ON_MISMATCH_PROPERTY: PropertySpec = PropertySpec::new(
    "on_mismatch",
    PropertyKind::OneOf(ON_MISMATCH),
    "what becomes of a value of a file that the column's type does not hold, such as 6000000000, or `n/a` in text, in an integer column: an error that names \
     file and column, or NULL; a value that can be converted without loss is",
);

const TABLE: &[PropertySpec] = &[
    PropertySpec::new(
        "location",
        PropertyKind::Text,
        "the table's directory, relative to the catalog's location or in full; without it <schema>/<table>",
    ),
    PropertySpec::new(
        "partition_columns",
        PropertyKind::Map,
        "types of partition columns by name, such as { order_date = \"date\" }; the others are inferred",
    ),
    PropertySpec::new(
        "columns",
        PropertyKind::Map,
        "the columns of the files by name, such as { total = \"decimal(12,2)\" }; without it they come from the files",
    ),
    PropertySpec::new(
        "format",
        PropertyKind::OneOf(FORMATS),
        "the format of the table's files; without it the catalog's. text is Hive's TEXTFILE, csv the same options with other defaults",
    ),
    PropertySpec::new(
        "delimiter",
        PropertyKind::Text,
        "the character between values of csv and text: \",\" by default in csv, \"\\u0001\" in text, a tab in .tsv files",
    ),
    PropertySpec::new(
        "quote",
        PropertyKind::Text,
        "the character around values of csv and text, doubled within: '\"' by default in csv; \"\" for none, the default in text",
    ),
    PropertySpec::new(
        "escape",
        PropertyKind::Text,
        "the character of csv and text after which the next one is taken as it is; none by default",
    ),
    PropertySpec::new(
        "header",
        PropertyKind::OneOf(HEADERS),
        "the first line of each file of csv and text: the names by which columns are found (the default in csv), passed over, or no header (the default in text)",
    ),
    PropertySpec::new(
        "null_marker",
        PropertyKind::Text,
        "the value without quotes that is NULL in csv and text: \"\" by default in csv, '\\N' in text",
    ),
    PropertySpec::new(
        "row_length",
        PropertyKind::OneOf(ROW_LENGTHS),
        "exact: a row of csv or text with more or fewer values than columns is an error (the default in csv); any: what is missing is NULL, what is too much is passed over, as in Hive (the default in text)",
    ),
    PropertySpec::new(
        "compression",
        PropertyKind::OneOf(CODECS),
        "how files of csv, text and json are compressed; by default (auto) by the extension of each: .gz, .zst, .deflate, .bz2",
    ),
    SUBDIRECTORIES_PROPERTY,
    COLUMNS_BY_PROPERTY,
    ON_MISMATCH_PROPERTY,
];

const PROPERTIES: &[PropertySpec] = &[
    PropertySpec::new(
        "location",
        PropertyKind::Text,
        "where the files are: a local path, s3://bucket/prefix, abfss://container@account.dfs.core.windows.net/prefix, az://container/prefix or gs://bucket/prefix; \
         needed without metastore",
    ),
    PropertySpec::new(
        "metastore",
        PropertyKind::Text,
        "the Hive Metastore that knows the tables and where they are, in place of location: thrift://host:9083, or several with commas between them",
    ),
    PropertySpec::new(
        "metastore_timeout_seconds",
        PropertyKind::Integer { min: 1, max: 3600 },
        "how long to wait for an answer of the metastore, with all attempts to reach it again",
    )
    .or("30"),
    PropertySpec::new(
        "access",
        PropertyKind::OneOf(ACCESS),
        "whether statements may change the lake: make and drop tables and schemas, add and replace rows",
    )
    .or("read_only"),
    PropertySpec::new(
        "absent_partitions",
        PropertyKind::OneOf(ABSENT_PARTITIONS),
        "what to do when the local directory of a table or partition of the metastore does not exist: fail, or take it for empty, as it is in S3",
    )
    .or("error"),
    PropertySpec::new(
        "layout",
        PropertyKind::OneOf(LAYOUTS),
        "whether location holds schemas or tables; auto takes a directory with data or partitions for a table of the schema `default`, and any other for a schema",
    )
    .or("auto"),
    PropertySpec::new(
        "format",
        PropertyKind::OneOf(FORMATS),
        "the format of files of tables that declare none; auto goes by their extensions, and takes files without one for Parquet",
    )
    .or("auto"),
    PropertySpec::new("tables", PropertyKind::Sections(TABLE), "settings of single tables, by table or \"schema.table\""),
    SUBDIRECTORIES_PROPERTY.or("error"),
    COLUMNS_BY_PROPERTY.or("name"),
    ON_MISMATCH_PROPERTY.or("error"),
    PropertySpec::new(
        "schema_files",
        PropertyKind::Integer { min: 1, max: 100 },
        "of how many files, spread over the partitions, the columns are collected or inferred",
    )
    .or("2"),
    PropertySpec::new(
        "sampled_directories",
        PropertyKind::Integer { min: 1, max: 100_000 },
        "how many directories of each level are listed to infer the types of partition columns",
    )
    .or("100"),
    PropertySpec::new(
        "max_partitions",
        PropertyKind::Integer { min: 1, max: 10_000_000 },
        "the most partitions that one scan may read",
    )
    .or("100000"),
    PropertySpec::new(
        "max_files",
        PropertyKind::Integer { min: 1, max: 10_000_000 },
        "the most files that one scan may read",
    )
    .or("200000"),
    PropertySpec::new(
        "list_concurrency",
        PropertyKind::Integer { min: 1, max: 1000 },
        "the most directories that a query lists at the same time",
    )
    .or("32"),
    PropertySpec::new(
        "listing_ttl_seconds",
        PropertyKind::Integer { min: 0, max: 86_400 },
        "how long queries believe what an earlier one listed of a directory, and which partitions the metastore had: files that others write are seen \
         that much later; by default every query asks. CALL system.flush_cache makes the next one ask",
    )
    .or("0"),
    PropertySpec::new(
        "listing_cache_mb",
        PropertyKind::Integer { min: 1, max: 65_536 },
        "memory for listings where listing_ttl_seconds is not 0, and as much again for names of partitions, in megabytes",
    )
    .or("50"),
    PropertySpec::new(
        "footer_cache_mb",
        PropertyKind::Integer { min: 0, max: 65_536 },
        "memory for footers and page indexes of files, in megabytes; a footer is used for the very file that it was read from, by its entity tag, size and time",
    )
    .or("50"),
    PropertySpec::new(
        "prices",
        PropertyKind::Section(PRICES),
        "what the store charges, so that EXPLAIN tells what a query is expected to cost, and EXPLAIN ANALYZE what it did",
    ),
    PropertySpec::new("endpoint", PropertyKind::Text, "URL of the store: of an S3-compatible one, or of an emulator of Azure or Google Cloud Storage; without it Amazon's, Microsoft's or Google's"),
    PropertySpec::new("region", PropertyKind::Text, "region of the bucket").or("us-east-1"),
    PropertySpec::new(
        "access_key_id",
        PropertyKind::Secret,
        "key of the S3 account; without it the environment's credentials are used",
    ),
    PropertySpec::new("secret_access_key", PropertyKind::Secret, "secret of the S3 account"),
    PropertySpec::new("session_token", PropertyKind::Secret, "token that goes with temporary S3 credentials"),
    PropertySpec::new("azure_account", PropertyKind::Text, "storage account of az:// locations; abfss:// locations name it"),
    PropertySpec::new(
        "azure_access_key",
        PropertyKind::Secret,
        "key of the Azure storage account; without it and the following the environment's credentials are used",
    ),
    PropertySpec::new("azure_sas_token", PropertyKind::Secret, "shared access signature, in place of the key"),
    PropertySpec::new(
        "azure_tenant_id",
        PropertyKind::Text,
        "directory of the application that azure_client_id names, in place of the key",
    ),
    PropertySpec::new("azure_client_id", PropertyKind::Text, "application that Entra ID knows"),
    PropertySpec::new("azure_client_secret", PropertyKind::Secret, "secret of the application"),
    PropertySpec::new(
        "gcs_service_account_key",
        PropertyKind::Secret,
        "key of a Google service account, the content of its JSON file: \"${file:/run/secrets/key.json}\"; without it the environment's credentials are used",
    ),
    PropertySpec::new("anonymous", PropertyKind::Boolean, "read a public bucket without credentials").or("false"),
    PropertySpec::new("allow_http", PropertyKind::Boolean, "allow an endpoint without encryption").or("false"),
    PropertySpec::new(
        "path_style",
        PropertyKind::Boolean,
        "put the bucket into the path and not into the host name; true by default when endpoint is set",
    ),
    PropertySpec::new(
        "connect_timeout_seconds",
        PropertyKind::Integer { min: 1, max: 3600 },
        "how long to wait for a connection to the store or to the metastore",
    )
    .or("5"),
    PropertySpec::new(
        "request_timeout_seconds",
        PropertyKind::Integer { min: 1, max: 3600 },
        "how long to wait for an answer of the store",
    )
    .or("30"),
    PropertySpec::new(
        "max_concurrent_requests",
        PropertyKind::Integer { min: 1, max: 10_000 },
        "the most requests to the store that all queries together wait for at the same time; the others wait for their turn",
    )
    .or("256"),
    PropertySpec::new(
        "max_retries",
        PropertyKind::Integer { min: 0, max: 100 },
        "how often a request that the store could not serve (a status of 5xx, 429, a connection that broke) is tried again",
    )
    .or("3"),
    PropertySpec::new(
        "retry_backoff_ms",
        PropertyKind::Integer { min: 1, max: 60_000 },
        "how long to wait before the first new try, in milliseconds; about twice as long before each further one, and at most 15 seconds",
    )
    .or("100"),
    PropertySpec::new(
        "retry_timeout_seconds",
        PropertyKind::Integer { min: 1, max: 3600 },
        "after which time a request is not tried again",
    )
    .or("30"),
];

/// Makes connectors for directories of files, with a metastore or without.
#[derive(Clone, Copy, Debug, Default)]
pub struct HiveFactory;

impl ConnectorFactory for HiveFactory {
    fn name(&self) -> &'static str {
        HiveConnector::KIND
    }

    fn properties(&self) -> &'static [PropertySpec] {
        PROPERTIES
    }

    fn table_properties(&self) -> &'static [PropertySpec] {
        TABLE_PROPERTIES
    }

    fn create(&self, entry: CatalogEntry) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(HiveConnector::new(entry)?))
    }
}

/// Whether `location` holds schemas or tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayoutKind {
    Auto,
    Schemas,
    Tables,
}

/// What happens to a directory among data files that is no partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subdirectories {
    Error,
    Ignore,
    Read,
}

impl Subdirectories {
    fn read(properties: &Properties) -> Option<Self> {
        Some(match properties.text("subdirectories")? {
            "ignore" => Self::Ignore,
            "read" => Self::Read,
            _ => Self::Error,
        })
    }
}

/// How the columns of files become those of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnRules {
    /// They are found by their place, not by their name.
    pub(crate) by_index: bool,
    /// A value that the table's type does not hold is NULL, not an error.
    pub(crate) null_on_mismatch: bool,
}

impl ColumnRules {
    /// What the properties say, and otherwise the catalog's.
    fn read(properties: &Properties, otherwise: Self) -> Self {
        Self {
            by_index: properties.text("columns_by").map_or(otherwise.by_index, |by| by == "index"),
            null_on_mismatch: properties.text("on_mismatch").map_or(otherwise.null_on_mismatch, |what| what == "null"),
        }
    }
}

/// A column that the catalog file declares.
#[derive(Clone, Debug)]
pub(crate) struct DeclaredColumn {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    /// The type as the file writes it.
    pub(crate) written: String,
}

/// A `tables` section.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableSettings {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) location: Option<String>,
    pub(crate) partition_columns: Vec<DeclaredColumn>,
    pub(crate) columns: Vec<DeclaredColumn>,
    pub(crate) format: FormatSettings,
    pub(crate) subdirectories: Option<Subdirectories>,
    pub(crate) column_rules: Option<ColumnRules>,
}

/// The settings of a catalog, apart from those of its store.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) layout: LayoutKind,
    pub(crate) tables: Vec<TableSettings>,
    /// The format of tables that have no section.
    pub(crate) format: FormatSettings,
    pub(crate) subdirectories: Subdirectories,
    pub(crate) column_rules: ColumnRules,
    pub(crate) schema_files: usize,
    pub(crate) sampled_directories: usize,
    pub(crate) max_partitions: usize,
    pub(crate) max_files: usize,
    pub(crate) list_concurrency: usize,
    /// Whether the directory of a partition that the metastore knows may be absent.
    pub(crate) absent_partitions: bool,
    /// What the store charges.
    pub(crate) prices: Option<Prices>,
    /// Whether statements may change the catalog.
    pub(crate) is_writable: bool,
}

impl Settings {
    pub(crate) fn read(properties: &Properties) -> Result<Self> {
        check_source(properties)?;
        let format = FormatSettings::of_catalog(properties);
        let column_rules = ColumnRules::read(properties, ColumnRules::default());
        let count = |name: &str, otherwise: usize| {
            properties.integer(name).and_then(|value| usize::try_from(value).ok()).unwrap_or(otherwise)
        };
        Ok(Self {
            layout: match properties.text("layout") {
                Some("schemas") => LayoutKind::Schemas,
                Some("tables") => LayoutKind::Tables,
                _ => LayoutKind::Auto,
            },
            tables: properties
                .sections("tables")
                .iter()
                .map(|(name, section)| table_settings(name, section, &format, column_rules))
                .collect::<Result<_>>()?,
            format,
            subdirectories: Subdirectories::read(properties).unwrap_or(Subdirectories::Error),
            column_rules,
            schema_files: count("schema_files", 2),
            sampled_directories: count("sampled_directories", 100),
            max_partitions: count("max_partitions", 100_000),
            max_files: count("max_files", 200_000),
            list_concurrency: count("list_concurrency", 32),
            absent_partitions: properties.text("absent_partitions") == Some("ignore"),
            prices: Prices::read(properties),
            is_writable: properties.text("access") == Some(READ_WRITE),
        })
    }

    /// The section of a table, if the catalog file has one.
    pub(crate) fn table(&self, schema: &str, table: &str) -> Option<&TableSettings> {
        self.tables.iter().find(|settings| settings.schema == schema && settings.table == table)
    }
}

/// Either `location` or `metastore` says where the tables are, and a metastore says more of them.
fn check_source(properties: &Properties) -> Result<()> {
    match (properties.contains("location"), properties.contains("metastore")) {
        (true, true) => return Err(excluded("location")),
        (false, false) => {
            return Err(ConnectorError::user(
                "`location` is missing: where the files are: a local path or s3://bucket/prefix",
            )
            .hint("or name a metastore: metastore = \"thrift://host:9083\""));
        }
        (true, false) => return Ok(()),
        (false, true) => {}
    }
    for (name, section) in properties.sections("tables") {
        if let Some(property) =
            ["location", "partition_columns", "columns"].iter().find(|known| section.contains(known))
        {
            return Err(excluded(&format!("tables.{name}.{property}")));
        }
    }
    Ok(())
}

/// The error of a catalog file that sets what a metastore says.
fn excluded(property: &str) -> ConnectorError {
    ConnectorError::user(format!("`{property}` and `metastore` exclude each other: the metastore says it"))
        .hint(format!("remove `{property}`, or remove `metastore` to read directories without one"))
}

fn table_settings(
    name: &str,
    section: &Properties,
    otherwise: &FormatSettings,
    column_rules: ColumnRules,
) -> Result<TableSettings> {
    let (schema, table) = name.split_once('.').unwrap_or((DEFAULT_SCHEMA, name));
    let partition_columns = declared(name, section, "partition_columns")?;
    if let Some(wrong) = partition_columns.iter().find(|column| !is_partition_type(&column.data_type)) {
        return Err(ConnectorError::user(format!(
            "tables.{name}: the partition column `{}` cannot be of type {}",
            wrong.name, wrong.written
        )));
    }
    Ok(TableSettings {
        schema: schema.to_owned(),
        table: table.to_owned(),
        location: section.text("location").map(str::to_owned),
        partition_columns,
        columns: declared(name, section, "columns")?,
        format: FormatSettings::read(&format!("tables.{name}"), section, otherwise)?,
        subdirectories: Subdirectories::read(section),
        column_rules: Some(ColumnRules::read(section, column_rules)),
    })
}

fn declared(table: &str, section: &Properties, property: &str) -> Result<Vec<DeclaredColumn>> {
    section
        .map(property)
        .iter()
        .map(|(name, written)| {
            let data_type = parse_type(written).ok_or_else(|| {
                ConnectorError::user(format!("tables.{table}.{property}.{name}: unknown type `{written}`"))
                    .hint(format!("known types are {KNOWN_TYPES}"))
            })?;
            Ok(DeclaredColumn { name: name.clone(), data_type, written: written.clone() })
        })
        .collect()
}
