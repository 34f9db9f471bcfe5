//! Which tables there are, which columns they have, and which are refused.

use portolan_connector::{ErrorClass, TableKind};

use crate::support::{LINES, PARQUET, TEXT, Table, Warehouse, catalog, integers, longs, texts};

const DELTA: &[(&str, &str)] = &[("spark.sql.sources.provider", "delta")];
const ICEBERG: &[(&str, &str)] = &[("table_type", "ICEBERG"), ("metadata_location", "file:/x/v1.json")];

#[tokio::test]
async fn databases_and_tables_are_listed() {
    let warehouse = Warehouse::new().await;
    warehouse.create(Table { name: "orders", ..Table::default() }).await;
    warehouse.create(Table { name: "customers", ..Table::default() }).await;
    warehouse.create(Table { name: "v", kind: "VIRTUAL_VIEW", ..Table::default() }).await;
    let connector = warehouse.connector("").unwrap();
    let schemas = connector.list_schemas().await.unwrap();
    assert!(schemas.contains(&warehouse.database) && schemas.contains(&"default".to_owned()), "{schemas:?}");
    assert!(schemas.is_sorted());
    let tables = connector.list_tables(&warehouse.database).await.unwrap();
    let found: Vec<(&str, TableKind)> = tables.iter().map(|entry| (entry.name.as_str(), entry.kind)).collect();
    assert_eq!(
        found,
        [("customers", TableKind::Table), ("orders", TableKind::Table), ("v", TableKind::View)],
        "sorted, with views"
    );
    for schema in ["nothing", "", "*", "db*", "DB0"] {
        assert!(connector.list_tables(schema).await.unwrap().is_empty(), "{schema}");
    }
    for (schema, table) in [
        (warehouse.database.as_str(), "nothing"),
        ("nothing", "orders"),
        // The engine looks names up in whatever case; the connector is asked for exact ones.
        (&warehouse.database, "ORDERS"),
        (&warehouse.database, "*"),
        ("", ""),
    ] {
        assert!(connector.table(schema, table).await.unwrap().is_none(), "{schema}.{table}");
    }
}

#[tokio::test]
async fn columns_are_those_of_the_metastore() {
    let warehouse = Warehouse::new().await;
    let columns = &[
        ("id", "bigint"),
        ("noted", "string"),
        ("price", "decimal(12,2)"),
        ("either", "uniontype<int,string>"),
        ("tags", "array<string>"),
        ("code", "char(3)"),
    ];
    warehouse.create(Table { columns, keys: &[("day", "date")], ..Table::default() }).await;
    let engine = warehouse.engine();
    let table = engine.table("t").await.unwrap();
    let described: Vec<String> = table
        .columns()
        .iter()
        .filter(|column| column.hidden.is_none())
        .map(|column| format!("{} {} {}", column.name(), column.field.data_type(), column.source_type))
        .collect();
    assert_eq!(
        described,
        [
            "id Int64 bigint",
            "noted Utf8View string",
            "price Decimal128(12, 2) decimal(12,2)",
            "tags List(Utf8, field: 'element') array<string>",
            "code Utf8View char(3)",
            "day Date32 date",
        ]
    );
    assert_eq!(table.column("noted").unwrap().1.comment.as_deref(), Some("a note"));
    let unsupported = table.unsupported_columns();
    assert_eq!((unsupported[0].name.as_str(), unsupported.len()), ("either", 1));
    assert!(unsupported[0].reason.contains("uniontype"), "{}", unsupported[0].reason);
    let definition = table.definition().unwrap();
    assert!(definition.contains("  `tags` array<string>,\n"), "{definition}");
    assert!(definition.contains("PARTITIONED BY (\n  `day` date\n)"), "{definition}");
    // A table without a partition has no rows.
    assert_eq!(engine.value("t", "SELECT count(*) FROM t").await, "0");
}

#[tokio::test]
async fn files_are_read_by_the_names_of_the_columns() {
    let warehouse = Warehouse::new().await;
    let columns = &[("a", "bigint"), ("b", "string"), ("c", "int")];
    warehouse.create(Table { columns, ..Table::default() }).await;
    let path = format!("{}/t", warehouse.database);
    warehouse.lake.write(&format!("{path}/one"), vec![("B", texts(["x"])), ("A", integers([1]))]);
    warehouse.lake.write(&format!("{path}/two"), vec![("a", longs([2])), ("c", integers([20]))]);
    let engine = warehouse.engine();
    assert_eq!(engine.rows("t", "SELECT a, b, c FROM t").await, ["1|x|NULL", "2|NULL|20"]);
    assert_eq!(engine.rows("t", "SELECT a FROM t WHERE c > 5").await, ["2"]);
    let paths = engine.rows("t", "SELECT \"$path\" FROM t WHERE \"$path\" LIKE '%/two'").await;
    assert_eq!(paths, [warehouse.lake.path(&format!("{path}/two")).display().to_string()]);
}

