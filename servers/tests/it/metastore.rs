//! The Hive Metastore.

use std::net::TcpStream;

use portolan_servers::HiveMetastore;

use crate::process::{naming, runs};

#[test]
fn listens_starts_again_and_leaves_nothing_behind() {
    let metastore = HiveMetastore::start().unwrap();
    let address = ("127.0.0.1", metastore.port());
    assert_eq!(metastore.address(), format!("thrift://127.0.0.1:{}", metastore.port()));
    assert!(TcpStream::connect(address).is_ok());
    let first = metastore.pid();
    metastore.stop().unwrap();
    assert!(!runs(first));
    assert!(TcpStream::connect(address).is_err());
    metastore.start_again().unwrap();
    assert!(TcpStream::connect(address).is_ok());
    let second = metastore.pid();
    drop(metastore);
    assert!(!runs(second));
    assert_eq!(naming(&format!("HiveMetaStore -p {}", address.1)), Vec::<String>::new());
}
