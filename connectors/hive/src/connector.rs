//! The connector: where schemas and tables are.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use portolan_connector::{
    Arguments, Capabilities, CatalogEntry, Charge, Connector, ConnectorError, ConnectorTable, ProcedureSpec,
    QueryContext, ReadContext, RequestCount, Result, Snapshot, Split, TableEntry, TableKind, TableName,
    WritableCatalog,
};

use crate::factory::{DEFAULT_SCHEMA, LayoutKind, Settings, TableSettings};
use crate::format::{Kind, check_kinds};
use crate::listing::list;
use crate::metastore::Metastore;
use crate::partition::discover;
use crate::procedures::{CLEAN_STAGING, FLUSH_CACHE, OLDER_THAN, PROCEDURES, SCHEMA_NAME, TABLE_NAME, counted};
use crate::rules::capabilities;
use crate::schema::FileSchema;
use crate::snapshot::HiveSnapshot;
use crate::store::{Files, Store, child};
use crate::table::{HiveTable, PARTITIONS_SUFFIX, PartitionsTable, TableParts};
use crate::write::{Log, STAGED_KEPT, Scope, View};

/// Directories of files, local or in S3: one tree of them, or those that a metastore names.
#[derive(Debug)]
pub struct HiveConnector {
    pub(crate) catalog: String,
    pub(crate) metastore: Option<Metastore>,
    pub(crate) store: Arc<Store>,
    pub(crate) settings: Arc<Settings>,
    capabilities: Arc<Capabilities>,
}

impl HiveConnector {
    /// The name of this kind of connector.
    pub const KIND: &'static str = "hive";

    /// Makes the connector of a catalog. Nothing is read until it is first used.
    pub fn new(entry: CatalogEntry) -> Result<Self> {
        let store = Store::new(&entry.properties);
        Self::with(entry, store)
    }

    /// Makes the connector of a catalog whose `location`, or with a metastore the local files, are read through an object
    /// store that the caller brings, for instance one that counts requests.
    pub fn over(entry: CatalogEntry, store: Arc<dyn ObjectStore>) -> Result<Self> {
        let store = Store::over(&entry.properties, store);
        Self::with(entry, store)
    }

    fn with(entry: CatalogEntry, store: Result<Store>) -> Result<Self> {
        let name = |error: ConnectorError| error.in_catalog(&entry.name);
        Ok(Self {
            settings: Arc::new(Settings::read(&entry.properties).map_err(name)?),
            metastore: Metastore::new(&entry.properties).map_err(name)?,
            store: Arc::new(store.map_err(name)?),
            capabilities: Arc::new(capabilities()),
            catalog: entry.name,
        })
    }

    /// The store outside of queries.
    fn files(&self) -> Files {
        Files::new(Arc::clone(&self.store), Arc::default())
    }