#[tokio::test]
async fn tables_of_spark_have_the_columns_that_spark_wrote() {
    let warehouse = Warehouse::new().await;
    let schema = r#"{"type":"struct","fields":[
        {"name":"Id","type":"long","nullable":true,"metadata":{"comment":"the key"}},
        {"name":"Name","type":"string","nullable":true,"metadata":{}},
        {"name":"Day","type":"integer","nullable":true,"metadata":{}}]}"#;
    let (one, two) = schema.split_at(90);
    let parameters = &[
        ("spark.sql.sources.provider", "parquet"),
        ("spark.sql.sources.schema.numParts", "2"),
        ("spark.sql.sources.schema.part.0", one),
        ("spark.sql.sources.schema.part.1", two),
        ("spark.sql.sources.schema.numPartCols", "1"),
        ("spark.sql.sources.schema.partCol.0", "Day"),
    ];
    // What the metastore itself knows is a stand-in, and so is the location.
    let stand_in = &[("col", "array<string>")];
    let path = warehouse.location("elsewhere/ds");
    warehouse
        .create(Table {
            columns: stand_in,
            parameters,
            serde: TEXT,
            serde_path: Some(path.clone()),
            ..Table::default()
        })
        .await;
    warehouse.lake.write("elsewhere/ds/Day=01/f", vec![("Id", longs([1])), ("Name", texts(["a"]))]);
    warehouse.lake.write("elsewhere/ds/Day=2/f", vec![("Id", longs([2])), ("Name", texts(["b"]))]);
    let engine = warehouse.engine();
    let rows = engine.rows("t", "SELECT \"Id\", \"Name\", \"Day\" FROM t").await;
    assert_eq!(rows, ["1|a|1", "2|b|2"], "the directories are the partitions of a table that says no more");
    let table = engine.table("t").await.unwrap();
    assert_eq!(table.column("Id").unwrap().1.comment.as_deref(), Some("the key"));

    // The same with partitions in the metastore.
    let managed: Vec<(&str, &str)> =
        parameters.iter().copied().chain([("spark.sql.partitionProvider", "catalog")]).collect();
    let table = Table {
        name: "u",
        columns: stand_in,
        keys: &[("day", "int")],
        parameters: &managed,
        serde: TEXT,
        serde_path: Some(path),
        ..Table::default()
    };
    warehouse.create(Table { name: "u", serde_path: table.serde_path.clone(), ..table }).await;
    let partition = Table { name: "u", columns: stand_in, serde: TEXT, ..Table::default() };
    warehouse.add(vec![warehouse.partition(&partition, &["2"], &warehouse.location("elsewhere/ds/Day=2"))]).await;
    assert_eq!(engine.rows("u", "SELECT \"Id\", \"Name\", \"Day\" FROM t").await, ["2|b|2"]);
}

#[tokio::test]
async fn what_is_no_table_of_parquet_files_is_refused_by_name() {
    let warehouse = Warehouse::new().await;
    let regex = "org.apache.hadoop.hive.serde2.RegexSerDe";
    for (name, kind, serde, parameters, reason) in [
        ("a_view", "VIRTUAL_VIEW", PARQUET, &[][..], "it is a view, written in the SQL of Hive or Spark"),
        ("a_delta", "EXTERNAL_TABLE", PARQUET, DELTA, "it is a Delta Lake table, and there is no connector"),
        ("an_iceberg", "EXTERNAL_TABLE", PARQUET, ICEBERG, "it is an Iceberg table, and there is no connector"),
        ("a_regex", "EXTERNAL_TABLE", regex, &[], "a format that is not read: a format of their own (SerDe org.apache"),
        ("a_sequence", "EXTERNAL_TABLE", TEXT, &[], "a container that is not read (InputFormat)"),
        ("a_csv", "EXTERNAL_TABLE", TEXT, &[("spark.sql.sources.provider", "CSV")], "are in the format csv of Spark"),
    ] {
        warehouse.create(Table { name, kind, serde, parameters, ..Table::default() }).await;
        let error = warehouse.engine().connector.table(&warehouse.database, name).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("catalog lake, table {}.{name}: ", warehouse.database)), "{text}");
        assert!(text.contains(reason) && text.contains("\nHint: "), "{text}");
        assert_eq!(error.class(), ErrorClass::User, "{text}");
    }
}

