//! The address of a collector.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// Where traces are sent, over gRPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector(Url);

impl Collector {
    /// The address as the exporter wants it.
    pub(super) fn url(&self) -> &str {
        self.0.as_str()
    }

    /// Whether traces travel encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl FromStr for Collector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write http://HOST:PORT, or https://HOST:PORT with TLS";
        let url = Url::parse(text).map_err(|error| format!("{error}: {form}"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(form.to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("secrets belong into the variable OTEL_EXPORTER_OTLP_HEADERS".to_owned());
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host_and_no_secret() {
        for (text, encrypted) in [("http://localhost:4317", false), ("https://otel.example.org:4317/", true)] {
            let collector: Collector = text.parse().unwrap();
            assert_eq!(
                (collector.to_string().as_str(), collector.is_encrypted()),
                (text.trim_end_matches('/'), encrypted)
            );
        }
        for text in ["", "localhost:4317", "otel.example.org", "grpc://localhost:4317", "unix:///tmp/x", "http://"] {
            assert!(text.parse::<Collector>().unwrap_err().contains("http://HOST:PORT"), "{text}");
        }
        let error = "https://me:secret@otel.example.org".parse::<Collector>().unwrap_err();
        assert!(error.contains("OTEL_EXPORTER_OTLP_HEADERS") && !error.contains("me"), "{error}");
    }
}
