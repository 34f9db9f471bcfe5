//! Q1 and Q6 of TPC-H over lineitem in a partition for each year, beside plain DataFusion that is given exactly the files that
//! are needed, and beside DuckDB over the same directory.
//!
//! PORTOLAN_BENCH_SCALE is the scale factor, 1 if it is not set; PORTOLAN_BENCH_DUCKDB a Python that has `duckdb`, without which
//! its times are left out.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use datafusion::arrow::array::{BooleanArray, Int32Array, RecordBatch, RecordBatchReader};
use datafusion::arrow::compute::{DatePart, date_part, filter_record_batch};
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use parquet::arrow::ArrowWriter;
use tpchgen::generators::LineItemGenerator;
use tpchgen_arrow::LineItemArrow;

use crate::measure::{self, median};

const ROUNDS: usize = 9;

/// How much longer than plain DataFusion over the needed files a query may take.
const AIM: f64 = 1.05;

/// A query, the condition on the partitions that it needs, and these partitions.
const QUERIES: [(&str, &str, &str, &[i32]); 2] = [
    ("Q1", include_str!("../tpch/q01.sql"), "l_shipyear <= 1998", &[1992, 1993, 1994, 1995, 1996, 1997, 1998]),
    ("Q6", include_str!("../tpch/q06.sql"), "l_shipyear = 1994", &[1994]),
];

/// Prints our times over those of the others, which take turns with ours.
pub(crate) fn run() {
    let scale: f64 = std::env::var("PORTOLAN_BENCH_SCALE").map_or(1.0, |scale| scale.parse().expect("a scale factor"));
    let directory = tempfile::tempdir().expect("a directory");
    let table = directory.path().join("tpch/lineitem");
    write(&table, scale);
    let catalogs = directory.path().join("catalogs.toml");
    let lake = format!("[lake]\nconnector = 'hive'\nlocation = '{}'\n", directory.path().display());
    std::fs::write(&catalogs, lake).expect("the catalog file");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    println!("partitioned  scale {scale}, the middle of {ROUNDS} rounds");
    for (name, query, condition, years) in QUERIES {
        let (ours, plain) = runtime.block_on(async {
            let engine = measure::engine(&catalogs);
            let context = SessionContext::new();
            let files: Vec<String> = years.iter().map(|year| file(&table, *year)).collect();
            let needed = context.read_parquet(files, ParquetReadOptions::default()).await.expect("the files");
            context.register_table("needed", needed.into_view()).expect("a table");
            let theirs = query.replace("{lineitem}", "needed");
            let ours = of_lake(query, "lake.tpch.lineitem", condition);
            let mut times = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let start = Instant::now();
                let rows = measure::rows(&engine, &ours).await;
                times.0.push(start.elapsed().as_secs_f64());
                let start = Instant::now();
                let found = context.sql(&theirs).await.expect("a plan").collect().await.expect("rows");
                times.1.push(start.elapsed().as_secs_f64());
                assert_eq!(rows, found.iter().map(RecordBatch::num_rows).sum::<usize>(), "{name}");
            }
            (median(times.0), median(times.1))
        });
        println!(
            "partitioned  {name}, {ours:.3} s; over plain DataFusion's over {} files {:.2}   (aim: at most {AIM:.2})",
            years.len(),
            ours / plain
        );
        if let Ok(python) = std::env::var("PORTOLAN_BENCH_DUCKDB") {
            let source = format!("read_parquet('{}/*/*.parquet', hive_partitioning = true)", table.display());
            let theirs = duckdb(&python, &of_lake(query, &source, condition));
            println!("partitioned  {name}, over DuckDB's {theirs:.3} s {:.2}   (aim: below 1.00)", ours / theirs);
        }
    }
}

/// The query over a table with partitions, of which it needs some.
fn of_lake(query: &str, table: &str, condition: &str) -> String {
    query.replace("{lineitem}", table).replacen("WHERE ", &format!("WHERE {condition} AND "), 1)
}

fn file(table: &Path, year: i32) -> String {
    table.join(format!("l_shipyear={year}/data.parquet")).display().to_string()
}

/// Writes lineitem, a file for each year in which something was shipped.
fn write(table: &Path, scale: f64) {
    let batches = LineItemArrow::new(LineItemGenerator::new(scale, 1, 1));
    let schema = batches.schema();
    let mut writers: BTreeMap<i32, ArrowWriter<File>> = BTreeMap::new();
    for batch in batches {
        let batch = batch.expect("rows");
        let dates = batch.column_by_name("l_shipdate").expect("the date");
        let years = date_part(dates, DatePart::Year).expect("its year");
        let years = years.as_any().downcast_ref::<Int32Array>().expect("whole numbers");
        for year in 1992..=1998 {
            let of_year: BooleanArray = years.iter().map(|known| Some(known == Some(year))).collect();
            let rows = filter_record_batch(&batch, &of_year).expect("rows of the year");
            let writer = writers.entry(year).or_insert_with(|| {
                let path = file(table, year);
                std::fs::create_dir_all(Path::new(&path).parent().expect("its directory")).expect("a directory");
                ArrowWriter::try_new(File::create(path).expect("a file"), schema.clone(), None).expect("a writer")
            });
            writer.write(&rows).expect("rows are written");
        }
    }
    writers.into_values().for_each(|writer| drop(writer.close().expect("the file is written")));
}

/// The middle time of DuckDB, in a process of its own whose start does not count.
fn duckdb(python: &str, sql: &str) -> f64 {
    let program = "import duckdb, sys, time\n\
        times = []\n\
        for _ in range(int(sys.argv[2])):\n\
        \x20   start = time.monotonic()\n\
        \x20   duckdb.sql(sys.argv[1]).fetchall()\n\
        \x20   times.append(time.monotonic() - start)\n\
        print(sorted(times)[len(times) // 2])\n";
    let output = Command::new(python).args(["-c", program, sql, &ROUNDS.to_string()]).output().expect("Python runs");
    assert!(output.status.success(), "DuckDB: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("seconds")
}
