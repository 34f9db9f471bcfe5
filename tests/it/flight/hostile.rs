//! Bytes that no client of good will sends: each call ends with an error, and the next client is served.

use std::time::Duration;

use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, CommandGetDbSchemas, CommandGetTables,
    CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementQuery, CommandStatementUpdate,
    ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{Action, FlightData, FlightDescriptor, Ticket};
use futures::TryStreamExt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use prost::Message;
use tonic::{Code, Status};

use super::server::{Client, Server, block_on, lines};

/// Calls of one run of the test. Each is one round trip.
const CASES: u32 = 300;

/// How long one call may take.
const CALL_MAX: Duration = Duration::from_secs(20);

/// What a call may answer to nonsense: that it is the client's mistake, or that there is no such thing. Never that the
/// server made a mistake.
const ALLOWED: [Code; 7] = [
    Code::Ok,
    Code::InvalidArgument,
    Code::NotFound,
    Code::Unimplemented,
    Code::ResourceExhausted,
    Code::Unauthenticated,
    Code::PermissionDenied,
];

/// The calls that take bytes.
#[derive(Clone, Copy, Debug)]
enum Call {
    Info,
    Schema,
    Poll,
    Get,
    Put,
    PutBody,
    Action(&'static str),
}

const CALLS: [Call; 14] = [
    Call::Info,
    Call::Schema,
    Call::Poll,
    Call::Get,
    Call::Put,
    Call::PutBody,
    Call::Action("CreatePreparedStatement"),
    Call::Action("ClosePreparedStatement"),
    Call::Action("CancelFlightInfo"),
    Call::Action("CancelQuery"),
    Call::Action("RenewFlightEndpoint"),
    Call::Action("SetSessionOptions"),
    Call::Action("GetSessionOptions"),
    Call::Action("NoSuchAction"),
];

async fn call(client: &mut Client, call: Call, bytes: Vec<u8>) -> Result<(), Status> {
    let flight = client.inner_mut();
    let descriptor = || FlightDescriptor::new_cmd(bytes.clone());
    match call {
        Call::Info => flight.get_flight_info(descriptor()).await.map(drop),
        Call::Schema => flight.get_schema(descriptor()).await.map(drop),
        Call::Poll => flight.poll_flight_info(descriptor()).await.map(drop),
        Call::Get => {
            let rows = flight.do_get(Ticket::new(bytes)).await?.into_inner();
            rows.try_for_each(|_| async { Ok(()) }).await
        }
        Call::Put => {
            let message = FlightData { flight_descriptor: Some(descriptor()), ..FlightData::default() };
            flight.do_put(futures::stream::iter([message])).await.map(drop)
        }
        Call::PutBody => {
            let command = CommandStatementUpdate { query: "RESET ALL".to_owned(), transaction_id: None };
            let message = FlightData {
                flight_descriptor: Some(FlightDescriptor::new_cmd(command.as_any().encode_to_vec())),
                data_header: bytes.clone().into(),
                data_body: bytes.into(),
                app_metadata: Vec::new().into(),
            };
            flight.do_put(futures::stream::iter([message])).await.map(drop)
        }
        Call::Action(name) => {
            let results = flight.do_action(Action::new(name, bytes)).await?.into_inner();
            results.try_for_each(|_| async { Ok(()) }).await
        }
    }
}

/// Messages that make sense, with text that may not.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        "\\PC{0,40}",
        Just("SELECT 1".to_owned()),
        Just("SELECT ".to_owned() + &"(".repeat(10_000)),
        Just("SELECT * FROM \"\u{202e}\u{0}\".\"'; --\".\"\\\"".to_owned()),
        Just("SELECT ?, $1, $2000000000".to_owned()),
        Just("SET SESSION batch_rows = 99999999999999999999".to_owned()),
        Just("USE \"\"\"\".\"\"".to_owned()),
    ];
    (text, 0_usize..9).prop_map(|(text, kind)| {
        let some = Some(text.clone());
        let handle: bytes::Bytes = text.clone().into_bytes().into();
        match kind {
            0 => CommandStatementQuery { query: text, transaction_id: None }.as_any(),
            1 => CommandStatementUpdate { query: text, transaction_id: None }.as_any(),
            2 => CommandPreparedStatementQuery { prepared_statement_handle: handle }.as_any(),
            3 => CommandPreparedStatementUpdate { prepared_statement_handle: handle }.as_any(),
            4 => CommandGetDbSchemas { catalog: some.clone(), db_schema_filter_pattern: some }.as_any(),
            5 => CommandGetTables {
                catalog: some.clone(),
                db_schema_filter_pattern: some.clone(),
                table_name_filter_pattern: some,
                table_types: vec![text],
                include_schema: true,
            }
            .as_any(),
            6 => TicketStatementQuery { statement_handle: handle }.as_any(),
            7 => ActionCreatePreparedStatementRequest { query: text, transaction_id: None }.as_any(),
            _ => ActionClosePreparedStatementRequest { prepared_statement_handle: handle }.as_any(),
        }
        .encode_to_vec()
    })
}

/// Random bytes, messages that make sense, and such messages cut or with a byte changed.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        messages(),
        (messages(), any::<prop::sample::Index>()).prop_map(|(bytes, end)| bytes[..end.index(bytes.len())].to_vec()),
        (messages(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, byte)| {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        }),
    ]
}

#[test]
fn nonsense_is_refused_and_the_next_client_is_served() {
    let server = Server::start("hostile");
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    block_on(async {
        let mut client = server.client().await;
        let calls = prop::sample::select(CALLS.to_vec());
        for _ in 0..CASES {
            let (what, bytes) = (&calls, hostile()).new_tree(&mut runner).unwrap().current();
            let called = tokio::time::timeout(CALL_MAX, call(&mut client, what, bytes.clone())).await;
            let code = called.unwrap_or_else(|_| panic!("{what:?} {bytes:?} does not end")).err();
            let code = code.map_or(Code::Ok, |status| {
                assert!(!status.message().contains(".rs:"), "{what:?}: {}", status.message());
                status.code()
            });
            assert!(ALLOWED.contains(&code), "{what:?} {bytes:?}: {code:?}");
        }
        assert_eq!(lines(&mut server.client().await, "SELECT 1 AS one").await, ["1"]);
        // Nothing of all that is left behind.
        let left = "SELECT count(*) FROM system.runtime.queries WHERE ended IS NULL AND query NOT LIKE '%ended%'";
        assert_eq!(lines(&mut server.client().await, left).await, ["0"]);
    });
}

#[test]
fn a_statement_of_ten_megabytes_is_refused() {
    let server = Server::start("long");
    block_on(async {
        let mut client = server.client().await;
        let sql = format!("SELECT '{}'", "x".repeat(10 << 20));
        let command = CommandStatementQuery { query: sql, transaction_id: None }.as_any().encode_to_vec();
        let refused = call(&mut client, Call::Info, command).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{}", refused.message());
        assert_eq!(lines(&mut client, "SELECT 1 AS one").await, ["1"]);
    });
}
