//! Where brokers listen.

use std::fmt;

use portolan_connector::{ConnectorError, Result};

/// The port of a broker whose address has none, as for Kafka's clients.
const DEFAULT_PORT: u16 = 9092;

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    /// A name or an IP address; those of version 6 have no brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// The addresses of `brokers`: `[PROTOCOL://]HOST[:PORT]`, separated by commas.
    pub(crate) fn list(brokers: &str) -> Result<Vec<Self>> {
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

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

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
}
