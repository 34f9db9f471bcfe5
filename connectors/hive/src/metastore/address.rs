//! Where a metastore listens: the property `metastore`.

use std::fmt;

use portolan_connector::{ConnectorError, Result};

/// The port of a metastore whose address names none.
const DEFAULT_PORT: u16 = 9083;

/// A host and a port. Names are looked up whenever a connection is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "thrift://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "thrift://{}:{}", self.host, self.port)
        }
    }
}

/// Reads `thrift://host:port`, or several with commas between them: servers of one metastore.
pub(crate) fn parse_addresses(text: &str) -> Result<Vec<Address>> {
    text.split(',').map(|part| parse_address(part.trim())).collect()
}

fn parse_address(text: &str) -> Result<Address> {
    let wrong = || {
        ConnectorError::user(format!("metastore has `{text}`, which is no address"))
            .hint("write thrift://host:9083, or several with commas between them")
    };
    let rest = match text.split_once("://") {
        Some(("thrift", rest)) => rest,
        Some(_) => return Err(wrong()),
        None => text,
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            (host, port.strip_prefix(':'))
        }
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
        None => DEFAULT_PORT,
    };
    if host.is_empty() || host.contains(['/', '@', ' ']) {
        return Err(wrong());
    }
    Ok(Address { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let shown = |text: &str| -> Result<Vec<String>, String> {
            let addresses = parse_addresses(text).map_err(|error| error.to_string())?;
            Ok(addresses.iter().map(ToString::to_string).collect())
        };
        assert_eq!(shown("thrift://hms.internal:9083").unwrap(), ["thrift://hms.internal:9083"]);
        assert_eq!(
            shown("thrift://a:1, b , [::1]:2").unwrap(),
            ["thrift://a:1", "thrift://b:9083", "thrift://[::1]:2"]
        );
        for wrong in ["", "http://a:1", "thrift://", "a:b", "a:0", "a:70000", "thrift://u@a:1", "a,,b", "[::1"] {
            let error = shown(wrong).unwrap_err();
            assert!(error.contains("which is no address"), "{wrong}: {error}");
        }
    }
}
