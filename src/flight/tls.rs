//! Encrypted connections, and the certificates of clients.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::auth::{Watched, certificate_user, read_file};
use crate::error::{Error, Result};

/// What gRPC speaks inside TLS.
const ALPN: &[u8] = b"h2";

/// How long a client that is refused may take to read why.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// The files of TLS, all in PEM. They are read again when they change.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// The server's certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// The key of the certificate.
    pub key: PathBuf,
    /// The authorities of clients' certificates. When it is given, each client needs one.
    pub client_authorities: Option<PathBuf>,
}

/// Encrypts connections.
#[derive(Debug)]
pub(super) struct Tls {
    config: Watched<Arc<ServerConfig>>,
}

impl Tls {
    pub(super) fn open(options: TlsOptions) -> Result<Self> {
        let paths = [Some(&options.certificate), Some(&options.key), options.client_authorities.as_ref()];
        let paths = paths.into_iter().flatten().cloned().collect();
        let config = Watched::open(paths, move || configuration(&options))
            .map_err(|message| Error::user(format!("TLS: {message}")))?;
        Ok(Self { config })
    }

    /// Greets a client. Returns the encrypted connection, and the user whom the client's certificate names.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Option<Arc<str>>)> {
        let config = Arc::clone(&*self.config.current());
        let stream = match TlsAcceptor::from(config).accept(stream).into_fallible().await {
            Ok(stream) => stream,
            Err((error, stream)) => {
                // The handshake failed with an alert that says why.
                let _ = timeout(FAREWELL_MAX, close(stream)).await;
                return Err(error);
            }
        };
        let (_, connection) = stream.get_ref();
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let user = certificate.and_then(|certificate| certificate_user(certificate)).map(Arc::from);
        Ok((stream, user))
    }
}

/// Closes a connection whose client may still be sending. One that is closed with something unread is reset, and what the
/// client has not read yet is lost on it.
async fn close(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

fn configuration(options: &TlsOptions) -> Result<Arc<ServerConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &options.client_authorities {
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(path)?), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| format!("{}: {error}", path.display()))?)
        }
        None => builder.with_no_client_auth(),
    };
    let certificates = certificates(&options.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read_file(&options.key)?)
        .map_err(|error| format!("{} holds no private key in PEM: {error}", options.key.display()))?;
    let mut config = builder.with_single_cert(certificates, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
            "the key {} does not belong to the certificate {}",
            options.key.display(),
            options.certificate.display()
        ),
        error => format!(
            "cannot use the certificate {} with the key {}: {error}",
            options.certificate.display(),
            options.key.display()
        ),
    })?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read_file(path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    match certificates.is_empty() {
        true => Err(format!("{} holds no certificate in PEM", path.display())),
        false => Ok(certificates),
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    #[test]
    fn files_that_do_not_go_together_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = write("certificate", &cert.pem());
        let key = write("key", &signing_key.serialize_pem());
        let other_key = write("other key", &other.signing_key.serialize_pem());
        let nothing = write("nothing", "nothing");
        let error = |certificate: &Path, key: &Path, authorities: Option<&Path>| {
            let options = TlsOptions {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
                client_authorities: authorities.map(Path::to_owned),
            };
            Tls::open(options).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(error(&certificate, &key, None), Ok(()));
        assert_eq!(error(&certificate, &key, Some(&certificate)), Ok(()));
        let mismatch = error(&certificate, &other_key, None).unwrap_err();
        assert!(mismatch.contains("other key does not belong to the certificate"), "{mismatch}");
        for (certificate, key, authorities) in [
            (&nothing, &key, None),
            (&certificate, &nothing, None),
            (&certificate, &certificate, None),
            (&certificate, &key, Some(nothing.as_path())),
        ] {
            let message = error(certificate, key, authorities).unwrap_err();
            assert!(message.starts_with("TLS: /") && message.contains("PEM"), "{message}");
        }
        assert!(error(Path::new("/no/such/file"), &key, None).unwrap_err().contains("cannot read /no/such/file"));
    }
}
