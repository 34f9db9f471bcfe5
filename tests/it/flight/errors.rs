//! What goes wrong, and how the client is told.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{Action, Criteria, FlightDescriptor, Ticket};
use futures::StreamExt;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::server::{Server, block_on, lines, status};

async fn refused(client: &mut FlightSqlServiceClient<Channel>, sql: &str) -> Status {
    let executed = status(client.execute(sql.to_owned(), None).await);
    // Preparing says the same.
    let prepared = status(client.prepare(sql.to_owned(), None).await);
    assert_eq!((executed.code(), executed.message()), (prepared.code(), prepared.message()), "{sql}");
    executed
}

#[test]
fn a_users_mistakes_are_told_with_their_place() {
    let server = Server::start("mistakes");
    block_on(async {
        let mut client = server.client().await;
        let error = refused(&mut client, "SELECT 1\n  FORM t").await;
        assert_eq!(error.code(), Code::InvalidArgument);
        // FORM is taken for the column's name, so `t` is what should not be there.
        let expected = "syntax error: Expected: end of statement, found: t\nLINE 2:   FORM t\n               ^";
        assert_eq!(error.message(), expected);

        let error = refused(&mut client, "SELECT valeu FROM generate_series(1, 3)").await;
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains("did you mean \"value\"?"), "{}", error.message());

        for sql in ["SELECT * FROM nowhere.s.t", "SELECT * FROM t"] {
            assert_eq!(refused(&mut client, sql).await.code(), Code::NotFound, "{sql}");
        }
        for sql in ["TRUNCATE TABLE t", "SELECT * FROM generate_series(1, 3) TABLESAMPLE BERNOULLI (10)"] {
            assert_eq!(refused(&mut client, sql).await.code(), Code::Unimplemented, "{sql}");
        }
        for sql in ["", "SELECT 1; SELECT 2", "SELECT no_such_function(1)"] {
            let error = refused(&mut client, sql).await;
            assert_eq!(error.code(), Code::InvalidArgument, "{sql}: {}", error.message());
            assert!(!error.message().contains(".rs:"), "{}", error.message());
        }

        // What changes the session is checked before it runs, and says the same when it runs at once.
        let sql = "SET SESSION pushdwn = 'none'";
        let asked = refused(&mut client, sql).await;
        let updated = status(client.execute_update(sql.to_owned(), None).await);
        for error in [asked, updated] {
            assert_eq!(error.code(), Code::InvalidArgument);
            assert_eq!(error.message(), "setting \"pushdwn\" does not exist\nHint: did you mean \"pushdown\"?");
        }
    });
}

#[test]
fn an_error_in_the_middle_of_a_result_ends_it() {
    let server = Server::start("mid-stream");
    block_on(async {
        let mut client = server.client().await;
        let sql = "SELECT 10 / (value - 50000) AS x FROM generate_series(1, 100000)".to_owned();
        let info = client.execute(sql, None).await.unwrap();
        let mut rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
        let mut seen = 0;
        let error = loop {
            match rows.next().await.expect("an error before the end") {
                Ok(batch) => seen += batch.column(0).as_primitive::<Int64Type>().len(),
                Err(error) => break status::<()>(Err(error)),
            }
        };
        // Batches move side by side, so some from behind the failing row may come before the error.
        assert!((1..100_000).contains(&seen), "{seen} rows");
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().to_lowercase().contains("division by zero"), "{}", error.message());
        assert!(rows.next().await.is_none());
        // A new statement on the same connection is none the worse for it.
        assert_eq!(lines(&mut client, "SELECT 1 AS one").await, ["1"]);
    });
}

#[test]
fn what_is_not_there_says_so() {
    let server = Server::start("unimplemented");
    block_on(async {
        let mut client = server.client().await;
        let error = status(client.execute("SELECT 1".to_owned(), Some("transaction".into())).await);
        assert_eq!((error.code(), error.message()), (Code::Unimplemented, "a transaction is not supported"));
        assert_eq!(status(client.begin_transaction().await).code(), Code::Unimplemented);
        let flight = client.inner_mut();
        assert_eq!(flight.list_flights(Criteria::default()).await.unwrap_err().code(), Code::Unimplemented);

        let listed = flight.list_actions(arrow_flight::Empty {}).await.unwrap().into_inner();
        let listed: Vec<String> = listed.map(|action| action.unwrap().r#type).collect().await;
        let expected = [
            "CreatePreparedStatement",
            "ClosePreparedStatement",
            "CancelFlightInfo",
            "CancelQuery",
            "RenewFlightEndpoint",
            "SetSessionOptions",
            "GetSessionOptions",
            "CloseSession",
        ];
        assert_eq!(listed, expected);
    });
}

#[test]
fn bytes_that_mean_nothing_are_refused_and_the_next_client_is_served() {
    let server = Server::start("garbage");
    block_on(async {
        let mut client = server.client().await;
        let garbage = vec![0xff_u8; 100];
        let flight = client.inner_mut();
        let descriptor = FlightDescriptor::new_cmd(garbage.clone());
        assert_eq!(flight.get_flight_info(descriptor.clone()).await.unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(flight.get_schema(descriptor).await.unwrap_err().code(), Code::InvalidArgument);
        let path = FlightDescriptor::new_path(vec!["a".to_owned()]);
        assert_eq!(flight.get_flight_info(path).await.unwrap_err().code(), Code::InvalidArgument);
        let ticket = Ticket::new(garbage.clone());
        assert_eq!(flight.do_get(ticket).await.unwrap_err().code(), Code::InvalidArgument);
        let action = Action::new("CreatePreparedStatement", garbage);
        assert_eq!(flight.do_action(action).await.unwrap_err().code(), Code::InvalidArgument);
        let empty = futures::stream::empty::<arrow_flight::FlightData>();
        assert_eq!(flight.do_put(empty).await.unwrap_err().code(), Code::InvalidArgument);

        let nested = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
        let error = refused(&mut client, &nested).await;
        assert_eq!(error.code(), Code::InvalidArgument);
        let long = format!("SELECT '{}'", "x".repeat(3 << 20));
        let error = refused(&mut client, &long).await;
        assert_eq!(error.code(), Code::ResourceExhausted);
        assert!(error.message().contains("bytes"), "{}", error.message());

        assert_eq!(lines(&mut server.client().await, "SELECT 1 AS one").await, ["1"]);
    });
}
