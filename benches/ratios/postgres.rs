//! A full transfer of TPC-H's lineitem (scale 1: 6 million rows, 16 columns) beside psql's binary COPY.

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
    let entry = format!(
        "[pg]\nconnector = 'postgres'\nurl = '{}'\npassword = '{}'\n",
        server.url("postgres"),
        server.password()
    );
    std::fs::write(&catalogs, entry).expect("the catalog file");

    let copy = format!(
        "psql -X -h 127.0.0.1 -p {} -U {} -d postgres -c 'COPY lineitem TO STDOUT (FORMAT binary)' > /dev/null",
        server.port(),
        server.user()
    );
    let environment = [("PGPASSWORD", server.password())];
    let mut theirs: Vec<Cost> = Vec::new();
    let mut ours: Vec<Cost> = Vec::new();
    measure::shell(&copy, &environment);
    for _ in 0..ROUNDS {
        theirs.push(measure::shell(&copy, &environment));
        ours.push(measure::query(&catalogs, "SELECT * FROM pg.public.lineitem"));
    }
    let of = |costs: &[Cost], part: fn(&Cost) -> f64| median(costs.iter().map(part).collect());
    let wall = of(&ours, |cost| cost.wall) / of(&theirs, |cost| cost.wall);
    let cpu = of(&ours, |cost| cost.cpu) / of(&theirs, |cost| cost.cpu);
    let memory = ours.iter().map(|cost| cost.memory).max().unwrap_or(0);
    println!("postgres  {ROWS} rows x 16 columns over one connection, {ROUNDS} rounds");
    println!("postgres  time, over psql's COPY BINARY            {wall:.2}   (aim: at most 1.10)");
    println!("postgres  own processor time, over psql's          {cpu:.2}   (aim: at most 1.00)");
    println!("postgres  peak memory, over 200 MB                 {:.2}   (aim: at most 1.00)", memory as f64 / 200e6);
}
