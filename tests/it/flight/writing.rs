//! Statements and streams that write.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::sql::{CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption};
use futures::{StreamExt, stream};
use tonic::Code;

use super::server::{Client, Server, block_on, fetch, lines, printed, status};
use crate::shop;

async fn update(client: &mut Client, sql: &str) -> i64 {
    client.execute_update(sql.to_owned(), None).await.unwrap()
}

#[test]
fn an_update_says_how_many_rows_it_wrote() {
    let server = Server::over("write-updates", shop::memory_engine());
    block_on(async {
        let mut client = server.client().await;
        assert_eq!(update(&mut client, "USE mem.default").await, 0);
        assert_eq!(update(&mut client, "CREATE TABLE t (a bigint, b varchar)").await, 0);
        assert_eq!(update(&mut client, "INSERT INTO t VALUES (1, 'x'), (2, 'y')").await, 2);
        let script = "INSERT INTO t (a) VALUES (3); INSERT INTO t SELECT * FROM t; DROP TABLE IF EXISTS nothing";
        assert_eq!(update(&mut client, script).await, 4);
        assert_eq!(update(&mut client, "CREATE TABLE u AS SELECT * FROM t WHERE a > 1").await, 4);
        assert_eq!(lines(&mut client, "SELECT count(*), sum(a) FROM t").await, ["6|12"]);

        // Drivers run a prepared statement without columns as an update.
        let mut prepared = client.prepare("INSERT INTO t VALUES ($1, $2)".to_owned(), None).await.unwrap();
        assert_eq!(prepared.dataset_schema().unwrap(), &Schema::empty());
        let fields = [Field::new("$1", DataType::Int64, true), Field::new("$2", DataType::Utf8, true)];
        assert_eq!(prepared.parameter_schema().unwrap(), &Schema::new(fields.to_vec()));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7, 8, 9]));
        let words: ArrayRef = Arc::new(StringArray::from(vec![Some("p"), None, Some("r")]));
        prepared.set_parameters(RecordBatch::try_from_iter([("1", numbers), ("2", words)]).unwrap()).unwrap();
        assert_eq!(prepared.execute_update().await.unwrap(), 3);
        assert_eq!(lines(&mut client, "SELECT a, b FROM t WHERE a > 6 ORDER BY a").await, ["7|p", "8|NULL", "9|r"]);
    });
}

#[test]
fn the_ticket_of_a_write_is_good_once() {
    let server = Server::over("write-once", shop::memory_engine());
    block_on(async {
        let mut client = server.client().await;
        update(&mut client, "CREATE TABLE mem.default.t (a bigint)").await;
        let info = client.execute("INSERT INTO mem.default.t VALUES (1)".to_owned(), None).await.unwrap();
        // Nothing was written by asking.
        assert_eq!(lines(&mut client, "SELECT count(*) FROM mem.default.t").await, ["0"]);
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let (schema, batches) = fetch(&mut client, info).await;
        assert_eq!(schema.field(0), &Field::new("rows", DataType::Int64, false));
        assert_eq!(printed(&batches), ["1"]);
        let again = status(client.do_get(ticket).await.map(drop));
        assert_eq!(again.code(), Code::FailedPrecondition, "{again}");
        assert_eq!(lines(&mut client, "SELECT count(*) FROM mem.default.t").await, ["1"]);
    });
}

