//! A Hive Metastore.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::ServerError;
use crate::command::{cache_directory, find_in_path, path_variable};
use crate::directory::ScratchDirectory;
use crate::port::{ATTEMPTS, free_port, port_was_taken};
use crate::supervisor::Supervised;

/// A directory of jars to use in place of the installed ones.
const JARS_VARIABLE: &str = "PORTOLAN_METASTORE_JARS";

/// A `java` program to use in place of all others.
const JAVA_VARIABLE: &str = "PORTOLAN_JAVA";

/// Where the project's scripts install the jars, in the user's cache directory.
const IN_CACHE: &str = "portolan/metastore";

/// What brings the jars: Spark has a metastore of Hive 2.3 with an embedded database within.
const PACKAGE: &str = "pyspark==3.5.3";

/// Where Debian has the Java that the metastore runs on.
const DEBIAN_JAVA: &str = "/usr/lib/jvm";

/// How long the metastore may take to start; it creates its database first.
const START_LIMIT: Duration = Duration::from_secs(180);

/// How long one attempt to connect may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// A Hive Metastore on a free port, with an embedded database; stopped and removed on drop, and when this process ends.
///
/// Hive 2.3 cannot be told to listen on the loopback address alone: while the metastore runs, the port is open on all
/// addresses of the machine. It knows nothing but what its user put into it.
#[derive(Debug)]
pub struct HiveMetastore {
    server: Mutex<Supervised>,
    java: PathBuf,
    jars: PathBuf,
    port: u16,
    /// The configuration and the database, which outlive a restart.
    data: ScratchDirectory,
}

impl HiveMetastore {
    /// Starts the metastore and waits until it takes connections.
    pub fn start() -> Result<Self, ServerError> {
        let (java, jars) = (find_java()?, find_jars()?);
        let data = ScratchDirectory::create("portolan-metastore-")?;
        configure(data.path())?;
        let mut attempt = 1;
        loop {
            let port = free_port()?;
            match run(&java, &jars, data.path(), port) {
                Err(error) if attempt < ATTEMPTS && port_was_taken(&error) => attempt += 1,
                Err(error) => return Err(error),
                Ok(server) => return Ok(Self { server: Mutex::new(server), java, jars, port, data }),
            }
        }
    }

    /// Where clients find it: `thrift://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("thrift://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process number of the metastore's program.
    pub fn pid(&self) -> u32 {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).pid()
    }

    /// Stops the metastore and keeps its database.
    pub fn stop(&self) -> Result<(), ServerError> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).stop()
    }

    /// Starts the metastore again after [`HiveMetastore::stop`], on the same port and with the same tables.
    pub fn start_again(&self) -> Result<(), ServerError> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.stop()?;
        *server = run(&self.java, &self.jars, self.data.path(), self.port)?;
        Ok(())
    }
}

fn run(java: &Path, jars: &Path, data: &Path, port: u16) -> Result<Supervised, ServerError> {
    let directory = tempfile::Builder::new()
        .prefix("portolan-metastore-log-")
        .tempdir()
        .map_err(ServerError::io("create a temporary directory for the metastore"))?;
    let name = format!("the Hive Metastore ({} on port {port})", java.display());
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let class_path = format!("{}:{}/*", text(&data.join("conf")), text(jars));
    let (java, temporary) = (text(java), format!("-Djava.io.tmpdir={}", text(data)));
    let (log, port_text) = (format!("-Dderby.stream.error.file={}", text(&data.join("derby.log"))), port.to_string());
    let command = [
        &*java,
        "-Xmx512m",
        // It runs for a minute and does little: what makes it start soon counts.
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        // Nothing needs to survive a crash of the machine.
        "-Dderby.system.durability=test",
        &log,
        &temporary,
        "-cp",
        &class_path,
        "org.apache.hadoop.hive.metastore.HiveMetaStore",
        "-p",
        &port_text,
    ];
    let server = Supervised::start(&name, &command, "TERM", None, directory)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    server.wait_until(START_LIMIT, || TcpStream::connect_timeout(&address, CONNECT_LIMIT).is_ok())?;
    Ok(server)
}

