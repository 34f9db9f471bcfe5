//! The user whom a client's certificate names.

use x509_cert::Certificate;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::credentials::is_name;

/// A subject's common name (X.520).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// A subject's other names (RFC 5280, section 4.2.1.6).
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// The user whom a certificate names: the subject's common name, else the first mail address, host name or URI among
/// its other names. Whether the certificate is to be believed is for TLS to say, before.
pub(crate) fn user_of(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    common_name(&certificate).or_else(|| alternative_name(&certificate)).filter(|name| is_name(name))
}

fn common_name(certificate: &Certificate) -> Option<String> {
    let mut parts = certificate.tbs_certificate.subject.0.iter().flat_map(|part| part.0.iter());
    // The last one is the most specific.
    let value = &parts.rfind(|part| part.oid == COMMON_NAME)?.value;
    let text = match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok()?.as_str().to_owned(),
        Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok()?.as_str().to_owned(),
        Tag::Ia5String => value.decode_as::<Ia5StringRef<'_>>().ok()?.as_str().to_owned(),
        Tag::TeletexString => value.decode_as::<TeletexStringRef<'_>>().ok()?.as_str().to_owned(),
        _ => return None,
    };
    Some(text)
}

fn alternative_name(certificate: &Certificate) -> Option<String> {
    let extensions = certificate.tbs_certificate.extensions.as_ref()?;
    let extension = extensions.iter().find(|extension| extension.extn_id == SUBJECT_ALT_NAME)?;
    let names = SubjectAltName::from_der(extension.extn_value.as_bytes()).ok()?;
    names.0.iter().find_map(|name| match name {
        GeneralName::Rfc822Name(text) | GeneralName::DnsName(text) | GeneralName::UniformResourceIdentifier(text) => {
            Some(text.as_str().to_owned())
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn user(common_name: Option<&str>, names: Vec<SanType>) -> Option<String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "An organization");
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.subject_alt_names = names;
        user_of(params.self_signed(&KeyPair::generate().unwrap()).unwrap().der())
    }

    #[test]
    fn the_common_name_is_the_user_and_else_another_name() {
        let mail = || vec![SanType::Rfc822Name("zoe@example.org".try_into().unwrap())];
        assert_eq!(user(Some("zoë"), mail()).as_deref(), Some("zoë"));
        assert_eq!(user(None, mail()).as_deref(), Some("zoe@example.org"));
        assert_eq!(user(None, vec![SanType::DnsName("host".try_into().unwrap())]).as_deref(), Some("host"));
        assert_eq!(user(None, Vec::new()), None);
        // A name that could not be a user's does not fall back to another.
        assert_eq!(user(Some("a\nb"), mail()), None);
        assert_eq!(user_of(b"no certificate"), None);
    }
}
