//! A join of ten billion rows: how soon the first come, how much memory it takes, how soon it is gone once cancelled.

use std::thread::sleep;
use std::time::{Duration, Instant};

use arrow_flight::sql::client::FlightSqlServiceClient;
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use tonic::transport::{Channel, Endpoint};

use crate::process::{Client, Server};

const SQL: &str =
    "SELECT a.value AS a, b.value AS b FROM generate_series(1, 100000) AS a, generate_series(1, 100000) AS b";

/// How long the rows are read.
const SECONDS: u64 = 10;

/// How often the server's memory is looked at.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);

/// How long the server's processor time is watched when the join is gone.
const IDLE_SECONDS: f64 = 1.0;

/// A join that runs on is given up after this time.
const GONE_MAX: Duration = Duration::from_secs(30);

/// Prints the times over their aims, and the memory over that at the first batch.
pub(crate) fn run() {
    let directory = tempfile::tempdir().expect("a directory");
    let catalogs = directory.path().join("catalogs.toml");
    std::fs::write(&catalogs, "").expect("the catalog file");
    let server = Server::portolan(&catalogs);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let watcher = runtime.block_on(async {
        let endpoint = Endpoint::new(format!("http://{}", server.address)).expect("an address");
        FlightSqlServiceClient::new(endpoint.connect().await.expect("a server"))
    });
    let is_running = || runtime.block_on(running(&mut watcher.clone())) > 0;
    assert!(!is_running());

    let reader = Client::reader(&server.address, SQL, &["--for", &SECONDS.to_string()]);
    let first = reader.number("first");
    let at_first = server.usage().memory as f64;
    let mut most = at_first;
    while reader.number_within("cancelled", SAMPLE_INTERVAL).is_none() {
        most = most.max(server.usage().memory as f64);
    }
    let cancelled = Instant::now();
    while is_running() {
        assert!(cancelled.elapsed() < GONE_MAX, "the join still runs");
        sleep(Duration::from_millis(5));
    }
    let gone = cancelled.elapsed().as_secs_f64();
    let before = server.usage().cpu;
    sleep(Duration::from_secs_f64(IDLE_SECONDS));
    let busy = (server.usage().cpu - before) / IDLE_SECONDS;
    drop(reader);
    println!("endless   ten billion rows of a cross join, read for {SECONDS} s and cancelled");
    println!("endless   time to the first batch, over 0.5 s        {:.3}  (aim: at most 1.00)", first / 0.5);
    println!("endless   most memory over that at the first batch   {:.2}   (aim: at most 1.50)", most / at_first);
    println!("endless   time until it is gone, over 1 s            {gone:.3}  (aim: at most 1.00)");
    println!("endless   processors that are busy after that        {busy:.2}   (aim: at most 0.05)");
}

/// How many of these joins run.
async fn running(watcher: &mut FlightSqlServiceClient<Channel>) -> i64 {
    let sql = "SELECT count(*) AS running FROM system.runtime.queries \
               WHERE query LIKE '%generate_series%' AND query NOT LIKE '%system.runtime%' \
               AND state NOT IN ('finished', 'failed', 'cancelled')";
    let info = watcher.execute(sql.to_owned(), None).await.expect("the statement");
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    let rows = watcher.do_get(ticket).await.expect("the statement");
    let batches: Vec<RecordBatch> = rows.try_collect().await.expect("rows");
    batches.iter().map(|batch| batch.column(0).as_primitive::<Int64Type>().value(0)).sum()
}
