//! Whose settings a call sees.

use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, Ticket};
use prost::Message;
use tonic::Request;
use tonic::transport::Channel;

use super::server::{Server, block_on, lines, status};

async fn set(client: &mut FlightSqlServiceClient<Channel>) {
    client.execute_update("SET SESSION pushdown = 'none'".to_owned(), None).await.unwrap();
}

#[test]
fn a_client_that_says_nothing_has_its_connections_session() {
    let server = Server::start("connections");
    block_on(async {
        let (mut one, mut other) = (server.client().await, server.client().await);
        set(&mut one).await;
        assert_eq!(lines(&mut one, "SHOW pushdown").await, ["none"]);
        assert_eq!(lines(&mut other, "SHOW pushdown").await, ["all"]);
    });
}

#[test]
fn a_handshakes_token_names_a_session_on_every_connection() {
    let server = Server::start("tokens");
    block_on(async {
        let mut one = server.client().await;
        one.handshake("anybody", "anything").await.unwrap();
        set(&mut one).await;
        let mut other = server.client().await;
        assert_eq!(lines(&mut other, "SHOW pushdown").await, ["all"]);
        other.set_token(one.token().unwrap().clone());
        assert_eq!(lines(&mut other, "SHOW pushdown").await, ["none"]);
        // A second login is a session of its own.
        other.handshake("anybody", "anything").await.unwrap();
        assert_eq!(lines(&mut other, "SHOW pushdown").await, ["all"]);
        // A token that this server gave once and no longer knows is not taken for another session.
        other.set_token("portolan-session-0123".to_owned());
        assert_eq!(status(other.execute("SELECT 1".to_owned(), None).await).code(), tonic::Code::Unauthenticated);
        // Somebody else's token says nothing to a server that authenticates nobody.
        other.set_token("eyJhbGciOiJIUzI1NiJ9".to_owned());
        assert_eq!(lines(&mut other, "SHOW pushdown").await, ["all"]);
    });
}

#[test]
fn a_cookie_names_a_session_on_every_connection() {
    let server = Server::start("cookies");
    block_on(async {
        let mut one = server.client().await;
        set(&mut one).await;
        let command = CommandStatementQuery { query: "SHOW pushdown".to_owned(), transaction_id: None };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let answer = one.inner_mut().get_flight_info(descriptor).await.unwrap();
        let cookie = answer.metadata().get("set-cookie").unwrap().to_str().unwrap().to_owned();
        assert!(cookie.starts_with("arrow_flight_session_id="), "{cookie}");

        let mut other = server.client().await;
        assert_eq!(lines(&mut other, "SHOW pushdown").await, ["all"]);
        other.set_header("cookie", cookie);
        assert_eq!(lines(&mut other, "SHOW pushdown").await, ["none"]);
    });
}

#[test]
fn a_ticket_runs_in_the_session_that_asked_for_it() {
    let server = Server::start("tickets");
    block_on(async {
        let mut one = server.client().await;
        set(&mut one).await;
        let info = one.execute("SHOW pushdown".to_owned(), None).await.unwrap();
        let ticket: Ticket = info.endpoint[0].ticket.clone().unwrap();
        let mut other = server.client().await;
        let mut answer = other.inner_mut().do_get(Request::new(ticket)).await.unwrap().into_inner();
        let schema = answer.message().await.unwrap().unwrap();
        assert!(!schema.data_header.is_empty());
        let rows = answer.message().await.unwrap().unwrap();
        assert!(rows.data_body.windows(4).any(|bytes| bytes == b"none"));
    });
}
