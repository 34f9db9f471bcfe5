//! 6 million rows of 16 columns from the lake to a pyarrow client, beside a bare Flight server that sends the same batches
//! from memory.

use datafusion::execution::options::ParquetReadOptions;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use crate::measure::median;
use crate::orders;
use crate::process::{Client, Server, Usage};

const ROUNDS: usize = 5;
const SQL: &str = "SELECT * FROM lake.default.orders";

/// What one transfer took.
struct Transfer {
    seconds: f64,
    first: f64,
    client_cpu: f64,
    server_cpu: f64,
    server_memory: f64,
    bytes: f64,
}

/// Prints our throughput over the bare server's, and what both ends cost.
pub(crate) fn run() {
    let directory = tempfile::tempdir().expect("a directory");
    orders::write(&directory.path().join("default/orders"));
    let catalogs = directory.path().join("catalogs.toml");
    std::fs::write(&catalogs, format!("[lake]\nconnector = 'hive'\nlocation = '{}'\n", directory.path().display()))
        .expect("the catalog file");
    let portolan = Server::portolan(&catalogs);
    let bare = Server::child(&["bare", &portolan.address, SQL]);
    for server in [&portolan, &bare] {
        let numbers = Client::reader(&server.address, SQL, &["--sum", "id"]).numbers();
        assert_eq!((numbers["rows"] as i64, numbers["sum"] as i64), (orders::ROWS, orders::sum_of_ids()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (mut ours, mut theirs, mut decoding) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(transfer(&bare));
        ours.push(transfer(&portolan));
        decoding.push(runtime.block_on(decode(&directory.path().join("default/orders"))));
    }
    let of = |transfers: &[Transfer], part: fn(&Transfer) -> f64| median(transfers.iter().map(part).collect());
    let both = |part: fn(&Transfer) -> f64| of(&ours, part) / of(&theirs, part);
    let cpu = |part: fn(&Transfer) -> f64| of(&ours, part) / of(&ours, |transfer| transfer.seconds);
    println!("stream    {} rows x 16 columns to pyarrow, {ROUNDS} rounds", orders::ROWS);
    println!(
        "stream    throughput over a bare Flight server's            {:.2}   (aim: at least 0.80)",
        1.0 / both(|transfer| transfer.seconds)
    );
    // The bare server sends rows that it has. Whoever has to make them first spends this much more, and there are only
    // so many processors to spend it on.
    let processors = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let bare = of(&theirs, |transfer| transfer.server_cpu + transfer.client_cpu);
    println!(
        "stream    the same if plain DataFusion read the files, the bare server sent them, and none of {processors} processors \
         ever waited  {:.2}",
        of(&theirs, |transfer| transfer.seconds) / ((median(decoding) + bare) / processors)
    );
    println!("stream    processor time of the server over the bare one's  {:.2}", both(|transfer| transfer.server_cpu));
    println!("stream    processor time of the client over that with bare  {:.2}", both(|transfer| transfer.client_cpu));
    println!(
        "stream    processors that were busy: {:.2} server, {:.2} client; with bare {:.2} and {:.2}",
        cpu(|transfer| transfer.server_cpu),
        cpu(|transfer| transfer.client_cpu),
        of(&theirs, |transfer| transfer.server_cpu / transfer.seconds),
        of(&theirs, |transfer| transfer.client_cpu / transfer.seconds),
    );
    println!(
        "stream    time to the first batch over that to the last     {:.3}",
        of(&ours, |transfer| transfer.first / transfer.seconds)
    );
    println!(
        "stream    the server's peak memory over the rows' size      {:.2}",
        of(&ours, |transfer| transfer.server_memory / transfer.bytes)
    );
}

fn transfer(server: &Server) -> Transfer {
    server.forget_peak();
    let before = server.usage();
    let numbers = Client::reader(&server.address, SQL, &[]).numbers();
    let after = server.usage();
    assert_eq!(numbers["rows"] as i64, orders::ROWS);
    Transfer {
        seconds: numbers["seconds"],
        first: numbers["first"],
        client_cpu: numbers["cpu"],
        server_cpu: after.cpu - before.cpu,
        server_memory: after.peak_memory as f64,
        bytes: numbers["bytes"],
    }
}

/// The processor time that plain DataFusion spends to read the table's files, in seconds.
async fn decode(files: &std::path::Path) -> f64 {
    let context = SessionContext::new();
    let files = files.to_str().expect("a path");
    context.register_parquet("orders", files, ParquetReadOptions::default()).await.expect("the table");
    let before = Usage::of(std::process::id());
    let streams = context.sql("SELECT * FROM orders").await.expect("a plan").execute_stream_partitioned().await;
    let reading = streams
        .expect("streams")
        .into_iter()
        .map(|stream| tokio::spawn(stream.try_fold(0, |rows, batch| async move { Ok(rows + batch.num_rows()) })));
    let mut rows = 0;
    for partition in futures::future::join_all(reading).await {
        rows += partition.expect("the task").expect("rows");
    }
    assert_eq!(rows as i64, orders::ROWS);
    Usage::of(std::process::id()).cpu - before.cpu
}
