//! Layouts as they are in the wild, each read from the local disk, from S3 and through a metastore, which must not differ.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Decimal128Array, DictionaryArray, Float32Array, Int32Array, LargeStringArray, StructArray,
    TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Int32Type};
use percent_encoding::percent_decode_str;
use portolan_connector::{PlanContext, QueryContext, ScanRequest};

use crate::support::{
    ACCESS_KEY, Engine, Lake, S3Server, SECRET_KEY, Table, Warehouse, floats, integers, longs, texts,
};

/// A table of these columns and partition columns, of which the files are written.
struct Layout {
    columns: &'static [(&'static str, &'static str)],
    keys: &'static [(&'static str, &'static str)],
    write: fn(&Lake, &str),
}

/// The table `t` in all places.
struct Places {
    warehouse: Warehouse,
    _server: S3Server,
    engines: Vec<(&'static str, Engine)>,
}

/// The partitions below a directory: their values and their paths below it.
fn partitions(directory: &Path, depth: usize) -> Vec<(Vec<String>, String)> {
    if depth == 0 {
        return vec![(Vec::new(), String::new())];
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let Some((_, value)) = name.split_once('=') else { continue };
        let value = percent_decode_str(value).decode_utf8().unwrap().into_owned();
        for (values, path) in partitions(&directory.join(&name), depth - 1) {
            let values = [vec![value.clone()], values].concat();
            found.push((values, format!("{name}/{path}").trim_end_matches('/').to_owned()));
        }
    }
    found
}

impl Places {
    /// Places where the schema is called like the metastore's database.
    async fn of(layout: &Layout) -> Self {
        let warehouse = Warehouse::new().await;
        let schema = warehouse.database.clone();
        let root = format!("{schema}/t");
        (layout.write)(&warehouse.lake, &root);
        let table = Table { columns: layout.columns, keys: layout.keys, ..Table::default() };
        warehouse.create(table.clone()).await;
        if !layout.keys.is_empty() {
            let found = partitions(&warehouse.lake.path(&root), layout.keys.len());
            let described = found.iter().map(|(values, path)| {
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                warehouse.partition(&table, &values, &warehouse.location(&format!("{root}/{path}")))
            });
            warehouse.add(described.collect()).await;
        }
        let server = S3Server::start(warehouse.lake.buckets()).await;
        let of = |connector| Engine { schema: schema.clone(), ..Engine::new(connector) };
        // What directories cannot say is what the metastore says.
        let keys: Vec<String> = layout.keys.iter().map(|(name, kind)| format!("{name} = '{}'", sql(kind))).collect();
        let declared = format!("[tables.'{schema}.t']\npartition_columns = {{ {} }}\n", keys.join(", "));
        let s3 = server.settings("s3://bucket/lake", ACCESS_KEY, SECRET_KEY);
        let s3 = portolan_connector::ConnectorFactory::create(
            &portolan_hive::HiveFactory,
            crate::support::catalog(&format!("{s3}{declared}")),
        );
        let engines = vec![
            ("the local disk", of(warehouse.lake.connector(&declared).unwrap())),
            ("S3", of(s3.unwrap())),
            ("a metastore", warehouse.engine()),
        ];
        Self { warehouse, _server: server, engines }
    }

    async fn check(&self, query: &str, expected: &[&str]) {
        for (place, engine) in &self.engines {
            assert_eq!(engine.rows("t", query).await, expected, "{place}: {query}");
        }
    }

