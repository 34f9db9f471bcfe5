//! Schemas, tables and columns against psql's own listings.

use arrow::datatypes::DataType;
use portolan_connector::{TableEntry, TableKind};

use crate::harness::{Database, table};

const SCRIPT: &str = r#"
CREATE SCHEMA "we;ird sch""ema";
CREATE SCHEMA empty;
CREATE TABLE plain (id int PRIMARY KEY, name varchar(25) NOT NULL, note text);
COMMENT ON TABLE plain IS 'it''s plain';
COMMENT ON COLUMN plain.note IS 'anything';
CREATE TABLE "MixedCase" (id int);
CREATE VIEW a_view AS SELECT id AS x FROM plain;
CREATE MATERIALIZED VIEW stored AS SELECT id FROM plain;
CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parts_2021 PARTITION OF parts FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE afar (id int NOT NULL) SERVER nowhere;
CREATE SEQUENCE numbers;
CREATE INDEX ON plain (name);
CREATE TYPE pair AS (a int, b text);
CREATE TEMP TABLE passing (id int);
CREATE TABLE "we;ird sch""ema"."Select Table'; --" ("Order" int, "a""b" int, "カラム" int, " leading" int, "a\b" int);
CREATE TABLE nothing_in_it ();
"#;

#[tokio::test]
async fn listings_are_psqls() {
    let database = Database::with(SCRIPT);
    let connector = database.connector();
    let schemas = connector.list_schemas().await.unwrap();
    assert_eq!(schemas, ["empty", "public", "we;ird sch\"ema"]);
    let of_psql: Vec<String> =
        database.psql("\\dn").lines().filter_map(|line| line.split('|').next()).map(str::to_owned).collect();
    assert_eq!(schemas, of_psql);

    for schema in ["public", "we;ird sch\"ema", "empty", "absent", "pg_catalog", "information_schema"] {
        let of_psql = database.psql(&format!("\\dtvmE \"{}\".*", schema.replace('"', "\"\"")));
        let mut expected: Vec<TableEntry> = of_psql
            .lines()
            .filter(|_| schema != "pg_catalog" && schema != "information_schema")
            .map(|line| {
                let parts: Vec<&str> = line.split('|').collect();
                let kind = if parts[2] == "view" { TableKind::View } else { TableKind::Table };
                TableEntry { name: parts[1].to_owned(), kind }
            })
            .collect();
        expected.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(connector.list_tables(schema).await.unwrap(), expected, "{schema}");
        assert!(connector.list_tables("a\0b").await.unwrap().is_empty());
        assert_eq!(expected.is_empty(), !matches!(schema, "public" | "we;ird sch\"ema"), "{schema}");
    }
}

#[tokio::test]
async fn tables_are_described() {
    let database = Database::with(SCRIPT);
    let connector = database.connector();
    let plain = table(&connector, "public", "plain").await;
    assert_eq!(plain.name().to_string(), "pg.public.plain");
    assert_eq!(plain.kind(), TableKind::Table);
    let columns: Vec<_> = plain
        .columns()
        .iter()
        .map(|column| {
            (column.name(), column.source_type.as_str(), column.field.is_nullable(), column.comment.as_deref())
        })
        .collect();
    assert_eq!(
        columns,
        [
            ("id", "integer", false, None),
            ("name", "character varying(25)", false, None),
            ("note", "text", true, Some("anything")),
        ]
    );
    assert_eq!(
        plain.definition().unwrap(),
        "CREATE TABLE \"public\".\"plain\" (\n    \"id\" integer NOT NULL,\n    \"name\" character varying(25) NOT NULL,\n    \
         \"note\" text\n);\nCOMMENT ON TABLE \"public\".\"plain\" IS 'it''s plain';"
    );
    let view = table(&connector, "public", "a_view").await;
    assert_eq!(view.kind(), TableKind::View);
    let definition = view.definition().unwrap();
    assert!(definition.starts_with("CREATE VIEW \"public\".\"a_view\" AS\n SELECT"), "{definition}");
    // The constraints of a foreign table are not checked.
    assert!(table(&connector, "public", "afar").await.columns()[0].field.is_nullable());
    let odd = table(&connector, "we;ird sch\"ema", "Select Table'; --").await;
    let names: Vec<_> = odd.columns().iter().map(|column| column.name()).collect();
    assert_eq!(names, ["Order", "a\"b", "カラム", " leading", "a\\b"]);
    assert!(table(&connector, "public", "nothing_in_it").await.columns().is_empty());
    for (schema, name) in
        [("public", "mixedcase"), ("public", "numbers"), ("public", "pair"), ("PUBLIC", "plain"), ("public", "a\0")]
    {
        assert!(connector.table(schema, name).await.unwrap().is_none(), "{schema}.{name}");
    }
}

