//! The sources of `portolan demo`: a small shop in a lake, in PostgreSQL and in Kafka.
//!
//! Everything is made here, the same on every run, and removed at the end: the orders of two years as Parquet files in
//! a temporary directory, customers and products in a private PostgreSQL, and today's clicks in a Kafka-protocol broker,
//! both on free loopback ports.

mod clicks;
mod lake;
mod postgres;
mod random;
mod shop;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;
use portolan_servers::{KafkaBroker, PostgresServer, ScratchDirectory, ServerError};
use rdkafka::error::KafkaError;

use shop::Shop;

/// The first query that a newcomer sees: one join over the three sources. For each segment and country, the customers
/// who click today and have bought something this month, with what they click and what they bought.
pub const FEDERATED_QUERY: &str = "\
WITH visitors AS (
    SELECT customer_id, count(*) AS clicks
    FROM events.default.clicks
    WHERE at >= TIMESTAMP '2026-10-31 06:00:00'
    GROUP BY customer_id
), buyers AS (
    SELECT customer_id, count(*) AS orders, sum(amount) AS revenue
    FROM lake.sales.orders
    WHERE order_date >= DATE '2026-10-01' AND status <> 'cancelled'
    GROUP BY customer_id
)
SELECT c.segment, c.country, count(*) AS customers, sum(v.clicks) AS clicks_today,
       sum(b.orders) AS orders_this_month, sum(b.revenue) AS revenue_this_month
FROM pg.public.customers AS c
JOIN visitors AS v ON v.customer_id = c.customer_id
JOIN buyers AS b ON b.customer_id = c.customer_id
WHERE c.country IN ('DE', 'FR', 'NL')
GROUP BY c.segment, c.country
ORDER BY revenue_this_month DESC";