    /// What goes wrong, everywhere.
    async fn fails(&self, query: &str, said: &[&str]) {
        for (place, engine) in &self.engines {
            let error = match engine.connector.table(&engine.schema, "t").await {
                Err(error) => error.to_string(),
                Ok(_) => engine.error("t", query).await,
            };
            for said in said {
                assert!(error.contains(said), "{place}: {query}: {error}");
            }
        }
    }
}

/// Hive's name of a type as the catalog file writes it.
fn sql(kind: &str) -> &str {
    match kind {
        "string" => "varchar",
        "int" => "integer",
        other => other,
    }
}

const N: &[(&str, &str)] = &[("n", "int")];

fn n(lake: &Lake, path: &str, n: i32) {
    lake.write(path, vec![("n", integers([n]))]);
}

#[tokio::test]
async fn numbers_that_are_padded_dates_and_null() {
    let places = Places::of(&Layout {
        columns: N,
        keys: &[("month", "int"), ("day", "date")],
        write: |lake, root| {
            for (month, day, value) in [
                ("01", "2026-01-05", 1),
                ("1", "2026-01-06", 2),
                ("-4", "2026-04-01", 3),
                ("10", "__HIVE_DEFAULT_PARTITION__", 4),
                ("__HIVE_DEFAULT_PARTITION__", "2026-12-31", 5),
            ] {
                n(lake, &format!("{root}/month={month}/day={day}/000000_0"), value);
            }
        },
    })
    .await;
    places
        .check("SELECT n, month, day FROM t WHERE n < 4", &["1|1|2026-01-05", "2|1|2026-01-06", "3|-4|2026-04-01"])
        .await;
    for (filter, rows) in [
        ("month = 1", &["1", "2"][..]),
        ("month < 2", &["1", "2", "3"]),
        ("month IN (10, 11) OR month IS NULL", &["4", "5"]),
        ("month + 1 = 2 AND day > DATE '2026-01-05'", &["2"]),
        ("day IS NULL", &["4"]),
        ("day BETWEEN '2026-01-06' AND '2026-04-01'", &["2", "3"]),
        ("month <> 1", &["3", "4"]),
        ("date_part('month', day) = 12", &["5"]),
        ("NOT (month = 1)", &["3", "4"]),
    ] {
        places.check(&format!("SELECT n FROM t WHERE {filter}"), rows).await;
    }
}

#[tokio::test]
async fn texts_that_are_escaped() {
    let places = Places::of(&Layout {
        columns: N,
        keys: &[("region", "string")],
        write: |lake, root| {
            for (value, directory) in [
                "region=plain",
                "region=sp ace",
                "region=a%2Fb",
                "region=a%3Db",
                "region=a%3Ab",
                "region=50%25",
                "region=x%23y",
                "region=a+b",
                "region=%7Bbr%7D",
                "region=it%27s",
                "region=%22q%22",
                "region=caf\u{e9}",
                "region=\u{6771}\u{4eac}",
                "region=__HIVE_DEFAULT_PARTITION__",
            ]
            .iter()
            .enumerate()
            {
                n(lake, &format!("{root}/{directory}/part-0"), i32::try_from(value).unwrap());
            }
        },
    })
    .await;
    let values = [
        "plain",
        "sp ace",
        "a/b",
        "a=b",
        "a:b",
        "50%",
        "x#y",
        "a+b",
        "{br}",
        "it's",
        "\"q\"",
        "caf\u{e9}",
        "\u{6771}\u{4eac}",
    ];
    for (index, value) in values.iter().enumerate() {
        let literal = value.replace('\'', "''");
        let expected = format!("{index}|{value}");
        places.check(&format!("SELECT n, region FROM t WHERE region = '{literal}'"), &[&expected]).await;
    }
    places.check("SELECT n FROM t WHERE region IS NULL", &["13"]).await;
    places.check("SELECT count(*), count(region) FROM t", &["14|13"]).await;
    places.check("SELECT n FROM t WHERE region LIKE 'a%' AND region > 'a:'", &["3", "4"]).await;
}

#[tokio::test]
async fn files_that_are_no_data_and_columns_that_are_in_both_places() {
    let places = Places::of(&Layout {
        columns: N,
        keys: &[("year", "int")],
        write: |lake, root| {
            // The directory decides, whatever the file says.
            lake.write(&format!("{root}/year=2025/f.parquet"), vec![("year", integers([1])), ("n", integers([1]))]);
            lake.write(&format!("{root}/year=2026/000000_0"), vec![("n", integers([2])), ("year", integers([2]))]);
            lake.write(&format!("{root}/year=2026/empty"), vec![("n", integers([0; 0]))]);
            lake.raw(&format!("{root}/_SUCCESS"), b"");
            lake.raw(&format!("{root}/year=2025/.f.parquet.crc"), b"crc");
            lake.raw(&format!("{root}/year=2025/_metadata"), b"no Parquet");
            lake.raw(&format!("{root}/year=2026/_temporary/0/part-0.parquet"), b"half of a file");
            lake.raw(&format!("{root}/year=2026/.hive-staging_1/part-0.parquet"), b"half of a file");
            lake.raw(&format!("{root}/year=2026/zero"), b"");
        },
    })
    .await;
    places.check("SELECT n, year FROM t", &["1|2025", "2|2026"]).await;
    places.check("SELECT n FROM t WHERE year = 2026", &["2"]).await;
    places.check("SELECT count(*) FROM t", &["2"]).await;
}

#[tokio::test]
async fn columns_that_move_come_go_and_change_case() {
    let places = Places::of(&Layout {
        columns: &[("a", "int"), ("b", "string"), ("c", "bigint")],
        keys: &[("y", "int")],
        write: |lake, root| {
            lake.write(&format!("{root}/y=1/f"), vec![("a", integers([1])), ("b", texts(["one"]))]);
            lake.write(&format!("{root}/y=2/f"), vec![("B", texts(["two"])), ("A", integers([2]))]);
            let more = vec![("c", longs([30])), ("a", integers([3])), ("b", texts(["three"]))];
            lake.write(&format!("{root}/y=3/f"), more);
        },
    })
    .await;
    places.check("SELECT a, b, c, y FROM t", &["1|one|NULL|1", "2|two|NULL|2", "3|three|30|3"]).await;
    places.check("SELECT y FROM t WHERE c IS NULL AND b <> 'one'", &["2"]).await;
    places.check("SELECT count(*) FROM t WHERE coalesce(c, 0) = 0", &["2"]).await;
}

#[tokio::test]
async fn types_that_grow() {
    let places = Places::of(&Layout {
        columns: &[
            ("i", "bigint"),
            ("f", "double"),
            ("d", "decimal(12,3)"),
            ("s", "string"),
            ("at", "timestamp"),
            ("raw", "binary"),
            ("p", "struct<x:int,z:int>"),
        ],
        keys: &[("y", "int")],
        write: |lake, root| {
            let decimal = |value: i128, precision, scale| {
                Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale).unwrap())
                    as ArrayRef
            };
            let field = |name: &str| Field::new(name, DataType::Int32, true);
            let array = |value: i32| Arc::new(Int32Array::from(vec![value])) as ArrayRef;
            let one = StructArray::new(Fields::from(vec![field("x")]), vec![array(1)], None);
            let two = StructArray::new(Fields::from(vec![field("x"), field("z")]), vec![array(2), array(3)], None);
            let dictionary: DictionaryArray<Int32Type> = vec!["x"].into_iter().collect();
            let old = vec![
                ("i", integers([-1])),
                ("f", Arc::new(Float32Array::from(vec![1.5])) as ArrayRef),
                ("d", decimal(150, 5, 2)),
                ("s", Arc::new(dictionary)),
                ("at", Arc::new(TimestampMillisecondArray::from(vec![1_500]))),
                ("raw", Arc::new(BinaryArray::from_vec(vec![b"raw"]))),
                ("p", Arc::new(one)),
            ];
            lake.write(&format!("{root}/y=1/f"), old);
            let new = vec![
                ("i", longs([6_000_000_000])),
                ("f", floats([0.1])),
                ("d", decimal(12_345_678, 12, 3)),
                ("s", Arc::new(LargeStringArray::from(vec!["y"])) as ArrayRef),
                ("at", Arc::new(TimestampMicrosecondArray::from(vec![1_500_001]))),
                ("raw", Arc::new(arrow::array::LargeBinaryArray::from_vec(vec![b"big"]))),
                ("p", Arc::new(two)),
            ];
            lake.write(&format!("{root}/y=2/f"), new);
        },
    })
    .await;
    places
        .check(
            "SELECT i, f, d, s, at, encode(raw, 'hex'), p['x'], p['z'], y FROM t",
            &[
                "-1|1.5|1.500|x|1970-01-01T00:00:01.500|726177|1|NULL|1",
                "6000000000|0.1|12345.678|y|1970-01-01T00:00:01.500001|626967|2|3|2",
            ],
        )
        .await;
    places.check("SELECT y FROM t WHERE i > 5000000000 AND d > 100 AND s = 'y'", &["2"]).await;
    places.check("SELECT y FROM t WHERE p['z'] IS NULL AND f > 1", &["1"]).await;
}

