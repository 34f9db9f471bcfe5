//! CSV files, and what Hive calls TEXTFILE. Hive's documentation of LazySimpleSerDe and RFC 4180 say what the values are.

use std::io::Write;

use crate::support::{Engine, Lake, S3Server, leaf_of, metric};

fn engine(lake: &Lake, settings: &str) -> Engine {
    Engine::new(lake.connector(settings).unwrap_or_else(|error| panic!("{error}")))
}

/// The error of a query of all of `columns`.
async fn error_of(text: &[u8], settings: &str, columns: &str) -> String {
    let lake = Lake::new();
    lake.raw("s/t/f.csv", text);
    engine(&lake, settings).error("t", &format!("SELECT {columns} FROM t")).await
}

#[tokio::test]
async fn types_are_inferred_and_empty_is_null_while_quoted_empty_is_text() {
    let lake = Lake::new();
    lake.raw(
        "s/t/part-0.csv",
        b"id,price,who,day,at,flag,zip\n1,1.5,\"a, b\",2026-10-01,2026-10-01 12:30:00.5,true,01234\n2,,\"\",,,,\n3,-2e3,,1969-12-31,1969-12-31 23:59:59,FALSE,99999\n",
    );
    let engine = engine(&lake, "");
    assert_eq!(
        engine.rows("t", "SELECT id, price, who, day, at, flag, zip FROM t").await,
        [
            "1|1.5|a, b|2026-10-01|2026-10-01T12:30:00.500|true|01234",
            "2|NULL||NULL|NULL|NULL|NULL",
            "3|-2000.0|NULL|1969-12-31|1969-12-31T23:59:59|false|99999",
        ]
    );
    let table = engine.table("t").await.unwrap();
    let types: Vec<&str> = table.columns().iter().map(|column| column.source_type.as_str()).take(7).collect();
    assert_eq!(
        types,
        [
            "bigint (inferred)",
            "double (inferred)",
            "varchar (inferred)",
            "date (inferred)",
            "timestamp (inferred)",
            "boolean (inferred)",
            "varchar (inferred)"
        ]
    );
    assert_eq!(engine.value("t", "SELECT count(*) FROM t").await, "3");
    assert_eq!(engine.rows("t", "SELECT id FROM t WHERE price < 0 OR who = ''").await, ["2", "3"]);
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE who IS NULL").await, "1");
    // One zero and one NaN, as everywhere in the engine.
    lake.raw("s/zeros/f.csv", b"x\n0.0\n-0.0\nNaN\n");
    assert_eq!(engine.rows("zeros", "SELECT DISTINCT x FROM t WHERE x >= 0").await, ["0.0", "NaN"]);
    // What a limit cuts off, and a column that is named twice.
    assert_eq!(engine.rows("t", "SELECT 1 FROM t LIMIT 2").await.len(), 2);
    assert_eq!(engine.value("t", "SELECT sum(id + id) FROM t").await, "12");
}

#[tokio::test]
async fn hive_text_has_its_own_marker_of_null_and_takes_rows_as_they_are() {
    let lake = Lake::new();
    // The second row lacks values, the third has one too many, the fourth is an empty line.
    lake.raw("s/t/000000_0", b"1\x01a\x01x\n2\x01\\N\n\\N\x01b\x01y\x01z\n\n4\x01\"q\"\x01\n");
    let declared = "[tables.'s.t']\nformat = 'text'\ncolumns = { n = 'varchar', a = 'varchar', b = 'varchar' }";
    let rows = ["1|a|x", "2|NULL|NULL", "4|\"q\"|", "NULL|b|y", "|NULL|NULL"];
    assert_eq!(engine(&lake, declared).rows("t", "SELECT n, a, b FROM t").await, rows);
    // What is no number is an error here, where Hive would say NULL.
    let declared = "[tables.'s.t']\nformat = 'text'\ncolumns = { n = 'integer', a = 'varchar' }";
    let error = engine(&lake, declared).error("t", "SELECT n FROM t").await;
    assert!(error.contains("s/t/000000_0: line 4, column `n`: `` is no integer"), "{error}");
    let strict = "[tables.'s.t']\nformat = 'text'\nrow_length = 'exact'\ncolumns = { n = 'varchar', a = 'varchar', b = 'varchar' }";
    let error = engine(&lake, strict).error("t", "SELECT n FROM t").await;
    assert!(error.contains("line 2, the row has 2 values, and there are 3 columns"), "{error}");
}

