//! Where a server is, as people write it.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// The port when the address names none: the one that `portolan serve` listens at.
const PORT: u16 = 32010;

/// `grpc://HOST[:PORT]`, or `grpc+tls://HOST[:PORT]` with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerAddress {
    tls: bool,
    /// IPv6 addresses are in brackets.
    host: String,
    port: u16,
}

impl ServerAddress {
    /// Whether the connection is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls
    }

    /// The address as HTTP names it.
    pub(super) fn http(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "grpc+tls" } else { "grpc" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl FromStr for ServerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "write grpc://HOST:PORT, or grpc+tls://HOST:PORT with TLS";
        let url = Url::parse(text).map_err(|error| format!("{error}: {wanted}"))?;
        let tls = match url.scheme() {
            "grpc" | "grpc+tcp" => false,
            "grpc+tls" => true,
            other => return Err(format!("\"{other}\" is not a scheme here: {wanted}")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("others see what a command line holds: write the name with --user, and keep the password in \
                        PORTOLAN_PASSWORD or a --password-file"
                .to_owned());
        }
        let rest = !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some();
        match url.host_str() {
            Some(host) if !host.is_empty() && !rest => {
                Ok(Self { tls, host: host.to_owned(), port: url.port().unwrap_or(PORT) })
            }
            _ => Err(wanted.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, shown, http) in [
            ("grpc://localhost:1234", "grpc://localhost:1234", "http://localhost:1234"),
            ("grpc+tcp://db.example/", "grpc://db.example:32010", "http://db.example:32010"),
            ("grpc+tls://[::1]:1", "grpc+tls://[::1]:1", "https://[::1]:1"),
        ] {
            let address: ServerAddress = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.http().as_str()), (shown, http));
        }
    }

    #[test]
    fn what_is_not_an_address_says_how_to_write_one() {
        for text in ["localhost:1234", "http://localhost", "grpc://", "grpc://host/path", "grpc://host?x=1"] {
            assert!(text.parse::<ServerAddress>().unwrap_err().contains("grpc://HOST:PORT"), "{text}");
        }
        assert!("grpc://anna:secret@host".parse::<ServerAddress>().unwrap_err().contains("--user"));
    }
}
