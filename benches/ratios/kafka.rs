//! Topics beside the client library's bare consumer and beside decoding from memory.
//!
//! KAFKA_BOOTSTRAP names a broker to run against; without it the tests' stand-in is started, which answers each fetch with the
//! rest of the partition, so that what it says of memory and of small reads is an upper bound. PORTOLAN_BENCH_MESSAGES is how many
//! messages there are.

mod apart;
mod bare;
mod messages;
mod round_trip;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use portolan::{Engine, Session};
use portolan_servers::TestBroker;
use tokio::runtime::Runtime;

use self::apart::Apart;
use self::messages::{AVRO_SCHEMA, COLUMNS, Encoding, Topic};
use crate::measure::{self, median, timed};

const PARTITIONS: i32 = 4;
const ROUNDS: usize = 5;

/// The small topic.
const SMALL: i64 = 20_000;
const SMALL_PARTITIONS: i32 = 3;
const SMALL_ROUNDS: usize = 21;

/// Reads that are opened once before anything is timed.
const WARM: usize = 2;

/// Prints what the issue on Kafka asks for, each with its aim.
pub(crate) fn run() {
    let broker = TestBroker::take().expect("a broker");
    let brokers = broker.bootstrap();
    let count: i64 =
        std::env::var("PORTOLAN_BENCH_MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let json = Topic { name: "bench.json", partitions: PARTITIONS, count, encoding: Encoding::Json };
    let avro = Topic { name: "bench.avro", encoding: Encoding::Avro, ..json };
    let small = Topic { name: "bench.small", partitions: SMALL_PARTITIONS, count: SMALL, encoding: Encoding::Json };
    let begun = messages::begun();
    for topic in [json, avro, small] {
        messages::produce(&brokers, topic, begun);
    }
    // A broker beside us writes to its disk what it has just been given.
    measure::settle();
    let directory = tempfile::tempdir().expect("a directory");
    let catalogs = directory.path().join("catalogs.toml");
    std::fs::write(&catalogs, catalog(&brokers)).expect("the catalog file");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let engine = measure::engine(&catalogs);
    println!("kafka     {count} messages in {PARTITIONS} partitions, {ROUNDS} rounds");
    rates(&runtime, &engine, &brokers, json);
    if let Some(apart) = broker.pid().and_then(Apart::from) {
        rates_apart(&runtime, &engine, json);
        drop(apart);
    }
    window(&runtime, &engine, count, begun);
    first_rows(&runtime, &engine, &brokers);
    warm(&runtime, &engine);
    memory(&catalogs);
}

fn catalog(brokers: &str) -> String {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, sql)| format!("{name} = '{sql}'")).collect();
    let columns = columns.join(", ");
    let json = |name: &str| {
        format!(
            "[events.tables.{name}]\ntopic = 'bench.{name}'\nmax_out_of_orderness_ms = 0\n\
             value = {{ format = 'json', columns = {{ {columns} }} }}\n"
        )
    };
    format!(
        "[events]\nconnector = 'kafka'\nbrokers = '{brokers}'\n{}{}[events.tables.avro]\ntopic = 'bench.avro'\n\
         value = {{ format = 'avro', schema = '{AVRO_SCHEMA}' }}\n",
        json("json"),
        json("small")
    )
}

fn all_columns() -> String {
    COLUMNS.map(|(name, _)| name).join(", ")
}

/// Messages a second: of offsets alone, of JSON and of Avro.
fn rates(runtime: &Runtime, engine: &Arc<Engine>, brokers: &str, topic: Topic) {
    let scan = |sql: &str| {
        let (seconds, rows) = timed(|| runtime.block_on(measure::rows(engine, sql)));
        assert_eq!(rows as i64, topic.count, "{sql}");
        seconds
    };
    let all = all_columns();
    let values = messages::values(topic);
    let (mut bare, mut memory) = (Vec::new(), Vec::new());
    let (mut offsets, mut json, mut avro) = (Vec::new(), Vec::new(), Vec::new());
    // The broker has its share of the same processors: what decoding costs this process is told apart from it.
    let (mut costs, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(timed(|| bare::consume(brokers, topic)).0);
        let began = measure::own_cpu();
        memory.push(timed(|| bare::decode(&values, topic.count)).0);
        let decoded = measure::own_cpu();
        let fetch = "SELECT _partition_offset FROM events.default.json";
        offsets.push(scan(fetch));
        let both = || {
            std::thread::scope(|scope| {
                scope.spawn(|| bare::decode(&values, topic.count));
                scan(fetch)
            })
        };
        beside.push(timed(both).0);
        let before = measure::own_cpu();
        json.push(scan(&format!("SELECT {all} FROM events.default.json")));
        let scanned = measure::own_cpu();
        if let (Some(began), Some(decoded), Some(before), Some(scanned)) = (began, decoded, before, scanned) {
            costs.push((decoded - began) / (scanned - before));
        }
        avro.push(scan(&format!("SELECT {all} FROM events.default.avro")));
    }
    let [bare, memory, offsets, json, avro, beside] = [bare, memory, offsets, json, avro, beside].map(median);
    println!(
        "kafka     _partition_offset over the bare consumer, messages a second  {:.2}  (at least 0.9)",
        bare / offsets
    );
    println!(
        "kafka     JSON, 8 columns, over arrow-json from memory                 {:.2}  (at least 0.8)",
        memory / json
    );
    println!("kafka     the same, where arrow-json has beside it a read of the offsets alone  {:.2}", beside / json);
    if !costs.is_empty() {
        println!("kafka     the same in processor time, that of the broker left out     {:.2}", median(costs));
    }
    println!("kafka     Avro over JSON, 8 columns                                    {:.2}  (over 1)", json / avro);
}

