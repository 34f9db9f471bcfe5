//! Encryption of the connection to a server: its files, and what is wrong when the two do not agree.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, InconsistentKeys};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::auth::read_file;

/// Files for TLS, all in PEM.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsFiles {
    /// Who may vouch for the server; the system's list if not given.
    pub(crate) ca: Option<PathBuf>,
    /// The client's own certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    /// What the files say. The error is a message that names the file which cannot be used.
    pub(super) fn config(&self) -> Result<ClientTlsConfig, String> {
        let config = match &self.ca {
            Some(file) => {
                let bytes = read_file(file)?;
                certificates(file, &bytes)?;
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(bytes))
            }
            None => ClientTlsConfig::new().with_native_roots(),
        };
        let Some((certificate_file, key_file)) = &self.identity else { return Ok(config) };
        let (certificate, key) = (read_file(certificate_file)?, read_file(key_file)?);
        let chain = certificates(certificate_file, &certificate)?;
        let private = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| format!("{} holds no private key in PEM", key_file.display()))?;
        let (certificate_name, key_name) = (certificate_file.display(), key_file.display());
        CertifiedKey::from_der(chain, private, &default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                format!("the key {key_name} does not belong to the certificate {certificate_name}")
            }
            error => format!("cannot use the certificate {certificate_name} with the key {key_name}: {error}"),
        })?;
        Ok(config.identity(Identity::from_pem(certificate, key)))
    }
}

fn certificates(file: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or_else(|| format!("{} holds no certificate in PEM", file.display()))
}

/// What a server says of a client's certificate.
const ALERTS: [AlertDescription; 9] = [
    AlertDescription::CertificateRequired,
    AlertDescription::UnknownCA,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::AccessDenied,
    AlertDescription::DecryptError,
];

/// What the two sides do not agree on, and what to do about it, if that is what an error comes from.
pub(super) fn disagreement(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = of_tls(error) {
            return Some(told(found));
        }
        // The library of HTTP/2 gives nothing away of what is below it but the text.
        if error.source().is_none() {
            let text = error.to_string();
            let alerts = ALERTS.into_iter().map(rustls::Error::AlertReceived);
            return alerts.into_iter().find(|alert| text == alert.to_string()).map(|alert| told(&alert));
        }
        next = error.source();
    }
    None
}

/// The TLS library's own error; an error of input and output may be a wrapper that skips it in its chain of sources.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let wrapped = || error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref();
    error.downcast_ref().or_else(wrapped)
}

fn told(error: &rustls::Error) -> String {
    use AlertDescription as Alert;
    match error {
        // An authority of the same name with another key is another authority.
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "nobody who is trusted here vouches for its certificate\nHint: name the certificate of its authority with --ca"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(reason) => format!("its certificate cannot be trusted: {reason}"),
        rustls::Error::AlertReceived(Alert::CertificateRequired) => {
            "it asks for a certificate\nHint: name yours with --client-cert and --client-key".to_owned()
        }
        rustls::Error::AlertReceived(Alert::UnknownCA) => {
            "it does not trust the authority that signed the certificate of --client-cert".to_owned()
        }
        rustls::Error::AlertReceived(alert) if ALERTS.contains(alert) => {
            format!("it does not accept the certificate of --client-cert: {error}")
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::generate_simple_self_signed;

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let own = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = write("certificate", &own.cert.pem());
        let key = write("key", &own.signing_key.serialize_pem());
        let other_key = write("other key", &other.signing_key.serialize_pem());
        let nothing = write("nothing", "nothing");
        let error = |ca: Option<&Path>, identity: Option<(&Path, &Path)>| {
            let identity = identity.map(|(certificate, key)| (certificate.to_owned(), key.to_owned()));
            let files = TlsFiles { ca: ca.map(Path::to_owned), identity };
            files.config().map(|_| ()).unwrap_err()
        };
        let files = TlsFiles { ca: Some(certificate.clone()), identity: Some((certificate.clone(), key.clone())) };
        assert!(files.config().is_ok());
        assert!(error(Some(&nothing), None).ends_with("nothing holds no certificate in PEM"));
        assert!(error(None, Some((&nothing, &key))).ends_with("nothing holds no certificate in PEM"));
        assert!(error(None, Some((&certificate, &nothing))).ends_with("nothing holds no private key in PEM"));
        assert!(
            error(None, Some((&certificate, &other_key))).contains("other key does not belong to the certificate /")
        );
        assert!(error(Some(Path::new("/no/such/file")), None).starts_with("cannot read /no/such/file: "));
    }

    #[test]
    fn an_error_of_tls_is_found_below_others() {
        let text = rustls::Error::AlertReceived(AlertDescription::UnknownCA).to_string();
        assert!(disagreement(&io::Error::other(text)).is_some_and(|text| text.contains("--client-cert")));
        let below = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        let error = io::Error::other(io::Error::other(below));
        assert!(disagreement(&error).is_some_and(|text| text.contains("--client-cert")));
        assert_eq!(disagreement(&io::Error::other("reset")), None);
    }
}
