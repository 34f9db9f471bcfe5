//! Opens the connection to a server.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use super::address::ServerAddress;
use super::errors::cause;
use super::tls::{self, TlsFiles};
use crate::cli::client::Failure;

/// How long a connection may take to open.
const CONNECT_MAX: Duration = Duration::from_secs(20);

/// How often a silent server is asked whether it is still there, and how long it may take to answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection. One that is lost later is opened anew by the next call.
pub(super) async fn channel(address: &ServerAddress, files: &TlsFiles) -> Result<Channel, Failure> {
    let cannot = |said: String| Failure::new(format!("cannot connect to {address}: {said}"));
    let mut endpoint = Endpoint::new(address.http())
        .map_err(|error| cannot(cause(&error)))?
        .connect_timeout(CONNECT_MAX)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .tcp_nodelay(true);
    if address.is_encrypted() {
        endpoint = endpoint.tls_config(files.config().map_err(Failure::new)?).map_err(|error| cannot(cause(&error)))?;
    }
    endpoint.connect().await.map_err(|error| cannot(tls::disagreement(&error).unwrap_or_else(|| cause(&error))))
}
