//! TPC-H's lineitem (scale 1: 6 million rows, 16 columns) in PostgreSQL: a full transfer beside psql's binary COPY, over one
//! connection and over two; an aggregate beside the same statement in psql; and a few hundred keys that a join knows.

use portolan_servers::PostgresServer;

use crate::measure::{self, Cost, median};

const ROWS: u64 = 6_000_000;
const ROUNDS: usize = 5;

/// Columns, types and value ranges as the TPC-H specification (section 1.4 and 4.2.3) gives them; the texts are shorter
/// on average by a few characters. Made by the server itself.
const LINEITEM: &str = "
CREATE UNLOGGED TABLE lineitem AS SELECT
    (i / 4 + 1)::bigint                                          AS l_orderkey,
    (i * 7919 % 200000 + 1)::bigint                              AS l_partkey,
    (i * 104729 % 10000 + 1)::bigint                             AS l_suppkey,
    (i % 4 + 1)::integer                                         AS l_linenumber,
    (i % 50 + 1)::numeric(15,2)                                  AS l_quantity,
    ((i * 31 % 9500000 + 90000) / 100.0)::numeric(15,2)          AS l_extendedprice,
    (i % 11 / 100.0)::numeric(15,2)                              AS l_discount,
    (i % 9 / 100.0)::numeric(15,2)                               AS l_tax,
    (ARRAY['R','A','N'])[(i % 3 + 1)::integer]::char(1)                     AS l_returnflag,
    (ARRAY['O','F'])[(i % 2 + 1)::integer]::char(1)                         AS l_linestatus,
    date '1992-01-02' + (i % 2526)::integer                      AS l_shipdate,
    date '1992-01-31' + (i % 2466)::integer                      AS l_commitdate,
    date '1992-01-04' + (i % 2554)::integer                      AS l_receiptdate,
    (ARRAY['DELIVER IN PERSON','COLLECT COD','NONE','TAKE BACK RETURN'])[(i % 4 + 1)::integer]::char(25)   AS l_shipinstruct,
    (ARRAY['REG AIR','AIR','RAIL','SHIP','TRUCK','MAIL','FOB'])[(i % 7 + 1)::integer]::char(10)            AS l_shipmode,
    substr('carefully final deposits detect slyly agai furiously', (i % 20)::integer + 1, (i % 33 + 10)::integer)::varchar(44) AS l_comment
FROM generate_series(0::bigint, {ROWS} - 1) AS i;
ANALYZE lineitem;";

/// Prints our time and processor time over psql's, and our memory.
pub(crate) fn run() {
    let server = PostgresServer::start().expect("PostgreSQL");
    server.psql("postgres", &LINEITEM.replace("{ROWS}", &ROWS.to_string())).expect("lineitem");
    let directory = tempfile::tempdir().expect("a directory");
    let catalogs = directory.path().join("catalogs.toml");
    let (url, password) = (server.url("postgres"), server.password());
    // A catalog with few connections reads a table over one.
    let entry = |name: &str, more: &str| {
        format!("[{name}]\nconnector = 'postgres'\nurl = '{url}'\npassword = '{password}'\n{more}\n")
    };
    std::fs::write(&catalogs, entry("pg", "") + &entry("single", "connections_max = 3")).expect("the catalog file");

    let psql = |statement: &str| {
        format!(
            "psql -X -h 127.0.0.1 -p {} -U {} -d postgres -c \"{statement}\" > /dev/null",
            server.port(),
            server.user()
        )
    };
    let copy = psql("COPY lineitem TO STDOUT (FORMAT binary)");
    let blocks = server.psql("postgres", "SELECT pg_relation_size('lineitem') / 8192 / 2").expect("the size");
    let half = |condition: &str| {
        let condition = condition.replace("HALF", blocks.trim());
        psql(&format!("COPY (SELECT * FROM lineitem WHERE {condition}) TO STDOUT (FORMAT binary)"))
    };
    let halves = format!("({}) & ({}); wait", half("ctid < '(HALF,0)'"), half("ctid >= '(HALF,0)'"));
    let totals = "SELECT l_shipdate, count(*), sum(l_extendedprice * (1 - l_discount)) FROM lineitem WHERE l_quantity < 24 GROUP BY l_shipdate";
    let environment = [("PGPASSWORD", server.password())];
    let (mut theirs, mut theirs_in_two, mut theirs_folded): (Vec<Cost>, Vec<Cost>, Vec<Cost>) = Default::default();
    let (mut ours, mut ours_in_two, mut ours_folded): (Vec<Cost>, Vec<Cost>, Vec<Cost>) = Default::default();
    measure::shell(&copy, &environment);
    for _ in 0..ROUNDS {
        theirs.push(measure::shell(&copy, &environment));
        ours.push(measure::query(&catalogs, "SELECT * FROM single.public.lineitem"));
        theirs_in_two.push(measure::shell(&halves, &environment));
        ours_in_two.push(measure::query(&catalogs, "SELECT * FROM pg.public.lineitem"));
        theirs_folded.push(measure::shell(&psql(totals), &environment));
        ours_folded.push(measure::query(&catalogs, &totals.replace("FROM lineitem", "FROM pg.public.lineitem")));
    }
    let of = |costs: &[Cost], part: fn(&Cost) -> f64| median(costs.iter().map(part).collect());
    let wall = of(&ours, |cost| cost.wall) / of(&theirs, |cost| cost.wall);
    let cpu = of(&ours, |cost| cost.cpu) / of(&theirs, |cost| cost.cpu);
    let memory = ours.iter().map(|cost| cost.memory).max().unwrap_or(0);
    let over = |ours: &[Cost], theirs: &[Cost]| of(ours, |cost| cost.wall) / of(theirs, |cost| cost.wall);
    println!("postgres  {ROWS} rows x 16 columns, {ROUNDS} rounds; over one connection:");
    println!("postgres  time, over psql's COPY BINARY            {wall:.2}   (aim: at most 1.10)");
    println!("postgres  own processor time, over psql's          {cpu:.2}   (aim: at most 1.00)");
    println!("postgres  peak memory, over 200 MB                 {:.2}   (aim: at most 1.00)", memory as f64 / 200e6);
    println!(
        "postgres  over two, time over two psql with half of the blocks each   {:.2}   (aim: at most 1.15)",
        over(&ours_in_two, &theirs_in_two)
    );
    println!(
        "postgres  an aggregate, time with the process's start over psql's      {:.2}   (aim: at most 1.10)",
        over(&ours_folded, &theirs_folded)
    );
    server.psql("postgres", "CREATE INDEX ON lineitem (l_orderkey); ANALYZE lineitem").expect("an index");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let times = runtime.block_on(async {
        let engine = measure::engine(&catalogs);
        let sql = "SELECT count(*), sum(l.l_quantity) FROM generate_series(1, 300) AS g (k) \
                   JOIN pg.public.lineitem AS l ON l.l_orderkey = g.k * 4999";
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let start = std::time::Instant::now();
            assert_eq!(measure::rows(&engine, sql).await, 1);
            times.push(start.elapsed().as_secs_f64());
        }
        times
    });
    println!("postgres  300 keys of a join, time over 50 ms       {:.2}   (aim: at most 1.00)", median(times) / 0.05);
}
