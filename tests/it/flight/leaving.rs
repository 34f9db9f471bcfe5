//! What a client no longer wants, no source goes on with: statements end at PostgreSQL, Kafka is not read any more, and
//! objects are not asked for.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arrow_flight::FlightInfo;
use arrow_flight::sql::{ActionCancelQueryRequest, ProstMessageExt};
use futures::StreamExt;
use portolan::catalog::{CatalogFile, CatalogSet, Environment};
use portolan::{Engine, EngineOptions};
use portolan_servers::PostgresServer;
use prost::Message;
use tokio::task::JoinHandle;

use super::actions::{act, cancel};
use super::server::{Client, Server, block_on, lines};
use crate::shop::SHOP;
use crate::store::Store;

/// How long a source's work may go on, on a busy machine. On an idle one it is some milliseconds.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// How long it may take until a source works, on a busy machine.
const BEGUN_WITHIN: Duration = Duration::from_secs(60);

/// The ways in which a client says that it wants no more.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// It hangs up.
    Drop,
    CancelFlightInfo,
    CancelQuery,
    /// It ends the query by its id.
    Kill,
}

const WAYS: [Way; 4] = [Way::Drop, Way::CancelFlightInfo, Way::CancelQuery, Way::Kill];

/// A query whose client reads a batch and then no more.
struct Stalled {
    client: Client,
    info: FlightInfo,
    reading: JoinHandle<()>,
}

impl Stalled {
    async fn begin(server: &Server, sql: &str) -> Self {
        let mut client = server.client().await;
        // Little is read ahead of a client that stops reading.
        client.execute_update("SET SESSION batch_rows = 100".to_owned(), None).await.unwrap();
        let info = client.execute(sql.to_owned(), None).await.unwrap();
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let mut reader = client.clone();
        let reading = tokio::spawn(async move {
            // One that is ended before its first row has no stream at all.
            if let Ok(mut rows) = reader.do_get(ticket).await {
                let _first = rows.next().await;
                std::future::pending::<()>().await;
            }
        });
        Self { client, info, reading }
    }

    /// Wants no more.
    async fn leave(&mut self, way: Way) {
        match way {
            Way::Drop => self.reading.abort(),
            Way::CancelFlightInfo => {
                cancel(&mut self.client, &self.info).await;
            }
            Way::CancelQuery => {
                let request = ActionCancelQueryRequest { info: self.info.encode_to_vec().into() };
                act(&mut self.client, "CancelQuery", request.as_any().encode_to_vec()).await.unwrap();
            }
            Way::Kill => {
                let running =
                    "SELECT query_id FROM system.runtime.queries WHERE ended IS NULL AND query NOT LIKE '%runtime%'";
                let id = lines(&mut self.client, running).await.remove(0);
                self.client.execute_update(format!("CALL system.kill_query('{id}')"), None).await.unwrap();
            }
        }
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// A server over these catalogs.
fn server(name: &str, catalogs: &str) -> Server {
    let file = CatalogFile::parse(catalogs, "test.toml", &Environment { directory: ".".into() }).unwrap();
    let options = EngineOptions { catalogs: CatalogSet::open(file), ..EngineOptions::default() };
    Server::over(name, Engine::start(options).unwrap())
}

/// Waits until something holds. Returns how long that took.
async fn until(what: &str, within: Duration, holds: impl AsyncFn() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < within, "{what}: not within {within:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed()
}

/// Begins a query, waits until its source works, leaves it, and waits until the source works no more.
async fn leaves_nothing_behind(server: &Server, sql: &str, way: Way, works: impl AsyncFn() -> bool) {
    assert!(!works().await, "{way:?}: something works already");
    let mut stalled = Stalled::begin(server, sql).await;
    until("the source works", BEGUN_WITHIN, &works).await;
    stalled.leave(way).await;
    let took = until(&format!("{way:?}: the source works no more"), ENDED_WITHIN, async || !works().await).await;
    let ended =
        "SELECT state FROM system.runtime.queries WHERE query NOT LIKE '%runtime%' ORDER BY created DESC LIMIT 1";
    assert_eq!(lines(&mut stalled.client, ended).await, ["cancelled"], "{way:?}, after {took:?}");
}

static POSTGRES: LazyLock<PostgresServer> = LazyLock::new(|| {
    let server = PostgresServer::start().unwrap();
    let views = "CREATE VIEW flowing AS SELECT g AS id, repeat('x', 2000) AS v FROM \
                 (SELECT generate_series(1, 100000000) AS g) rows; \
                 CREATE VIEW silent AS SELECT count(*) AS n FROM generate_series(1, 100000000000) g;";
    server.psql("postgres", views).unwrap();
    server
});

/// Whether PostgreSQL is busy with a statement over this view. A transaction that only holds a snapshot is idle.
async fn is_busy(view: &'static str) -> bool {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'portolan' AND state = 'active' \
         AND query LIKE '%{view}%'"
    );
    let found = tokio::task::spawn_blocking(move || POSTGRES.psql("postgres", &sql).unwrap()).await.unwrap();
    found.trim() != "0"
}

fn postgres(name: &str) -> Server {
    let (url, password) = (POSTGRES.url("postgres"), POSTGRES.password());
    server(name, &format!("[pg]\nconnector = 'postgres'\nurl = '{url}'\npassword = '{password}'\n"))
}

#[test]
fn statements_end_at_postgresql_before_their_first_row() {
    let server = postgres("leaving silent");
    block_on(async {
        for way in WAYS {
            leaves_nothing_behind(&server, "SELECT n FROM pg.public.silent", way, async || is_busy("silent").await)
                .await;
        }
    });
}

#[test]
fn statements_end_at_postgresql_in_the_middle_of_their_rows() {
    let server = postgres("leaving rows");
    block_on(async {
        for way in WAYS {
            leaves_nothing_behind(&server, "SELECT * FROM pg.public.flowing", way, async || is_busy("flowing").await)
                .await;
        }
    });
}

/// The threads of this process that read Kafka for a catalog.
fn readers(catalog: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == format!("kafka {catalog}")).count()
}