    /// The subdirectories of a directory, with whether each is a table. Those that only tell of a table that was dropped
    /// are left out.
    async fn classify(&self, directory: &Path) -> Result<Vec<(String, bool)>> {
        let files = &self.files();
        let listing = list(files, directory).await?;
        let found: Vec<Option<(String, bool)>> = stream::iter(listing.directories)
            .map(|path| async move {
                let name = path.filename().unwrap_or_default().to_owned();
                let listing = list(files, &path).await?;
                if listing.is_table() || !listing.has_log {
                    return Ok::<_, ConnectorError>(Some((name, listing.is_table())));
                }
                let view = View::read(&Log::new(&self.store, &path), None).await?;
                let is_table = view.is_made && !view.is_dropped;
                Ok((is_table || view.is_schema || !listing.is_empty()).then_some((name, is_table)))
            })
            .buffered(self.settings.list_concurrency)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Refuses what changes the lake, unless the catalog file lets statements do so.
    fn check_writable(&self) -> Result<()> {
        if self.settings.is_writable {
            return Ok(());
        }
        let error = ConnectorError::user("the catalog is read only").in_catalog(&self.catalog);
        Err(match self.how_to_write() {
            Some(hint) => error.hint(hint),
            None => error,
        })
    }

    async fn schemas(&self) -> Result<Vec<String>> {
        if let Some(metastore) = &self.metastore {
            return metastore.schemas().await;
        }
        self.store.check_root().await?;
        let root = self.store.root();
        let mut schemas: Vec<String> = match self.settings.layout {
            LayoutKind::Tables => vec![DEFAULT_SCHEMA.to_owned()],
            LayoutKind::Schemas => {
                let listing = list(&self.files(), root).await?;
                listing.directories.iter().filter_map(|path| path.filename().map(str::to_owned)).collect()
            }
            LayoutKind::Auto => {
                let found = self.classify(root).await?;
                found
                    .into_iter()
                    .map(|(name, is_table)| if is_table { DEFAULT_SCHEMA.to_owned() } else { name })
                    .collect()
            }
        };
        schemas.extend(self.settings.tables.iter().map(|settings| settings.schema.clone()));
        schemas.sort();
        schemas.dedup();
        Ok(schemas)
    }

    pub(crate) async fn tables(&self, schema: &str) -> Result<Vec<TableEntry>> {
        if let Some(metastore) = &self.metastore {
            return metastore.tables(schema).await;
        }
        self.store.check_root().await?;
        let mut tables: Vec<String> = Vec::new();
        for directory in self.schema_directories(schema)? {
            let found = self.classify(&directory).await?;
            tables.extend(found.into_iter().filter_map(|(name, is_table)| is_table.then_some(name)));
        }
        let settings = self.settings.tables.iter().filter(|settings| settings.schema == schema);
        tables.extend(settings.map(|settings| settings.table.clone()));
        tables.sort();
        tables.dedup();
        Ok(tables.into_iter().map(|name| TableEntry { name, kind: TableKind::Table }).collect())
    }

    /// The directories in which a schema's tables are looked for.
    fn schema_directories(&self, schema: &str) -> Result<Vec<Path>> {
        let root = self.store.root();
        let mut directories = Vec::new();
        if self.settings.layout != LayoutKind::Tables
            && let Some(directory) = plain_child(root, schema)
        {
            directories.push(directory);
        }
        if self.settings.layout != LayoutKind::Schemas && schema == DEFAULT_SCHEMA {
            directories.push(root.clone());
        }
        Ok(directories)
    }

    /// A table that the metastore describes. Nothing of it is listed or read.
    async fn described_table(&self, metastore: &Metastore, name: &TableName) -> Result<Option<HiveTable>> {
        let Some((described, table)) = metastore.table(name).await? else { return Ok(None) };
        let settings = self.settings.table(&name.schema, &name.table).cloned().unwrap_or_default();
        let known = table.basic();
        let sized = known.rows.zip(known.bytes).filter(|(rows, bytes)| *rows > 0 && *bytes > 0);
        let (rows, file_bytes) = sized.unwrap_or_default();
        let table = HiveTable::new(TableParts {
            name: name.clone(),
            store: Arc::clone(&self.store),
            settings: Arc::clone(&self.settings),
            capabilities: Arc::clone(&self.capabilities),
            subdirectories: settings.subdirectories.unwrap_or(self.settings.subdirectories),
            directory: self.store.resolve(&described.location)?,
            partition_columns: described.partition_columns,
            format: described.format,
            detected: None,
            // What the metastore counted serves as the sample from which rows are estimated.
            files: FileSchema { columns: described.columns, rows, file_bytes, ..FileSchema::default() },
            bytes: known.bytes.unwrap_or_default(),
            declared: Vec::new(),
            metastore: Some(table),
            opening: HiveSnapshot::new(Arc::clone(&self.store)),
            column_rules: settings.column_rules.unwrap_or(self.settings.column_rules),
            definition: None,
        })?;
        Ok(Some(table))
    }

    pub(crate) async fn open_table(&self, name: &TableName) -> Result<Option<HiveTable>> {
        if let Some(metastore) = &self.metastore {
            return self.described_table(metastore, name).await;
        }
        self.store.check_root().await?;
        let settings = self
            .settings
            .table(&name.schema, &name.table)
            .cloned()
            .unwrap_or_else(|| TableSettings { format: self.settings.format.clone(), ..TableSettings::default() });
        for directory in self.candidates(name, settings.location.as_deref())? {
            if let Some(table) = self.table_in(name, directory, &settings).await? {
                return Ok(Some(table));
            }
        }
        match &settings.location {
            Some(location) => Err(ConnectorError::source(format!("there are no files in {location}"))
                .hint("check the location of the table in the catalog file")),
            None => Ok(None),
        }
    }

    /// The directories in which a table is looked for.
    fn candidates(&self, name: &TableName, location: Option<&str>) -> Result<Vec<Path>> {
        if let Some(location) = location {
            return Ok(vec![self.store.resolve(location)?]);
        }
        let schemas = self.schema_directories(&name.schema)?;
        Ok(schemas.iter().filter_map(|directory| plain_child(directory, &name.table)).collect())
    }

    /// Forgets what was listed of a table, and what its metastore said of it.
    async fn forget_table(&self, schema: &str, table: &str) -> Result<String> {
        let name = TableName::new(&self.catalog, schema, table);
        let directories = match &self.metastore {
            Some(metastore) => {
                metastore.forget_table(schema, table);
                let found = metastore.table(&name).await.map_err(|error| error.in_table(&name))?;
                found.map(|(described, _)| self.store.resolve(&described.location)).transpose()?.into_iter().collect()
            }
            None => {
                let settings = self.settings.table(schema, table);
                self.candidates(&name, settings.and_then(|settings| settings.location.as_deref()))?
            }
        };
        for directory in &directories {
            self.store.caches().forget_table(&name, directory);
        }
        Ok(format!("forgot the listings of {schema}.{table}"))
    }

    /// Forgets all that is remembered beyond a query. Returns what that was.
    fn flush_cache(&self) -> String {
        let footers = self.store.forget();
        let (listings, partitions) = self.store.caches().forget();
        let mut forgotten = vec![counted(footers, "footer"), counted(listings, "listing")];
        if let Some(metastore) = &self.metastore {
            forgotten.push(format!("partitions of {}", counted(partitions, "table")));
            forgotten.push(format!("statistics of {}", counted(metastore.forget(), "table")));
        }
        format!("forgot {}", forgotten.join(", "))
    }

    async fn table_in(&self, name: &TableName, directory: Path, settings: &TableSettings) -> Result<Option<HiveTable>> {
        let opening = HiveSnapshot::new(Arc::clone(&self.store));
        let Some(layout) = discover(&opening, &directory, &settings.partition_columns, &self.settings).await? else {
            return Ok(None);
        };
        if layout.samples.is_empty() && settings.columns.is_empty() && layout.definition.is_none() {
            return Err(ConnectorError::source(format!(
                "no file was found from which to take the columns of {}",
                self.store.display(&directory)
            ))
            .hint("declare them in the table's section of the catalog file: columns = { name = \"type\" }"));
        }
        let (kind, detected) = match settings.format.kind {
            Some(kind) => (kind, None),
            None => {
                let kind = layout.samples.first().map_or(Kind::Parquet, Kind::of_file);
                check_kinds(kind, layout.samples.first(), layout.samples.iter(), &self.store)?;
                (kind, Some(kind))
            }
        };
        let format = settings.format.format(kind)?;
        let mut files = if settings.columns.is_empty() {
            format.read_schema(opening.files(), &layout.samples, self.settings.list_concurrency).await?
        } else {
            FileSchema::default()
        };
        if let Some(definition) = &layout.definition {
            // Files that others have added may have more columns.
            let found = std::mem::replace(&mut files.columns, definition.file_columns()?);
            files.unite(found);
        }
        let table = HiveTable::new(TableParts {
            name: name.clone(),
            store: Arc::clone(&self.store),
            settings: Arc::clone(&self.settings),
            capabilities: Arc::clone(&self.capabilities),
            subdirectories: settings.subdirectories.unwrap_or(self.settings.subdirectories),
            directory,
            partition_columns: layout.columns,
            format,
            detected,
            files,
            bytes: layout.bytes,
            declared: settings.columns.clone(),
            metastore: None,
            opening,
            column_rules: settings.column_rules.unwrap_or(self.settings.column_rules),
            definition: layout.definition,
        })?;
        Ok(Some(table))
    }
}

/// The directory of this name, if it can be one: hidden names, partitions and paths are no schemas or tables.
pub(crate) fn plain_child(directory: &Path, name: &str) -> Option<Path> {
    let plain = !name.is_empty() && !name.contains('/') && !name.contains('=') && !crate::names::is_hidden(name);
    plain.then(|| child(directory, name).ok()).flatten()
}

#[async_trait]
impl Connector for HiveConnector {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        self.schemas().await.map_err(|error| error.in_catalog(&self.catalog))
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableEntry>> {
        self.tables(schema).await.map_err(|error| error.in_catalog(&self.catalog))
    }