#[tokio::test]
async fn what_cannot_be_read_names_the_file() {
    let places = Places::of(&Layout {
        columns: N,
        keys: &[("y", "int")],
        write: |lake, root| {
            for year in 1..=4 {
                n(lake, &format!("{root}/y={year}/f.parquet"), year);
            }
            lake.write(&format!("{root}/y=2/f.parquet"), vec![("n", texts(["two"]))]);
            let whole = std::fs::read(lake.path(&format!("{root}/y=3/f.parquet"))).unwrap();
            lake.raw(&format!("{root}/y=3/f.parquet"), &whole[..whole.len() - 9]);
        },
    })
    .await;
    places
        .fails("SELECT n FROM t WHERE y = 2", &["y=2/f.parquet", "the column `n` is of type varchar in the file"])
        .await;
    places.fails("SELECT n FROM t WHERE y = 3", &["y=3/f.parquet"]).await;
    for (place, engine) in &places.engines {
        assert_eq!(engine.pruned_rows("t", "SELECT sum(n) FROM t WHERE y IN (1, 4)").await, ["5"], "{place}");
    }
}

#[tokio::test]
async fn a_file_that_goes_between_planning_and_reading_is_named() {
    let places = Places::of(&Layout {
        columns: N,
        keys: &[("y", "int")],
        write: |lake, root| {
            for year in 1..=2 {
                n(lake, &format!("{root}/y={year}/f.parquet"), year);
            }
        },
    })
    .await;
    let path = places.warehouse.lake.path(&format!("{}/t/y=2/f.parquet", places.warehouse.database));
    let content = std::fs::read(&path).unwrap();
    for (place, engine) in &places.engines {
        let session = datafusion::prelude::SessionContext::new();
        let state = session.state();
        let table = engine.table("t").await.unwrap();
        let snapshot = engine.connector.begin(&QueryContext { query_id: "q".to_owned() }).await.unwrap();
        let context = PlanContext { session: &state, snapshot };
        let plan = table.plan(&ScanRequest { projection: vec![0], ..ScanRequest::default() }, &context).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        let portolan_connector::Scan::Native(plan) = plan.scan else { panic!("a plan of the engine") };
        let read = datafusion::physical_plan::collect(plan, session.task_ctx()).await;
        std::fs::write(&path, &content).unwrap();
        let error = read.unwrap_err().strip_backtrace();
        assert!(error.contains("y=2/f.parquet") && error.contains("run the query again"), "{place}: {error}");
    }
}
