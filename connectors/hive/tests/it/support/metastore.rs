use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use object_store::ObjectStore;
use portolan_connector::{CatalogEntry, Connector, ConnectorError, ConnectorFactory};
use portolan_hive::thrift::{Connection, Struct, Value};
use portolan_hive::{HiveConnector, HiveFactory};
use portolan_servers::HiveMetastore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::lake::catalog;
use super::{Engine, Lake};

/// One metastore for all tests of this binary. Each has a database of its own in it.
static METASTORE: LazyLock<HiveMetastore> =
    LazyLock::new(|| HiveMetastore::start().unwrap_or_else(|error| panic!("{error}")));

pub(crate) const PARQUET: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";
/// What reads lines.
pub(crate) const LINES: &str = "org.apache.hadoop.mapred.TextInputFormat";
pub(crate) const TEXT: &str = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe";

/// A database of a metastore, and a directory of files.
pub(crate) struct Warehouse {
    pub(crate) lake: Lake,
    pub(crate) database: String,
    port: u16,
}

/// A table to create.
#[derive(Clone)]
pub(crate) struct Table<'a> {
    pub(crate) name: &'a str,
    pub(crate) columns: &'a [(&'a str, &'a str)],
    pub(crate) keys: &'a [(&'a str, &'a str)],
    pub(crate) parameters: &'a [(&'a str, &'a str)],
    pub(crate) kind: &'a str,
    pub(crate) serde: &'a str,
    pub(crate) serde_parameters: &'a [(&'a str, &'a str)],
    pub(crate) input_format: &'a str,
    /// The `path` among the parameters of the SerDe.
    pub(crate) serde_path: Option<String>,
}

impl Default for Table<'_> {
    fn default() -> Self {
        Self {
            name: "t",
            columns: &[("n", "int")],
            keys: &[],
            parameters: &[],
            kind: "EXTERNAL_TABLE",
            serde: PARQUET,
            serde_parameters: &[],
            input_format: "an.InputFormat",
            serde_path: None,
        }
    }
}

impl Warehouse {
    /// A new database in the metastore that all tests share.
    pub(crate) async fn new() -> Self {
        // The first to ask waits for the server, which takes seconds.
        let port = tokio::task::spawn_blocking(|| METASTORE.port()).await.unwrap();
        Self::at(port).await
    }

    /// A new database in the metastore at a port.
    pub(crate) async fn at(port: u16) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let database = format!("db{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let warehouse = Self { lake: Lake::new(), database, port };
        let description = Struct::new()
            .with(1, warehouse.database.as_str())
            .with(2, "made by a test")
            .with(3, warehouse.location(""))
            .with(4, Value::Map(Vec::new()));
        warehouse.call("create_database", Struct::new().with(1, description)).await;
        warehouse
    }

    /// Calls a method of the metastore that must succeed.
    pub(crate) async fn call(&self, method: &str, arguments: Struct) -> Struct {
        let mut connection = Connection::open("127.0.0.1", self.port, Duration::from_secs(5)).await.unwrap();
        let result = connection.call(method, &arguments).await.unwrap_or_else(|error| panic!("{method}: {error:?}"));
        let exception = result.fields().find(|(field, _)| *field != 0).map(|(_, exception)| exception);
        assert!(exception.is_none(), "{method}: {exception:?}");
        result
    }

    /// The location of a path of the lake, as Hadoop writes it.
    pub(crate) fn location(&self, path: &str) -> String {
        format!("file:{}", self.lake.path(path).display())
    }

    pub(crate) async fn create(&self, table: Table<'_>) {
        self.call("create_table", Struct::new().with(1, self.table(&table))).await;
    }

    /// The metastore's description of a table in the directory of its name.
    pub(crate) fn table(&self, table: &Table<'_>) -> Struct {
        Struct::new()
            .with(1, table.name)
            .with(2, self.database.as_str())
            .with(3, "somebody")
            .with(7, self.storage(table, &self.location(&format!("{}/{}", self.database, table.name))))
            .with(8, fields(table.keys))
            .with(9, map(table.parameters))
            .with(10, if table.kind == "VIRTUAL_VIEW" { "SELECT 1" } else { "" })
            .with(11, if table.kind == "VIRTUAL_VIEW" { "SELECT 1" } else { "" })
            .with(12, table.kind)
    }

    fn storage(&self, table: &Table<'_>, location: &str) -> Struct {
        let path = table.serde_path.iter().map(|path| ("path", path.as_str()));
        let parameters: Vec<(&str, &str)> = path.chain(table.serde_parameters.iter().copied()).collect();
        let serde = Struct::new().with(1, table.name).with(2, table.serde).with(3, map(&parameters));
        let storage = Struct::new().with(1, fields(table.columns));
        let storage = if table.kind == "VIRTUAL_VIEW" { storage } else { storage.with(2, location) };
        storage
            .with(3, table.input_format)
            .with(4, "an.OutputFormat")
            .with(5, false)
            .with(6, -1_i32)
            .with(7, serde)
            .with(8, Value::List(Vec::new()))
            .with(9, Value::List(Vec::new()))
            .with(10, map(&[]))
    }

