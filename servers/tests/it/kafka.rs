//! The Kafka-protocol broker.

use std::net::TcpStream;

use portolan_servers::KafkaBroker;

use crate::process::{naming, runs};

#[test]
fn listens_and_leaves_nothing_behind() {
    let (one, two) = (KafkaBroker::start().unwrap(), KafkaBroker::start().unwrap());
    assert_ne!(one.bootstrap(), two.bootstrap());
    for broker in [one, two] {
        let (address, pid) = (broker.bootstrap(), broker.pid());
        assert!(TcpStream::connect(&address).is_ok());
        assert!(runs(pid));
        broker.stop().unwrap();
        assert!(!runs(pid));
        assert!(TcpStream::connect(&address).is_err());
        let port = address.rsplit_once(':').unwrap().1;
        assert_eq!(naming(&format!("--kafka-port {port} ")), Vec::<String>::new());
    }
}
