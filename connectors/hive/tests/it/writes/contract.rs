//! What every connector promises that can be written.

use portolan_connector::testkit::check_writes;

use crate::support::{Lake, S3Server, WRITABLE, catalog};
use portolan_connector::ConnectorFactory;
use portolan_hive::HiveFactory;

#[tokio::test(flavor = "multi_thread")]
async fn on_the_local_disk() {
    let lake = Lake::new();
    std::fs::create_dir_all(lake.path("")).unwrap();
    let connector = lake.connector(WRITABLE).unwrap();
    let report = check_writes(&connector, "lake", "new").await.unwrap();
    assert!(report.checks > 20, "{} checks", report.checks);
    report.assert_clean();
    let left: Vec<_> = std::fs::read_dir(lake.path("")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_s3() {
    let lake = Lake::new();
    std::fs::create_dir_all(lake.path("")).unwrap();
    let server = S3Server::start(lake.buckets()).await;
    let settings = server.settings("s3://bucket/lake", crate::support::ACCESS_KEY, crate::support::SECRET_KEY);
    let connector = HiveFactory.create(catalog(&format!("{settings}{WRITABLE}"))).unwrap();
    check_writes(&connector, "lake", "new").await.unwrap().assert_clean();
}
