//! A metastore that is down, slow, starting again, or something else.

use std::time::{Duration, Instant};

use portolan_connector::{ConnectorFactory, ErrorClass};
use portolan_hive::HiveFactory;
use portolan_servers::HiveMetastore;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::support::{Proxy, Table, Warehouse, catalog, entry, integers};

#[tokio::test(flavor = "multi_thread")]
async fn stopped_it_is_an_error_in_time_and_started_again_it_works() {
    let metastore = tokio::task::spawn_blocking(|| HiveMetastore::start().unwrap()).await.unwrap();
    let metastore = std::sync::Arc::new(metastore);
    let warehouse = Warehouse::at(metastore.port()).await;
    warehouse.create(Table::default()).await;
    warehouse.lake.write(&format!("{}/t/f", warehouse.database), vec![("n", integers([7]))]);
    let engine = warehouse.engine_over(warehouse.connector("metastore_timeout_seconds = 3").unwrap());
    assert_eq!(engine.value("t", "SELECT n FROM t").await, "7");

    let stopped = std::sync::Arc::clone(&metastore);
    tokio::task::spawn_blocking(move || stopped.stop().unwrap()).await.unwrap();
    let began = Instant::now();
    let error = engine.connector.table(&warehouse.database, "t").await.unwrap_err();
    let took = began.elapsed();
    let text = error.to_string();
    assert!((Duration::from_secs(1)..Duration::from_secs(6)).contains(&took), "{took:?}");
    assert_eq!(error.class(), ErrorClass::Source);
    let tried = format!(
        "catalog lake, table {0}.t: cannot ask the metastore at {1} for the table {0}.t: cannot connect to {1}: ",
        warehouse.database,
        metastore.address()
    );
    assert!(text.starts_with(&tried), "{text}");
    assert!(text.contains("Connection refused") && text.contains(" attempts in 3 s)"), "{text}");
    assert!(text.contains("\nHint: check that the metastore runs"), "{text}");
    let error = engine.connector.list_schemas().await.unwrap_err().to_string();
    assert!(error.starts_with("catalog lake: cannot ask the metastore at"), "{error}");

    // A query that is asked while it starts waits for it.
    let patient = warehouse.engine_over(warehouse.connector("metastore_timeout_seconds = 120").unwrap());
    let waiting = tokio::spawn(async move { patient.value("t", "SELECT n FROM t").await });
    let again = std::sync::Arc::clone(&metastore);
    tokio::task::spawn_blocking(move || again.start_again().unwrap()).await.unwrap();
    assert_eq!(waiting.await.unwrap(), "7");
    assert_eq!(engine.value("t", "SELECT n FROM t").await, "7");
}

#[tokio::test]
async fn connections_that_the_server_closed_are_replaced() {
    let warehouse = Warehouse::new().await;
    warehouse.create(Table::default()).await;
    // A server that ends every connection after one answer.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxy = Proxy::start(&warehouse).await;
    let target = proxy.port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                let copying = tokio::io::copy_bidirectional(&mut client, &mut server);
                let _ = tokio::time::timeout(Duration::from_millis(300), copying).await;
            });
        }
    });
    let connector = HiveFactory.create(entry(port, "metastore_timeout_seconds = 10")).unwrap();
    for _ in 0..3 {
        assert!(connector.table(&warehouse.database, "t").await.unwrap().is_some());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(proxy.take().len(), 3, "each was asked for once");
}

#[tokio::test]
async fn one_that_does_not_answer_is_given_up_in_time() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let connector = HiveFactory.create(entry(port, "metastore_timeout_seconds = 1")).unwrap();
    let began = Instant::now();
    let error = connector.list_schemas().await.unwrap_err().to_string();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(error.contains("no answer within 1 s (1 attempt in 1 s)"), "{error}");
}

#[tokio::test]
async fn another_server_of_the_metastore_is_asked() {
    let warehouse = Warehouse::new().await;
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let closed_port = closed.local_addr().unwrap().port();
    drop(closed);
    let proxy = Proxy::start(&warehouse).await;
    let text = format!(
        "metastore = 'thrift://127.0.0.1:{closed_port},thrift://127.0.0.1:{silent_port},thrift://127.0.0.1:{}'\n\
         metastore_timeout_seconds = 9",
        proxy.port()
    );
    let connector = HiveFactory.create(catalog(&text)).unwrap();
    let began = Instant::now();
    assert!(connector.list_schemas().await.unwrap().contains(&warehouse.database));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_no_metastore_is_told_at_once() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let connector = HiveFactory.create(entry(port, "")).unwrap();
    let began = Instant::now();
    let error = connector.list_schemas().await.unwrap_err().to_string();
    assert!(began.elapsed() < Duration::from_secs(4));
    assert!(error.contains("the answer is not in Thrift's binary protocol"), "{error}");
    assert!(error.contains("check that `metastore` names a Hive Metastore"), "{error}");
}
