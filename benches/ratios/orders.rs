//! A lake table of orders: 6 million rows of 16 columns, the types and the spread of values that such tables have.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

pub(crate) const ROWS: i64 = FILES * ROWS_PER_FILE;
const FILES: i64 = 12;
const ROWS_PER_FILE: i64 = 500_000;
const ROWS_AT_ONCE: i64 = 50_000;

const STATUS: [&str; 6] = ["open", "paid", "packed", "shipped", "delivered", "returned"];
const COUNTRY: [&str; 12] = ["DE", "FR", "IT", "ES", "NL", "PL", "SE", "AT", "CH", "PT", "GR", "IE"];
const NOTE: &str = "carefully final deposits detect slyly agai furiously";

/// Writes the table's files.
pub(crate) fn write(directory: &Path) {
    std::fs::create_dir_all(directory).expect("a directory");
    for file in 0..FILES {
        let first = file * ROWS_PER_FILE;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let path = directory.join(format!("part-{file:02}.parquet"));
        let schema = batch(0..1).schema();
        let mut writer = ArrowWriter::try_new(File::create(path).expect("a file"), schema, Some(properties));
        let writer = writer.as_mut().expect("a writer");
        for start in (first..first + ROWS_PER_FILE).step_by(ROWS_AT_ONCE as usize) {
            writer.write(&batch(start..start + ROWS_AT_ONCE)).expect("rows");
        }
        writer.finish().expect("a footer");
    }
}

/// The sum of all values of `id`.
pub(crate) fn sum_of_ids() -> i64 {
    ROWS * (ROWS - 1) / 2
}

fn batch(rows: Range<i64>) -> RecordBatch {
    let random = |column: u64| rows.clone().map(move |row| mix(row as u64 * 16 + column));
    let below = |column: u64, limit: u64| random(column).map(move |number| (number % limit) as i64);
    let cents = |values: Decimal128Array| values.with_precision_and_scale(12, 2).expect("a decimal");
    let micros = |seconds: i64| 1_700_000_000_000_000 + seconds * 1_000_000;
    let columns: [(&str, ArrayRef, bool); 16] = [
        ("id", Arc::new(Int64Array::from_iter_values(rows.clone())), false),
        ("customer_id", Arc::new(Int64Array::from_iter_values(below(1, 200_000))), false),
        ("product_id", Arc::new(Int32Array::from_iter_values(below(2, 10_000).map(|id| id as i32))), false),
        ("quantity", Arc::new(Int32Array::from_iter_values(below(3, 50).map(|count| count as i32 + 1))), false),
        ("price", Arc::new(cents(below(4, 9_500_000).map(|price| Some(i128::from(price) + 99)).collect())), false),
        (
            "discount",
            Arc::new(cents(below(5, 40).map(|off| (off < 10).then_some(i128::from(off) * 5)).collect())),
            true,
        ),
        ("weight", Arc::new(Float64Array::from_iter_values(below(6, 1 << 40).map(|grams| grams as f64 / 1e9))), false),
        (
            "score",
            Arc::new(below(7, 120).map(|n| (n < 100).then_some(n as f64 / 100.0)).collect::<Float64Array>()),
            true,
        ),
        (
            "ordered_on",
            Arc::new(Date32Array::from_iter_values(rows.clone().map(|id| 19_000 + (id / 3000) as i32))),
            false,
        ),
        (
            "paid_on",
            Arc::new(below(9, 1000).map(|n| (n < 900).then_some(19_000 + n as i32)).collect::<Date32Array>()),
            true,
        ),
        ("created_at", Arc::new(TimestampMicrosecondArray::from_iter_values(below(10, 90_000_000).map(micros))), false),
        ("is_gift", Arc::new(below(11, 10).map(|n| (n < 9).then_some(n == 0)).collect::<BooleanArray>()), true),
        ("status", Arc::new(StringArray::from_iter_values(below(12, 6).map(|n| STATUS[n as usize]))), false),
        ("country", Arc::new(StringArray::from_iter_values(below(13, 12).map(|n| COUNTRY[n as usize]))), false),
        ("reference", Arc::new(StringArray::from_iter_values(random(14).map(|n| format!("{n:016x}")))), false),
        (
            "note",
            Arc::new(below(15, 1 << 20).map(|n| (n % 3 > 0).then(|| note(n as usize))).collect::<StringArray>()),
            true,
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).expect("a batch")
}

fn note(number: usize) -> String {
    format!("{} {number}", &NOTE[number % 20..number % 20 + number % 27 + 4])
}

/// SplitMix64: as good as random, and the same each time.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