#[test]
fn kafka_is_not_read_any_more() {
    // The shop's clicks, under a name by which the threads are told from those of other tests.
    let shop = std::fs::read_to_string(SHOP.catalogs_file()).unwrap();
    let clicks = shop[shop.find("[events]").unwrap()..].replace("[events", "[leaving");
    let server = server("leaving kafka", &clicks);
    let wide = "SELECT repeat(url, 1000) AS wide FROM leaving.default.clicks";
    block_on(async {
        for way in WAYS {
            leaves_nothing_behind(&server, wide, way, async || readers("leaving") > 0).await;
        }
    });
}

#[test]
fn objects_are_not_asked_for_any_more() {
    for way in WAYS {
        let store = Arc::new(Store::start(SHOP.directory()));
        let lake = format!(
            "[lake]\nconnector = 'hive'\nlocation = 's3://shop/lake'\nendpoint = 'http://{}'\nallow_http = true\n\
             access_key_id = 'key'\nsecret_access_key = 'secret'\n",
            store.address
        );
        let server = server("leaving objects", &lake);
        block_on(async {
            let mut watcher = server.client().await;
            let sql = "SELECT sum(quantity) AS n FROM lake.sales.orders";
            let mut stalled = Stalled::begin(&server, sql).await;
            // Files are read, and then no more answers come.
            let running = "SELECT 1 FROM system.runtime.sources WHERE splits_done > 0";
            let begun = Instant::now();
            while lines(&mut watcher, running).await.is_empty() {
                assert!(begun.elapsed() < BEGUN_WITHIN, "the lake is not read");
            }
            store.fall_silent();
            until("the lake is waited for", BEGUN_WITHIN, async || store.open() > 0).await;
            stalled.leave(way).await;
            until(&format!("{way:?}: nobody waits for the lake"), ENDED_WITHIN, async || store.open() == 0).await;
            let asked = store.asked();
            assert_eq!(lines(&mut watcher, "SELECT 1 AS one").await, ["1"]);
            assert_eq!((store.asked(), store.open()), (asked, 0), "{way:?}");
        });
    }
}
