//! The metadata calls: the columns that the specification demands, and the shop's catalogs in them.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo,
};
use arrow_flight::{FlightInfo, IpcMessage};
use bytes::Bytes;
use tonic::transport::Channel;

use super::server::{Server, block_on, fetch, printed};
use crate::shop;

/// `name type` with a question mark behind columns that may be NULL.
fn columns(schema: &Schema) -> Vec<String> {
    let column =
        |field: &Field| format!("{} {}{}", field.name(), field.data_type(), if field.is_nullable() { "?" } else { "" });
    schema.fields().iter().map(|field| column(field)).collect()
}

async fn listed(client: &mut FlightSqlServiceClient<Channel>, info: FlightInfo) -> (Vec<String>, Vec<String>) {
    let (schema, batches) = fetch(client, info).await;
    (columns(&schema), printed(&batches))
}

fn tables(catalog: Option<&str>, schema: Option<&str>, table: Option<&str>, types: &[&str]) -> CommandGetTables {
    CommandGetTables {
        catalog: catalog.map(str::to_owned),
        db_schema_filter_pattern: schema.map(str::to_owned),
        table_name_filter_pattern: table.map(str::to_owned),
        table_types: types.iter().map(|kind| (*kind).to_owned()).collect(),
        include_schema: false,
    }
}

fn schemas(catalog: Option<&str>, pattern: Option<&str>) -> CommandGetDbSchemas {
    CommandGetDbSchemas { catalog: catalog.map(str::to_owned), db_schema_filter_pattern: pattern.map(str::to_owned) }
}

/// Every column, type and nullability is written in FlightSql.proto.
#[test]
fn answers_have_the_columns_of_the_specification() {
    let server = Server::start("metadata");
    block_on(async {
        let client = &mut server.client().await;
        let info = client.get_catalogs().await.unwrap();
        assert_eq!(listed(client, info).await, (vec!["catalog_name Utf8".to_owned()], vec!["system".to_owned()]));
        let info = client.get_db_schemas(schemas(None, None)).await.unwrap();
        assert_eq!(listed(client, info).await.0, ["catalog_name Utf8?", "db_schema_name Utf8"]);

        let plain = ["catalog_name Utf8?", "db_schema_name Utf8?", "table_name Utf8", "table_type Utf8"];
        let info = client.get_tables(tables(None, None, None, &[])).await.unwrap();
        assert_eq!(listed(client, info).await.0, plain);
        let with_schema = CommandGetTables { include_schema: true, ..tables(None, None, None, &[]) };
        let info = client.get_tables(with_schema).await.unwrap();
        assert_eq!(listed(client, info).await.0, [&plain[..], &["table_schema Binary"]].concat());

        let info = client.get_table_types().await.unwrap();
        let (names, rows) = listed(client, info).await;
        assert_eq!(names, ["table_type Utf8"]);
        assert_eq!(rows, ["BASE TABLE", "VIEW"]);
    });
}

#[test]
fn keys_are_empty_with_the_columns_of_the_specification() {
    let server = Server::start("keys");
    let pk = || CommandGetPrimaryKeys { catalog: None, db_schema: None, table: "t".into() };
    let exported = || CommandGetExportedKeys { catalog: None, db_schema: None, table: "t".into() };
    let imported = || CommandGetImportedKeys { catalog: None, db_schema: None, table: "t".into() };
    let cross = || CommandGetCrossReference { pk_table: "t".into(), fk_table: "u".into(), ..Default::default() };
    block_on(async {
        let client = &mut server.client().await;
        let info = client.get_primary_keys(pk()).await.unwrap();
        let expected = [
            "catalog_name Utf8?",
            "db_schema_name Utf8?",
            "table_name Utf8",
            "column_name Utf8",
            "key_name Utf8?",
            "key_sequence Int32",
        ];
        assert_eq!(listed(client, info).await, (expected.map(str::to_owned).to_vec(), Vec::new()));
        let expected = [
            "pk_catalog_name Utf8?",
            "pk_db_schema_name Utf8?",
            "pk_table_name Utf8",
            "pk_column_name Utf8",
            "fk_catalog_name Utf8?",
            "fk_db_schema_name Utf8?",
            "fk_table_name Utf8",
            "fk_column_name Utf8",
            "key_sequence Int32",
            "fk_key_name Utf8?",
            "pk_key_name Utf8?",
            "update_rule UInt8",
            "delete_rule UInt8",
        ];
        for info in [
            client.get_exported_keys(exported()).await.unwrap(),
            client.get_imported_keys(imported()).await.unwrap(),
            client.get_cross_reference(cross()).await.unwrap(),
        ] {
            assert_eq!(listed(client, info).await, (expected.map(str::to_owned).to_vec(), Vec::new()));
        }
    });
}