/// Hive's text (its language manual, "Row Formats & SerDe"): columns are found by their places, `\N` is NULL, and
/// what a character is escaped by the SerDe's parameters say.
#[tokio::test]
async fn text_and_json_are_read_as_the_serde_says() {
    let warehouse = Warehouse::new().await;
    let json = "org.apache.hive.hcatalog.data.JsonSerDe";
    let columns = &[("n", "int"), ("t", "string"), ("at", "timestamp"), ("d", "decimal(6,2)")][..];
    let keys = &[("p", "string")][..];
    let usual = Table { name: "usual", columns, keys, serde: TEXT, input_format: LINES, ..Table::default() };
    let told = Table {
        name: "told",
        serde_parameters: &[("field.delim", "|"), ("escape.delim", "\\"), ("serialization.null.format", "")],
        parameters: &[("skip.header.line.count", "1")],
        ..usual.clone()
    };
    let lines = Table { name: "lines", serde: json, ..usual.clone() };
    for (table, content) in [
        (&usual, "1\u{1}one\u{1}2026-01-02 03:04:05.5\u{1}1.50\n2\u{1}\\N\u{1}\\N\n"),
        (&told, "n|t|at|d\n1|one|2026-01-02 03:04:05.5|1.50\n2||||\n3|a\\|b||7\n"),
        (
            &lines,
            "{\"N\": 1, \"t\": \"one\", \"at\": \"2026-01-02 03:04:05.5\", \"d\": 1.50}\n{\"n\": 2, \"other\": []}\n",
        ),
    ] {
        warehouse.create(table.clone()).await;
        let directory = format!("{}/{}/p=x", warehouse.database, table.name);
        warehouse.lake.raw(&format!("{directory}/000000_0"), content.as_bytes());
        warehouse.add(vec![warehouse.partition(table, &["x"], &warehouse.location(&directory))]).await;
    }
    let rows = async |table: &str| warehouse.engine().rows(table, "SELECT n, t, at, d, p FROM t").await;
    let both = ["1|one|2026-01-02T03:04:05.500|1.50|x", "2|NULL|NULL|NULL|x"];
    assert_eq!(rows("usual").await, both);
    assert_eq!(rows("lines").await, both);
    assert_eq!(rows("told").await, [both[0], both[1], "3|a|b|NULL|7.00|x"]);
    let nested = Table { name: "nested", columns: &[("a", "array<int>")], ..told.clone() };
    warehouse.create(nested).await;
    let error = warehouse.engine().connector.table(&warehouse.database, "nested").await.unwrap_err().to_string();
    assert!(error.contains("the column `a` of its text files cannot be read"), "{error}");
    assert!(error.contains("are read of text without an escape character"), "{error}");
}

/// What Hive writes of lists, maps and structs (its language manual, "Create Table", `COLLECTION ITEMS TERMINATED BY`), and the same
/// as JSON.
#[tokio::test]
async fn lists_maps_and_structs_of_text_and_json() {
    let warehouse = Warehouse::new().await;
    let columns =
        &[("n", "int"), ("l", "array<int>"), ("m", "map<string,array<string>>"), ("s", "struct<a:int,b:string>")][..];
    let usual = Table { name: "usual", columns, serde: TEXT, input_format: LINES, ..Table::default() };
    let told = Table {
        name: "told",
        serde_parameters: &[("field.delim", "|"), ("colelction.delim", ","), ("mapkey.delim", ":")],
        ..usual.clone()
    };
    let lines = Table { name: "lines", serde: "org.apache.hive.hcatalog.data.JsonSerDe", ..usual.clone() };
    for (table, content) in [
        (&usual, "1\u{1}7\u{2}\\N\u{1}k\u{3}x\u{4}y\u{2}l\u{3}\u{1}5\u{2}five\n2\u{1}\u{1}\\N\u{1}\\N\n"),
        (&told, "1|7,\\N|k:x\u{4}y,l:|5,five\n2||\\N|\\N\n"),
        (
            &lines,
            "{\"n\": 1, \"l\": [7, null], \"m\": {\"k\": [\"x\", \"y\"], \"l\": []}, \"s\": {\"b\": \"five\", \"a\": 5}}\n{\"n\": 2, \"l\": []}\n",
        ),
    ] {
        warehouse.create(table.clone()).await;
        warehouse.lake.raw(&format!("{}/{}/000000_0", warehouse.database, table.name), content.as_bytes());
        let engine = warehouse.engine();
        let rows = engine.rows(table.name, "SELECT n, l, m, s FROM t").await;
        assert_eq!(rows, ["1|[7, ]|{k: [x, y], l: []}|{a: 5, b: five}", "2|[]|NULL|NULL"], "{}", table.name);
        let parts = "SELECT l[1], s['b'] FROM t WHERE n = 1";
        assert_eq!(engine.rows(table.name, parts).await, ["7|five"], "{}", table.name);
    }
    let lines = format!("{}/lines/000000_0", warehouse.database);
    warehouse.lake.raw(&lines, b"{\"n\": 1, \"m\": {\"k\": [], \"k\": []}}\n");
    let error = warehouse.engine().error("lines", "SELECT m FROM t").await;
    assert!(error.contains("the map has a key twice") && error.contains("line 1"), "{error}");
}

