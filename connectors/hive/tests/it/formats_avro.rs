//! Avro files, written byte by byte as the Avro 1.12 specification says.

use std::io::Write;

use portolan_connector::testkit::{Subject, check_contract};

use crate::support::{Engine, Lake, S3Server};

const MARKER: [u8; 16] = *b"0123456789abcdef";

/// A long, as a zigzag number of variable length.
fn long(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    let mut bytes = Vec::new();
    loop {
        let low = (rest & 0x7f) as u8;
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Bytes or a string, after their length.
fn text(value: impl AsRef<[u8]>) -> Vec<u8> {
    [long(value.as_ref().len() as i64), value.as_ref().to_vec()].concat()
}

/// The second type of a union.
fn some(value: Vec<u8>) -> Vec<u8> {
    [long(1), value].concat()
}

/// A file of one block for each group of rows.
fn file(schema: &str, codec: &str, blocks: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut bytes = b"Obj\x01".to_vec();
    bytes.extend([long(2), text("avro.schema"), text(schema), text("avro.codec"), text(codec), long(0)].concat());
    bytes.extend(MARKER);
    for rows in blocks {
        let mut data = rows.concat();
        if codec == "deflate" {
            let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            writer.write_all(&data).unwrap();
            data = writer.finish().unwrap();
        } else if codec == "zstandard" {
            data = zstd::encode_all(&data[..], 3).unwrap();
        }
        bytes.extend([long(rows.len() as i64), text(data)].concat());
        bytes.extend(MARKER);
    }
    bytes
}

fn record(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "r", "fields": [{fields}]}}"#)
}

fn engine(lake: &Lake, settings: &str) -> Engine {
    Engine::new(lake.connector(settings).unwrap_or_else(|error| panic!("{error}")))
}

#[tokio::test]
async fn types_logical_types_and_unions_with_null() {
    let schema = record(
        r#"{"name": "i", "type": "int"}, {"name": "l", "type": ["null", "long"]}, {"name": "f", "type": "float"},
        {"name": "d", "type": "double"}, {"name": "b", "type": "boolean"}, {"name": "s", "type": ["null", "string"]},
        {"name": "raw", "type": "bytes"}, {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-millis"}},
        {"name": "money", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}},
        {"name": "color", "type": {"type": "enum", "name": "c", "symbols": ["RED", "GREEN"]}},
        {"name": "list", "type": {"type": "array", "items": "long"}},
        {"name": "sub", "type": {"type": "record", "name": "q", "fields": [{"name": "k", "type": "string"}]}},
        {"name": "odd", "type": ["null", "int", "string"]}"#,
    );
    let row = |nulls: bool| {
        [
            long(-7),
            if nulls { long(0) } else { some(long(i64::MAX)) },
            1.5_f32.to_le_bytes().to_vec(),
            (-0.25_f64).to_le_bytes().to_vec(),
            vec![1],
            if nulls { long(0) } else { some(text("\u{e9}")) },
            text([0xff, 0x00]),
            long(20_727),
            long(1_000_001),
            long(-500),
            text([0xff, 0x6a]),
            long(1),
            [long(2), long(3), long(4), long(0)].concat(),
            text("v"),
            long(0),
        ]
        .concat()
    };
    let lake = Lake::new();
    lake.raw("s/t/f.avro", &file(&schema, "null", &[vec![row(false)], vec![row(true)]]));
    let engine = engine(&lake, "");
    assert_eq!(
        engine.rows("t", "SELECT i, l, f, d, b, s, day, at, local, money, color FROM t").await,
        [
            "-7|9223372036854775807|1.5|-0.25|true|\u{e9}|2026-10-01|1970-01-01T00:00:01.000001Z|1969-12-31T23:59:59.500|-1.50|GREEN",
            "-7|NULL|1.5|-0.25|true|NULL|2026-10-01|1970-01-01T00:00:01.000001Z|1969-12-31T23:59:59.500|-1.50|GREEN"
        ]
    );
    assert_eq!(engine.rows("t", "SELECT list[2], sub['k'] FROM t WHERE s IS NULL").await, ["4|v"]);
    assert_eq!(engine.value("t", "SELECT encode(raw, 'hex') FROM t LIMIT 1").await, "ff00");
    assert_eq!(engine.value("t", "SELECT count(*) FROM t").await, "2");
    let table = engine.table("t").await.unwrap();
    let unsupported: Vec<&str> = table.unsupported_columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(unsupported, ["odd"], "of several types");
    assert!(table.definition().unwrap().contains("STORED AS AVRO"));
}

