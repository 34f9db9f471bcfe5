//! What a client says to prove who it is.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::SecretString;

/// The longest name of a user, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 256;

/// The longest password, in bytes. Hashing takes longer for a longer one.
pub(crate) const PASSWORD_BYTES_MAX: usize = 1024;

/// Not all clients write the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The content of an `authorization` header.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// There is no such header.
    None,
    /// A name and a password (RFC 7617).
    Basic {
        /// The name.
        name: String,
        /// The password.
        password: SecretString,
    },
    /// A token (RFC 6750).
    Bearer(SecretString),
    /// Something else.
    Unreadable,
}

impl Credentials {
    /// Reads the header's value.
    pub fn read(header: Option<&[u8]>) -> Self {
        let Some(header) = header else { return Self::None };
        let Ok(header) = std::str::from_utf8(header) else { return Self::Unreadable };
        let Some((scheme, value)) = header.trim().split_once(' ') else { return Self::Unreadable };
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            Self::Bearer(SecretString::from(value))
        } else if scheme.eq_ignore_ascii_case("basic") {
            basic(value).unwrap_or(Self::Unreadable)
        } else {
            Self::Unreadable
        }
    }
}

fn basic(value: &str) -> Option<Credentials> {
    let text = String::from_utf8(BASE64.decode(value).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    let fits = name.len() <= NAME_BYTES_MAX && password.len() <= PASSWORD_BYTES_MAX;
    fits.then(|| Credentials::Basic { name: name.to_owned(), password: SecretString::from(password) })
}

/// Where a call comes from, as the connection knows it.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The address of the other side.
    pub address: Option<IpAddr>,
    /// The user whom the client's certificate names.
    pub certificate_user: Option<Arc<str>>,
}

/// Whether a text may be the name of a user: it goes into logs, tables and tokens.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control) && text.trim() == text
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn basic_of(header: &str) -> Option<(String, String)> {
        match Credentials::read(Some(header.as_bytes())) {
            Credentials::Basic { name, password } => Some((name, password.expose_secret().to_owned())),
            _ => None,
        }
    }

    #[test]
    fn basic_credentials_as_the_rfc_has_them() {
        // RFC 7617, sections 2 and 2.1.
        let expected = Some(("Aladdin".to_owned(), "open sesame".to_owned()));
        assert_eq!(basic_of("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), expected);
        assert_eq!(basic_of("basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ"), expected);
        assert_eq!(basic_of("Basic dGVzdDoxMjPCow=="), Some(("test".to_owned(), "123£".to_owned())));
        // The password may hold colons, and both may be empty.
        assert_eq!(basic_of("Basic YTpiOmM="), Some(("a".to_owned(), "b:c".to_owned())));
        assert_eq!(basic_of("Basic Og=="), Some((String::new(), String::new())));
    }

    #[test]
    fn what_cannot_be_read_is_told_from_what_is_not_there() {
        assert!(matches!(Credentials::read(None), Credentials::None));
        let long = format!("Basic {}", BASE64.encode(format!("{}:x", "n".repeat(NAME_BYTES_MAX + 1))));
        for header in ["", "Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Digest a=b", "Basic /zoA", &long] {
            assert!(matches!(Credentials::read(Some(header.as_bytes())), Credentials::Unreadable), "{header}");
        }
        assert!(matches!(Credentials::read(Some(b"\xff\xfe x")), Credentials::Unreadable));
    }

    #[test]
    fn secrets_do_not_show() {
        for header in ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Bearer sesame"] {
            let shown = format!("{:?}", Credentials::read(Some(header.as_bytes())));
            assert!(!shown.contains("sesame"), "{shown}");
        }
    }

    #[test]
    fn names() {
        for name in ["a", "Zoë", "service/web@host", "CN with spaces"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", " a", "a\n", "a\u{7}b", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