#[test]
fn a_write_that_is_ended_leaves_nothing() {
    let server = Server::over("write-ended", shop::memory_engine());
    block_on(async {
        let mut client = server.client().await;
        let mut writer = server.client().await;
        let sql = "CREATE TABLE mem.default.t AS SELECT value FROM generate_series(1, 100000000000) AS s(value)";
        let running = tokio::spawn(async move { status(writer.execute_update(sql.to_owned(), None).await) });
        let id = loop {
            let found = lines(
                &mut client,
                "SELECT query_id FROM system.runtime.queries WHERE state = 'running' AND query LIKE 'CREATE TABLE%'",
            )
            .await;
            if let Some(id) = found.first() {
                break id.clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        update(&mut client, &format!("CALL system.kill_query('{id}')")).await;
        let killed = running.await.unwrap();
        assert!([Code::Cancelled, Code::ResourceExhausted].contains(&killed.code()), "{killed}");
        assert!(lines(&mut client, "SHOW TABLES FROM mem.default").await.is_empty());

        // More than the catalog may have.
        let error =
            status(client.execute_update(sql.replace("value FROM", "repeat('x', 10000) AS v FROM"), None).await);
        assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
        assert!(error.message().contains("raise max_size"), "{error}");
        assert!(lines(&mut client, "SHOW TABLES FROM mem.default").await.is_empty());
        assert_eq!(update(&mut client, "CREATE TABLE mem.default.t AS SELECT 1 AS a").await, 1);
    });
}

fn into(table: &str, missing: TableNotExistOption, there: TableExistsOption) -> CommandStatementIngest {
    CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: missing.into(),
            if_exists: there.into(),
        }),
        table: table.to_owned(),
        schema: Some("default".to_owned()),
        catalog: Some("mem".to_owned()),
        ..CommandStatementIngest::default()
    }
}

fn numbers(values: Vec<i64>) -> RecordBatch {
    RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(values)) as ArrayRef)]).unwrap()
}

#[test]
fn rows_of_a_client_become_a_table() {
    let server = Server::over("write-ingest", shop::memory_engine());
    block_on(async {
        let mut client = server.client().await;
        let create = into("t", TableNotExistOption::Create, TableExistsOption::Fail);
        let batches = [numbers(vec![1, 2]), numbers(vec![3])].map(Ok);
        assert_eq!(client.execute_ingest(create.clone(), stream::iter(batches)).await.unwrap(), 3);
        assert_eq!(lines(&mut client, "SELECT a FROM mem.default.t ORDER BY a").await, ["1", "2", "3"]);

        let refused = status(client.execute_ingest(create, stream::iter([Ok(numbers(vec![4]))])).await);
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
        let append = into("t", TableNotExistOption::Fail, TableExistsOption::Append);
        assert_eq!(client.execute_ingest(append.clone(), stream::iter([Ok(numbers(vec![4]))])).await.unwrap(), 1);

        // A client that leaves in the middle leaves nothing behind.
        let mut leaver = server.client().await;
        let endless = stream::repeat_with(|| Ok(numbers(vec![5]))).then(|batch| async {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            batch
        });
        let command = append.clone();
        let leaving = tokio::spawn(async move { leaver.execute_ingest(command, endless).await });
        let ingests = "SELECT count(*) FROM system.runtime.queries WHERE query LIKE 'INGEST%' AND state = ";
        while lines(&mut client, &format!("{ingests}'running'")).await != ["1"] {}
        leaving.abort();
        while lines(&mut client, &format!("{ingests}'cancelled'")).await != ["1"] {}
        assert_eq!(lines(&mut client, "SELECT count(*) FROM mem.default.t").await, ["4"]);

        // What a session says of writes holds for streams: a second try writes nothing.
        update(&mut client, "SET SESSION write_token = 'x'").await;
        for _ in 0..2 {
            assert_eq!(client.execute_ingest(append.clone(), stream::iter([Ok(numbers(vec![6]))])).await.unwrap(), 1);
        }
        assert_eq!(lines(&mut client, "SELECT count(*) FROM mem.default.t").await, ["5"]);

        let refused = CommandStatementIngest { temporary: true, ..append.clone() };
        let refused = status(client.execute_ingest(refused, stream::iter([Ok(numbers(vec![7]))])).await);
        assert_eq!(refused.code(), Code::Unimplemented);
        let refused = CommandStatementIngest { transaction_id: Some("t".into()), ..append };
        let refused = status(client.execute_ingest(refused, stream::iter([Ok(numbers(vec![7]))])).await);
        assert_eq!(refused.code(), Code::Unimplemented);
    });
}
