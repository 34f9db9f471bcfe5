//! Stopping: nothing new, what runs may end, but not forever.

use std::time::{Duration, Instant};

use futures::StreamExt;
use tonic::Code;

use super::server::{Server, block_on, status};

#[test]
fn a_result_that_is_being_read_ends_and_no_client_is_let_in() {
    let mut server = Server::start("stopping");
    block_on(async {
        let mut client = server.client().await;
        let sql = "SELECT value FROM generate_series(1, 3000000)";
        let info = client.execute(sql.to_owned(), None).await.unwrap();
        let mut rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
        let mut read = rows.next().await.unwrap().unwrap().num_rows();
        server.ask_to_stop();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
        while let Some(batch) = rows.next().await {
            read += batch.unwrap().num_rows();
        }
        assert_eq!(read, 3_000_000);
    });
    server.wait().unwrap();
}

#[test]
fn endless_results_are_ended_and_stalled_clients_cut() {
    let mut server = Server::start("patience");
    let asked = block_on(async {
        let mut client = server.client().await;
        let sql = "SELECT value FROM generate_series(1, 100000000000)".to_owned();
        let info = client.execute(sql, None).await.unwrap();
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        // One is read, slowly enough to spare the machine, and the other is not.
        let mut read = client.do_get(ticket.clone()).await.unwrap();
        let mut stalled_client = server.client().await;
        let mut stalled = stalled_client.do_get(ticket).await.unwrap();
        stalled.next().await.unwrap().unwrap();
        server.ask_to_stop();
        let asked = Instant::now();
        let error = loop {
            match read.next().await.expect("an error before the end") {
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => break status::<()>(Err(error)),
            }
        };
        assert_eq!(
            (error.code(), error.message()),
            (Code::Unavailable, "the server is stopping: run the statement again")
        );
        assert!(asked.elapsed() >= Duration::from_secs(9), "{:?}", asked.elapsed());
        asked
    });
    server.wait().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
}