#[tokio::test]
async fn delimiters_quotes_escapes_and_headers_as_declared() {
    let lake = Lake::new();
    lake.raw("s/pipes/f", b"first|second\nx\\|y|NULL\n'a|b'|\\NULL\n");
    let settings =
        "[tables.'s.pipes']\nformat = 'csv'\ndelimiter = '|'\nquote = \"'\"\nescape = '\\'\nnull_marker = 'NULL'";
    let pipes = engine(&lake, settings);
    assert_eq!(pipes.rows("pipes", "SELECT first, second FROM t").await, ["a|b|NULL", "x|y|NULL"]);
    assert_eq!(pipes.rows("pipes", "SELECT second FROM t WHERE second IS NOT NULL").await, ["NULL"]);

    lake.raw("s/tabs/f.tsv", b"a\tb\n1\tx,y\n");
    assert_eq!(engine(&lake, "").rows("tabs", "SELECT a, b FROM t").await, ["1|x,y"]);

    lake.raw("s/bare/f.csv", b"1,x\n2,y\n");
    let bare = engine(&lake, "[tables.'s.bare']\nheader = 'none'");
    assert_eq!(bare.rows("bare", "SELECT column_1, column_2 FROM t").await, ["1|x", "2|y"]);
    let named = "[tables.'s.bare']\nheader = 'none'\ncolumns = { n = 'decimal(4,2)', s = 'varchar' }";
    assert_eq!(engine(&lake, named).rows("bare", "SELECT n, s FROM t").await, ["1.00|x", "2.00|y"]);
    let skipped = "[tables.'s.bare']\nheader = 'skip'\ncolumns = { n = 'integer', s = 'varchar' }";
    assert_eq!(engine(&lake, skipped).rows("bare", "SELECT n, s FROM t").await, ["2|y"]);
}

#[tokio::test]
async fn line_feeds_within_quotes_are_part_of_the_value() {
    let lake = Lake::new();
    // Large enough that the engine would split the file among its threads if it could.
    let mut text = String::from("id,note\r\n");
    for id in 0..20_000 {
        text.push_str(&format!("{id},\"line one\nid,\"\"{id}\"\"\r\nend\"\r\n"));
    }
    lake.raw("s/t/f.csv", text.as_bytes());
    let engine = engine(&lake, "");
    assert_eq!(engine.value("t", "SELECT count(*) FROM t").await, "20000");
    assert_eq!(engine.value("t", "SELECT sum(id) FROM t").await, "199990000");
    assert_eq!(
        engine.value("t", "SELECT count(*) FROM t WHERE note = 'line one\nid,\"' || id || '\"\r\nend'").await,
        "20000"
    );
}

#[tokio::test]
async fn what_does_not_parse_is_an_error_that_names_file_line_and_column() {
    let declared = |kind: &str| format!("[tables.'s.t']\ncolumns = {{ a = 'varchar', n = '{kind}' }}");
    for (kind, value) in [
        ("integer", "x"),
        ("integer", "1.0"),
        ("tinyint", "128"),
        ("bigint", "9223372036854775808"),
        ("double", "1e999"),
        ("boolean", "yes"),
        ("decimal(4,2)", "1.005"),
        ("decimal(4,2)", "100.00"),
        ("date", "2026-02-30"),
        ("timestamp", "2026-10-01 10:00:00+02"),
        ("integer", "\"\""),
    ] {
        let text = format!("a,n\nx,\n\"two\nlines\",{value}\n");
        let error = error_of(text.as_bytes(), &declared(kind), "n").await;
        assert!(error.contains("catalog lake, table s.t: cannot read "), "{error}");
        assert!(error.contains("s/t/f.csv: line 3, column `n`: `"), "{kind} {value}: {error}");
        assert!(error.contains("declare a type that all values have"), "{error}");
    }
    // A column that the query does not read is not parsed.
    let lake = Lake::new();
    lake.raw("s/t/f.csv", b"a,n\nx,oops\n");
    assert_eq!(engine(&lake, &declared("integer")).rows("t", "SELECT a FROM t").await, ["x"]);
    let error = error_of(b"a,n\nx,1\n\xff,2\n", &declared("integer"), "a").await;
    assert!(error.contains("line 3, column `a`:") && error.contains("is no UTF-8"), "{error}");
}

#[tokio::test]
async fn what_the_sample_did_not_show_is_an_error_and_not_null() {
    let lake = Lake::new();
    let mut text = String::from("n\n");
    (0..20_000).for_each(|n| text.push_str(&format!("{n}\n")));
    lake.raw("s/t/f.csv", format!("{text}late\n").as_bytes());
    let error = engine(&lake, "").error("t", "SELECT sum(n) FROM t").await;
    assert!(error.contains("line 20002, column `n`: `late` is no bigint"), "{error}");
}

