//! Opens the connection to a server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::address::ServerAddress;
use super::errors::cause;
use crate::cli::client::Failure;

/// How long a connection may take to open.
const CONNECT_MAX: Duration = Duration::from_secs(20);

/// How often a silent server is asked whether it is still there, and how long it may take to answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Files for TLS, all in PEM.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsFiles {
    /// Who may vouch for the server; the system's list if not given.
    pub(crate) ca: Option<PathBuf>,
    /// The client's own certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// A connection. One that is lost later is opened anew by the next call.
pub(super) async fn channel(address: &ServerAddress, tls: &TlsFiles) -> Result<Channel, Failure> {
    let cannot = |said: String| Failure::new(format!("cannot connect to {address}: {said}"));
    let mut endpoint = Endpoint::new(address.http())
        .map_err(|error| cannot(cause(&error)))?
        .connect_timeout(CONNECT_MAX)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .tcp_nodelay(true);
    if address.is_encrypted() {
        endpoint = endpoint.tls_config(tls_config(tls)?).map_err(|error| cannot(cause(&error)))?;
    }
    endpoint.connect().await.map_err(|error| cannot(cause(&error)))
}

fn tls_config(files: &TlsFiles) -> Result<ClientTlsConfig, Failure> {
    let config = match &files.ca {
        Some(file) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(file)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    Ok(match &files.identity {
        Some((certificate, key)) => config.identity(Identity::from_pem(read(certificate)?, read(key)?)),
        None => config,
    })
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))
}