    async fn table(&self, schema: &str, table: &str) -> Result<Option<Arc<dyn ConnectorTable>>> {
        let name = TableName::new(&self.catalog, schema, table);
        if let Some(base) = table.strip_suffix(PARTITIONS_SUFFIX).filter(|base| !base.is_empty()) {
            let base = TableName::new(&self.catalog, schema, base);
            let found = self.open_table(&base).await.map_err(|error| error.in_table(&base))?;
            let partitions = found.and_then(PartitionsTable::of);
            return Ok(partitions.map(|table| Arc::new(table) as Arc<dyn ConnectorTable>));
        }
        let found = self.open_table(&name).await.map_err(|error| error.in_table(&name))?;
        Ok(found.map(|table| Arc::new(table) as Arc<dyn ConnectorTable>))
    }

    async fn begin(&self, _query: &QueryContext) -> Result<Arc<dyn Snapshot>> {
        Ok(Arc::new(HiveSnapshot::new(Arc::clone(&self.store))))
    }

    fn writable(&self) -> Option<&dyn WritableCatalog> {
        if self.settings.is_writable { Some(self) } else { None }
    }

    fn how_to_write(&self) -> Option<&'static str> {
        Some("set access = \"read_write\" in its entry of the catalog file")
    }

    fn read(&self, _split: &Split, _context: ReadContext) -> Result<SendableRecordBatchStream> {
        Err(ConnectorError::internal("files are read by the engine itself, not by splits").in_catalog(&self.catalog))
    }