/// `ALTER TABLE child ALTER n DROP NOT NULL` is allowed for a child that is no partition (manual, ALTER TABLE): a scan of the parent
/// has the child's NULL.
#[tokio::test]
async fn what_inherits_may_hold_null_where_its_parent_may_not() {
    let database = Database::with(
        "CREATE TABLE parent (n int NOT NULL); CREATE TABLE child () INHERITS (parent);
         ALTER TABLE child ALTER n DROP NOT NULL; INSERT INTO child VALUES (NULL);
         CREATE TABLE whole (n int NOT NULL) PARTITION BY LIST (n); CREATE TABLE part PARTITION OF whole FOR VALUES IN (1);
         CREATE EXTENSION postgres_fdw;
         CREATE SERVER afar FOREIGN DATA WRAPPER postgres_fdw;
         CREATE TABLE mixed (n int NOT NULL, k text) PARTITION BY LIST (k); CREATE TABLE near PARTITION OF mixed FOR VALUES IN ('near');
         CREATE FOREIGN TABLE far PARTITION OF mixed FOR VALUES IN ('far') SERVER afar",
    );
    let connector = database.connector();
    for (name, nullable) in
        [("parent", true), ("child", true), ("whole", false), ("part", false), ("mixed", true), ("near", false)]
    {
        let table = table(&connector, "public", name).await;
        assert_eq!(table.columns()[0].field.is_nullable(), nullable, "{name}");
    }
    let parent = table(&connector, "public", "parent").await;
    assert!(parent.definition().unwrap().contains("\"n\" integer NOT NULL"));
}

#[tokio::test]
async fn columns_that_cannot_be_read_are_told_and_the_rest_is_read() {
    let database = Database::with(
        "CREATE TYPE pair AS (a int, b text);
         CREATE DOMAIN posint AS int CHECK (value > 0);
         CREATE DOMAIN small AS posint;
         CREATE DOMAIN ids AS int[];
         CREATE TABLE t (a int, m money, p point, r int4range, i inet, x xml, b bit(3), z timetz, c pair, d posint,
                         dd small, ca pair[], da small[], di ids, ia interval[], o oid);
         INSERT INTO t (a, d, dd, da, di) VALUES (1, 2, 3, '{4}', '{5}')",
    );
    let connector = database.connector();
    let t = table(&connector, "public", "t").await;
    assert!(t.unsupported_columns().is_empty());
    let statistics = table(&connector, "pg_catalog", "pg_stats").await;
    let unsupported: Vec<_> = statistics
        .unsupported_columns()
        .iter()
        .map(|column| (column.name.as_str(), column.source_type.as_str(), column.reason.as_str()))
        .collect();
    let reason = "a pseudo-type has no type in the engine";
    let columns = ["most_common_vals", "histogram_bounds", "most_common_elems"];
    assert_eq!(unsupported, columns.map(|column| (column, "anyarray", reason)));
    let types: Vec<_> = t.columns().iter().map(|column| (column.name(), column.field.data_type().clone())).collect();
    let list = DataType::new_list(DataType::Int32, true);
    let of = |name: &str| types.iter().find(|(column, _)| *column == name).map(|(_, data_type)| data_type.clone());
    for (name, expected) in [
        ("a", DataType::Int32),
        ("d", DataType::Int32),
        ("dd", DataType::Int32),
        ("da", list.clone()),
        ("di", list),
        ("m", DataType::Decimal128(19, 2)),
        ("o", DataType::Int64),
        ("c", DataType::Utf8),
        ("ca", DataType::new_list(DataType::Utf8, true)),
    ] {
        assert_eq!(of(name), Some(expected), "{name}");
    }
    let rows = crate::harness::read(&connector, &t, &["a", "d", "dd", "da", "di"], vec![]).await.unwrap();
    let shown: Vec<String> = rows[0].iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["1", "2", "3", "[4]", "[5]"]);
}
