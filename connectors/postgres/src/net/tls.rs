//! TLS by rustls with ring.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::sync::OnceCell;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::dial::Socket;
use super::low_water::Stream;
use super::shared::{Lend, SharedStream};
use crate::config::is_readable_by_others;

/// What is asked of the server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verification {
    /// Nothing: the connection is encrypted, the server may be anyone.
    None,
    /// A known authority has signed it.
    Authority,
    /// A known authority has signed it, for the host that was asked for.
    Full,
}

/// How sessions are to be encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// Whether the server is asked for TLS, and what happens when it has none.
    pub(crate) mode: SslMode,
    /// What is tried next where the server does not let the user in that way.
    pub(crate) second_mode: Option<SslMode>,
    pub(crate) verification: Verification,
    /// A file of the authorities to trust, instead of the machine's.
    pub(crate) root_certificate: Option<PathBuf>,
    /// A file of the certificates to log in with.
    pub(crate) certificate: Option<PathBuf>,
    /// A file of the key of the first.
    pub(crate) key: Option<PathBuf>,
}

/// How sessions of one catalog are encrypted.
#[derive(Debug)]
pub(crate) struct Tls {
    settings: TlsSettings,
    connector: OnceCell<RustlsConnector>,
}

/// The library's connector, which is not `Debug` itself.
#[derive(Clone)]
struct RustlsConnector(MakeRustlsConnect);

impl std::fmt::Debug for RustlsConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MakeRustlsConnect")
    }
}

impl Tls {
    /// Certificates are read when the first session opens.
    pub(crate) fn new(settings: TlsSettings) -> Self {
        Self { settings, connector: OnceCell::new() }
    }

    /// Whether the server is asked for TLS, and what happens when it has none.
    pub(crate) fn mode(&self) -> SslMode {
        self.settings.mode
    }

    /// What is tried next where the server does not let the user in that way.
    pub(super) fn second_mode(&self) -> Option<SslMode> {
        self.settings.second_mode
    }

    /// A connector for the host.
    pub(super) async fn connector(&self, host: &str) -> Result<Connector, String> {
        let connector = self
            .connector
            .get_or_try_init(|| async { self.client_config().map(|c| RustlsConnector(MakeRustlsConnect::new(c))) })
            .await?;
        let mut connector = connector.0.clone();
        MakeTlsConnect::<Plain>::make_tls_connect(&mut connector, host).map_err(|error| error.to_string())
    }

    fn client_config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let verifier = match self.settings.verification {
            Verification::Full => {
                return self.identified(builder.with_root_certificates(self.roots()?));
            }
            Verification::None => LenientVerifier { authority: None, provider },
            Verification::Authority => {
                let authority =
                    WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots()?), Arc::clone(&provider))
                        .build()
                        .map_err(|error| error.to_string())?;
                LenientVerifier { authority: Some(authority), provider }
            }
        };
        self.identified(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
    }

    /// A configuration that shows the server who asks, where there is a certificate for that.
    fn identified(&self, builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> Result<ClientConfig, String> {
        let (Some(certificate), Some(key)) = (&self.settings.certificate, &self.settings.key) else {
            return Ok(builder.with_no_client_auth());
        };
        let unreadable = |what: &str, path: &Path, error: &dyn std::fmt::Display| {
            format!("cannot read {what} {}: {error}", path.display())
        };
        let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(|error| unreadable("tls_certificate", certificate, &error))?;
        if chain.is_empty() {
            return Err(format!("tls_certificate {} holds no certificate", certificate.display()));
        }
        let metadata = std::fs::metadata(key).map_err(|error| unreadable("tls_key", key, &error))?;
        if is_readable_by_others(&metadata) {
            return Err(format!("tls_key {} may be read by others: make its permissions 0600", key.display()));
        }
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable("tls_key", key, &error))?;
        builder
            .with_client_auth_cert(chain, secret)
            .map_err(|error| format!("tls_key {} is no key for tls_certificate: {error}", key.display()))
    }

    /// The authorities of the catalog's own file, or the machine's.
    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match &self.settings.root_certificate {
            Some(path) => {
                let unreadable = |error| format!("cannot read tls_root_certificate {}: {error}", path.display());
                for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                    let certificate = certificate.map_err(unreadable)?;
                    roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
                }
                if roots.is_empty() {
                    return Err(format!("tls_root_certificate {} holds no certificate", path.display()));
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err("this machine has no root certificates: set tls_root_certificate".to_owned());
                }
            }
        }
        Ok(roots)
    }
}

/// Verifies less than rustls would by itself. Signatures of the handshake are verified in any case.
#[derive(Debug)]
struct LenientVerifier {
    /// `None` accepts every certificate.
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for LenientVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A session's socket, as the client library gets it.
pub(super) type Plain = SharedStream<Socket>;
type Encrypted = <MakeRustlsConnect as MakeTlsConnect<Plain>>::Stream;
/// Plain bytes wait within the stream too, so it has no low water mark.
impl Stream for Encrypted {}
/// Connects to one host, over a stream of any kind.
type Connector = <MakeRustlsConnect as MakeTlsConnect<Plain>>::TlsConnect;

/// Encrypts a session's socket and keeps the borrower's side of the encrypted stream.
pub(super) struct SharedTls {
    pub(super) connector: Connector,
    pub(super) encrypted: Arc<OnceLock<Arc<dyn Lend>>>,
}

impl TlsConnect<Plain> for SharedTls {
    type Stream = SharedStream<Encrypted>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Stream>> + Send>>;

    fn connect(self, stream: Plain) -> Self::Future {
        Box::pin(async move {
            let stream = self.connector.connect(stream).await?;
            let (shared, borrower) = SharedStream::new(stream);
            // Only one handshake per session, so the slot is free.
            let _ = self.encrypted.set(borrower);
            Ok(shared)
        })
    }
}
