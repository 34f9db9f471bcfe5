//! Rows that are written come back as they were, whatever their partitions are called.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Int32Array, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray,
};
use portolan_connector::{Connector, InsertMode, OnExisting};

use crate::support::{Create, Engine, Lake, WRITABLE, batch, dates, insert, integers, longs, texts};

fn lake() -> (Lake, Arc<dyn Connector>) {
    let lake = Lake::new();
    std::fs::create_dir_all(lake.path("s")).unwrap();
    let connector = lake.connector(WRITABLE).unwrap();
    (lake, connector)
}

/// Values that are hard to put into the name of a directory.
pub(crate) const NASTY: [&str; 22] = [
    "plain",
    "a b",
    " a ",
    "a/b",
    "k=v",
    "a:b",
    "50%",
    "%41",
    "x#y",
    "a+b",
    "{b}",
    "[c]",
    "it's",
    "\"q\"",
    "ü é",
    "日本",
    "tab\there",
    "line\nfeed",
    "\u{1}\u{7f}",
    "a\\b",
    "..",
    "_hidden",
];

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_hard_to_name() {
    let (lake, connector) = lake();
    let numbers = 0..i32::try_from(NASTY.len()).unwrap() + 2;
    let values = NASTY.iter().map(|text| Some(*text)).chain([None, Some("")]);
    let rows = batch(vec![("n", integers(numbers)), ("region", texts(values))]);
    let create = Create { partitioned_by: &["region"], ..Create::default() };
    assert_eq!(create.run(connector.as_ref(), &rows).await.unwrap(), 24);
    let engine = Engine::new(Arc::clone(&connector));
    for (number, value) in NASTY.iter().enumerate() {
        let sql = format!("SELECT n FROM t WHERE region = '{}'", value.replace('\'', "''"));
        assert_eq!(engine.rows("t", &sql).await, [number.to_string()], "{value:?}");
    }
    // Hive has one directory for NULL and the empty text.
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE region IS NULL").await, ["22", "23"]);
    assert!(lake.path("s/t/region=a%2Fb").is_dir() && lake.path("s/t/region=ü é").is_dir());
    // Once more, now that the directories are there.
    assert_eq!(insert(&connector, ("s", "t"), &rows, InsertMode::Overwrite, None).await.unwrap(), 24);
    assert_eq!(engine.value("t", "SELECT count(*) FROM t").await, "24");
}

