//! What clients may use at most.

use std::time::Duration;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandGetCatalogs, ProstMessageExt};
use arrow_flight::{Empty, FlightDescriptor};
use portolan::flight::{ServerLimits, ServerOptions};
use portolan::{Engine, EngineOptions};
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::server::{Server, block_on, lines, status};

fn server(name: &str, limits: ServerLimits) -> Server {
    let engine = Engine::start(EngineOptions::default()).unwrap();
    Server::with(name, engine, ServerOptions { limits, ..ServerOptions::default() })
}

/// Asks for something small. Returns the session's cookie, if the answer offers it.
async fn ask(channel: Channel, cookie: Option<&str>) -> Result<Option<String>, Status> {
    let mut request = Request::new(FlightDescriptor::new_cmd(CommandGetCatalogs {}.as_any().encode_to_vec()));
    if let Some(cookie) = cookie {
        request.metadata_mut().insert("cookie", cookie.parse().unwrap());
    }
    let answer = FlightServiceClient::new(channel).get_flight_info(request).await?;
    Ok(answer.metadata().get("set-cookie").map(|value| value.to_str().unwrap().to_owned()))
}

#[test]
fn connections_wait_for_a_place() {
    let server = server("places", ServerLimits { connections: 2, ..ServerLimits::default() });
    block_on(async {
        let (one, other) = (server.channel().await, server.channel().await);
        for channel in [&one, &other] {
            ask(channel.clone(), None).await.unwrap();
        }
        let mut third = FlightServiceClient::new(server.plain_channel());
        let mut waiting = Box::pin(third.list_actions(Empty {}));
        assert!(tokio::time::timeout(Duration::from_millis(500), &mut waiting).await.is_err());
        drop(one);
        waiting.await.unwrap();
        ask(other, None).await.unwrap();
    });
}

#[test]
fn a_message_that_is_too_long_is_refused_and_the_connection_goes_on() {
    let server = server("messages", ServerLimits { message_bytes: 10_000, ..ServerLimits::default() });
    block_on(async {
        let mut client = server.client().await;
        let refused = status(client.execute(format!("SELECT '{}'", "x".repeat(20_000)), None).await);
        assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
        assert_eq!(lines(&mut client, "SELECT 1 AS one").await, ["1"]);
    });
}

#[test]
fn a_session_that_nothing_uses_ends() {
    let idle = ServerLimits { session_idle: Duration::from_secs(1), ..ServerLimits::default() };
    let server = server("idle", idle);
    block_on(async {
        let held = server.channel().await;
        let held_cookie = ask(held.clone(), None).await.unwrap().unwrap();
        let left = ask(server.channel().await, None).await.unwrap().unwrap();
        // Looked for every second; asking for it uses it.
        let ended = loop {
            tokio::time::sleep(Duration::from_millis(2500)).await;
            if let Err(ended) = ask(server.channel().await, Some(&left)).await {
                break ended;
            }
        };
        assert_eq!(ended.code(), Code::NotFound);
        // A connection keeps its own.
        ask(server.channel().await, Some(&held_cookie)).await.unwrap();
        drop(held);
    });
}