#[tokio::test]
async fn files_with_other_schemas_are_read_by_name_and_widened() {
    let lake = Lake::new();
    let old = record(r#"{"name": "n", "type": "int"}, {"name": "S", "type": "string"}"#);
    lake.raw("s/t/y=1/f.avro", &file(&old, "null", &[vec![[long(1), text("a")].concat()]]));
    let new =
        record(r#"{"name": "s", "type": "string"}, {"name": "more", "type": "double"}, {"name": "n", "type": "long"}"#);
    let row = [text("b"), 2.5_f64.to_le_bytes().to_vec(), long(1 << 40)].concat();
    lake.raw("s/t/y=2/f.avro", &file(&new, "deflate", &[vec![row]]));
    let by_name = engine(&lake, "");
    let rows = by_name.rows("t", "SELECT n, s, more, y FROM t").await;
    assert_eq!(rows, ["1099511627776|b|2.5|2", "1|a|NULL|1"]);
    assert_eq!(by_name.rows("t", "SELECT more FROM t WHERE y = 1").await, ["NULL"]);
    assert_eq!(by_name.value("t", "SELECT count(*) FROM t WHERE \"$path\" LIKE '%y=2%'").await, "1");
    let subject = Subject::new(by_name.connector.clone(), by_name.table("t").await.unwrap());
    check_contract(&subject).await.unwrap().assert_clean();
    // What does not fit is an error.
    let narrow = engine(&lake, "[tables.'s.t']\ncolumns = { n = 'integer', s = 'varchar' }");
    let error = narrow.error("t", "SELECT n FROM t").await;
    assert!(error.contains("y=2/f.avro"), "{error}");
    assert!(error.contains("the column `n` is of type bigint in the file and of type integer in the table"), "{error}");
    assert_eq!(narrow.pruned_rows("t", "SELECT n FROM t WHERE y = 1").await, ["1"]);
    let nulls = engine(&lake, "on_mismatch = 'null'\n[tables.'s.t']\ncolumns = { n = 'integer', s = 'varchar' }");
    assert_eq!(nulls.rows("t", "SELECT n, s FROM t").await, ["1|a", "NULL|b"]);
}

#[tokio::test]
async fn partitions_compression_and_s3() {
    let schema = record(r#"{"name": "n", "type": "long"}, {"name": "s", "type": "string"}"#);
    let rows = |from: i64| (from..from + 1000).map(|n| [long(n), text(n.to_string())].concat()).collect::<Vec<_>>();
    let lake = Lake::new();
    for (day, codec) in [(1, "null"), (2, "deflate"), (3, "zstandard")] {
        let blocks: Vec<Vec<Vec<u8>>> = (0..20).map(|block| rows(block * 1000)).collect();
        lake.raw(&format!("s/t/day={day}/f.avro"), &file(&schema, codec, &blocks));
    }
    let server = S3Server::start(lake.buckets()).await;
    for engine in [engine(&lake, ""), Engine::new(server.connector("s3://bucket/lake"))] {
        let sql = "SELECT day, count(*), sum(n), min(s) FROM t GROUP BY day";
        let expected = [1, 2, 3].map(|day| format!("{day}|20000|199990000|0"));
        assert_eq!(engine.rows("t", sql).await, expected);
        assert_eq!(engine.rows("t", "SELECT n, day FROM t WHERE day = 2 AND n = 19999").await, ["19999|2"]);
    }
    use datafusion::logical_expr::{col, lit};
    let table = engine(&lake, "").table("t").await.unwrap();
    assert_eq!(
        table.judge(&col("n").eq(lit(1_i64))).reason().map(ToString::to_string).as_deref(),
        Some("Avro files have no statistics: every row is read")
    );
}

#[tokio::test]
async fn broken_files() {
    let schema = record(r#"{"name": "n", "type": "long"}"#);
    let whole = file(&schema, "null", &[(0..100).map(long).collect(), (0..100).map(long).collect()]);
    let declared = "[tables.'s.t']\nformat = 'avro'\ncolumns = { n = 'bigint' }";
    // Wherever it is cut, rows are not lost without a word.
    for left in [3, 20, whole.len() / 2, whole.len() - 17, whole.len() - 1] {
        let lake = Lake::new();
        lake.raw("s/t/f.avro", &whole[..left]);
        let error = engine(&lake, declared).error("t", "SELECT n FROM t").await;
        assert!(error.contains("cannot read ") && error.contains("s/t/f.avro"), "{left}: {error}");
    }
    let lake = Lake::new();
    lake.raw("s/t/f.avro", b"this is no Avro file at all");
    let error = engine(&lake, "").table("t").await.unwrap_err().strip_backtrace();
    assert!(error.contains("cannot read the schema of") && error.contains("s/t/f.avro"), "{error}");
    // An empty table is one.
    let lake = Lake::new();
    lake.raw("s/t/f.avro", &file(&schema, "null", &[]));
    assert_eq!(engine(&lake, "").value("t", "SELECT count(*) FROM t").await, "0");
}
