//! Statements: ad hoc, prepared, and for what they change.

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::sql::{CommandPreparedStatementQuery, CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, IpcMessage};
use prost::Message;
use std::sync::Arc;

use super::server::{Server, block_on, fetch, lines, printed, status};

#[test]
fn a_statement_answers_with_its_rows() {
    let server = Server::start("statement");
    block_on(async {
        let mut client = server.client().await;
        assert_eq!(lines(&mut client, "SELECT 1 AS one, 'é' AS word, NULL AS nothing").await, ["1|é|NULL"]);
        assert_eq!(lines(&mut client, "SELECT sum(value) AS s FROM generate_series(1, 100000);").await, ["5000050000"]);
        assert!(lines(&mut client, "SELECT 1 AS one WHERE false").await.is_empty());
    });
}

/// GetFlightInfo, GetSchema, CreatePreparedStatement and the stream must agree, to nullability, for every statement.
#[test]
fn every_way_to_ask_for_the_schema_gives_that_of_the_stream() {
    let server = Server::start("schemas");
    let statements = [
        "SELECT 1 AS one, 2.5 AS number, 'a' AS word, true AS yes, NULL AS nothing",
        "SELECT min(value) AS low, max(value) AS high, count(*) AS rows, avg(value) AS mean FROM generate_series(1, 9)",
        "SELECT value, value % 2 = 0 AS even FROM generate_series(1, 20000) WHERE value > 3",
        "SELECT arrow_cast('a text longer than twelve bytes', 'Utf8View') AS viewed",
        "SELECT arrow_cast('a', 'Dictionary(Int32, Utf8)') AS code, arrow_cast('a', 'LargeUtf8') AS large",
        "SELECT [arrow_cast('a', 'Utf8View')] AS list, named_struct('x', arrow_cast('b', 'Utf8View')) AS row",
        "SELECT arrow_cast([1, 2], 'LargeList(Int64)') AS large, arrow_cast('x', 'BinaryView') AS bytes",
        "SELECT CAST('2026-01-02' AS date) AS d, CAST('2026-01-02T03:04:05Z' AS timestamp) AS t, INTERVAL '1 day' AS i",
        "SELECT 1 AS same, 2 AS \"same \", 3 AS \"\"",
        "SELECT 1 AS one UNION ALL SELECT NULL",
        "SELECT 1 AS one WHERE false",
        "EXPLAIN SELECT 1",
        "SHOW CATALOGS",
        "SHOW SESSION",
        "SET SESSION pushdown = 'all'",
    ];
    block_on(async {
        let mut client = server.client().await;
        for sql in statements {
            // This compares the info's schema with the stream's.
            let info = client.execute(sql.to_owned(), None).await.unwrap();
            let (streamed, _) = fetch(&mut client, info).await;

            let command = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
            let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
            let result = client.inner_mut().get_schema(descriptor).await.unwrap().into_inner();
            assert_eq!(Schema::try_from(IpcMessage(result.schema)).unwrap(), *streamed, "{sql}");

            let mut prepared = client.prepare(sql.to_owned(), None).await.unwrap();
            assert_eq!(prepared.dataset_schema().unwrap(), streamed.as_ref(), "{sql}");
            assert_eq!(prepared.parameter_schema().unwrap(), &Schema::empty(), "{sql}");
            let info = prepared.execute().await.unwrap();
            assert_eq!(fetch(&mut client, info).await.0, streamed, "{sql}");
            prepared.close().await.unwrap();
        }
    });
}

#[test]
fn no_client_is_sent_a_type_that_it_may_not_read() {
    let server = Server::start("types");
    block_on(async {
        let mut client = server.client().await;
        let sql = "SELECT arrow_cast('a', 'Utf8View') AS v, arrow_cast('b', 'Dictionary(Int8, Utf8)') AS d, \
                   arrow_cast('c', 'BinaryView') AS b";
        let info = client.execute(sql.to_owned(), None).await.unwrap();
        let (schema, batches) = fetch(&mut client, info).await;
        let types: Vec<&DataType> = schema.fields().iter().map(|field| field.data_type()).collect();
        assert_eq!(types, [&DataType::Utf8, &DataType::Utf8, &DataType::Binary]);
        assert_eq!(printed(&batches), ["a|b|63"]);
    });
}