#[test]
fn the_server_describes_itself() {
    let server = Server::start("sql-info");
    block_on(async {
        let client = &mut server.client().await;
        let asked =
            vec![SqlInfo::FlightSqlServerName, SqlInfo::FlightSqlServerTransaction, SqlInfo::FlightSqlServerReadOnly];
        let info = client.get_sql_info(asked).await.unwrap();
        let (schema, batches) = fetch(client, info).await;
        assert_eq!(schema.field(0), &Field::new("info_name", DataType::UInt32, false));
        let DataType::Union(fields, arrow::datatypes::UnionMode::Dense) = schema.field(1).data_type() else {
            panic!("{schema}");
        };
        let kinds: Vec<&str> = fields.iter().map(|(_, field)| field.name().as_str()).collect();
        assert_eq!(
            kinds,
            ["string_value", "bool_value", "bigint_value", "int32_bitmask", "string_list", "int32_to_int32_list_map"]
        );
        assert_eq!(printed(&batches), ["0|{string_value=portolan}", "3|{bool_value=false}", "8|{int32_bitmask=0}"]);
        // No numbers means all numbers.
        let info = client.get_sql_info(Vec::new()).await.unwrap();
        let rows: usize = fetch(client, info).await.1.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, 6 + 4 + 2 + 77);

        let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: Some(12) }).await.unwrap();
        let (schema, batches) = fetch(client, info).await;
        assert_eq!(schema.fields().len(), 19);
        assert_eq!(batches[0].column(0).as_string::<i32>().value(0), "varchar");
        assert_eq!(batches[0].column(1).as_primitive::<Int32Type>().value(0), 12);
    });
}

#[test]
fn the_shop_is_listed_and_filtered() {
    let server = Server::over("shop-listing", shop::engine());
    block_on(async {
        let client = &mut server.client().await;
        let info = client.get_catalogs().await.unwrap();
        assert_eq!(listed(client, info).await.1, ["events", "lake", "mem", "own", "pg", "system"]);

        let info = client.get_db_schemas(schemas(None, Some("s%"))).await.unwrap();
        assert_eq!(listed(client, info).await.1, ["lake|sales"]);
        let info = client.get_db_schemas(schemas(Some("pg"), None)).await.unwrap();
        assert_eq!(listed(client, info).await.1, ["pg|information_schema", "pg|public"]);
        let info = client.get_db_schemas(schemas(Some(""), None)).await.unwrap();
        assert!(listed(client, info).await.1.is_empty());

        for (request, expected) in [
            (tables(Some("pg"), None, None, &[]), &["customers", "products"][..]),
            (tables(None, None, Some("c%s"), &["BASE TABLE", "table"]), &["clicks", "customers"]),
            (tables(None, Some("publi_"), Some("prod_cts"), &[]), &["products"]),
            (tables(Some("lake"), Some("sales"), Some("orders"), &[]), &["orders"]),
            (tables(Some("pg"), None, None, &["VIEW"]), &[]),
            (tables(Some("nowhere"), None, None, &[]), &[]),
        ] {
            let info = client.get_tables(request).await.unwrap();
            let (_, rows) = listed(client, info).await;
            let names: Vec<&str> = rows.iter().filter_map(|row| row.split('|').nth(2)).collect();
            assert_eq!(names, expected);
            assert!(rows.iter().all(|row| row.ends_with("|BASE TABLE")), "{rows:?}");
        }
    });
}

/// The columns that a listing tells are those of the table's own rows.
#[test]
fn listed_columns_are_those_of_a_query() {
    let server = Server::over("shop-columns", shop::engine());
    block_on(async {
        let client = &mut server.client().await;
        let request = CommandGetTables { include_schema: true, ..tables(None, None, None, &[]) };
        let info = client.get_tables(request).await.unwrap();
        let (_, batches) = fetch(client, info).await;
        let batch = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
        assert!(batch.num_rows() >= 4, "{:?}", printed(&batches));
        for row in 0..batch.num_rows() {
            let part = |column: usize| batch.column(column).as_string::<i32>().value(row);
            let name = format!("\"{}\".\"{}\".\"{}\"", part(0), part(1), part(2));
            let bytes = batch.column(4).as_binary::<i32>().value(row);
            let told = Schema::try_from(IpcMessage(Bytes::copy_from_slice(bytes))).unwrap();
            let info = client.execute(format!("SELECT * FROM {name} LIMIT 1"), None).await.unwrap();
            let (queried, rows) = fetch(client, info).await;
            assert_eq!(columns(&told), columns(&queried), "{name}");
            let count = rows.iter().map(RecordBatch::num_rows).sum::<usize>();
            // Nobody reads the shop's topics in a group.
            assert!(count == 1 || (part(1) == "kafka" && count == 0), "{name}: {count} rows");
            let metadata = told.field(0).metadata();
            assert_eq!(metadata.get("ARROW:FLIGHT:SQL:TABLE_NAME").map(String::as_str), Some(part(2)), "{name}");
            assert!(metadata.contains_key("ARROW:FLIGHT:SQL:TYPE_NAME"), "{name}");
        }
    });
}
