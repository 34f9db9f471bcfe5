//! JSON lines. RFC 8259 says what the values are.

use std::io::Write;

use crate::support::{Engine, Lake, S3Server};

fn engine(lake: &Lake, settings: &str) -> Engine {
    Engine::new(lake.connector(settings).unwrap_or_else(|error| panic!("{error}")))
}

#[tokio::test]
async fn objects_become_rows() {
    let lake = Lake::new();
    lake.raw(
        "s/t/f.json",
        "{\"n\": 1, \"x\": 1.5, \"s\": \"a\\u00e9\\n\", \"b\": true, \"tags\": [\"p\", null], \"o\": {\"k\": 7, \"deep\": {\"z\": \"q\"}}}\n\n  {\"s\": null, \"n\": 2, \"extra\": 9}\r\n{\"N\": 3, \"x\": 2, \"b\": false, \"tags\": [], \"o\": {\"K\": 8}}"
            .as_bytes(),
    );
    let engine = engine(&lake, "");
    assert_eq!(
        engine.rows("t", "SELECT n, x, s, b, extra FROM t").await,
        ["1|1.5|a\u{e9}\n|true|NULL", "2|NULL|NULL|NULL|9", "3|2.0|NULL|false|NULL"]
    );
    assert_eq!(engine.rows("t", "SELECT n, tags[1] FROM t WHERE tags IS NOT NULL").await, ["1|p", "3|NULL"]);
    assert_eq!(engine.rows("t", "SELECT n, o['k'], o['deep']['z'] FROM t").await, ["1|7|q", "2|NULL|NULL", "3|8|NULL"]);
    assert_eq!(engine.value("t", "SELECT count(*) FROM t").await, "3");
    assert_eq!(engine.rows("t", "SELECT n FROM t WHERE x > 1.75").await, ["3"]);
}

#[tokio::test]
async fn values_are_read_by_the_declared_type() {
    let lake = Lake::new();
    lake.raw(
        "s/t/f.json",
        b"{\"d\": \"2026-10-01\", \"m\": 12345678901234567890.12, \"big\": 9223372036854775807, \"v\": {\"a\": [1, 2.0]}, \"f\": \"NaN\"}\n{\"d\": null, \"m\": \"1.5\", \"big\": \"-5\", \"v\": 1.50, \"f\": 1}\n",
    );
    let settings = "[tables.'s.t']\ncolumns = { d = 'date', m = 'decimal(22,2)', big = 'bigint', v = 'varchar', f = 'double', missing = 'integer' }";
    assert_eq!(
        engine(&lake, settings).rows("t", "SELECT d, m, big, v, f, missing FROM t").await,
        [
            "2026-10-01|12345678901234567890.12|9223372036854775807|{\"a\": [1, 2.0]}|NaN|NULL",
            "NULL|1.50|-5|1.50|1.0|NULL"
        ]
    );
}

#[tokio::test]
async fn what_does_not_fit_is_an_error_that_names_file_line_and_column() {
    for (kind, value) in [
        ("integer", "1.5"),
        ("integer", "2147483648"),
        ("bigint", "9223372036854775808"),
        ("bigint", "true"),
        ("bigint", "{}"),
        ("bigint", "[1]"),
        ("bigint", "\"x\""),
        ("double", "1e999"),
        ("boolean", "1"),
        ("date", "5"),
        ("decimal(4,2)", "0.005"),
    ] {
        let lake = Lake::new();
        lake.raw("s/t/f.json", format!("{{\"n\": null}}\n\n{{\"a\": 1, \"n\": {value}}}\n").as_bytes());
        let settings = format!("[tables.'s.t']\ncolumns = {{ n = '{kind}' }}");
        let error = engine(&lake, &settings).error("t", "SELECT n FROM t").await;
        assert!(error.contains("s/t/f.json: line 3, column `n`: `"), "{kind} {value}: {error}");
    }
    let lake = Lake::new();
    lake.raw("s/t/f.json", b"{\"o\": {\"k\": [1]}}\n{\"o\": {\"k\": [1, \"x\"]}}\n{\"o\": 5}\n");
    let columns = "[tables.'s.t']\ncolumns = { o = 'varchar' }";
    assert_eq!(
        engine(&lake, columns).rows("t", "SELECT o FROM t").await,
        ["5", "{\"k\": [1, \"x\"]}", "{\"k\": [1]}"],
        "text takes any value"
    );
}

