//! Actions: cancelling, renewing, session options.

use std::collections::HashMap;
use std::time::Duration;

use arrow_flight::sql::{Any, CommandStatementQuery, ProstMessageExt};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightDescriptor, FlightEndpoint,
    FlightInfo, RenewFlightEndpointRequest,
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use tonic::Code;

use super::adbc;
use super::server::{Client, Server, block_on, fetch, lines, printed, status};

/// More rows than any machine makes while the test runs.
const ENDLESS: &str = "SELECT value FROM generate_series(1, 100000000000)";

/// How long a cancelled query may take to end.
const CANCELLED_WITHIN: Duration = Duration::from_secs(5);

/// The bodies of an action's results.
pub(super) async fn act(client: &mut Client, name: &str, body: Vec<u8>) -> Result<Vec<Bytes>, tonic::Status> {
    let results = client.inner_mut().do_action(Action::new(name, body)).await?.into_inner();
    results.map_ok(|result| result.body).try_collect().await
}

pub(super) async fn cancel(client: &mut Client, info: &FlightInfo) -> CancelStatus {
    let request = CancelFlightInfoRequest { info: Some(info.clone()) };
    let results = act(client, "CancelFlightInfo", request.encode_to_vec()).await.unwrap();
    CancelFlightInfoResult::decode(results[0].clone()).unwrap().status()
}

#[test]
fn a_query_is_cancelled_by_its_info_from_another_connection() {
    let server = Server::start("cancel-info");
    block_on(async {
        let mut client = server.client().await;
        let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
        let mut rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
        rows.next().await.unwrap().unwrap();
        assert_eq!(cancel(&mut server.client().await, &info).await, CancelStatus::Cancelled);
        let error = tokio::time::timeout(CANCELLED_WITHIN, async {
            loop {
                match rows.next().await.expect("an error before the end") {
                    Ok(_) => {}
                    Err(error) => break status::<()>(Err(error)),
                }
            }
        });
        let error = error.await.unwrap();
        assert_eq!(error.code(), Code::Cancelled);
        assert_eq!(error.message(), "the query was cancelled by its client");
        assert!(error.metadata().get("portolan-query-id").is_some());
        // It has ended: there is nothing to cancel any more.
        assert_eq!(cancel(&mut client, &info).await, CancelStatus::NotCancellable);
        // One that was cancelled before its rows were fetched does not run.
        let info = client.execute("SELECT 1".to_owned(), None).await.unwrap();
        assert_eq!(cancel(&mut client, &info).await, CancelStatus::Cancelled);
        let refused = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await;
        assert_eq!(status(refused.map(|_| ())).code(), Code::Cancelled);
        assert_eq!(lines(&mut client, "SELECT 1").await, ["1"]);
    });
}

#[test]
fn a_ticket_lives_longer_when_it_is_renewed_and_is_none_of_others() {
    let server = Server::start("renewal");
    block_on(async {
        let mut client = server.client().await;
        let info = client.execute("SELECT 7 AS n".to_owned(), None).await.unwrap();
        let endpoint = info.endpoint[0].clone();
        assert!(endpoint.expiration_time.is_some());
        let request = RenewFlightEndpointRequest { endpoint: Some(endpoint.clone()) };
        let results = act(&mut client, "RenewFlightEndpoint", request.encode_to_vec()).await.unwrap();
        let renewed = FlightEndpoint::decode(results[0].clone()).unwrap();
        let seconds = |endpoint: &FlightEndpoint| endpoint.expiration_time.as_ref().unwrap().seconds;
        assert!(seconds(&renewed) >= seconds(&endpoint));
        let info = FlightInfo { endpoint: vec![renewed], ..info };
        assert_eq!(printed(&fetch(&mut client, info).await.1), ["7"]);
        let nothing = RenewFlightEndpointRequest { endpoint: None };
        let refused = act(&mut client, "RenewFlightEndpoint", nothing.encode_to_vec()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        // Another server signs with another key.
        let other = Server::start("renewal-other");
        let refused = other.client().await.do_get(endpoint.ticket.unwrap()).await;
        assert_eq!(status(refused.map(|_| ())).code(), Code::NotFound);
    });
}

#[test]
fn polling_finds_the_info_complete_at_once() {
    let server = Server::start("polling");
    block_on(async {
        let mut client = server.client().await;
        let command = CommandStatementQuery { query: "SELECT 7 AS n".to_owned(), transaction_id: None };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let poll = client.inner_mut().poll_flight_info(descriptor).await.unwrap().into_inner();
        assert_eq!((poll.flight_descriptor, poll.progress), (None, Some(1.0)));
        assert!(poll.expiration_time.is_some());
        assert_eq!(printed(&fetch(&mut client, poll.info.unwrap()).await.1), ["7"]);
    });
}

/// The messages as Flight.proto has them, apart from the server's own.
#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(map = "string, message", tag = "1")]
    options: HashMap<String, OptionValue>,
}

