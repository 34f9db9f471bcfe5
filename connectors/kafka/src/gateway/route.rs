//! Which listener leads to which broker.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use portolan_connector::{ConnectorError, Result};
use tokio::net::TcpListener;

/// The port of a broker whose address has none, as for Kafka's clients.
const DEFAULT_PORT: u16 = 9092;

/// The most listeners of a gateway, which is to say brokers of a cluster.
const MAX_ROUTES: usize = 2_000;

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    /// A name or an IP address; those of version 6 have no brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    /// The addresses of `brokers`: `[PROTOCOL://]HOST[:PORT]`, separated by commas.
    pub(super) fn list(brokers: &str) -> Result<Vec<Self>> {
        let addresses = brokers.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Self::parse);
        let addresses = addresses.collect::<Result<Vec<_>>>()?;
        if addresses.is_empty() {
            return Err(ConnectorError::user("`brokers` names no broker").hint("write host:port"));
        }
        Ok(addresses)
    }

    fn parse(text: &str) -> Result<Self> {
        let wrong =
            || ConnectorError::user(format!("`brokers`: \"{text}\" is no address of a broker")).hint("write host:port");
        let address = text.split_once("://").map_or(text, |(_, address)| address);
        let (host, port) = match address.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                (host, port.strip_prefix(':'))
            }
            None => address.rsplit_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| wrong()))?;
        if host.is_empty() || port == 0 {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The listeners by the brokers that they lead to.
#[derive(Debug, Default)]
pub(super) struct Routes {
    ports: Mutex<BTreeMap<Address, u16>>,
}

impl Routes {
    /// The port that leads to a broker; `serve` gets the listener of a new one. Within a runtime.
    pub(super) fn port(&self, to: &Address, serve: impl FnOnce(TcpListener)) -> io::Result<u16> {
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(port) = ports.get(to) {
            return Ok(*port);
        }
        if ports.len() >= MAX_ROUTES {
            return Err(io::Error::other(format!("the cluster named more than {MAX_ROUTES} brokers")));
        }
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        serve(TcpListener::from_std(listener)?);
        ports.insert(to.clone(), port);
        Ok(port)
    }

    /// A text with the brokers' addresses in the place of the listeners'.
    pub(super) fn with_names(&self, said: &str) -> String {
        let ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        let mut words = String::with_capacity(said.len());
        let mut rest = said;
        while let Some((before, digits)) = rest.split_once(LISTENER) {
            let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            let (port, after) = digits.split_at(length);
            let broker = port.parse().ok().and_then(|port: u16| ports.iter().find(|(_, at)| **at == port));
            words.push_str(before);
            match broker {
                Some((address, _)) => words.push_str(&address.to_string()),
                None => words.extend([LISTENER, port]),
            }
            rest = after;
        }
        words + rest
    }
}

/// How the addresses of listeners begin.
const LISTENER: &str = "127.0.0.1:";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

    use super::*;

    #[test]
    fn addresses_are_what_kafkas_clients_take() {
        let all = Address::list("kafka-1.internal:9093, SASL_SSL://b, [2001:db8::1]:19092,[::1]").unwrap();
        let told: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["kafka-1.internal:9093", "b:9092", "[2001:db8::1]:19092", "[::1]:9092"]);
        for wrong in ["", " , ", ":9092", "a:b", "a:0", "a:70000", "[::1"] {
            assert!(Address::list(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_said_names_brokers_instead_of_listeners() {
        let routes = Routes::default();
        let broker = Address { host: "kafka-1.internal".to_owned(), port: 9093 };
        routes.ports.lock().unwrap().insert(broker, 41234);
        let said = "sasl_plaintext://127.0.0.1:41234/1: Connect to ipv4#127.0.0.1:41234 failed (127.0.0.1:4123)";
        assert_eq!(
            routes.with_names(said),
            "sasl_plaintext://kafka-1.internal:9093/1: Connect to ipv4#kafka-1.internal:9093 failed (127.0.0.1:4123)"
        );
    }
}