#[tokio::test]
async fn what_is_no_object_per_line() {
    for (line, expected) in [
        ("[{\"n\": 1}]", "an object"),
        ("{\"n\": 1", "EOF while parsing"),
        ("{\"n\": 1} {\"n\": 2}", "trailing characters"),
        ("{\"n\": 1, \"n\": 2}", "a key twice"),
        ("{\"N\": 1, \"_\": 0, \"n\": 1, \"n\": 2}", "a key twice"),
        ("{\"n\": NaN}", "expected value"),
        ("{'n': 1}", "key must be a string"),
        ("null", "an object"),
        ("{\"n\": \"\\ud800\"}", "hex escape"),
    ] {
        let lake = Lake::new();
        lake.raw("s/t/f.json", format!("{{\"n\": \"1\"}}\n{line}\n{{\"n\": \"3\"}}\n").as_bytes());
        let settings = "[tables.'s.t']\ncolumns = { n = 'varchar' }";
        let error = engine(&lake, settings).error("t", "SELECT n FROM t").await;
        assert!(error.contains("s/t/f.json: line 2, "), "{line}: {error}");
        assert!(error.contains(expected), "{line}: {error}");
    }
    let lake = Lake::new();
    lake.raw("s/t/f.json", b"[\n{\"n\": 1},\n{\"n\": 2}\n]\n");
    let error = engine(&lake, "").table("t").await.unwrap_err().strip_backtrace();
    assert!(error.contains("cannot infer the columns of") && error.contains("s/t/f.json"), "{error}");
    assert!(error.contains("each line of a JSON file holds one object"), "{error}");
}

#[tokio::test]
async fn the_same_name_wins_over_one_that_differs_in_case() {
    let lake = Lake::new();
    lake.raw("s/t/f.json", b"{\"N\": 1, \"n\": 2}\n{\"n\": 3, \"N\": 4}\n{\"N\": 5}\n");
    let settings = "[tables.'s.t']\ncolumns = { n = 'integer' }";
    assert_eq!(engine(&lake, settings).rows("t", "SELECT n FROM t").await, ["2", "3", "5"]);
    let settings = "[tables.'s.t']\ncolumns = { n = 'integer', N = 'integer' }";
    let both = engine(&lake, settings);
    assert_eq!(both.rows("t", "SELECT n, \"N\" FROM t").await, ["2|1", "3|4", "NULL|5"]);
    assert_eq!(both.rows("t", "SELECT n FROM t").await, ["2", "3", "NULL"]);
}

#[tokio::test]
async fn partitions_compression_and_s3() {
    let lake = Lake::new();
    for day in 1..=3 {
        let mut text = String::new();
        (0..10_000).for_each(|n| text.push_str(&format!("{{\"n\": {n}, \"day\": 99, \"s\": \"{n}\"}}\n")));
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        writer.write_all(text.as_bytes()).unwrap();
        lake.raw(&format!("s/t/day={day}/f.jsonl.gz"), &writer.finish().unwrap());
    }
    let server = S3Server::start(lake.buckets()).await;
    for engine in [engine(&lake, ""), Engine::new(server.connector("s3://bucket/lake"))] {
        assert_eq!(engine.value("t", "SELECT count(*) FROM t").await, "30000");
        let sql = "SELECT day, sum(n), count(DISTINCT s) FROM t WHERE day > 1 GROUP BY day";
        assert_eq!(engine.rows("t", sql).await, ["2|49995000|10000", "3|49995000|10000"]);
        assert_eq!(engine.rows("t", "SELECT n FROM t WHERE day = 3 AND n > 9998").await, ["9999"]);
    }
    use datafusion::logical_expr::{col, lit};
    let table = engine(&lake, "").table("t").await.unwrap();
    let verdict = table.judge(&col("n").eq(lit(1_i64)));
    assert_eq!(
        verdict.reason().map(ToString::to_string).as_deref(),
        Some("JSON files have no statistics: every row is read")
    );
    assert!(table.definition().unwrap().contains("JsonSerDe"));
}
