//! Files that differ from the table.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Decimal128Array, DictionaryArray, Int32Array, LargeStringArray, StructArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Int32Type};

use crate::support::{Engine, Lake, S3Server, floats, integers, longs, texts};

/// The visible columns, which hidden ones follow.
const VISIBLE: &str = "* EXCEPT (\"$path\", \"$file_size\", \"$file_modified_time\", \"$partition\", \"$row_group\")";

fn changing_columns() -> Lake {
    let lake = Lake::new();
    lake.write("s/t/y=1/f", vec![("a", integers([1])), ("b", texts(["one"]))]);
    lake.write("s/t/y=2/f", vec![("B", texts(["two"])), ("A", integers([2]))]);
    lake.write("s/t/y=3/f", vec![("c", longs([30])), ("a", integers([3])), ("b", texts(["three"]))]);
    lake
}

/// DuckDB 2.0 gives the same rows with `union_by_name`.
async fn check_changing_columns(engine: &Engine) {
    assert_eq!(engine.rows("t", "SELECT a, b, c, y FROM t").await, ["1|one|NULL|1", "2|two|NULL|2", "3|three|30|3"]);
    assert_eq!(engine.rows("t", "SELECT y FROM t WHERE c IS NULL").await, ["1", "2"]);
    assert_eq!(engine.rows("t", "SELECT y FROM t WHERE c IS NOT NULL").await, ["3"]);
    assert_eq!(engine.rows("t", "SELECT y FROM t WHERE b = 'two'").await, ["2"]);
    assert_eq!(engine.rows("t", "SELECT y FROM t WHERE a > 1").await, ["2", "3"]);
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE coalesce(c, 0) = 0").await, "2");
}

#[tokio::test]
async fn columns_come_and_move_and_change_case() {
    check_changing_columns(&Engine::new(changing_columns().connector("").unwrap())).await;
}

#[tokio::test]
async fn columns_come_and_move_and_change_case_on_s3() {
    let lake = changing_columns();
    let server = S3Server::start(lake.buckets()).await;
    check_changing_columns(&Engine::new(server.connector("s3://bucket/lake"))).await;
}

#[tokio::test]
async fn types_widen_where_nothing_is_lost() {
    let lake = Lake::new();
    let decimal = |value: i128, precision, scale| {
        Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale).unwrap()) as ArrayRef
    };
    let dictionary: DictionaryArray<Int32Type> = vec!["x"].into_iter().collect();
    lake.write(
        "s/t/y=1/f",
        vec![
            ("i", integers([-1])),
            ("f", Arc::new(arrow::array::Float32Array::from(vec![1.5]))),
            ("d", decimal(150, 5, 2)),
            ("s", Arc::new(dictionary)),
            ("at", Arc::new(TimestampMillisecondArray::from(vec![1_500]))),
            ("bytes", Arc::new(BinaryArray::from_vec(vec![b"raw"]))),
        ],
    );
    lake.write(
        "s/t/y=2/f",
        vec![
            ("i", longs([6_000_000_000])),
            ("f", floats([0.1])),
            ("d", decimal(12_345_678, 12, 3)),
            ("s", Arc::new(LargeStringArray::from(vec!["y"]))),
            ("at", Arc::new(arrow::array::TimestampMicrosecondArray::from(vec![1_500_001]))),
            ("bytes", Arc::new(arrow::array::LargeBinaryArray::from_vec(vec![b"big"]))),
        ],
    );
    let engine = Engine::new(lake.connector("").unwrap());
    assert_eq!(
        engine.rows("t", &format!("SELECT {VISIBLE} FROM t")).await,
        [
            "-1|1.5|1.500|x|1970-01-01T00:00:01.500|726177|1",
            "6000000000|0.1|12345.678|y|1970-01-01T00:00:01.500001|626967|2"
        ]
    );
    assert_eq!(engine.rows("t", "SELECT y FROM t WHERE i < 0").await, ["1"]);
    assert_eq!(engine.rows("t", "SELECT y FROM t WHERE i > 5000000000").await, ["2"]);
    assert_eq!(engine.rows("t", "SELECT y FROM t WHERE d = 1.5").await, ["1"]);
    assert_eq!(engine.rows("t", "SELECT y FROM t WHERE at = TIMESTAMP '1970-01-01 00:00:01.5'").await, ["1"]);
}