#[test]
fn a_prepared_statement_runs_as_often_as_asked_and_from_any_connection() {
    let server = Server::start("prepared");
    block_on(async {
        let mut client = server.client().await;
        let mut prepared = client.prepare("SELECT 42 AS answer".to_owned(), None).await.unwrap();
        let expected = Schema::new(vec![Field::new("answer", DataType::Int64, false)]);
        assert_eq!(prepared.dataset_schema().unwrap(), &expected);
        for _ in 0..2 {
            let info = prepared.execute().await.unwrap();
            assert_eq!(printed(&fetch(&mut client, info).await.1), ["42"]);
        }
        // The info's descriptor holds the handle.
        let info = prepared.execute().await.unwrap();
        let mut other = server.client().await;
        let descriptor = info.flight_descriptor.unwrap();
        let info = other.inner_mut().get_flight_info(descriptor).await.unwrap().into_inner();
        assert_eq!(printed(&fetch(&mut other, info).await.1), ["42"]);
        prepared.close().await.unwrap();
    });
}

#[test]
fn parameters_for_a_statement_without_any_are_refused() {
    let server = Server::start("parameters");
    block_on(async {
        let mut client = server.client().await;
        let bound = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![1])) as _)]).unwrap();
        let mut prepared = client.prepare("SELECT 42 AS answer".to_owned(), None).await.unwrap();
        prepared.set_parameters(bound).unwrap();
        let refused = status(prepared.execute().await);
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert_eq!(refused.message(), "the statement has no parameters, and values for 1 were given");
        // Nothing bound, said in so many words, is fine.
        let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
        let mut prepared = client.prepare("SELECT 42 AS answer".to_owned(), None).await.unwrap();
        prepared.set_parameters(nothing).unwrap();
        let info = prepared.execute().await.unwrap();
        assert_eq!(printed(&fetch(&mut client, info).await.1), ["42"]);
    });
}

#[test]
fn updates_change_the_session_once() {
    let server = Server::start("updates");
    block_on(async {
        let mut client = server.client().await;
        let update = "SET SESSION pushdown = 'none'";
        assert_eq!(client.execute_update(update.to_owned(), None).await.unwrap(), 0);
        assert_eq!(lines(&mut client, "SHOW pushdown").await, ["none"]);

        // As JDBC does: prepared, seen to return nothing, run as an update.
        let mut prepared = client.prepare("SET SESSION batch_rows = 100".to_owned(), None).await.unwrap();
        assert_eq!(prepared.dataset_schema().unwrap(), &Schema::empty());
        assert_eq!(lines(&mut client, "SHOW batch_rows").await, ["8192"]);
        assert_eq!(prepared.execute_update().await.unwrap(), 0);
        assert_eq!(lines(&mut client, "SHOW batch_rows").await, ["100"]);

        // As ADBC does: run as a query.
        assert!(lines(&mut client, "RESET ALL").await.is_empty());
        assert_eq!(lines(&mut client, "SHOW batch_rows").await, ["8192"]);

        let script = "SET SESSION batch_rows = 7; SET SESSION pushdown = 'none';";
        assert_eq!(client.execute_update(script.to_owned(), None).await.unwrap(), 0);
        assert_eq!(lines(&mut client, "SHOW batch_rows").await, ["7"]);
        // A query as an update runs to its end, and how many rows it changed is not known.
        assert_eq!(client.execute_update("SELECT 1".to_owned(), None).await.unwrap(), -1);
    });
}

#[test]
fn foreign_handles_are_not_found() {
    let server = Server::start("handles");
    block_on(async {
        let mut client = server.client().await;
        let command = CommandPreparedStatementQuery { prepared_statement_handle: "not ours".into() };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let refused = client.inner_mut().get_flight_info(descriptor).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::NotFound);
    });
}
