//! The same lake through S3, with signatures that are checked.

use std::sync::Arc;

use portolan_connector::{Connector, ConnectorFactory, ErrorClass};
use portolan_hive::HiveFactory;

use crate::support::{ACCESS_KEY, Engine, Lake, S3Server, SECRET_KEY, catalog, integers, leaf_of, texts};

fn connector(settings: &str) -> Arc<dyn Connector> {
    HiveFactory.create(catalog(settings)).unwrap()
}

fn lake() -> Lake {
    let lake = Lake::new();
    for (day, n) in [("2026-09-30", 1), ("2026-10-01", 2), ("2026-10-02", 3)] {
        let columns = vec![("n", integers([n])), ("s", texts(["x"]))];
        lake.write(&format!("s/orders/order_date={day}/part-0.parquet"), columns);
    }
    lake
}

#[tokio::test]
async fn queries_on_s3() {
    let lake = lake();
    let server = S3Server::start(lake.buckets()).await;
    let connector = server.connector("s3://bucket/lake");
    assert_eq!(connector.list_schemas().await.unwrap(), ["s"]);
    let tables = connector.list_tables("s").await.unwrap();
    assert_eq!(tables.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["orders"]);
    let engine = Engine::new(connector);
    assert_eq!(engine.rows("orders", "SELECT n FROM t WHERE order_date >= '2026-10-01'").await, ["2", "3"]);
    assert_eq!(engine.value("orders", "SELECT count(*) FROM t").await, "3");
    assert_eq!(
        engine.value("orders", "SELECT \"$path\" FROM t WHERE n = 2").await,
        "s3://bucket/lake/s/orders/order_date=2026-10-01/part-0.parquet"
    );
    let (plan, _) = engine.plan("orders", "SELECT n FROM t WHERE order_date = '2026-10-01'").await.unwrap();
    let request = leaf_of(&plan).report().request.clone().unwrap();
    assert!(request.ends_with("under s3://bucket/lake/s/orders/order_date=2026-10-01"), "{request}");
}

#[tokio::test]
async fn two_catalogs_do_not_share_credentials() {
    let lake = lake();
    let server = S3Server::start(lake.buckets()).await;
    let right = server.connector("s3://bucket/lake");
    let wrong = connector(&server.settings("s3://bucket/lake", ACCESS_KEY, "wrong"));
    let session = datafusion::prelude::SessionContext::new();
    let state = session.state();
    let table = right.table("s", "orders").await.unwrap().unwrap();
    let snapshot = right.begin(&portolan_connector::QueryContext { query_id: "q".to_owned() }).await.unwrap();
    let context = portolan_connector::PlanContext { session: &state, snapshot };
    table.plan(&portolan_connector::ScanRequest { projection: vec![0], ..Default::default() }, &context).await.unwrap();
    assert!(wrong.table("s", "orders").await.is_err());
}

#[tokio::test]
async fn wrong_credentials() {
    let lake = lake();
    let server = S3Server::start(lake.buckets()).await;
    for (key, secret) in [(ACCESS_KEY, "wrong-secret-value"), ("WRONGKEYVALUE", SECRET_KEY)] {
        let connector = connector(&server.settings("s3://bucket/lake", key, secret));
        let error = connector.list_schemas().await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Source);
        let text = error.to_string();
        assert!(text.contains("catalog lake: cannot list s3://bucket/lake"), "{text}");
        assert!(text.contains("check access_key_id and secret_access_key"), "{text}");
        assert!(!text.contains(key) && !text.contains(secret), "a secret shows: {text}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there() {
    let lake = lake();
    let server = S3Server::start(lake.buckets()).await;
    let connector = server.connector("s3://nowhere/lake");
    let text = connector.table("s", "orders").await.unwrap_err().to_string();
    assert!(text.contains("catalog lake, table s.orders: cannot list s3://nowhere/lake/s/orders"), "{text}");
    assert!(text.contains("check that the bucket"), "{text}");
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let connector = connector(&format!(
        "location = 's3://bucket/lake'\nendpoint = 'http://127.0.0.1:{port}'\nallow_http = true\naccess_key_id = 'k'\nsecret_access_key = 's'\nconnect_timeout_seconds = 1"
    ));
    let began = std::time::Instant::now();
    let text = connector.list_schemas().await.unwrap_err().to_string();
    assert!(text.contains("cannot list s3://bucket/lake") && text.contains("endpoint"), "{text}");
    assert!(began.elapsed().as_secs() < 30, "it took {:?}", began.elapsed());
}