#[tokio::test]
async fn a_type_that_would_lose_something_names_the_file_and_the_column() {
    let lake = Lake::new();
    for (year, value) in [(1, integers([1])), (2, longs([6_000_000_000])), (3, integers([3]))] {
        lake.write(&format!("s/t/y={year}/part-0.parquet"), vec![("a", value), ("b", integers([year]))]);
    }
    // The footers of the first and the last year are read, so the table's `a` is an integer.
    let engine = Engine::new(lake.connector("").unwrap());
    let error = engine.error("t", "SELECT a FROM t").await;
    assert!(error.contains("catalog lake, table s.t"), "{error}");
    assert!(error.contains("s/t/y=2/part-0.parquet"), "{error}");
    assert!(error.contains("the column `a` is of type bigint in the file and of type integer in the table"), "{error}");
    // Neither a query without the column nor one without the file meets it.
    assert_eq!(engine.rows("t", "SELECT b FROM t").await, ["1", "2", "3"]);
    assert_eq!(engine.pruned_rows("t", "SELECT a FROM t WHERE y <> 2").await, ["1", "3"]);
    // With more footers the type is found; with a declaration it is given.
    let wider = ["schema_files = 3", "[tables.'s.t']\ncolumns = { a = 'bigint', b = 'integer' }"];
    for settings in wider {
        let engine = Engine::new(lake.connector(settings).unwrap());
        assert_eq!(engine.value("t", "SELECT sum(a) FROM t").await, "6000000004", "{settings}");
    }
}

#[tokio::test]
async fn declared_columns_need_no_file() {
    let lake = Lake::new();
    lake.write("s/t/f", vec![("b", texts(["x"])), ("a", integers([1])), ("c", integers([9]))]);
    let settings = "[tables.'s.t']\ncolumns = { A = 'decimal(12,2)', b = 'varchar', later = 'date' }";
    let engine = Engine::new(lake.connector(settings).unwrap());
    let visible = VISIBLE.replace(", \"$partition\"", "");
    assert_eq!(engine.rows("t", &format!("SELECT {visible} FROM t")).await, ["1.00|x|NULL"]);
    let table = engine.table("t").await.unwrap();
    let types: Vec<&str> = table.columns().iter().take(3).map(|column| column.source_type.as_str()).collect();
    assert_eq!(types, ["decimal(12,2)", "varchar", "date"]);
}

#[tokio::test]
async fn structs_gain_fields() {
    let lake = Lake::new();
    let field = |name: &str| Field::new(name, DataType::Int32, true);
    let array = |value: i32| Arc::new(Int32Array::from(vec![value])) as ArrayRef;
    let one = StructArray::new(Fields::from(vec![field("x")]), vec![array(1)], None);
    let two = StructArray::new(Fields::from(vec![field("x"), field("z")]), vec![array(2), array(3)], None);
    lake.write("s/t/y=1/f", vec![("p", Arc::new(one))]);
    lake.write("s/t/y=2/f", vec![("p", Arc::new(two))]);
    let engine = Engine::new(lake.connector("").unwrap());
    assert_eq!(engine.rows("t", "SELECT y, p['x'], p['z'] FROM t").await, ["1|1|NULL", "2|2|3"]);
    assert_eq!(engine.rows("t", "SELECT y FROM t WHERE p['z'] = 3").await, ["2"]);
    assert_eq!(engine.rows("t", "SELECT y FROM t WHERE p['z'] IS NULL").await, ["1"]);
}