    fn charge(&self, requests: &[RequestCount]) -> Option<Charge> {
        self.settings.prices.as_ref().map(|prices| prices.charge(requests))
    }

    fn procedures(&self) -> &'static [ProcedureSpec] {
        PROCEDURES
    }

    async fn call(&self, procedure: &str, arguments: &Arguments) -> Result<String> {
        match procedure {
            name if name == CLEAN_STAGING.name => {
                self.check_writable()?;
                let older_than = arguments.duration(OLDER_THAN).unwrap_or(STAGED_KEPT);
                let cleaned = match Scope::new(arguments.text(SCHEMA_NAME), arguments.text(TABLE_NAME)) {
                    Ok(scope) => self.clean_staging(scope, older_than).await,
                    Err(error) => Err(error),
                };
                Ok(cleaned.map_err(|error| error.in_catalog(&self.catalog))?.describe())
            }
            name if name == FLUSH_CACHE.name => match (arguments.text(SCHEMA_NAME), arguments.text(TABLE_NAME)) {
                (Some(schema), Some(table)) => self.forget_table(schema, table).await,
                (None, None) => Ok(self.flush_cache()),
                _ => Err(ConnectorError::user("schema_name and table_name belong together: one is missing")
                    .in_catalog(&self.catalog)),
            },
            other => Err(ConnectorError::internal(format!("there is no procedure {other}")).in_catalog(&self.catalog)),
        }
    }
}
