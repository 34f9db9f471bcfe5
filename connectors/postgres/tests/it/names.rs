//! Names and literals that would break text that was not quoted.

use datafusion::common::Column;
use datafusion::logical_expr::{Expr, lit};
use portolan_connector::Verdict;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::{Database, read, table, utf8};

const AWKWARD: &[&str] = &[
    "select",
    "Order",
    "a.b",
    "a b",
    " ",
    "a\"b",
    "\"",
    "\"\"",
    "'",
    "a'b",
    "\\",
    "a\\'b",
    "$1",
    "$$",
    "--",
    "/*",
    "*/",
    ";",
    "%",
    "_",
    ":name",
    "カラム",
    "😂",
    "é",
    "e\u{301}",
    "\n",
    "\t",
    "\u{feff}",
    "NULL",
    "\u{1}",
];

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The text in hexadecimal, so that psql cannot misread it.
fn literal(text: &str) -> String {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("convert_from('\\x{hex}', 'UTF8')")
}

/// At most 63 bytes, as many as PostgreSQL keeps of a name.
fn name() -> impl Strategy<Value = String> {
    let awkward = proptest::sample::select(AWKWARD).prop_map(str::to_owned);
    prop_oneof![awkward, "[^\\x00]{1,15}", "[a-z]{63}", "[ą]{31}"]
        .prop_filter("bytes of a name", |name| name.len() <= 63)
}

fn text() -> impl Strategy<Value = String> {
    let awkward = proptest::sample::select(AWKWARD).prop_map(str::to_owned);
    prop_oneof![awkward, "[^\\x00]{0,40}", "[\\\\'\"%_]{0,12}"]
}

#[derive(Clone, Debug)]
struct Case {
    schema: String,
    table: String,
    column: String,
    values: Vec<String>,
}

fn case() -> impl Strategy<Value = Case> {
    // PostgreSQL keeps names that begin with pg_ for itself; the prefix keeps cases apart as well.
    let schema = ("[a-z]{8}", name()).prop_map(|(prefix, name)| format!("s{prefix}{name}"));
    (
        schema.prop_filter("bytes of a name", |name| name.len() <= 63),
        name(),
        name(),
        proptest::collection::vec(text(), 1..5),
    )
        .prop_map(|(schema, table, column, values)| Case { schema, table, column, values })
}

#[tokio::test]
async fn any_name_and_any_literal() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let cases: Vec<Case> = (0..60).map(|_| case().new_tree(&mut runner).unwrap().current()).collect();
    let script: Vec<String> = cases
        .iter()
        .map(|case| {
            let schema = quoted(&case.schema);
            let full = format!("{schema}.{}", quoted(&case.table));
            let values: Vec<String> =
                case.values.iter().enumerate().map(|(row, value)| format!("({row}, {})", literal(value))).collect();
            let id = if case.column == "id" { "id2" } else { "id" };
            format!(
                "CREATE SCHEMA IF NOT EXISTS {schema}; DROP TABLE IF EXISTS {full}; \
                 CREATE TABLE {full} ({id} int, {} text); INSERT INTO {full} VALUES {};",
                quoted(&case.column),
                values.join(", ")
            )
        })
        .collect();
    let database = Database::with(&script.join("\n"));
    let connector = database.connector();
    for case in &cases {
        let listed = connector.list_tables(&case.schema).await.unwrap();
        assert!(listed.iter().any(|entry| entry.name == case.table), "{case:?}");
        let of = table(&connector, &case.schema, &case.table).await;
        let column = || Expr::Column(Column::new_unqualified(&case.column));
        for value in &case.values {
            let same = case.values.iter().filter(|other| *other == value).count();
            let greater = case.values.iter().filter(|other| *other > value).count();
            for (filter, expected) in
                [(column().eq(lit(value.as_str())), same), (column().gt(lit(value.as_str())), greater)]
            {
                assert_eq!(of.judge(&filter), Verdict::Exact, "{filter} of {case:?}");
                let rows = read(&connector, &of, &[&case.column], vec![filter]).await.unwrap();
                assert_eq!(rows.len(), expected, "{case:?}");
                assert!(rows.iter().all(|row| case.values.iter().any(|value| row[0] == utf8(value))), "{case:?}");
            }
        }
        let with_nul = column().eq(lit("a\0b"));
        assert!(of.judge(&with_nul).reason().is_some_and(|reason| reason.as_str().contains("NUL")), "{case:?}");
    }
}
