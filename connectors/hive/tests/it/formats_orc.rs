//! ORC files, written by pyarrow.

use std::process::Command;

use portolan_connector::testkit::{Subject, check_contract};

use crate::support::{Counting, Engine, Lake, S3Server, Table, Warehouse};
use portolan_hive::HiveConnector;

const SERDE: &str = "org.apache.hadoop.hive.ql.io.orc.OrcSerde";
const FORMAT: &str = "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat";

/// Runs a program that knows `root`, the lake's directory, and `write(path, table, **options)`.
fn python(lake: &Lake, program: &str) {
    const BEGINNING: &str = "
import sys, os, datetime, decimal, pyarrow as pa, pyarrow.orc as orc
root = sys.argv[1]
def write(path, table, **options):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    orc.write_table(table, path, **options)
";
    let python = std::env::var("PORTOLAN_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output =
        Command::new(python).args(["-c", &format!("{BEGINNING}{program}")]).arg(lake.path("")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn engine(lake: &Lake, settings: &str) -> Engine {
    Engine::new(lake.connector(settings).unwrap_or_else(|error| panic!("{error}")))
}

#[tokio::test]
async fn types_and_compressions() {
    let lake = Lake::new();
    python(
        &lake,
        "
D, T = decimal.Decimal, datetime.datetime
utc = datetime.timezone.utc
table = pa.table({
    'yes': pa.array([True, None, False]),
    'tiny': pa.array([-128, None, 127], pa.int8()),
    'small': pa.array([-32768, None, 32767], pa.int16()),
    'i': pa.array([-7, None, 2147483647], pa.int32()),
    'l': pa.array([-9223372036854775808, None, 9223372036854775807], pa.int64()),
    'f': pa.array([1.5, None, float('nan')], pa.float32()),
    'd': pa.array([-0.25, None, float('inf')], pa.float64()),
    's': pa.array(['\\u00e9', None, ''], pa.string()),
    'raw': pa.array([b'\\xff\\x00', None, b''], pa.binary()),
    'money': pa.array([D('-1.50'), None, D('9999999999.99')], pa.decimal128(12, 2)),
    'big': pa.array([D('12345678901234567890123456789012345.678'), None, D('-0.001')], pa.decimal128(38, 3)),
    'day': pa.array([datetime.date(2026, 10, 1), None, datetime.date(1582, 10, 1)], pa.date32()),
    'at': pa.array([T(2026, 10, 1, 12, 0, 0, 123456), None, T(1969, 12, 31, 23, 59, 58)], pa.timestamp('us')),
    'far': pa.array([T(9999, 12, 31, 23, 59, 59), None, T(1700, 1, 1)], pa.timestamp('us')),
    'zoned': pa.array([T(2026, 10, 1, 12, tzinfo=utc), None, T(2000, 1, 1, tzinfo=utc)], pa.timestamp('us', 'UTC')),
    'list': pa.array([[1, None, 3], None, []], pa.list_(pa.int64())),
    'sub': pa.array([{'k': 'v', 'n': None}, None, {'k': None, 'n': 5}], pa.struct([('k', pa.string()), ('n', pa.int32())])),
    'map': pa.array([[('a', 1)], None, []], pa.map_(pa.string(), pa.int64())),
})
for codec in ['uncompressed', 'zlib', 'snappy', 'lz4', 'zstd']:
    write(f's/t/codec={codec}/f.orc', table, compression=codec)
",
    );
    let engine = engine(&lake, "");
    for codec in ["uncompressed", "zlib", "snappy", "lz4", "zstd"] {
        let of = |columns: &str| format!("SELECT {columns} FROM t WHERE codec = '{codec}'");
        assert_eq!(
            engine.rows("t", &of("yes, tiny, small, i, l, f, d, s, money, day")).await,
            [
                "NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL",
                "false|127|32767|2147483647|9223372036854775807|NaN|inf||9999999999.99|1582-10-01",
                "true|-128|-32768|-7|-9223372036854775808|1.5|-0.25|\u{e9}|-1.50|2026-10-01",
            ]
        );
        assert_eq!(
            engine.rows("t", &of("big, encode(raw, 'hex'), at, far, zoned")).await,
            [
                "-0.001||1969-12-31T23:59:58|1700-01-01T00:00:00|2000-01-01T00:00:00Z",
                "12345678901234567890123456789012345.678|ff00|2026-10-01T12:00:00.123456|9999-12-31T23:59:59|2026-10-01T12:00:00Z",
                "NULL|NULL|NULL|NULL|NULL",
            ]
        );
        assert_eq!(
            engine.rows("t", &of("list[3], list[2] IS NULL, sub['k'], sub['n'], map['a']")).await,
            ["3|true|v|NULL|1", "NULL|true|NULL|5|NULL", "NULL|true|NULL|NULL|NULL"]
        );
    }
    assert!(engine.table("t").await.unwrap().definition().unwrap().contains("STORED AS ORC"));
    let subject = Subject::new(engine.connector.clone(), engine.table("t").await.unwrap());
    check_contract(&subject).await.unwrap().assert_clean();
}

#[tokio::test]
async fn files_with_other_schemas_are_read_by_name_and_widened() {
    let lake = Lake::new();
    python(
        &lake,
        "
write('s/t/y=1/f.orc', pa.table({'n': pa.array([1], pa.int32()), 'S': ['a']}))
write('s/t/y=2/f.orc', pa.table({'s': ['b'], 'more': [2.5], 'n': pa.array([1 << 40], pa.int64())}))
write('s/old/f.orc', pa.table({'_col0': pa.array([5], pa.int32()), '_col1': ['x']}))
write('s/place/f.orc', pa.table({'b': ['x'], 'a': ['y']}))
",
    );
    let by_name = engine(&lake, "");
    let rows = by_name.rows("t", "SELECT n, s, more, y FROM t").await;
    assert_eq!(rows, ["1099511627776|b|2.5|2", "1|a|NULL|1"]);
    assert_eq!(by_name.rows("t", "SELECT more FROM t WHERE y = 1").await, ["NULL"]);
    assert_eq!(by_name.value("t", "SELECT count(*) FROM t WHERE \"$path\" LIKE '%y=2%'").await, "1");
    let columns = "[tables.'s.t']\ncolumns = { n = 'integer', s = 'varchar' }";
    let narrow = engine(&lake, columns);
    let error = narrow.error("t", "SELECT n FROM t").await;
    assert!(error.contains("y=2/f.orc"), "{error}");
    assert!(error.contains("the column `n` is of type bigint in the file and of type integer in the table"), "{error}");
    let nulls = engine(&lake, &format!("on_mismatch = 'null'\n{columns}"));
    assert_eq!(nulls.rows("t", "SELECT n, s FROM t").await, ["1|a", "NULL|b"]);
    // Old versions of Hive wrote no names: their files have `_col0` and so on, and columns are found by their places.
    let old = engine(&lake, "[tables.'s.old']\ncolumns = { id = 'bigint', note = 'varchar', later = 'date' }");
    assert_eq!(old.rows("old", "SELECT id, note, later FROM t").await, ["5|x|NULL"]);
    assert_eq!(old.rows("old", "SELECT note FROM t WHERE id = 5").await, ["x"]);
    let place = "columns_by = 'index'\n[tables.'s.place']\ncolumns = { a = 'varchar', b = 'varchar' }";
    assert_eq!(engine(&lake, place).rows("place", "SELECT b, a FROM t").await, ["y|x"]);
    assert_eq!(engine(&lake, place).rows("place", "SELECT b FROM t").await, ["y"]);
}

#[tokio::test]
async fn stripes_partitions_and_s3() {
    let lake = Lake::new();
    python(
        &lake,
        "
import random
random.seed(7)
for day in [1, 2]:
    count = 300_000
    write(f's/t/day={day}/f.orc', pa.table({
        'n': list(range(count)),
        'noise': [random.getrandbits(62) for _ in range(count)],
        's': [str(n) if n % 10 else None for n in range(count)],
    }), stripe_size=524288, compression='zlib')
",
    );
    let server = S3Server::start(lake.buckets()).await;
    for engine in [engine(&lake, ""), Engine::new(server.connector("s3://bucket/lake"))] {
        let sql = "SELECT day, count(*), sum(n), count(s), min(s) FROM t GROUP BY day";
        assert_eq!(engine.rows("t", sql).await, [1, 2].map(|day| format!("{day}|300000|44999850000|270000|1")));
        assert_eq!(engine.rows("t", "SELECT n, s, day FROM t WHERE day = 2 AND n = 299999").await, ["299999|299999|2"]);
    }
    // Rows are counted from the footers, and of a partition that is not read nothing is.
    let counting = Counting::new();
    let counted = Engine::new(std::sync::Arc::new(HiveConnector::over(lake.entry(""), counting.clone()).unwrap()) as _);
    counted.table("t").await.unwrap();
    counting.take();
    // To open the table, a footer of each of its two partitions.
    let of = async |sql: &str| {
        counting.count();
        let answer = counted.pruned_rows("t", sql).await;
        (counting.count().1 - 2, answer)
    };
    assert_eq!(of("SELECT count(*) FROM t WHERE day = 1").await, (1, vec!["300000".to_owned()]));
    let (few, answer) = of("SELECT sum(n) FROM t WHERE day = 1").await;
    assert_eq!(answer, ["44999850000"]);
    let (all, _) = of("SELECT sum(n), max(noise), max(s) FROM t WHERE day = 1").await;
    assert!(1 < few && few <= all, "{few} of {all}");
    use datafusion::logical_expr::{col, lit};
    let table = counted.table("t").await.unwrap();
    assert_eq!(
        table.judge(&col("n").eq(lit(1_i64))).reason().map(ToString::to_string).as_deref(),
        Some("the statistics of ORC files are not used: every row is read")
    );
}

#[tokio::test]
async fn broken_files() {
    let lake = Lake::new();
    python(&lake, "write('s/t/f.orc', pa.table({'n': list(range(5000)), 's': [str(n) for n in range(5000)]}))");
    let whole = std::fs::read(lake.path("s/t/f.orc")).unwrap();
    let declared = "[tables.'s.t']\nformat = 'orc'\ncolumns = { n = 'bigint', s = 'varchar' }";
    for left in [1, 3, 20, whole.len() / 2, whole.len() - 17, whole.len() - 1] {
        lake.raw("s/t/f.orc", &whole[..left]);
        let error = engine(&lake, declared).error("t", "SELECT n FROM t").await;
        assert!(error.contains("cannot read ") && error.contains("s/t/f.orc"), "{left}: {error}");
        let error = engine(&lake, "").table("t").await.unwrap_err().strip_backtrace();
        assert!(error.contains("cannot read the footer of") && error.contains("s/t/f.orc"), "{left}: {error}");
    }
    // Whatever is broken, the query ends, and an error names the file.
    for at in (0..whole.len()).rev().step_by(37).take(200) {
        let mut broken = whole.clone();
        broken[at] ^= 0xff;
        lake.raw("s/t/f.orc", &broken);
        if let Err(error) = engine(&lake, declared).try_rows("t", "SELECT n, s FROM t").await {
            let error = error.strip_backtrace();
            assert!(error.contains("s/t/f.orc"), "{at}: {error}");
        }
    }
    // pyarrow writes negative fractions of seconds, where the format has none: others would read another time.
    python(&lake, "write('s/u/f.orc', pa.table({'at': pa.array([-1_500_000], pa.timestamp('us'))}))");
    let error = engine(&lake, "").error("u", "SELECT at FROM t").await;
    assert!(error.contains("s/u/f.orc"), "{error}");
    // What is finer than microseconds is not cut.
    python(&lake, "write('s/v/f.orc', pa.table({'at': pa.array([1_500_000_001], pa.timestamp('ns'))}))");
    let error = engine(&lake, "").error("v", "SELECT at FROM t").await;
    assert!(error.contains("s/v/f.orc"), "{error}");
    lake.raw("s/t/f.orc", b"this is no ORC file at all");
    let error = engine(&lake, declared).error("t", "SELECT n FROM t").await;
    assert!(error.contains("s/t/f.orc"), "{error}");
}

#[tokio::test]
async fn tables_of_a_metastore() {
    let warehouse = Warehouse::new().await;
    let columns = &[("id", "bigint"), ("at", "timestamp"), ("note", "string")];
    let table =
        Table { name: "o", columns, keys: &[("day", "date")], serde: SERDE, input_format: FORMAT, ..Table::default() };
    warehouse.create(table.clone()).await;
    let place = format!("{}/o/day=2026-10-01", warehouse.database);
    python(
        &warehouse.lake,
        &format!("write('{place}/000000_0', pa.table({{'note': ['x'], 'id': pa.array([7], pa.int32())}}))"),
    );
    warehouse.add(vec![warehouse.partition(&table, &["2026-10-01"], &warehouse.location(&place))]).await;
    let engine = warehouse.engine();
    let rows = engine.rows("o", "SELECT id, at, note, day FROM t WHERE day > DATE '2026-01-01'").await;
    assert_eq!(rows, ["7|NULL|x|2026-10-01"]);
}
