//! Making and removing tables and schemas.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal256Array, Float16Array, Int8Array, Int32Array, LargeStringArray, NullArray, StringViewArray,
    StructArray, TimestampNanosecondArray, TimestampSecondArray, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, i256};
use datafusion::common::ScalarValue;
use portolan_connector::{Begun, ErrorKind, NewTable, OnExisting, TableName};

use super::{batch, begin_create, context, create, has, writable, writer};
use crate::harness::{Database, read, table};

#[tokio::test]
async fn every_type_finds_one_that_holds_it() {
    let database = Database::new();
    let connector = writable(&database);
    let rows = batch(vec![
        ("i1", Arc::new(Int8Array::from(vec![-128])) as ArrayRef),
        ("u2", Arc::new(UInt16Array::from(vec![u16::MAX]))),
        ("u4", Arc::new(UInt32Array::from(vec![u32::MAX]))),
        ("u8", Arc::new(UInt64Array::from(vec![u64::MAX]))),
        ("f2", Arc::new(Float16Array::from_iter_values([half(1.5)]))),
        ("d", Arc::new(decimal())),
        ("l", Arc::new(LargeStringArray::from(vec!["long"]))),
        ("v", Arc::new(StringViewArray::from(vec!["view"]))),
        ("n", Arc::new(TimestampNanosecondArray::from(vec![1_000]))),
        ("z", Arc::new(TimestampSecondArray::from(vec![0]).with_timezone("Europe/Berlin"))),
    ]);
    assert_eq!(create(&connector, "t", rows, OnExisting::Fail).await, Ok(1));
    assert_eq!(
        database.psql("SET timezone = 'UTC'; SELECT * FROM t").lines().last().unwrap(),
        "-128|65535|4294967295|18446744073709551615|1.5|123456789012345678901234567890123456789.01|long|view|\
         1970-01-01 00:00:00.000001|1970-01-01 00:00:00+00"
    );
    let types = "SELECT string_agg(format_type(atttypid, atttypmod), ' ' ORDER BY attnum) FROM pg_attribute \
                 WHERE attrelid = 't'::regclass AND attnum > 0";
    assert_eq!(
        database.psql(types),
        "smallint integer bigint numeric(20,0) real numeric(50,2) text text timestamp without time zone \
         timestamp with time zone"
    );
    let t = table(&connector, "public", "t").await;
    assert_eq!(read(&connector, &t, &["i1"], vec![]).await.unwrap().len(), 1);

    let part = batch(vec![("n", Arc::new(TimestampNanosecondArray::from(vec![1_001])) as ArrayRef)]);
    let error = create(&connector, "part", part, OnExisting::Fail).await.unwrap_err();
    has(&error, &["table public.part", "column \"n\" (timestamp)", "microsecond", "timestamp(6)"]);
    let inner: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let structure = StructArray::from(vec![(Arc::new(Field::new("a", DataType::Int32, true)), inner)]);
    for odd in [Arc::new(structure) as ArrayRef, Arc::new(NullArray::new(1))] {
        let error = create(&connector, "odd", batch(vec![("s", odd)]), OnExisting::Fail).await.unwrap_err();
        has(&error, &["table public.odd", "column s: PostgreSQL has no type for", "Hint: "]);
    }
    assert_eq!(database.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "1");
}

fn half(value: f32) -> <arrow::datatypes::Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native {
    <arrow::datatypes::Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native::from_f32(value)
}

fn decimal() -> Decimal256Array {
    let value = i256::from_string("12345678901234567890123456789012345678901").unwrap();
    Decimal256Array::from(vec![value]).with_precision_and_scale(50, 2).unwrap()
}

