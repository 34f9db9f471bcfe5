//! Results flow as they are read: from the first row at once, no further than the client reads, and not at all once
//! the client has left.

use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow_flight::decode::FlightRecordBatchStream;
use futures::StreamExt;

use super::server::{Server, block_on};

/// More rows than any machine makes while the test runs.
const ENDLESS: &str = "SELECT value FROM generate_series(1, 100000000000)";

/// How long the processor time is watched, and how much of it an idle server may use, in hundredths of a second.
const WATCHED: Duration = Duration::from_secs(1);
const IDLE_TIME_MAX: u64 = 15;

/// How often it is watched for work at most.
const WATCHES_MAX: usize = 20;

/// How long buffers between server and client may take to fill, and a cancelled query to end.
const SETTLING: Duration = Duration::from_secs(1);

async fn processor_time_used(server: &Server) -> u64 {
    let before = server.processor_time();
    tokio::time::sleep(WATCHED).await;
    server.processor_time() - before
}

/// Reads batches, checks that they go on with the next number, and returns the number after them.
async fn read(rows: &mut FlightRecordBatchStream, batches: usize, mut next: i64) -> i64 {
    for _ in 0..batches {
        let batch = rows.next().await.unwrap().unwrap();
        for value in batch.column(0).as_primitive::<Int64Type>().values() {
            assert_eq!(*value, next);
            next += 1;
        }
    }
    next
}

#[test]
fn the_first_rows_come_before_the_last_exist_and_a_client_that_stops_reading_stops_the_server() {
    let server = Server::start("backpressure");
    block_on(async {
        let mut client = server.client().await;
        let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
        let mut rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
        let next = read(&mut rows, 20, 1).await;
        tokio::time::sleep(SETTLING).await;
        let stalled = processor_time_used(&server).await;
        assert!(stalled <= IDLE_TIME_MAX, "{stalled} hundredths of a second while nobody reads");
        // The server goes on where it stopped.
        read(&mut rows, 500, next).await;
        drop(rows);
        tokio::time::sleep(SETTLING).await;
        let left = processor_time_used(&server).await;
        assert!(left <= IDLE_TIME_MAX, "{left} hundredths of a second after the client left");
    });
}

#[test]
fn a_client_that_leaves_cancels_a_query_that_has_sent_nothing_yet() {
    let server = Server::start("cancellation");
    block_on(async {
        let mut client = server.client().await;
        let sql = "SELECT count(*) AS n FROM generate_series(1, 100000000000) WHERE value % 7 = 3";
        let info = client.execute(sql.to_owned(), None).await.unwrap();
        let mut rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
        let waited = tokio::time::timeout(SETTLING, rows.next()).await;
        assert!(waited.is_err(), "the query has ended");
        let mut working = 0;
        // Where other programs have the processors, it takes longer to see that the query works.
        for _ in 0..WATCHES_MAX {
            working += processor_time_used(&server).await;
            if working > 2 * IDLE_TIME_MAX {
                break;
            }
        }
        assert!(working > 2 * IDLE_TIME_MAX, "{working} hundredths of a second of work: the test sees nothing");
        drop(rows);
        tokio::time::sleep(SETTLING).await;
        let left = processor_time_used(&server).await;
        assert!(left <= IDLE_TIME_MAX, "{left} hundredths of a second after the client left");
    });
}

#[test]
fn no_message_is_larger_than_clients_take() {
    let server = Server::start("messages");
    block_on(async {
        let mut client = server.client().await;
        // Batches of 8192 rows of 2000 bytes, which are sixteen megabytes each.
        let sql = "SELECT value, repeat('x', 2000) AS text FROM generate_series(1, 20000)";
        let info = client.execute(sql.to_owned(), None).await.unwrap();
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let flight = client.inner_mut().clone();
        let mut messages = flight.max_decoding_message_size(2 << 20).do_get(ticket).await.unwrap().into_inner();
        let mut bytes = 0;
        while let Some(message) = messages.message().await.unwrap() {
            bytes += message.data_body.len();
        }
        assert!(bytes > 20_000 * 2000, "{bytes} bytes");
    });
}
