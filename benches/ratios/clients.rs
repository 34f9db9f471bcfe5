//! 200 clients at once with short statements, and the server's memory under them.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_flight::sql::client::{FlightSqlServiceClient, PreparedStatement};
use arrow_flight::{Action, FlightInfo};
use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use futures::TryStreamExt;
use futures::future::try_join_all;
use parquet::arrow::ArrowWriter;
use tokio::sync::Barrier;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use crate::process::{Client, Server, Usage};

const CLIENTS: usize = 200;
const SECONDS: u64 = 60;

/// How long a single client runs before the others come.
const ALONE_SECONDS: u64 = 5;

/// How many rows the table has.
const ROWS: i64 = 1000;

/// How often the server's memory is looked at.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What one client asks in turn, and how many rows it expects.
const STATEMENTS: [(&str, usize); 4] = [
    ("SELECT 1 AS one, 'a word' AS word", 1),
    ("SELECT id, kind, amount FROM lake.default.small WHERE id < 10", 10),
    ("SELECT kind, count(*), sum(amount) FROM lake.default.small GROUP BY kind ORDER BY kind", 4),
    ("SELECT table_schema, table_name FROM lake.information_schema.tables WHERE table_schema = 'default'", 1),
];

/// The last in turn, with a value for its parameter.
const PREPARED: &str = "SELECT kind, amount FROM lake.default.small WHERE id = ?";

/// How long the many run, in seconds, if not the usual time.
const SECONDS_VARIABLE: &str = "PORTOLAN_BENCH_SECONDS";

/// Prints how long statements take among many beside one alone, and how the memory grows.
pub(crate) fn run() {
    let seconds = std::env::var(SECONDS_VARIABLE).map_or(SECONDS, |seconds| seconds.parse().expect("seconds"));
    let directory = tempfile::tempdir().expect("a directory");
    write(&directory.path().join("default/small"));
    let catalogs = directory.path().join("catalogs.toml");
    std::fs::write(&catalogs, format!("[lake]\nconnector = 'hive'\nlocation = '{}'\n", directory.path().display()))
        .expect("the catalog file");
    let server = Server::portolan(&catalogs);

    let alone = start(&server, 1, ALONE_SECONDS).numbers();
    let many = start(&server, CLIENTS, seconds);
    many.number("started");
    let mut samples = Vec::new();
    while many.number_within("ended", SAMPLE_INTERVAL).is_none() {
        samples.push(server.usage());
    }
    let at_work = samples.last().copied().unwrap_or_default();
    let many = many.numbers();
    let after = server.usage();

    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let turns = CLIENTS as f64 / processors as f64;
    println!("clients   {CLIENTS} clients for {seconds} s, {} statements, none failed", many["statements"]);
    println!("clients   median of one client alone {:.2} ms", alone["p50"] * 1e3);
    println!(
        "clients   of many: {:.0} statements/s, median {:.0} ms, p99 {:.0} ms",
        many["statements"] / seconds as f64,
        many["p50"] * 1e3,
        many["p99"] * 1e3
    );
    println!(
        "clients   statements a second over one client's alone        {:.2}",
        many["statements"] / seconds as f64 / (alone["statements"] / ALONE_SECONDS as f64)
    );
    println!(
        "clients   p99 over the median alone x {turns:.0} turns             {:.2}   (aim: at most 5.00)",
        many["p99"] / (alone["p50"] * turns)
    );
    println!("clients   where turns = {CLIENTS} clients, each with one statement at a time, / {processors} processors");
    let sixth = samples.len() / 6;
    let most = |samples: &[Usage]| samples.iter().map(|usage| usage.memory).max().unwrap_or(0) as f64;
    println!(
        "clients   memory in the last sixth over the second sixth      {:.2}   (aim: at most 1.10)",
        most(&samples[samples.len() - sixth..]) / most(&samples[sixth..2 * sixth])
    );
    println!(
        "clients   {:.0} MB, {} threads, {} files at work; {:.0} MB, {}, {} when all have left",
        at_work.memory as f64 / 1e6,
        at_work.threads,
        at_work.files,
        after.memory as f64 / 1e6,
        after.threads,
        after.files
    );
}