#[tokio::test]
async fn rows_of_other_lengths_and_broken_quotes() {
    let declared = "[tables.'s.t']\ncolumns = { a = 'varchar', b = 'varchar' }";
    for (text, expected) in [
        ("a,b\n1,2\n3\n", "line 3, the row has 1 value, and there are 2 columns"),
        ("a,b\n1,2,3\n", "line 2, the row has 3 values, and there are 2 columns"),
        ("a,b\n\"1,2\n", "line 2, a quote that is opened in the row is never closed"),
        ("a,b\n\"1\"x,2\n", "line 2, value 1 goes on after its closing quote"),
        ("1,2\n3,4\n", "line 1, the header has none of the table's columns"),
    ] {
        let error = error_of(text.as_bytes(), declared, "a, b").await;
        assert!(error.contains("s/t/f.csv: ") && error.contains(expected), "{text:?}: {error}");
    }
    // Without any column to read, rows are still rows.
    let error = error_of(b"a,b\n1,2\n3\n", declared, "count(*)").await;
    assert!(error.contains("line 3"), "{error}");
    let lake = Lake::new();
    lake.raw("s/t/f.csv", b"a,b\n1,2\n\n3,4\n\n");
    assert_eq!(engine(&lake, declared).rows("t", "SELECT a, b FROM t").await, ["1|2", "3|4"]);
}

#[tokio::test]
async fn files_whose_headers_differ_are_read_by_name() {
    let lake = Lake::new();
    lake.raw("s/t/y=1/f.csv", b"ID,Name\n1,a\n");
    lake.raw("s/t/y=2/f.csv", b"name,more,id\nb,x,2\n");
    let engine = engine(&lake, "");
    let rows = engine.rows("t", "SELECT id, name, more, y FROM t").await;
    assert_eq!(rows, ["1|a|NULL|1", "2|b|x|2"]);
}