#[tokio::test(flavor = "multi_thread")]
async fn partition_columns_keep_their_types() {
    let (_lake, connector) = lake();
    let decimals: ArrayRef =
        Arc::new(Decimal128Array::from(vec![Some(150), Some(-5), None]).with_precision_and_scale(12, 2).unwrap());
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(1_500_000), None, Some(-1)]));
    let rows = batch(vec![
        ("n", longs([1, 2, 3])),
        ("code", texts(["01", "2", "2026-10-01"])),
        ("day", dates([20_727, -1, 0])),
        ("price", decimals),
        ("at", times),
    ]);
    let partitioned_by = &["code", "day", "price", "at"];
    Create { partitioned_by, ..Create::default() }.run(connector.as_ref(), &rows).await.unwrap();
    let engine = Engine::new(connector);
    assert_eq!(
        engine.rows("t", "SELECT n, code, day, price, at FROM t").await,
        [
            "1|01|2026-10-01|1.50|1970-01-01T00:00:01.500",
            "2|2|1969-12-31|-0.05|NULL",
            "3|2026-10-01|1970-01-01|NULL|1969-12-31T23:59:59.999999",
        ]
    );
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE code = '01' AND price > 1").await, ["1"]);
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE at < '1970-01-01T00:00:00'").await, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_times_of_any_precision_take_more_rows() {
    let times: [(ArrayRef, ArrayRef, &str); 3] = [
        (
            Arc::new(TimestampSecondArray::from(vec![1])),
            Arc::new(TimestampSecondArray::from(vec![-1])),
            "1970-01-01T00:00:01",
        ),
        (
            Arc::new(TimestampMillisecondArray::from(vec![1_500])),
            Arc::new(TimestampMillisecondArray::from(vec![-1])),
            "1970-01-01T00:00:01.500",
        ),
        (
            Arc::new(TimestampNanosecondArray::from(vec![1_000_000_001])),
            Arc::new(TimestampNanosecondArray::from(vec![-1])),
            "1970-01-01T00:00:01.000000001",
        ),
    ];
    for (first, second, shown) in times {
        let (_lake, connector) = lake();
        let rows = |n: i32, at: &ArrayRef| batch(vec![("n", integers([n])), ("at", Arc::clone(at))]);
        let create = Create { partitioned_by: &["at"], ..Create::default() };
        create.run(connector.as_ref(), &rows(1, &first)).await.unwrap();
        insert(&connector, ("s", "t"), &rows(2, &second), InsertMode::Append, None).await.unwrap();
        insert(&connector, ("s", "t"), &rows(3, &first), InsertMode::Overwrite, None).await.unwrap();
        let engine = Engine::new(Arc::clone(&connector));
        assert_eq!(engine.rows("t", "SELECT n FROM t").await, ["2", "3"], "{shown}");
        let found = engine.rows("t", &format!("SELECT n, at FROM t WHERE at = '{shown}'")).await;
        assert_eq!(found, [format!("3|{shown}")]);
        assert_eq!(engine.rows("t", "SELECT n FROM t WHERE at < '1970-01-01T00:00:00'").await, ["2"], "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_rows_is_a_table() {
    let (_lake, connector) = lake();
    let rows = batch(vec![("n", integers([1, 2])), ("day", dates([0, 1]))]);
    let create = Create { partitioned_by: &["day"], ..Create::default() };
    assert_eq!(create.run(connector.as_ref(), &rows.slice(0, 0)).await.unwrap(), 0);
    let engine = Engine::new(Arc::clone(&connector));
    assert!(engine.rows("t", "SELECT n, day FROM t").await.is_empty());
    let listed = connector.list_tables("s").await.unwrap();
    assert_eq!(listed.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["t"]);
    insert(&connector, ("s", "t"), &rows, InsertMode::Append, None).await.unwrap();
    assert_eq!(engine.rows("t", "SELECT n, day FROM t").await, ["1|1970-01-01", "2|1970-01-02"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn overwriting_replaces_the_partitions_that_get_rows() {
    let (lake, connector) = lake();
    // As another writer would call it.
    lake.write("s/t/month=01/part-0.parquet", vec![("n", integers([1]))]);
    lake.write("s/t/month=2/part-0.parquet", vec![("n", integers([2]))]);
    lake.write("s/t/month=3/part-0.parquet", vec![("n", integers([3]))]);
    let rows = batch(vec![("n", integers([10, 20])), ("month", integers([1, 2]))]);
    insert(&connector, ("s", "t"), &rows, InsertMode::Overwrite, None).await.unwrap();
    let engine = Engine::new(Arc::clone(&connector));
    assert_eq!(engine.rows("t", "SELECT n, month FROM t").await, ["10|1", "20|2", "3|3"]);
    assert!(!lake.path("s/t/month=01/part-0.parquet").exists());
    let error = insert(&connector, ("s", "t"), &rows, InsertMode::NewPartitions, None).await.unwrap_err().to_string();
    assert!(error.contains("the partition month=") && error.contains("exists already"), "{error}");
    let rows = batch(vec![("n", integers([40])), ("month", integers([4]))]);
    insert(&connector, ("s", "t"), &rows, InsertMode::NewPartitions, None).await.unwrap();
    assert_eq!(engine.value("t", "SELECT count(*) FROM t").await, "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn overwriting_a_table_without_partitions() {
    let (lake, connector) = lake();
    lake.write("s/t/part-0.parquet", vec![("n", integers([1, 2]))]);
    let rows = batch(vec![("n", integers([5]))]);
    insert(&connector, ("s", "t"), &rows, InsertMode::Overwrite, None).await.unwrap();
    let engine = Engine::new(Arc::clone(&connector));
    assert_eq!(engine.rows("t", "SELECT n FROM t").await, ["5"]);
    insert(&connector, ("s", "t"), &rows.slice(0, 0), InsertMode::Overwrite, None).await.unwrap();
    assert!(engine.rows("t", "SELECT n FROM t").await.is_empty(), "the table is there without rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_takes_the_place_of_another() {
    let (lake, connector) = lake();
    let rows = batch(vec![("n", integers([1, 2])), ("day", dates([0, 1]))]);
    Create { partitioned_by: &["day"], ..Create::default() }.run(connector.as_ref(), &rows).await.unwrap();
    let rows = batch(vec![("t", texts(["x"])), ("region", texts(["y"]))]);
    let replace = Create { on_existing: OnExisting::Replace, partitioned_by: &["region"], ..Create::default() };
    replace.run(connector.as_ref(), &rows).await.unwrap();
    assert_eq!(Engine::new(connector).rows("t", "SELECT t, region FROM t").await, ["x|y"]);
    assert!(!lake.path("s/t/day=1970-01-01").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_precision_of_times_is_kept() {
    let (_lake, connector) = lake();
    let nanos: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1_234_567_891]));
    let instants: ArrayRef =
        Arc::new(TimestampNanosecondArray::from(vec![1_234_567_891]).with_timezone("Europe/Berlin"));
    let rows = batch(vec![("a", nanos), ("b", instants)]);
    Create::default().run(connector.as_ref(), &rows).await.unwrap();
    let rows = Engine::new(connector).rows("t", "SELECT a, b FROM t").await;
    assert_eq!(rows, ["1970-01-01T00:00:01.234567891|1970-01-01T00:00:01.234567891Z"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_statement_must_say() {
    let (_lake, connector) = lake();
    let rows = batch(vec![("a", integers([1])), ("b", texts(["x"])), ("c", texts(["y"]))]);
    for (partitioned_by, sorted_by, expected) in [
        (&["a"][..], &[][..], "must be the last columns of the table, in the order of partitioned_by: a"),
        (&["c", "b"], &[], "must be the last columns"),
        (&["d"], &[], "partitioned_by names d, which is no column of the table"),
        (&["a", "b", "c"], &[], "at least one column that it is not partitioned by"),
        (&["c"], &["c"], "sorted_by names c, which has one value in each partition"),
        (&[], &["a", "A"], "sorted_by names A twice"),
    ] {
        let create = Create { partitioned_by, sorted_by, ..Create::default() };
        let error = create.run(connector.as_ref(), &rows).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let times: ArrayRef = Arc::new(arrow::array::Time64MicrosecondArray::from(vec![1]));
    let error = Create::default().run(connector.as_ref(), &batch(vec![("t", times)])).await.unwrap_err().to_string();
    assert!(error.contains("column t: the lake has no type for"), "{error}");
    assert!(connector.table("s", "t").await.unwrap().is_none());
    let elsewhere = Create { external_location: Some("/tmp/x".to_owned()), ..Create::default() };
    let error = elsewhere.run(connector.as_ref(), &rows).await.unwrap_err().to_string();
    assert!(error.contains("external_location is for catalogs with a metastore"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_partitions_need_not_be_open_at_once() {
    let (_lake, connector) = lake();
    // Rows of 300 partitions, one after the other and over again.
    let keys: Vec<i32> = (0..3_000).map(|n| n % 300).collect();
    let rows = batch(vec![("n", integers(0..3_000)), ("k", Arc::new(Int32Array::from(keys)))]);
    let create = Create { partitioned_by: &["k"], ..Create::default() };
    assert_eq!(create.run(connector.as_ref(), &rows).await.unwrap(), 3_000);
    let engine = Engine::new(connector);
    assert_eq!(engine.value("t", "SELECT count(DISTINCT k) FROM t WHERE n % 300 = k").await, "300");
    assert_eq!(engine.value("t", "SELECT count(*) FROM t").await, "3000");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_at_the_same_time() {
    let (_lake, connector) = lake();
    let rows = |n: i32| batch(vec![("n", integers([n])), ("k", integers([n % 2]))]);
    let create = Create { partitioned_by: &["k"], ..Create::default() };
    create.run(connector.as_ref(), &rows(0).slice(0, 0)).await.unwrap();
    let inserts = (0..8).map(|n| {
        let (connector, rows) = (Arc::clone(&connector), rows(n));
        tokio::spawn(async move { insert(&connector, ("s", "t"), &rows, InsertMode::Append, None).await })
    });
    for insert in inserts.collect::<Vec<_>>() {
        insert.await.unwrap().unwrap();
    }
    let engine = Engine::new(Arc::clone(&connector));
    assert_eq!(engine.rows("t", "SELECT n FROM t").await, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    // Of statements that overwrite the same partition one is the last.
    let overwrites = (10..18).map(|n| {
        let (connector, rows) = (Arc::clone(&connector), rows(2 * n));
        tokio::spawn(async move { insert(&connector, ("s", "t"), &rows, InsertMode::Overwrite, None).await })
    });
    for overwrite in overwrites.collect::<Vec<_>>() {
        overwrite.await.unwrap().unwrap();
    }
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE k = 0").await, "1");
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE k = 1").await, ["1", "3", "5", "7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_one_write_or_the_other() {
    const PARTITIONS: i32 = 8;
    let (_lake, connector) = lake();
    let rows = |n: i32| batch(vec![("n", integers([n; 8])), ("k", integers(0..PARTITIONS))]);
    Create { partitioned_by: &["k"], ..Create::default() }.run(connector.as_ref(), &rows(0)).await.unwrap();
    let writer = {
        let connector = Arc::clone(&connector);
        tokio::spawn(async move {
            for n in 1..20 {
                insert(&connector, ("s", "t"), &rows(n), InsertMode::Overwrite, None).await.unwrap();
            }
        })
    };
    let engine = Engine::new(connector);
    let (mut seen, mut last) = (0, 0);
    while !writer.is_finished() || seen == 0 {
        match engine.try_rows("t", "SELECT min(n), max(n), count(*) FROM t").await {
            Ok(found) => {
                let cells: Vec<i32> = found[0].split('|').map(|cell| cell.parse().unwrap()).collect();
                assert!(cells[0] == cells[1] && cells[2] == PARTITIONS, "a mixture: {found:?}");
                assert!(cells[0] >= last, "{found:?} after {last}");
                (seen, last) = (seen + 1, cells[0]);
            }
            // Files that were overwritten after they were listed.
            Err(error) => assert!(error.to_string().contains("run the query again"), "{error}"),
        }
    }
    writer.await.unwrap();
    assert_eq!(engine.rows("t", "SELECT DISTINCT n FROM t").await, ["19"]);
}