fn start(server: &Server, clients: usize, seconds: u64) -> Client {
    Client::child(&["clients", &server.address, &clients.to_string(), &seconds.to_string()])
}

fn write(directory: &std::path::Path) {
    std::fs::create_dir_all(directory).expect("a directory");
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..ROWS))),
        ("kind", Arc::new((0..ROWS).map(|id| Some(["a", "b", "c", "d"][(id % 4) as usize])).collect::<StringArray>())),
        ("amount", Arc::new(Float64Array::from_iter_values((0..ROWS).map(|id| id as f64 / 7.0)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let file = std::fs::File::create(directory.join("data.parquet")).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
}

/// The measured side: so many clients for so long. Says when they start and end, and then what they saw.
pub(crate) async fn child(address: &str, clients: usize, seconds: u64) {
    let ready = Arc::new(Barrier::new(clients + 1));
    let tasks: Vec<_> =
        (0..clients).map(|_| tokio::spawn(client(address.to_owned(), seconds, Arc::clone(&ready)))).collect();
    // The first error ends all.
    let mut ended = pin!(try_join_all(tasks.into_iter().map(|task| async { task.await.expect("no client panics") })));
    let ended = tokio::select! {
        _ = ready.wait() => {
            println!("started 1");
            ended.await
        }
        ended = &mut ended => ended,
    };
    let mut times = ended.expect("no statement fails").concat();
    println!("ended 1");
    times.sort_by(f64::total_cmp);
    let part = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!("statements {}\np50 {}\np99 {}", times.len(), part(0.5), part(0.99));
}

/// One client with a connection and a session of its own. Returns how long each of its statements took, in seconds.
async fn client(address: String, seconds: u64, ready: Arc<Barrier>) -> Result<Vec<f64>, Error> {
    let channel = Endpoint::new(format!("http://{address}"))?.connect().await?;
    let mut client = FlightSqlServiceClient::new(channel);
    client.handshake("ann", "").await?;
    let mut prepared = client.prepare(PREPARED.to_owned(), None).await?;
    for turn in 0..=STATEMENTS.len() {
        ask(&mut client, &mut prepared, turn).await?;
    }
    ready.wait().await;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut times = Vec::new();
    for turn in 0.. {
        let start = Instant::now();
        if start >= deadline {
            break;
        }
        ask(&mut client, &mut prepared, turn).await?;
        times.push(start.elapsed().as_secs_f64());
    }
    prepared.close().await?;
    let action = Action { r#type: "CloseSession".to_owned(), body: Vec::new().into() };
    client.do_action(Request::new(action)).await?.message().await?;
    Ok(times)
}

/// Asks one statement and reads its rows.
async fn ask(
    client: &mut FlightSqlServiceClient<Channel>,
    prepared: &mut PreparedStatement<Channel>,
    turn: usize,
) -> Result<(), Error> {
    let (info, expected) = match STATEMENTS.get(turn % (STATEMENTS.len() + 1)) {
        Some((sql, rows)) => (client.execute((*sql).to_owned(), None).await?, *rows),
        None => {
            let id: ArrayRef = Arc::new(Int64Array::from(vec![turn as i64 % ROWS]));
            prepared.set_parameters(RecordBatch::try_from_iter([("id", id)])?)?;
            (prepared.execute().await?, 1)
        }
    };
    let FlightInfo { endpoint, .. } = info;
    let ticket = endpoint.into_iter().next().and_then(|endpoint| endpoint.ticket).ok_or("no ticket")?;
    let batches: Vec<RecordBatch> = client.do_get(ticket).await?.try_collect().await?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows != expected { Err(format!("turn {turn}: {rows} rows and not {expected}").into()) } else { Ok(()) }
}