#[tokio::test]
async fn partitions_hidden_columns_and_verdicts() {
    let lake = Lake::new();
    for (day, n) in [("2026-09-30", 1), ("2026-10-01", 2), ("2026-10-02", 3)] {
        lake.raw(&format!("s/t/day={day}/f.csv"), format!("n,x\n{n},1.5\n{},2.5\n", n * 10).as_bytes());
    }
    let engine = engine(&lake, "");
    assert_eq!(
        engine.rows("t", "SELECT n, day FROM t WHERE day = '2026-10-01'").await,
        ["20|2026-10-01", "2|2026-10-01"]
    );
    assert_eq!(engine.value("t", "SELECT sum(x) FROM t WHERE \"$partition\" <> 'day=2026-10-01'").await, "8.0");
    assert_eq!(engine.value("t", "SELECT count(DISTINCT \"$path\") FROM t WHERE n > 1").await, "3");
    let sql = "SELECT n FROM t WHERE day >= '2026-10-01' AND n > 2 AND (n = 5 OR day = '2026-10-02')";
    let (plan, _) = engine.plan("t", sql).await.unwrap();
    let report = leaf_of(&plan).report();
    let verdicts: Vec<(&str, Option<&str>)> =
        report.filters.iter().map(|filter| (filter.verdict.label(), filter.remote.as_deref())).collect();
    assert_eq!(verdicts, [("exact", Some("partitions"))]);
    assert_eq!(report.units.iter().map(|unit| unit.kept).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(report.columns, ["n", "day"]);
    let plan = engine.run("t", "SELECT n FROM t WHERE day >= '2026-10-01'").await;
    let size = std::fs::metadata(lake.path("s/t/day=2026-10-01/f.csv")).unwrap().len();
    assert_eq!(metric(&plan, "bytes_scanned"), (2 * size).to_string());

    use datafusion::logical_expr::{col, lit};
    let table = engine.table("t").await.unwrap();
    let reason = |expr| table.judge(&expr).reason().map(ToString::to_string);
    let none = Some("CSV files have no statistics: every row is read".to_owned());
    assert_eq!(reason(col("n").gt(lit(5_i64))), none);
    assert_eq!(reason(col("x").is_null()), none);
    assert_eq!(reason(col("n").eq(col("x"))), none);
    assert_eq!(reason(col("n").gt(lit(5_i64)).or(col("day").is_null())), none);
    assert_eq!(table.judge(&col("n").gt(lit(5_i64)).and(col("day").is_null())).label(), "pruning");
    assert_eq!(table.judge(&col("day").is_null()).label(), "exact");
    let definition = table.definition().unwrap();
    assert!(definition.contains("OpenCSVSerde") && definition.contains("STORED AS TEXTFILE"), "{definition}");
}

#[tokio::test]
async fn compressed_files() {
    let text = b"n,s\n1,a\n2,b\n";
    let gzip = |bytes: &[u8]| {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    };
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    deflate.write_all(text).unwrap();
    let lake = Lake::new();
    lake.raw("s/t/c=gz/f.csv.gz", &gzip(text));
    lake.raw("s/t/c=deflate/f.csv.deflate", &deflate.finish().unwrap());
    lake.raw("s/t/c=zst/f.csv.zst", &zstd::encode_all(&text[..], 3).unwrap());
    lake.raw("s/t/c=none/f.csv", text);
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bzip2.write_all(text).unwrap();
    lake.raw("s/t/c=bz2/f.csv.bz2", &bzip2.finish().unwrap());
    let expected = ["bz2|3", "deflate|3", "gz|3", "none|3", "zst|3"];
    let sql = "SELECT c, sum(n) FROM t GROUP BY c";
    assert_eq!(engine(&lake, "").rows("t", sql).await, expected);
    let server = S3Server::start(lake.buckets()).await;
    assert_eq!(Engine::new(server.connector("s3://bucket/lake")).rows("t", sql).await, expected);

    let cut = gzip(&text.repeat(1000));
    lake.raw("s/cut/f.csv.gz", &cut[..cut.len() - 10]);
    let declared = "[tables.'s.cut']\ncolumns = { n = 'varchar' }";
    let error = engine(&lake, declared).error("cut", "SELECT n FROM t").await;
    assert!(error.contains("cannot read ") && error.contains("s/cut/f.csv.gz"), "{error}");
    for (table, name) in [("xz", "f.csv.xz"), ("lz4", "f.csv.lz4")] {
        lake.raw(&format!("s/{table}/{name}"), b"whatever");
        let error = engine(&lake, "").table(table).await.unwrap_err().strip_backtrace();
        let extension = name.rsplit('.').next().unwrap();
        assert!(error.contains(&format!("files compressed as .{extension} are not read")), "{error}");
    }
    // Declared, whatever the name.
    lake.raw("s/odd/f", &gzip(text));
    let odd = engine(&lake, "[tables.'s.odd']\nformat = 'csv'\ncompression = 'gzip'");
    assert_eq!(odd.value("odd", "SELECT sum(n) FROM t").await, "3");
}

#[tokio::test]
async fn settings_that_cannot_be() {
    let lake = Lake::new();
    lake.raw("s/t/f.csv", b"a\n1\n");
    let error = |settings: &str| lake.connector(&format!("[tables.'s.t']\n{settings}")).unwrap_err().to_string();
    let text = error("format = 'csv'\ndelimiter = '||'");
    assert!(text.contains("tables.s.t.delimiter is `||`, which is not one character of ASCII"), "{text}");
    assert!(error("format = 'parquet'\nquote = \"'\"").contains("`quote` is no option of Parquet files"));
    let text = engine(&lake, "[tables.'s.t']\ndelimiter = '\"'").table("t").await.unwrap_err().strip_backtrace();
    assert!(text.contains("`quote` and `delimiter` are the same character"), "{text}");
    let text = engine(&lake, "[tables.'s.t']\ncolumns = { a = 'varbinary' }").table("t").await.unwrap_err();
    assert!(text.strip_backtrace().contains("the column `a` cannot be of type varbinary"), "{text}");
    // The catalog's format holds for tables without one of their own.
    lake.raw("s/u/000000_0", b"a\n1\n");
    let connector = lake.connector("format = 'csv'").unwrap();
    assert_eq!(Engine::new(connector.clone()).value("u", "SELECT a FROM t").await, "1");
}

#[tokio::test]
async fn files_of_several_formats_are_an_error_that_names_two() {
    let lake = Lake::new();
    lake.raw("s/t/y=1/f.csv", b"n\n1\n");
    lake.raw("s/t/y=2/f.json", b"{\"n\": 2}\n");
    lake.raw("s/t/y=3/f.csv", b"n\n3\n");
    let engine = engine(&lake, "");
    let error = engine.error("t", "SELECT n FROM t").await;
    assert!(error.contains("the table has files of several formats: CSV files such as "), "{error}");
    assert!(error.contains("y=1/f.csv") && error.contains("y=2/f.json, a JSON file by its name"), "{error}");
    // What a filter leaves out does no harm.
    assert_eq!(engine.pruned_rows("t", "SELECT sum(n) FROM t WHERE y <> 2").await, ["4"]);
    lake.raw("s/t/y=4/f.parquet", b"PAR1");
    let error = engine.table("t").await.unwrap_err().strip_backtrace();
    assert!(error.contains("several formats"), "{error}");
}