#[tokio::test]
async fn old_timestamps_reach_beyond_nanoseconds() {
    use parquet::data_type::{Int96, Int96Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    let lake = Lake::new();
    std::fs::create_dir_all(lake.path("s/t")).unwrap();
    let schema = Arc::new(parse_message_type("message m { OPTIONAL INT96 at; }").unwrap());
    let file = std::fs::File::create(lake.path("s/t/f")).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::builder().build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    // Nanoseconds of the day in the first two words, the Julian day in the third: 2440588 is 1970-01-01, and
    // 3182030 is 4000-01-01, which nanoseconds since 1970 in 64 bits do not reach.
    let mut values = [Int96::new(), Int96::new()];
    values[0].set_data(1_000, 0, 2_440_588);
    values[1].set_data(0, 0, 3_182_030);
    column.typed::<Int96Type>().write_batch(&values, Some(&[1, 1]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let engine = Engine::new(lake.connector("").unwrap());
    assert_eq!(engine.rows("t", "SELECT at FROM t").await, ["1970-01-01T00:00:00.000001", "4000-01-01T00:00:00"]);
    assert_eq!(engine.rows("t", "SELECT at FROM t WHERE date_part('year', at) = 4000").await, ["4000-01-01T00:00:00"]);
}

#[tokio::test]
async fn columns_are_found_by_their_place_where_that_is_declared() {
    let lake = Lake::new();
    // The first file is from before the columns were renamed.
    lake.write("s/t/y=1/f", vec![("old_id", integers([1])), ("name", texts(["one"]))]);
    lake.write("s/t/y=2/f", vec![("name", integers([2])), ("id", texts(["two"])), ("more", longs([20]))]);
    let columns = "columns = { id = 'integer', name = 'varchar', more = 'bigint', later = 'date' }";
    let by = |place: &str| lake.connector(&format!("[tables.'s.t']\n{columns}\ncolumns_by = '{place}'")).unwrap();
    let engine = Engine::new(by("index"));
    let all = "SELECT id, name, more, later, y FROM t";
    assert_eq!(engine.rows("t", all).await, ["1|one|NULL|NULL|1", "2|two|20|NULL|2"]);
    assert_eq!(engine.rows("t", "SELECT y FROM t WHERE name = 'two' AND id = 2").await, ["2"]);
    assert_eq!(engine.rows("t", "SELECT y FROM t WHERE more IS NULL").await, ["1"]);
    let error = Engine::new(by("name")).error("t", "SELECT id FROM t").await;
    assert!(error.contains("the column `id` is of type varchar in the file"), "{error}");
    let undeclared = Engine::new(lake.connector("columns_by = 'index'").unwrap());
    let error = undeclared.connector.table("s", "t").await.unwrap_err().to_string();
    assert!(error.contains("columns_by = \"index\" needs columns whose places are known"), "{error}");
}

#[tokio::test]
async fn what_does_not_fit_is_null_where_the_table_says_so() {
    let lake = Lake::new();
    let lists = arrow::array::ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1)]),
        Some(vec![]),
        None,
        Some(vec![None]),
    ]);
    lake.write(
        "s/t/f",
        vec![
            ("a", longs([Some(6_000_000_000), Some(7), None, Some(-1)])),
            ("b", texts([Some("12"), Some("twelve"), None, Some("007")])),
            ("c", floats([1.0, 1.5, -3.0, 1e300])),
            ("d", Arc::new(lists)),
        ],
    );
    let columns = "columns = { a = 'integer', b = 'integer', c = 'bigint', d = 'bigint' }";
    let on = |what: &str| lake.connector(&format!("[tables.'s.t']\n{columns}\non_mismatch = '{what}'")).unwrap();
    let engine = Engine::new(on("null"));
    assert_eq!(
        engine.rows("t", "SELECT a, b, c, d FROM t").await,
        ["-1|7|NULL|NULL", "7|NULL|NULL|NULL", "NULL|12|1|NULL", "NULL|NULL|-3|NULL"]
    );
    // What was no NULL in the file's statistics is one now.
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE a IS NULL").await, "2");
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE a IS NOT NULL").await, "2");
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE a < 5").await, "1");
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE b = 7").await, "1");
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE c > 0").await, "1");
    let engine = Engine::new(on("error"));
    for column in ["a", "b", "c", "d"] {
        let error = engine.error("t", &format!("SELECT {column} FROM t")).await;
        assert!(error.contains(&format!("the column `{column}` is of type")), "{error}");
    }
}

#[tokio::test]
async fn values_of_text_that_do_not_fit_are_null_where_the_catalog_says_so() {
    let lake = Lake::new();
    lake.raw("s/c/f.csv", b"n,d,s\n1,2026-10-01,a\nn/a,soon,b\n6000000000,,c\n");
    lake.raw("s/j/f.json", b"{\"n\": 1, \"s\": \"a\"}\n{\"n\": \"n/a\", \"s\": 2}\n{\"n\": [1], \"s\": \"c\"}\n");
    let columns = "[tables.'s.c']\ncolumns = { n = 'integer', d = 'date', s = 'varchar' }\n[tables.'s.j']\ncolumns = { n = 'integer', s = 'varchar' }";
    let strict = Engine::new(lake.connector(columns).unwrap());
    for (table, line) in [("c", "line 3"), ("j", "line 2")] {
        let error = strict.error(table, "SELECT n FROM t").await;
        assert!(error.contains(line) && error.contains("column `n`"), "{error}");
    }
    let nulls = Engine::new(lake.connector(&format!("on_mismatch = 'null'\n{columns}")).unwrap());
    assert_eq!(nulls.rows("c", "SELECT n, d, s FROM t").await, ["1|2026-10-01|a", "NULL|NULL|b", "NULL|NULL|c"]);
    assert_eq!(nulls.rows("j", "SELECT n, s FROM t").await, ["1|a", "NULL|2", "NULL|c"]);
    assert_eq!(nulls.rows("c", "SELECT s FROM t WHERE n IS NULL AND s <> 'b'").await, ["c"]);
    // What is no text, or no JSON, is no value of any type.
    lake.raw("s/c/f.csv", b"n,d,s\n\xff,,a\n");
    lake.raw("s/j/f.json", b"{\"n\": 1, \"s\": \"a\"\n");
    assert!(nulls.error("c", "SELECT n FROM t").await.contains("no UTF-8"));
    assert!(nulls.error("j", "SELECT n FROM t").await.contains("s/j/f.json"));
}

#[tokio::test]
async fn a_timestamp_that_is_finer_than_the_tables_is_an_error_that_says_so() {
    let lake = Lake::new();
    lake.write("s/t/f", vec![("at", Arc::new(arrow::array::TimestampNanosecondArray::from(vec![1])) as ArrayRef)]);
    let engine = Engine::new(lake.connector("[tables.'s.t']\ncolumns = { at = 'timestamp' }").unwrap());
    let error = engine.error("t", "SELECT at FROM t").await;
    assert!(
        error.contains("is of type Timestamp(ns) in the file and of type Timestamp(") && error.contains("s/t/f"),
        "{error}"
    );
}