/// Why the demo's sources could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A server could not be started, or refused the data.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A file or directory could not be written.
    #[error("the demo cannot write {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The orders could not be written as Parquet.
    #[error("the demo cannot write its orders as Parquet: {0}")]
    Parquet(#[from] ParquetError),
    /// The orders could not be put into columns.
    #[error("the demo cannot put its orders into columns: {0}")]
    Arrow(#[from] ArrowError),
    /// The broker refused the clicks.
    #[error("the demo cannot {action} its Kafka broker: {source}")]
    Kafka {
        /// What was tried.
        action: &'static str,
        /// What the client library said.
        source: KafkaError,
    },
    /// A thread of the demo ended by a panic, which is a mistake in the demo.
    #[error("the demo's part `{0}` ended by a panic; this is a mistake in Portolan")]
    Panic(&'static str),
}

impl DemoError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    fn kafka(action: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |source| Self::Kafka { action, source }
    }
}

/// The demo's sources. Dropping it stops the servers and removes all data.
#[derive(Debug)]
pub struct DemoSources {
    catalogs_file: PathBuf,
    directory: ScratchDirectory,
    _postgres: PostgresServer,
    _broker: KafkaBroker,
}

impl DemoSources {
    /// Starts the servers, makes the data and writes the catalog file with the catalogs `lake`, `pg`, `events`, `mem` and
    /// `own`.
    /// Says on `progress`, a line for each source, what was made and how long it took.
    pub fn start(progress: &mut dyn Write) -> Result<Self, DemoError> {
        let start = Instant::now();
        let shop = Shop::new();
        let directory = ScratchDirectory::create("portolan-demo-")?;
        let lake = directory.path().join("lake");
        let mut say = |line: String| {
            // Progress is a courtesy: when nobody can read it, the demo goes on.
            let _ = writeln!(progress, "  {line}  ({:.1} s)", start.elapsed().as_secs_f64());
        };

        let (postgres, broker) = thread::scope(|scope| {
            let postgres = scope.spawn(|| {
                let server = PostgresServer::start()?;
                let rows = postgres::load(&server, &shop)?;
                Ok::<_, DemoError>((server, rows))
            });
            let broker = scope.spawn(|| {
                let broker = KafkaBroker::start()?;
                let messages = clicks::send(&broker.bootstrap(), &shop)?;
                Ok::<_, DemoError>((broker, messages))
            });
            let (rows, files) = lake::write(&lake, &shop)?;
            say(format!("lake    {rows} orders in {files} Parquet files, one for each day of two years"));
            let (broker, messages) = broker.join().map_err(|_| DemoError::Panic("events"))??;
            say(format!("events  {messages} clicks in Kafka (noida-db, a stand-in) at {}", broker.bootstrap()));
            let (postgres, rows) = postgres.join().map_err(|_| DemoError::Panic("pg"))??;
            say(format!("pg      {rows} customers and products in PostgreSQL at 127.0.0.1:{}", postgres.port()));
            Ok::<_, DemoError>((postgres, broker))
        })?;

        let own = directory.path().join("own");
        lake::write_targets(&own)?;
        let catalogs_file = write_catalogs(directory.path(), (&lake, &own), &postgres, &broker)?;
        Ok(Self { catalogs_file, directory, _postgres: postgres, _broker: broker })
    }

    /// The catalog file, as a person would write it for these sources.
    pub fn catalogs_file(&self) -> &Path {
        &self.catalogs_file
    }

    /// The directory that holds the lake and the catalog file.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// Writes the catalog file, and the file with PostgreSQL's password that it refers to.
fn write_catalogs(
    directory: &Path,
    (lake, own): (&Path, &Path),
    postgres: &PostgresServer,
    broker: &KafkaBroker,
) -> Result<PathBuf, DemoError> {
    let password = directory.join("postgres-password");
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&password)
        .and_then(|mut file| file.write_all(postgres.password().as_bytes()))
        .map_err(DemoError::io(&password))?;

    let catalogs = directory.join("catalogs.toml");
    let text = catalogs_text((lake, own), &postgres.url(postgres::DATABASE), &password, &broker.bootstrap());
    fs::write(&catalogs, text).map_err(DemoError::io(&catalogs))?;
    Ok(catalogs)
}

fn catalogs_text((lake, own): (&Path, &Path), url: &str, password: &Path, brokers: &str) -> String {
    let location = toml::Value::from(lake.to_string_lossy().into_owned());
    let own = toml::Value::from(own.to_string_lossy().into_owned());
    let password = toml::Value::from(format!("${{file:{}}}", password.display()));
    let topic = clicks::TOPIC;
    format!(
        r#"# The sources of `portolan demo`.

[lake]
connector = "hive"
location  = {location}

[pg]
connector = "postgres"
url       = "{url}"
password  = {password}

[events]
connector = "kafka"
brokers   = "{brokers}"

[events.tables.{topic}]
topic = "{topic}"

[events.tables.{topic}.value]
format  = "json"
columns = {{ customer_id = "bigint", product_id = "bigint", action = "varchar", url = "varchar", referrer = "varchar", at = "timestamp" }}

# Tables of your own: CREATE TABLE mem.default.t AS SELECT ... They are gone when the demo ends.
[mem]
connector = "memory"

# A lake that statements may write, with a table of CSV files in it.
[own]
connector = "hive"
location  = {own}
access    = "read_write"

[own.tables."inbox.targets"]
format  = "csv"
columns = {{ country = "varchar", month = "date", target = "decimal(12,2)" }}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    #[test]
    fn the_sources_hold_the_shop_and_leave_nothing_behind() {
        let mut progress = Vec::new();
        let sources = DemoSources::start(&mut progress).unwrap();
        let progress = String::from_utf8(progress).unwrap();
        assert_eq!(progress.lines().count(), 3, "{progress}");

        let catalogs: toml::Table = fs::read_to_string(sources.catalogs_file()).unwrap().parse().unwrap();
        assert_eq!(catalogs["pg"]["password"].as_str().unwrap().split_once(':').unwrap().0, "${file");

        let months = "SELECT count(*), count(DISTINCT segment), min(price) > 0 FROM customers, products";
        let shop = Shop::new();
        let pairs = shop.customers.len() * shop.products.len();
        assert_eq!(sources._postgres.psql("shop", months).unwrap(), format!("{pairs}|3|t\n"));

        let orders = sources.directory().join("lake/sales/orders");
        assert_eq!(fs::read_dir(&orders).unwrap().count(), 730);
        let (mut rows, mut days) = (0, Vec::new());
        for day in fs::read_dir(&orders).unwrap() {
            let day = day.unwrap();
            days.push(day.file_name().into_string().unwrap());
            let file = fs::File::open(day.path().join("part-0.parquet")).unwrap();
            rows += ParquetRecordBatchReaderBuilder::try_new(file).unwrap().metadata().file_metadata().num_rows();
        }
        days.sort();
        assert_eq!(
            (days.first().unwrap().as_str(), days.last().unwrap().as_str()),
            ("order_date=2024-10-31", "order_date=2026-10-30")
        );
        assert!((100_000..=200_000).contains(&rows), "{rows} orders");

        let directory = sources.directory().to_owned();
        drop(sources);
        assert!(!directory.exists());
    }
}