    /// The metastore's description of a partition with the table's columns, SerDe and parameters of its own.
    pub(crate) fn partition(&self, table: &Table<'_>, values: &[&str], location: &str) -> Struct {
        Struct::new()
            .with(1, values.to_vec())
            .with(2, self.database.as_str())
            .with(3, table.name)
            .with(6, self.storage(table, location))
            .with(7, map(table.parameters))
    }

    pub(crate) async fn add(&self, partitions: Vec<Struct>) {
        self.call("add_partitions", Struct::new().with(1, partitions)).await;
    }

    /// Settings of a catalog over the metastore.
    pub(crate) fn entry(&self, settings: &str) -> CatalogEntry {
        entry(self.port, settings)
    }

    pub(crate) fn connector(&self, settings: &str) -> Result<Arc<dyn Connector>, ConnectorError> {
        HiveFactory.create(self.entry(settings))
    }

    /// An engine that reads the tables of this database.
    pub(crate) fn engine(&self) -> Engine {
        self.engine_over(self.connector("").unwrap())
    }

    pub(crate) fn engine_over(&self, connector: Arc<dyn Connector>) -> Engine {
        Engine { schema: self.database.clone(), ..Engine::new(connector) }
    }

    /// The same, with the local files behind another store, and a proxy before the metastore.
    pub(crate) fn watched(&self, proxy: &Proxy, store: Arc<dyn ObjectStore>) -> Engine {
        self.watched_with(proxy, store, "")
    }

    pub(crate) fn watched_with(&self, proxy: &Proxy, store: Arc<dyn ObjectStore>, settings: &str) -> Engine {
        self.engine_over(Arc::new(HiveConnector::over(entry(proxy.port, settings), store).unwrap()))
    }
}

/// A catalog over the metastore at a port of this machine.
pub(crate) fn entry(port: u16, settings: &str) -> CatalogEntry {
    catalog(&format!("metastore = 'thrift://127.0.0.1:{port}'\n{settings}"))
}

fn fields(columns: &[(&str, &str)]) -> Vec<Struct> {
    let field = |(name, kind): &(&str, &str)| {
        let comment = if *name == "noted" { "a note" } else { "" };
        Struct::new().with(1, *name).with(2, *kind).with(3, comment)
    };
    columns.iter().map(field).collect()
}

pub(crate) fn map(entries: &[(&str, &str)]) -> Value {
    Value::Map(entries.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect())
}

/// A proxy before the metastore that keeps what was asked.
pub(crate) struct Proxy {
    port: u16,
    requests: Arc<Mutex<Vec<(String, String)>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(warehouse: &Warehouse) -> Self {
        Self::start_until(warehouse, usize::MAX).await
    }

    /// A proxy that lets so many requests through, of which the last one is done and not answered.
    pub(crate) async fn start_until(warehouse: &Warehouse, last: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (known, target) = (Arc::clone(&requests), warehouse.port);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let known = Arc::clone(&known);
                tokio::spawn(async move {
                    let server = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                    let (mut from_client, mut to_client) = client.into_split();
                    let (mut from_server, mut to_server) = server.into_split();
                    let count = Arc::clone(&known);
                    tokio::spawn(async move {
                        let mut buffer = vec![0; 64 * 1024];
                        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                            let is_told = count.lock().unwrap().len() < last;
                            if !is_told || to_client.write_all(&buffer[..read]).await.is_err() {
                                return;
                            }
                        }
                    });
                    let mut buffer = vec![0; 64 * 1024];
                    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                        note(&known, &buffer[..count]);
                        if known.lock().unwrap().len() > last {
                            return;
                        }
                        if to_server.write_all(&buffer[..count]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, requests, task }
    }

    /// Where it listens, at 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many requests there were.
    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// What was asked since the last call: the methods, and all that was sent with them.
    pub(crate) fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Notes a request that begins with these bytes, or more of the one before.
fn note(requests: &Mutex<Vec<(String, String)>>, bytes: &[u8]) {
    let mut requests = requests.lock().unwrap();
    let text = String::from_utf8_lossy(bytes).into_owned();
    match bytes.strip_prefix(&[0x80, 1, 0, 1]) {
        Some(rest) => {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            requests.push((String::from_utf8_lossy(&rest[4..4 + length]).into_owned(), text));
        }
        None => requests.last_mut().unwrap().1.push_str(&text),
    }
}