/// Messages a second of JSON, where this process and the broker do not have the same processors.
fn rates_apart(runtime: &Runtime, engine: &Arc<Engine>, topic: Topic) {
    let (all, values) = (all_columns(), messages::values(topic));
    let (mut memory, mut json) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        memory.push(timed(|| bare::decode(&values, topic.count)).0);
        let scan = || runtime.block_on(measure::rows(engine, &format!("SELECT {all} FROM events.default.json")));
        let (seconds, rows) = timed(scan);
        assert_eq!(rows as i64, topic.count);
        json.push(seconds);
    }
    println!(
        "kafka     JSON, over arrow-json on as many processors, the broker on others   {:.2}  (at least 0.8)",
        median(memory) / median(json)
    );
}

/// The bytes of a hundredth of the topic's time.
fn window(runtime: &Runtime, engine: &Arc<Engine>, count: i64, begun: i64) {
    let session = engine.session();
    let time = |share: i64| {
        let millis = begun + messages::SPAN_MILLIS * share / 100;
        format!("CAST({millis} AS bigint)")
    };
    let between = format!(
        "SELECT sum(id) FROM events.default.json WHERE _timestamp >= to_timestamp_millis({}) AND _timestamp < to_timestamp_millis({})",
        time(50),
        time(51)
    );
    let (all, part) = runtime.block_on(async {
        let all = received(&session, "SELECT sum(id) FROM events.default.json").await;
        (all, received(&session, &between).await)
    });
    println!(
        "kafka     bytes of a window of 1 % of {count} messages, in %            {:.2}  (at most 2)",
        100.0 * part / all
    );
}

/// The bytes that a source sent for a query.
async fn received(session: &Session, sql: &str) -> f64 {
    let report = measure::text(session, &format!("EXPLAIN (FORMAT JSON, ANALYZE) {sql}")).await;
    let report: serde_json::Value = serde_json::from_str(&report).expect("a report");
    report["sources"][0]["actual"]["bytes"].as_f64().expect("bytes")
}

/// The first row of a small LIMIT, under a client that is warm, beside a question to the broker and the first byte of its answer.
fn first_rows(runtime: &Runtime, engine: &Arc<Engine>, brokers: &str) {
    let session = engine.session();
    let sql = "SELECT id, name FROM events.default.json LIMIT 10";
    let (mut taken, mut bare) = (Vec::new(), Vec::new());
    let mut asker = round_trip::Asker::connect(brokers);
    for round in 0..WARM + ROUNDS {
        let (seconds, bytes) = timed(|| asker.ask("bench.json"));
        asker.rest(bytes);
        if round >= WARM {
            bare.push(seconds * 1e3);
        }
    }
    let bytes = runtime.block_on(async {
        for round in 0..WARM + ROUNDS {
            let started = Instant::now();
            let mut rows = session.execute(sql).await.expect("the statement runs").rows;
            rows.next().await.expect("a batch").expect("rows");
            if round >= WARM {
                taken.push(started.elapsed().as_secs_f64() * 1e3);
            }
            while rows.next().await.is_some() {}
        }
        received(&session, sql).await
    });
    let (taken, bare) = (median(taken), median(bare));
    println!(
        "kafka     LIMIT 10: first row in ms over one fetch round trip ({bare:.1})   {:.1}  (under 50)",
        taken - bare
    );
    println!(
        "kafka     LIMIT 10: kB of messages taken                                {:.0}  (under 1000)",
        bytes / 1e3
    );
}

/// A query of a small topic.
fn warm(runtime: &Runtime, engine: &Arc<Engine>) {
    let session = engine.session();
    let sql = "SELECT kind, count(*), sum(id) FROM events.default.small GROUP BY kind";
    let mut taken = Vec::new();
    runtime.block_on(async {
        for round in 0..WARM + SMALL_ROUNDS {
            let started = Instant::now();
            measure::drain(&session, sql).await;
            if round >= WARM {
                taken.push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
    });
    println!(
        "kafka     {SMALL} messages in {SMALL_PARTITIONS} partitions, warm, in ms                {:.1}  (under 40)",
        median(taken)
    );
}

/// The memory of a process that scans the topic over that of one that does not.
fn memory(catalogs: &Path) {
    let scan = format!("SELECT {} FROM events.default.json", all_columns());
    for (environment, line) in [
        (&[][..], "memory of a scan, in MB                                    "),
        // An allocation in a huge page has 2 MB, whatever was asked for.
        (&[("MIMALLOC_ALLOW_THP", "0")], "the same without huge pages                                "),
    ] {
        let idle = measure::query_in(catalogs, "SELECT 1", environment).memory;
        let scan = measure::query_in(catalogs, &scan, environment).memory;
        let megabytes = scan.saturating_sub(idle) as f64 / 1e6;
        println!("kafka     {line}    {megabytes:.0}  (under 64 and a batch per partition)");
    }
}