fn one(value: i32) -> arrow::array::RecordBatch {
    batch(vec![("a", Arc::new(Int32Array::from(vec![value])))])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_kept_or_replaced() {
    let database = Database::with("CREATE TABLE t (old text); CREATE VIEW v AS SELECT 1 AS a");
    let connector = writable(&database);
    has(&create(&connector, "t", one(1), OnExisting::Fail).await.unwrap_err(), &["public.t", "exists already"]);
    has(&create(&connector, "v", one(1), OnExisting::Fail).await.unwrap_err(), &["exists already"]);
    assert_eq!(create(&connector, "t", one(1), OnExisting::Skip).await, Ok(0));
    assert_eq!(create(&connector, "t", one(5), OnExisting::Replace).await, Ok(1));
    assert_eq!(database.psql("SELECT a FROM t"), "5");
    // What others depend on is not replaced, and nothing is left of the try.
    database.psql("CREATE VIEW w AS SELECT * FROM t");
    has(&create(&connector, "t", one(6), OnExisting::Replace).await.unwrap_err(), &["public.t", "depend", "view w"]);
    has(&create(&connector, "v", one(6), OnExisting::Replace).await.unwrap_err(), &["\"v\" is not a table"]);
    assert_eq!(database.psql("SELECT count(*) FROM pg_class WHERE relname LIKE 'portolan%'"), "0");
    assert_eq!(database.psql("SELECT a FROM w"), "5");
    // Two at the same time: one makes it, the other is told so.
    let columns = one(1).schema();
    let first = begin_create(&connector, "race", columns.clone(), OnExisting::Fail, context(None)).await.unwrap();
    let other = Arc::clone(&connector);
    let second =
        tokio::spawn(
            async move { begin_create(&other, "race", columns, OnExisting::Fail, context(None)).await.map(drop) },
        );
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(writer(first).commit().await.unwrap(), 0);
    has(&second.await.unwrap().unwrap_err(), &["exists already"]);
}

#[tokio::test]
async fn columns_that_may_not_be_null_and_names_that_are_hostile() {
    let database = Database::new();
    let connector = writable(&database);
    let name = "q\"; DROP SCHEMA public CASCADE; --";
    let columns = Arc::new(Schema::new(vec![
        Field::new(name, DataType::Int64, false),
        Field::new("select", DataType::Utf8, true),
    ]));
    let new = |name: &str, on_existing| NewTable {
        name: TableName::new("pg", "public", name),
        columns: Arc::clone(&columns),
        on_existing,
        properties: Default::default(),
    };
    let writable = connector.writable().unwrap();
    let made = writable.create_table(new(name, OnExisting::Fail), context(None)).await.unwrap();
    assert_eq!(writer(made).commit().await.unwrap(), 0);
    let t = table(&connector, "public", name).await;
    assert_eq!(*t.schema(), *columns);
    let again = writable.create_table(new(name, OnExisting::Fail), context(None)).await.unwrap_err();
    assert_eq!(again.detail().kind, ErrorKind::Exists);
    let skipped = writable.create_table(new(name, OnExisting::Skip), context(None)).await.unwrap();
    assert!(matches!(skipped, Begun::Already(0)));
    assert!(writable.drop_table(&TableName::new("pg", "public", name)).await.unwrap());
    for wrong in ["x".repeat(64), String::new(), "a\0b".to_owned()] {
        assert!(writable.create_table(new(&wrong, OnExisting::Fail), context(None)).await.is_err(), "{wrong}");
        assert!(writable.create_schema(&wrong).await.is_err(), "{wrong}");
        assert!(!writable.drop_table(&TableName::new("pg", "public", &wrong)).await.unwrap(), "{wrong}");
    }
    let nowhere = NewTable { name: TableName::new("pg", "nowhere", "t"), ..new("t", OnExisting::Fail) };
    let error = writable.create_table(nowhere, context(None)).await.unwrap_err().to_string();
    has(&error, &["table nowhere.t", "schema \"nowhere\" does not exist"]);
}

#[tokio::test]
async fn schemas_and_tables_are_removed() {
    let database = Database::with("CREATE SCHEMA s; CREATE TABLE s.t (a int); CREATE VIEW s.v AS SELECT * FROM s.t");
    let connector = writable(&database);
    let writable = connector.writable().unwrap();
    let t = TableName::new("pg", "s", "t");
    let error = writable.drop_table(&t).await.unwrap_err().to_string();
    has(&error, &["catalog pg, table s.t", "view s.v depends on table s.t", "Hint: drop in PostgreSQL"]);
    let error = writable.drop_table(&TableName::new("pg", "s", "v")).await.unwrap_err().to_string();
    has(&error, &["\"v\" is not a table"]);
    let error = writable.drop_schema("s", false).await.unwrap_err().to_string();
    has(&error, &["cannot drop schema s", "other objects depend on it", "CASCADE"]);
    assert!(writable.drop_schema("s", true).await.unwrap());
    assert!(!writable.drop_schema("s", true).await.unwrap());
    assert!(!writable.drop_table(&t).await.unwrap());
    assert!(writable.create_schema("S \"x").await.unwrap());
    assert!(!writable.create_schema("S \"x").await.unwrap());
    assert!(writable.drop_schema("S \"x", false).await.unwrap());
}

/// Tables are remembered, and nothing of one outlives what a statement makes of it.
#[tokio::test]
async fn what_is_known_of_a_table_follows_what_is_written() {
    let database = Database::with("CREATE SCHEMA s; CREATE TABLE t (old text)");
    let connector = writable(&database);
    let writable = connector.writable().unwrap();
    let columns = async |schema: &str| {
        let found = connector.table(schema, "t").await.unwrap()?;
        Some(found.columns().iter().map(|column| column.name().to_owned()).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(columns("public").await.as_deref(), Some("old"));
    assert_eq!(create(&connector, "t", one(1), OnExisting::Replace).await, Ok(1));
    assert_eq!(columns("public").await.as_deref(), Some("a"));
    assert!(writable.drop_table(&TableName::new("pg", "public", "t")).await.unwrap());
    assert_eq!(columns("public").await, None);
    let other = batch(vec![("b", Arc::new(Int32Array::from(vec![1]))), ("c", Arc::new(Int32Array::from(vec![2])))]);
    assert_eq!(create(&connector, "t", other.clone(), OnExisting::Fail).await, Ok(1));
    assert_eq!(columns("public").await.as_deref(), Some("b c"));
    let rows = table(&connector, "public", "t").await;
    assert_eq!(read(&connector, &rows, &["c"], vec![]).await.unwrap(), [[ScalarValue::from(2)]]);
    database.psql("CREATE TABLE s.t (d int)");
    assert_eq!(columns("s").await.as_deref(), Some("d"));
    assert!(writable.drop_schema("s", true).await.unwrap());
    assert_eq!(columns("s").await, None);
    assert!(writable.create_schema("s").await.unwrap());
    assert_eq!(columns("s").await, None);
}
