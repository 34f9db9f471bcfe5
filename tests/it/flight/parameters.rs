//! Statements with parameters.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::sql::client::{FlightSqlServiceClient, PreparedStatement};
use tonic::Code;
use tonic::transport::Channel;

use super::adbc;
use super::server::{Server, block_on, fetch, printed, status};

/// Columns of values, without names: they are bound by position.
fn values<const N: usize>(columns: [ArrayRef; N]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.map(|column| ("", column, true))).unwrap()
}

async fn prepare(client: &mut FlightSqlServiceClient<Channel>, sql: &str) -> PreparedStatement<Channel> {
    client.prepare(sql.to_owned(), None).await.unwrap()
}

/// The rows of a prepared statement with these values.
async fn bound<const N: usize>(
    client: &mut FlightSqlServiceClient<Channel>,
    sql: &str,
    columns: [ArrayRef; N],
) -> Vec<String> {
    let mut prepared = prepare(client, sql).await;
    prepared.set_parameters(values(columns)).unwrap();
    let info = prepared.execute().await.unwrap();
    printed(&fetch(client, info).await.1)
}

#[test]
fn parameters_are_announced_with_the_types_that_the_statement_needs() {
    let server = Server::start("param-types");
    block_on(async {
        let mut client = server.client().await;
        for (sql, expected) in [
            ("SELECT CAST(? AS bigint) AS n, ? AS t", vec![("$1", DataType::Int64), ("$2", DataType::Utf8)]),
            (
                "SELECT value FROM generate_series(1, 9) WHERE value BETWEEN $2 AND $1",
                vec![("$1", DataType::Int64), ("$2", DataType::Int64)],
            ),
            ("EXPLAIN SELECT value FROM generate_series(1, 9) WHERE value = ?", vec![("$1", DataType::Int64)]),
            ("SELECT 1", vec![]),
        ] {
            let prepared = prepare(&mut client, sql).await;
            let fields = expected.into_iter().map(|(name, kind)| Field::new(name, kind, true));
            assert_eq!(prepared.parameter_schema().unwrap(), &Schema::new(fields.collect::<Vec<_>>()), "{sql}");
        }
        let prepared = prepare(&mut client, "SELECT CAST(? AS bigint) AS n").await;
        let expected = Schema::new(vec![Field::new("n", DataType::Int64, true)]);
        assert_eq!(prepared.dataset_schema().unwrap(), &expected);
    });
}

#[test]
fn values_keep_the_type_in_which_they_were_sent() {
    let server = Server::start("param-values");
    block_on(async {
        let mut client = server.client().await;
        let number = |value| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
        let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
        let sql = "SELECT value FROM generate_series(1, 9) WHERE value > ? AND value <= ?";
        assert_eq!(bound(&mut client, sql, [number(3), number(5)]).await, ["4", "5"]);
        // Text for a number is read as one.
        assert_eq!(bound(&mut client, sql, [text("7"), text("8")]).await, ["8"]);
        // 4.5 is not rounded to the column's type: no number from 4 to 5 is both above and below it.
        let half = Decimal128Array::from(vec![45]).with_precision_and_scale(2, 1).unwrap();
        let sql = "SELECT value FROM generate_series(1, 9) WHERE value >= $1 AND value < $1 + 1";
        assert_eq!(bound(&mut client, sql, [Arc::new(half)]).await, ["5"]);
        let sql = "SELECT value FROM generate_series(1, 9) ORDER BY value DESC LIMIT ? OFFSET ?";
        assert_eq!(bound(&mut client, sql, [number(2), number(1)]).await, ["8", "7"]);
        let small = Arc::new(Int32Array::from(vec![1])) as ArrayRef;
        let day = Arc::new(Date32Array::from(vec![0])) as ArrayRef;
        assert_eq!(
            bound(&mut client, "SELECT arrow_typeof(?), ?, ?, '?'", [small, day, text("it's")]).await,
            ["Int32|1970-01-01|it's|?"]
        );
        let nothing = Arc::new(Int64Array::from(vec![None])) as ArrayRef;
        assert_eq!(
            bound(&mut client, "SELECT ? IS NULL AS n, ? AS v", [nothing.clone(), nothing]).await,
            ["true|NULL"]
        );
    });
}

#[test]
fn several_rows_of_values_run_the_statement_for_each() {
    let server = Server::start("param-rows");
    block_on(async {
        let mut client = server.client().await;
        let numbers = Arc::new(Int64Array::from(vec![Some(2), None, Some(3)])) as ArrayRef;
        let sql = "SELECT value, ? AS bound FROM generate_series(1, 3) WHERE value <= $1";
        assert!(client.prepare(sql.to_owned(), None).await.is_err(), "? and $1 are not mixed");
        let sql = "SELECT value, $1 AS bound FROM generate_series(1, 3) WHERE value >= $1";
        assert_eq!(bound(&mut client, sql, [numbers]).await, ["2|2", "3|2", "3|3"]);
        let none = Arc::new(Int64Array::from(Vec::<i64>::new())) as ArrayRef;
        assert!(bound(&mut client, sql, [none]).await.is_empty());
    });
}

#[test]
fn values_that_do_not_fit_are_the_users_mistake() {
    let server = Server::start("param-errors");
    block_on(async {
        let mut client = server.client().await;
        let number = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
        let sql = "SELECT value FROM generate_series(1, 9) WHERE value = ?";
        let mut prepared = prepare(&mut client, sql).await;
        let refused = status(prepared.execute().await);
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(
            refused.message(),
            "the statement has 1 parameter, and values for 0 were given\n\
             Hint: prepare the statement and bind its parameters"
        );
        prepared.set_parameters(values([number(), number()])).unwrap();
        let refused = status(prepared.execute().await);
        assert_eq!(refused.message(), "the statement has 1 parameter, and values for 2 were given");
        let mut prepared = prepare(&mut client, sql).await;
        prepared.set_parameters(values([Arc::new(StringArray::from(vec!["seven"]))])).unwrap();
        let refused = status(prepared.execute().await);
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with("parameter $1 is not bigint: "), "{}", refused.message());
        let refused = status(client.prepare("SELECT $name".to_owned(), None).await);
        assert_eq!(
            refused.message(),
            "$name is no parameter: they are ? or $1, $2 and so on\nLINE 1: SELECT $name\n               ^"
        );
        let mut prepared = prepare(&mut client, "SHOW CATALOGS").await;
        prepared.set_parameters(values([number()])).unwrap();
        let info = prepared.execute().await;
        let refused = match info {
            Ok(info) => status(client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.map(|_| ())),
            Err(error) => status::<()>(Err(error)),
        };
        assert_eq!(refused.code(), Code::InvalidArgument);
    });
}

#[test]
fn adbc_binds() {
    adbc::run(&Server::start("adbc-parameters"), "parameters");
}