/// Writes the configuration.
fn configure(data: &Path) -> Result<(), ServerError> {
    let conf = data.join("conf");
    fs::create_dir(&conf).map_err(ServerError::io(format!("create {}", conf.display())))?;
    let database = format!("jdbc:derby:;databaseName={};create=true", data.join("database").display());
    let warehouse = format!("file://{}", data.join("warehouse").display());
    let properties = [
        ("javax.jdo.option.ConnectionURL", database.as_str()),
        ("javax.jdo.option.ConnectionDriverName", "org.apache.derby.jdbc.EmbeddedDriver"),
        ("datanucleus.schema.autoCreateAll", "true"),
        ("hive.metastore.schema.verification", "false"),
        ("hive.metastore.warehouse.dir", warehouse.as_str()),
        // The library for it is not among the jars.
        ("hive.async.log.enabled", "false"),
        // There is no client for S3 among the jars. This class stands in for it, so that partitions may be moved into
        // buckets; of new ones the metastore would make the directory on the local disk.
        ("fs.s3a.impl", "org.apache.hadoop.fs.ProxyLocalFileSystem"),
        // It would say for ten minutes what partitions together held before a write.
        ("hive.metastore.aggregate.stats.cache.enabled", "false"),
        // Tests change columns as they like.
        ("hive.metastore.disallow.incompatible.col.type.changes", "false"),
    ];
    let lines: String = properties
        .iter()
        .map(|(name, value)| format!("<property><name>{name}</name><value>{value}</value></property>\n"))
        .collect();
    let file = conf.join("hive-site.xml");
    fs::write(&file, format!("<configuration>\n{lines}</configuration>\n"))
        .map_err(ServerError::io(format!("write {}", file.display())))
}

/// The jars: where `PORTOLAN_METASTORE_JARS` says, else in the user's cache directory.
fn find_jars() -> Result<PathBuf, ServerError> {
    let environment = cache_directory().map(|cache| cache.join(IN_CACHE));
    let missing = |looked_in: String| {
        let environment = environment.as_ref().map_or_else(|| "metastore".into(), |path| path.display().to_string());
        ServerError::Missing {
            program: "the jars of a Hive Metastore".to_owned(),
            looked_in,
            install: format!(
                "python3 -m venv {environment} && {environment}/bin/pip install {PACKAGE} \
                 (or set {JARS_VARIABLE} to a directory of jars)"
            ),
        }
    };
    if let Some(jars) = path_variable(JARS_VARIABLE) {
        let wrong = format!("{} ({JARS_VARIABLE})", jars.display());
        return if jars.is_dir() { Ok(jars) } else { Err(missing(wrong)) };
    }
    // The version of Python is in the name of the directory.
    let library = environment.as_ref().map(|environment| environment.join("lib"));
    let pythons = library.iter().flat_map(|library| subdirectories(library));
    let jars = pythons.map(|python| python.join("site-packages/pyspark/jars")).find(|jars| jars.is_dir());
    jars.ok_or_else(|| missing(library.map_or_else(String::new, |library| library.display().to_string())))
}

/// A Java that the metastore runs on: what `PORTOLAN_JAVA` names, else version 17 where Debian has it, else the one on PATH.
fn find_java() -> Result<PathBuf, ServerError> {
    let missing = |looked_in: String| ServerError::Missing {
        program: "java, on which a Hive Metastore runs".to_owned(),
        looked_in,
        install: format!("apt-get install openjdk-17-jre-headless (or set {JAVA_VARIABLE} to its path)"),
    };
    if let Some(java) = path_variable(JAVA_VARIABLE) {
        let wrong = format!("{} ({JAVA_VARIABLE})", java.display());
        return if java.is_file() { Ok(java) } else { Err(missing(wrong)) };
    }
    let installed = subdirectories(Path::new(DEBIAN_JAVA)).into_iter();
    let debian = installed
        .filter(|directory| directory.file_name().is_some_and(|name| name.to_string_lossy().starts_with("java-17-")))
        .map(|directory| directory.join("bin/java"))
        .find(|java| java.is_file());
    debian.or_else(|| find_in_path("java")).ok_or_else(|| missing(format!("{DEBIAN_JAVA} and the directories of PATH")))
}

/// The directories in a directory; none where it cannot be read.
fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}
