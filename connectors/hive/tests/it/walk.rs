//! The walk over the declared rules, with the values that make a difference.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Decimal128Array};
use datafusion::common::ScalarValue;
use parquet::file::properties::WriterProperties;
use portolan_connector::Domain;
use portolan_connector::testkit::{Subject, Walk, check_contract};

use portolan_hive::partition_directory;

use crate::support::{Lake, dates, floats, longs, texts};

/// Values of the text column.
const TEXTS: [&str; 14] = ["", " ", "a", "A", "a ", "b", "ab", "a%", "a_", "\\", "it's", "\u{e9}", "\u{1f600}", "zz"];

/// Values of the partition column; NULL is another one.
const PARTITIONS: [&str; 3] = ["", "A ", "é%"];

/// Small row groups, so that statistics have something to leave out.
fn properties() -> WriterProperties {
    WriterProperties::builder().set_max_row_group_row_count(Some(3)).set_bloom_filter_enabled(true).build()
}

fn with_null<T: Copy>(values: &[T]) -> Vec<Option<T>> {
    values.iter().copied().map(Some).chain([None]).collect()
}

#[tokio::test]
async fn every_rule_holds() {
    let lake = Lake::new();
    let whole = [i64::MIN, -1, 0, 1, 2, 5, 100, i64::MAX, 7, 8, 9, 10, 11, 12];
    let real = [
        f64::NEG_INFINITY,
        -1.5,
        -0.0,
        0.0,
        1.0,
        f64::MIN_POSITIVE,
        f64::INFINITY,
        f64::NAN,
        -f64::NAN,
        f64::MAX,
        2.0,
        3.0,
        4.0,
        5.0,
    ];
    let days = [i32::from(i16::MIN), -1, 0, 1, 20_727, 20_728, 2, 3, 4, 5, 6, 7, 8, 9];
    let money: Vec<Option<i128>> = with_null(&whole.map(|n| i128::from(n % 1_000_000)));
    let money = Decimal128Array::from(money).with_precision_and_scale(12, 2).unwrap();
    let flags: Vec<Option<bool>> = (0..15).map(|n| [Some(true), Some(false), None][n % 3]).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("whole", longs(with_null(&whole))),
        ("real", floats(with_null(&real))),
        ("day", dates(with_null(&days))),
        ("money", Arc::new(money)),
        ("name", texts(with_null(&TEXTS))),
        ("flag", Arc::new(BooleanArray::from(flags))),
    ];
    // The same rows in partitions by a text and a number, each with NULL.
    for (index, text) in PARTITIONS.iter().map(|text| Some(*text)).chain([None]).enumerate() {
        let text = match text {
            // Hive cannot tell the empty text from NULL, but a directory can.
            Some("") => "part=".to_owned(),
            text => partition_directory("part", text),
        };
        let number = partition_directory("number", [Some("-5"), Some("007"), Some("7"), None][index % 4]);
        let some = |array: &ArrayRef| array.slice(index % 3, 12);
        let columns = columns.iter().map(|(name, array)| (*name, some(array))).collect();
        lake.write_with(&format!("s/t/{text}/{number}/f"), columns, properties());
    }
    let connector = lake.connector("").unwrap();
    let table = connector.table("s", "t").await.unwrap().unwrap();
    let subject = Subject::new(connector, table);
    check_contract(&subject).await.unwrap().assert_clean();
    let (file, partition, hidden) = (Domain("file column"), Domain("partition column"), Domain("hidden column"));
    Walk::new(subject)
        .probe(partition, ["part"], PARTITIONS.map(ScalarValue::from))
        .probe(partition, ["number"], [-5_i64, 0, 7, i64::MAX].map(ScalarValue::from))
        .probe(hidden, ["$file_size"], [0_i64, 1, i64::MAX].map(ScalarValue::from))
        .probe(hidden, ["$partition"], ["", "part=A /number=007"].map(ScalarValue::from))
        .probe(file, ["whole"], [i64::MIN, -1, 0, 5, i64::MAX].map(ScalarValue::from))
        .probe(file, ["day"], [-1, 5, 20_727].map(|day| ScalarValue::Date32(Some(day))))
        .probe(file, ["money"], [-1_i128, 0, 500].map(|n| ScalarValue::Decimal128(Some(n), 12, 2)))
        .probe(file, ["name"], ["", "a", "A", "a ", "a%", "\\", "\u{1f600}"].map(ScalarValue::from))
        .probe(file, ["flag"], [true, false].map(ScalarValue::from))
        .probe(
            Domain("floating-point file column"),
            ["real"],
            [-1.5, 0.0, f64::INFINITY, f64::NAN].map(ScalarValue::from),
        )
        .run()
        .await
        .unwrap()
        .assert_clean();
}