#[test]
fn a_catalog_has_a_location_or_a_metastore() {
    use portolan_connector::ConnectorFactory;
    let error = |text: &str| portolan_hive::HiveFactory.create(catalog(text)).unwrap_err().to_string();
    let neither = error("");
    assert!(neither.contains("catalog lake: `location` is missing"), "{neither}");
    assert!(neither.contains("metastore = \"thrift://host:9083\""), "{neither}");
    let both = error("location = '/x'\nmetastore = 'thrift://a'");
    assert!(both.contains("`location` and `metastore` exclude each other"), "{both}");
    let section = error("metastore = 'thrift://a'\n[tables.'s.t']\ncolumns = { a = 'int' }");
    assert!(section.contains("`tables.s.t.columns` and `metastore` exclude each other"), "{section}");
    let address = error("metastore = 'http://a'");
    assert!(address.contains("metastore has `http://a`, which is no address"), "{address}");
}

/// `OpenCSVSerde` (Hive's language manual, "CSV SerDe"): all columns are texts, whatever the metastore says, and none is NULL
/// that the line has.
#[tokio::test]
async fn csv_is_read_as_hives_class_reads_it() {
    let warehouse = Warehouse::new().await;
    let serde = "org.apache.hadoop.hive.serde2.OpenCSVSerde";
    let columns = &[("id", "int"), ("note", "string"), ("late", "date")][..];
    let told = &[("separatorChar", "\t"), ("quoteChar", "'"), ("escapeChar", "\\")][..];
    let usual = Table { name: "usual", columns, serde, input_format: LINES, ..Table::default() };
    warehouse.create(usual.clone()).await;
    warehouse.create(Table { name: "told", serde_parameters: told, ..usual.clone() }).await;
    let place = |table: &str| format!("{}/{table}/000000_0", warehouse.database);
    let text = "1,\"a, \"\"b\"\" \\\"c\\\"\",\n,x\n";
    warehouse.lake.raw(&place("usual"), text.as_bytes());
    warehouse.lake.raw(&place("told"), b"'7'\t'it\\'s'\t2026-10-01\n");
    let engine = warehouse.engine();
    let rows = engine.rows("usual", "SELECT id, note, late FROM t").await;
    assert_eq!(rows, ["1|a, \"b\" \"c\"|", "|x|NULL"]);
    assert_eq!(engine.rows("told", "SELECT id || '!', note, late FROM t").await, ["7!|it's|2026-10-01"]);
    let table = engine.table("usual").await.unwrap();
    assert!(table.columns().iter().filter(|column| column.hidden.is_none()).all(|c| c.source_type == "string"));
    // What the class reads in a way of its own is told, and not read in another.
    for (line, said) in [
        ("1,a\\,b\n", "value 2 has an escape outside of quotes"),
        ("1,a\"b\"\n", "value 2 has a quote in the middle of it"),
        ("1,\"a\nb\"\n", "value 2 has a line end within quotes"),
    ] {
        warehouse.lake.raw(&place("usual"), line.as_bytes());
        let error = engine.error("usual", "SELECT note FROM t").await;
        assert!(error.contains("000000_0") && error.contains(said), "{error}");
    }
}
