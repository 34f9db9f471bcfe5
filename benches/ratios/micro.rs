//! Short queries of the tables of TPC-H in PostgreSQL: what leaves PostgreSQL over the size of the answer, and the time over that of
//! psql. The baseline of the bytes is what `COPY (...) TO STDOUT (FORMAT binary)` gives of the same query.

use std::process::Command;

use portolan_servers::PostgresServer;

use crate::measure;
use crate::tables::{Tables, server_time};

/// How often each query runs; the fastest run counts.
const ROUNDS: usize = 5;

/// How many bytes may leave PostgreSQL for each of the answer.
const BYTES_RATIO_MAX: f64 = 2.0;

/// Bytes that a query takes whatever its answer: the transaction, and the description of its columns.
const BYTES_ANYWAY: f64 = 4_000.0;

/// Keys of the long list.
const KEYS: u64 = 5_000;

/// Prints a line for each query.
pub(crate) fn run() {
    let tables = Tables::load();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let engine = runtime.block_on(async { measure::engine(&tables.catalogs()) });
    let session = engine.session();
    let ours = |sql: &str| measure::timed(|| runtime.block_on(measure::drain(&session, sql))).0;
    println!(
        "micro  scale {}, the fastest of {ROUNDS} runs, seconds; bytes that PostgreSQL sends, over those of the answer",
        tables.scale
    );
    println!(
        "micro  {:<24} {:>9} {:>9} {:>7} {:>11} {:>11} {:>7}",
        "", "psql", "ours", "ratio", "answer", "sent", "ratio"
    );
    for (name, sql, aim) in queries() {
        let plain = sql.replace("{pg}", "").replace("{lake}", "");
        let here = sql.replace("{pg}", "pg.public.").replace("{lake}", "lake.tpch.");
        let counted = here.replace("pg.public.", "counted.public.");
        let mut times = [f64::INFINITY; 2];
        for _ in 0..ROUNDS {
            times = [times[0].min(server_time(&tables.server, &plain)), times[1].min(ours(&here))];
        }
        ours(&counted);
        tables.counted.take();
        ours(&counted);
        let (sent, answer) = (tables.counted.take() as f64, answer_bytes(&tables.server, &plain) as f64);
        let ratio = sent / (answer * BYTES_RATIO_MAX + BYTES_ANYWAY);
        let [theirs, ours] = times;
        println!(
            "micro  {name:<24} {theirs:9.4} {ours:9.4} {:7.2} {answer:11.0} {sent:11.0} {ratio:7.2}   ({aim}; bytes: at most 1.00)",
            ours / theirs
        );
    }
}

/// Name, statement and what is wanted of its time.
fn queries() -> Vec<(&'static str, String, &'static str)> {
    let keys: Vec<String> = (1..=KEYS).map(|key| (key * 32 + 1).to_string()).collect();
    let many = format!("SELECT o_orderkey, o_totalprice FROM {{pg}}orders WHERE o_orderkey IN ({})", keys.join(", "));
    let queries = [
        ("count", "SELECT count(*) FROM {pg}lineitem", "time: at most 1.10"),
        (
            "group by",
            "SELECT l_returnflag, count(*), sum(l_quantity) FROM {pg}lineitem GROUP BY l_returnflag",
            "time: at most 1.10",
        ),
        (
            "top-N",
            "SELECT * FROM {pg}lineitem ORDER BY l_extendedprice DESC, l_orderkey, l_linenumber LIMIT 10",
            "time: at most 1.10",
        ),
        ("LIKE", "SELECT p_partkey, p_name FROM {pg}part WHERE p_name LIKE '%green%'", "time: at most 1.10"),
        (
            "arithmetic filter",
            "SELECT l_orderkey FROM {pg}lineitem WHERE l_extendedprice * (1 - l_discount) > 100000",
            "time: at most 1.10",
        ),
        ("distinct", "SELECT DISTINCT l_shipmode FROM {pg}lineitem", "time: at most 1.10"),
        (
            "semi join",
            "SELECT o_orderkey FROM {pg}orders WHERE o_totalprice > 400000 \
             AND EXISTS (SELECT 1 FROM {pg}lineitem WHERE l_orderkey = o_orderkey AND l_quantity > 49)",
            "time: at most 1.20",
        ),
        (
            "filtered small table",
            "SELECT c_name, n_name FROM {pg}customer JOIN {pg}nation ON c_nationkey = n_nationkey \
             WHERE n_name = 'GERMANY' AND c_acctbal > 9000",
            "time: at most 1.20",
        ),
        (
            "join, small answer",
            "SELECT n_name, count(*) FROM {pg}customer JOIN {pg}nation ON c_nationkey = n_nationkey \
             JOIN {pg}orders ON o_custkey = c_custkey GROUP BY n_name",
            "time: at most 1.20",
        ),
        (
            "indexed range",
            "SELECT l_orderkey, l_quantity FROM {pg}lineitem WHERE l_orderkey BETWEEN 1000000 AND 1010000",
            "time: at most 1.30",
        ),
        (
            "keys from the lake",
            "SELECT l.l_orderkey, l.l_quantity FROM {lake}orders AS o JOIN {pg}lineitem AS l ON l.l_orderkey = o.o_orderkey \
             WHERE o.o_totalprice > 480000",
            "time: at most 0.05 s",
        ),
    ];
    let mut queries: Vec<(&str, String, &str)> =
        queries.into_iter().map(|(name, sql, aim)| (name, sql.to_owned(), aim)).collect();
    queries.push(("5,000 keys", many, "time: at most 1.30"));
    queries
}

/// How many bytes the answer has in PostgreSQL's binary format.
fn answer_bytes(server: &PostgresServer, sql: &str) -> usize {
    let output = Command::new("psql")
        .args(["-X", "-q", "-h", "127.0.0.1", "-p", &server.port().to_string(), "-U", server.user(), "-d", "postgres"])
        .args(["-c", &format!("COPY ({sql}) TO STDOUT (FORMAT binary)")])
        .env("PGPASSWORD", server.password())
        .output()
        .expect("psql runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.len()
}
