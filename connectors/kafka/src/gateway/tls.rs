//! TLS by rustls with ring.

use std::io;
use std::path::Path;
use std::sync::Arc;

use portolan_connector::{ConnectorError, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::Tls;

/// What encrypts connections. Reads the files that the catalog file names.
pub(super) fn connector(tls: &Tls) -> Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectorError::internal(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots(tls.ca_file.as_deref())?);
    let config = match (&tls.certificate_file, &tls.key_file) {
        (Some(certificate), Some(key)) => {
            let chain = certificates("tls.certificate_file", certificate)?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                unreadable("tls.key_file", key, &error)
                    .hint("it is a key in PEM without a password, as `openssl pkcs8 -in KEY -out FILE` makes it")
            })?;
            builder.with_client_auth_cert(chain, secret).map_err(|error| {
                ConnectorError::user(format!("`tls.key_file` {key} is no key for `tls.certificate_file` {certificate}"))
                    .said(error.to_string())
            })?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err(ConnectorError::user("`tls.certificate_file` and `tls.key_file` go together")),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Encrypts a connection to a host, which must show a certificate for its name.
pub(super) async fn encrypt(
    connector: &TlsConnector,
    host: &str,
    plain: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::other(format!("\"{host}\" can be in no certificate")))?;
    connector.connect(name, plain).await
}

/// The authorities of the catalog's own file, or the machine's.
fn roots(file: Option<&str>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(ConnectorError::user("this machine has no root certificates").hint("set `tls.ca_file`"));
        }
        return Ok(roots);
    };
    for certificate in certificates("tls.ca_file", file)? {
        roots.add(certificate).map_err(|error| unreadable("tls.ca_file", file, &error))?;
    }
    Ok(roots)
}

/// The certificates of a file in PEM: one at least.
fn certificates(property: &str, file: &str) -> Result<Vec<CertificateDer<'static>>> {
    let all: Vec<_> = CertificateDer::pem_file_iter(Path::new(file))
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(property, file, &error))?;
    if all.is_empty() {
        return Err(ConnectorError::user(format!("`{property}` {file} holds no certificate")));
    }
    Ok(all)
}

fn unreadable(property: &str, file: &str, error: &dyn std::fmt::Display) -> ConnectorError {
    ConnectorError::user(format!("cannot read `{property}` {file}")).said(error.to_string())
}
