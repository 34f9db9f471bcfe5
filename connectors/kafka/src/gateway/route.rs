//! Which listener leads to which broker.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use tokio::net::TcpListener;

use crate::protocol::Address;

/// The most listeners of a gateway, which is to say brokers of a cluster.
const MAX_ROUTES: usize = 2_000;

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

    /// The broker that a port leads to.
    pub(super) fn broker(&self, port: u16) -> Option<Address> {
        let ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        ports.iter().find(|(_, at)| **at == port).map(|(broker, _)| broker.clone())
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
