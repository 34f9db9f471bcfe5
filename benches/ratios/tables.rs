//! The tables of TPC-H: all of them in one PostgreSQL, orders and lineitem in a lake as well. Data are generated as the
//! specification says (version 3.0.1, section 4.2). PORTOLAN_BENCH_SCALE is the scale factor: 1 if it is not set.

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use datafusion::arrow::array::RecordBatchReader;
use datafusion::parquet::arrow::ArrowWriter;
use portolan_servers::PostgresServer;
use tempfile::TempDir;
use tpchgen::csv;
use tpchgen::generators::*;
use tpchgen_arrow::{LineItemArrow, OrderArrow};

use crate::peer::Counted;

/// The tables of the specification's section 1.4.
const SCHEMA: &str = include_str!("../tpch/schema.sql");

/// The servers and files, which are gone with this value.
pub(crate) struct Tables {
    pub(crate) server: PostgresServer,
    /// Leads to the same server.
    pub(crate) counted: Counted,
    pub(crate) scale: f64,
    directory: TempDir,
}

impl Tables {
    /// Makes them, and a catalog file with `pg`, `counted`, which is the same through a counter of bytes, and `lake`.
    pub(crate) fn load() -> Self {
        let scale = std::env::var("PORTOLAN_BENCH_SCALE").map_or(1.0, |scale| scale.parse().expect("a scale factor"));
        let server = PostgresServer::start().expect("PostgreSQL");
        server.psql("postgres", SCHEMA).expect("the tables");
        load(&server, scale);
        let counted = Counted::before(server.port());
        let tables = Self { server, counted, scale, directory: tempfile::tempdir().expect("a directory") };
        write_lake(tables.directory.path(), scale);
        let (url, password) = (tables.server.url("postgres"), tables.server.password());
        let counted_url = url.replace(&tables.server.port().to_string(), &tables.counted.port.to_string());
        let file = format!(
            "[pg]\nconnector = 'postgres'\nurl = '{url}'\npassword = '{password}'\n\n\
             [counted]\nconnector = 'postgres'\nurl = '{counted_url}'\npassword = '{password}'\n\n\
             [lake]\nconnector = 'hive'\nlocation = '{}'\n",
            tables.lake().display()
        );
        std::fs::write(tables.catalogs(), file).expect("the catalog file");
        tables
    }

    pub(crate) fn lake(&self) -> PathBuf {
        self.directory.path().join("lake")
    }

    pub(crate) fn catalogs(&self) -> PathBuf {
        self.directory.path().join("catalogs.toml")
    }
}

/// The seconds that psql takes, as it counts them itself: without its own start.
pub(crate) fn server_time(server: &PostgresServer, sql: &str) -> f64 {
    let output = Command::new("psql")
        .args(["-X", "-q", "-h", "127.0.0.1", "-p", &server.port().to_string(), "-U", server.user(), "-d", "postgres"])
        .args(["-c", "\\timing on", "-c", sql])
        .env("PGPASSWORD", server.password())
        .output()
        .expect("psql runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let time = text.lines().rev().find_map(|line| line.strip_prefix("Time: ")).expect("psql tells the time");
    time.split(' ').next().and_then(|millis| millis.parse::<f64>().ok()).expect("milliseconds") / 1000.0
}

fn load(server: &PostgresServer, scale: f64) {
    let copy = |table: &str, rows: &mut dyn Iterator<Item = String>| {
        let mut psql = Command::new("psql")
            .args(["-X", "-q", "-h", "127.0.0.1", "-p", &server.port().to_string(), "-U", server.user()])
            .args(["-d", "postgres", "-c", &format!("COPY {table} FROM STDIN (FORMAT csv)")])
            .env("PGPASSWORD", server.password())
            .stdin(Stdio::piped())
            .spawn()
            .expect("psql starts");
        let mut input = std::io::BufWriter::new(psql.stdin.take().expect("its input"));
        rows.for_each(|row| writeln!(input, "{row}").expect("a row is sent"));
        drop(input);
        assert!(psql.wait().expect("psql ends").success(), "{table} was not loaded");
    };
    fn lines<T>(rows: impl Iterator<Item = T>, line: fn(T) -> String) -> impl Iterator<Item = String> {
        rows.map(line)
    }
    fn shown(row: impl Display) -> String {
        row.to_string()
    }
    copy("region", &mut lines(RegionGenerator::new(scale, 1, 1).iter(), |row| shown(csv::RegionCsv::new(row))));
    copy("nation", &mut lines(NationGenerator::new(scale, 1, 1).iter(), |row| shown(csv::NationCsv::new(row))));
    copy("supplier", &mut lines(SupplierGenerator::new(scale, 1, 1).iter(), |row| shown(csv::SupplierCsv::new(row))));
    copy("customer", &mut lines(CustomerGenerator::new(scale, 1, 1).iter(), |row| shown(csv::CustomerCsv::new(row))));
    copy("part", &mut lines(PartGenerator::new(scale, 1, 1).iter(), |row| shown(csv::PartCsv::new(row))));
    copy("partsupp", &mut lines(PartSuppGenerator::new(scale, 1, 1).iter(), |row| shown(csv::PartSuppCsv::new(row))));
    copy("orders", &mut lines(OrderGenerator::new(scale, 1, 1).iter(), |row| shown(csv::OrderCsv::new(row))));
    copy("lineitem", &mut lines(LineItemGenerator::new(scale, 1, 1).iter(), |row| shown(csv::LineItemCsv::new(row))));
    server.psql("postgres", "CREATE INDEX ON lineitem (l_partkey)").expect("an index");
    server.psql("postgres", "CREATE INDEX ON orders (o_custkey)").expect("an index");
    server.psql("postgres", "VACUUM ANALYZE").expect("statistics");
}

fn write_lake(directory: &Path, scale: f64) {
    let write = |table: &str, batches: &mut dyn RecordBatchReader| {
        let directory = directory.join("lake/tpch").join(table);
        std::fs::create_dir_all(&directory).expect("a directory");
        let file = File::create(directory.join("1.parquet")).expect("a file");
        let mut writer = ArrowWriter::try_new(file, batches.schema(), None).expect("a writer");
        batches.for_each(|batch| writer.write(&batch.expect("rows")).expect("rows are written"));
        writer.close().expect("the file is written");
    };
    write("orders", &mut OrderArrow::new(OrderGenerator::new(scale, 1, 1)));
    write("lineitem", &mut LineItemArrow::new(LineItemGenerator::new(scale, 1, 1)));
}