#[derive(Clone, PartialEq, Message)]
struct OptionValue {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(sfixed64, optional, tag = "3")]
    integer: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Errors {
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, OptionError>,
}

#[derive(Clone, PartialEq, Message)]
struct OptionError {
    #[prost(int32, tag = "1")]
    value: i32,
}

fn text(value: &str) -> OptionValue {
    OptionValue { text: Some(value.to_owned()), integer: None }
}

#[test]
fn session_options_are_the_place_and_the_settings() {
    let server = Server::start("options");
    block_on(async {
        let mut client = server.client().await;
        let options = [
            ("schema", text("runtime")),
            ("catalog", text("system")),
            ("pushdown", text("none")),
            ("batch_rows", OptionValue { text: None, integer: Some(100) }),
            ("target_partitions", text("many")),
            ("no_such_option", text("x")),
        ];
        let options = options.map(|(name, value)| (name.to_owned(), value)).into();
        let results = act(&mut client, "SetSessionOptions", Options { options }.encode_to_vec()).await.unwrap();
        let errors = Errors::decode(results[0].clone()).unwrap().errors;
        // INVALID_NAME and INVALID_VALUE.
        let expected = [("no_such_option", 1), ("target_partitions", 2)];
        let expected = expected.map(|(name, value)| (name.to_owned(), OptionError { value }));
        assert_eq!(errors, HashMap::from(expected));
        assert_eq!(lines(&mut client, "SELECT current_catalog, current_schema").await, ["system|runtime"]);
        assert_eq!(lines(&mut client, "SHOW batch_rows").await, ["100"]);

        let results = act(&mut client, "GetSessionOptions", Vec::new()).await.unwrap();
        let told = Options::decode(results[0].clone()).unwrap().options;
        assert_eq!(told["catalog"], text("system"));
        assert_eq!(told["pushdown"], text("none"));
        assert!(!told.contains_key("target_partitions"));

        // No value takes the option back.
        let options = [("pushdown".to_owned(), OptionValue::default())].into();
        act(&mut client, "SetSessionOptions", Options { options }.encode_to_vec()).await.unwrap();
        assert_eq!(lines(&mut client, "SHOW pushdown").await, ["all"]);

        let results = act(&mut client, "CloseSession", Vec::new()).await.unwrap();
        // CLOSED.
        assert_eq!(results[0].as_ref(), [8, 1]);
        assert_eq!(lines(&mut client, "SELECT current_catalog").await, ["NULL"]);
    });
}

#[test]
fn actions_that_cannot_be_read_are_the_clients_mistake() {
    let server = Server::start("bad-actions");
    block_on(async {
        let mut client = server.client().await;
        for name in ["CreatePreparedStatement", "CancelFlightInfo", "CancelQuery", "SetSessionOptions"] {
            let refused = act(&mut client, name, vec![0xff; 20]).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{name}");
        }
        let wrong = CommandStatementQuery::default().as_any();
        let refused = act(&mut client, "CancelQuery", Any::encode_to_vec(&wrong)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let refused = act(&mut client, "BeginSavepoint", Vec::new()).await.unwrap_err();
        assert_eq!(
            (refused.code(), refused.message()),
            (Code::Unimplemented, "action BeginSavepoint is not supported")
        );
    });
}

#[test]
fn adbc_sets_the_place() {
    adbc::run(&Server::start("adbc-options"), "options");
}
