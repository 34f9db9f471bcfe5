//! A Parquet aggregate beside plain DataFusion on the same files, a pruned query over 1,000 partitions, planning one of 10,000, and
//! how many requests these and `count(*)` over 1,000 small files take.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::ListingOptions;
use datafusion::prelude::SessionContext;
use parquet::arrow::ArrowWriter;
use portolan::Engine;

use crate::measure::{self, median, timed};

const FILES: i64 = 16;
const ROWS_PER_FILE: i64 = 500_000;
const PARTITIONS: i64 = 1_000;
const ROUNDS: usize = 9;
const MANY_PARTITIONS: i64 = 10_000;

/// How long planning may take that keeps one of many partitions whose names are remembered, in milliseconds.
const PLANNING_AIM_MS: u32 = 50;

/// Prints our time over DataFusion's, a pruned query's over the whole, and how long it takes to plan one of many partitions.
pub(crate) fn run() {
    let directory = tempfile::tempdir().expect("a directory");
    let facts = directory.path().join("default/facts");
    for file in 0..FILES {
        write(&facts.join(format!("part={file}")), file * ROWS_PER_FILE, ROWS_PER_FILE);
    }
    let days = directory.path().join("default/days");
    for day in 0..PARTITIONS {
        write(&days.join(format!("day={day}")), day, 100);
    }
    let many = directory.path().join("default/many");
    for day in 0..MANY_PARTITIONS {
        write(&many.join(format!("day={day}")), day, 1);
    }
    let catalogs = directory.path().join("catalogs.toml");
    let lake = format!("connector = 'hive'\nlocation = '{}'\n", directory.path().display());
    std::fs::write(&catalogs, format!("[lake]\n{lake}[known]\n{lake}listing_ttl_seconds = 3600\n"))
        .expect("the catalog file");

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let engine = measure::engine(&catalogs);
        let plain = SessionContext::new();
        let options = ListingOptions::new(Arc::new(ParquetFormat::default()))
            .with_table_partition_cols(vec![("part".to_owned(), DataType::Int64)]);
        plain
            .register_listing_table("facts", facts.to_str().expect("a path"), options, None, None)
            .await
            .expect("the listing table");
        let sql = |table: &str| {
            format!("SELECT kind, count(*), sum(amount), max(id) FROM {table} WHERE amount > 10 GROUP BY kind")
        };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let start = std::time::Instant::now();
            let found = plain.sql(&sql("facts")).await.expect("a plan").collect().await.expect("rows");
            theirs.push(start.elapsed().as_secs_f64());
            let start = std::time::Instant::now();
            let rows = measure::rows(&engine, &sql("lake.default.facts")).await;
            ours.push(start.elapsed().as_secs_f64());
            assert_eq!(rows, found.iter().map(RecordBatch::num_rows).sum::<usize>());
        }
        println!("lake      {} rows in {FILES} files, {ROUNDS} rounds", FILES * ROWS_PER_FILE);
        println!(
            "lake      aggregate, time over plain DataFusion's   {:.2}   (aim: at most 1.10)",
            median(ours) / median(theirs)
        );
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (times, filter) in times.iter_mut().zip(["WHERE day = 500", ""]) {
                let start = std::time::Instant::now();
                measure::rows(&engine, &format!("SELECT sum(amount) FROM lake.default.days {filter}")).await;
                times.push(start.elapsed().as_secs_f64());
            }
        }
        let [pruned, whole] = times.map(median);
        println!("lake      one of {PARTITIONS} partitions, time over reading all {:.3}", pruned / whole);
        let mut planning = Vec::new();
        for round in 0..=ROUNDS {
            let start = std::time::Instant::now();
            let sql = format!("EXPLAIN SELECT sum(amount) FROM known.default.many WHERE day = {}", 500 + round);
            measure::rows(&engine, &sql).await;
            // The first one lists.
            if round > 0 {
                planning.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
        println!(
            "lake      plan one of {MANY_PARTITIONS} partitions, known names {:.1} ms   (aim: at most {PLANNING_AIM_MS} ms)",
            median(planning)
        );
        let one = "SELECT sum(amount) FROM known.default.many WHERE day = 9000";
        println!("lake      one of {MANY_PARTITIONS} partitions, known names: {} (aim: 1 LIST, 1 GET)", requests(&engine, one).await);
        let count = "SELECT count(*) FROM known.default.days";
        measure::rows(&engine, "CALL known.system.flush_cache()").await;
        println!("lake      count(*) of {PARTITIONS} small files: {} (aim: at most {PARTITIONS} GET)", requests(&engine, count).await);
        println!("lake      count(*) once the footers are known: {} (aim: none)", requests(&engine, count).await);
    });
}

/// What EXPLAIN ANALYZE says of a query's requests.
async fn requests(engine: &Arc<Engine>, sql: &str) -> String {
    let chart = measure::text(&engine.session(), &format!("EXPLAIN ANALYZE {sql}")).await;
    let line = chart.lines().find_map(|line| line.trim().strip_prefix("requests to known"));
    line.map_or_else(|| "no requests".to_owned(), |line| line.trim().to_owned())
}

fn write(directory: &Path, first: i64, rows: i64) {
    std::fs::create_dir_all(directory).expect("a directory");
    let ids = Int64Array::from_iter_values(first..first + rows);
    let amounts = Float64Array::from_iter_values((first..first + rows).map(|id| (id * 7919 % 10_007) as f64 / 100.0));
    let kinds: StringArray =
        (first..first + rows).map(|id| Some(["buy", "view", "click", "return"][(id % 4) as usize])).collect();
    let columns: [(&str, ArrayRef); 3] =
        [("id", Arc::new(ids)), ("amount", Arc::new(amounts)), ("kind", Arc::new(kinds))];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let file = File::create(directory.join("data.parquet")).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    let (_, ()) = timed(|| writer.write(&batch).expect("rows"));
    writer.close().expect("a footer");
}
