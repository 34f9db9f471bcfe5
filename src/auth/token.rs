//! The tokens that a login gives: who logged in, how, into which session, and until when.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::signing::SigningKey;

/// What our tokens start with, which tells them from those of others.
const MARK: &str = "portolan-session-";

const PURPOSE: &str = "session token";

/// The longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 4096;

/// How a user proved who it is. A token is good for as long as that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Proof {
    /// Not at all: the server asks nobody.
    #[serde(rename = "n")]
    Nothing,
    /// With a password.
    #[serde(rename = "p")]
    Password {
        /// Tells the password from later ones.
        #[serde(rename = "d")]
        digest: String,
    },
    /// With a JSON web token.
    #[serde(rename = "j")]
    WebToken {
        /// When that ends, in seconds since 1970.
        #[serde(rename = "e")]
        expires: u64,
    },
    /// With the certificate of the connection.
    #[serde(rename = "c")]
    Certificate,
}

/// The content of a token. It does not say what the user may do: that is looked up each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionToken {
    #[serde(rename = "u")]
    pub(super) user: Arc<str>,
    #[serde(rename = "s")]
    pub(super) session: Arc<str>,
    #[serde(rename = "p")]
    pub(super) proof: Proof,
    /// When it was made and when it ends, in seconds since 1970.
    #[serde(rename = "i")]
    pub(super) issued: u64,
    #[serde(rename = "e")]
    pub(super) expires: u64,
}

impl SessionToken {
    /// Whether a token is one of ours, valid or not.
    pub(super) fn is_one(token: &str) -> bool {
        token.starts_with(MARK)
    }

    /// The token as clients keep it.
    pub(super) fn to_text(&self, key: &SigningKey) -> Option<SecretString> {
        let payload = serde_json::to_vec(self).ok()?;
        let text = format!("{MARK}{}", URL_SAFE_NO_PAD.encode(key.sign(PURPOSE, &payload)));
        Some(SecretString::from(text))
    }

    /// A token that a client sends, if it was signed with this key and has not ended.
    pub(super) fn read(token: &str, key: &SigningKey, now: u64) -> Option<Self> {
        let encoded = token.strip_prefix(MARK).filter(|encoded| encoded.len() <= TOKEN_BYTES_MAX)?;
        let signed = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let token: Self = serde_json::from_slice(key.verify(PURPOSE, &signed)?).ok()?;
        (now < token.expires).then_some(token)
    }

    /// Whether half of its life is over.
    pub(super) fn is_worn(&self, now: u64) -> bool {
        now.saturating_sub(self.issued) >= self.expires.saturating_sub(self.issued) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn token() -> SessionToken {
        SessionToken {
            user: Arc::from("zoë"),
            session: Arc::from("id"),
            proof: Proof::Password { digest: "d".to_owned() },
            issued: 1000,
            expires: 2000,
        }
    }

    #[test]
    fn a_token_comes_back_until_it_ends() {
        let key = SigningKey::random().unwrap();
        let text = token().to_text(&key).unwrap();
        let text = text.expose_secret();
        assert!(SessionToken::is_one(text));
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
        assert_eq!(SessionToken::read(text, &key, 1999), Some(token()));
        assert_eq!(SessionToken::read(text, &key, 2000), None);
        assert_eq!(SessionToken::read(text, &SigningKey::random().unwrap(), 1500), None);
        for foreign in ["", "eyJhbGciOi", MARK, "portolan-session-AAAA", "portolan-session-!"] {
            assert_eq!(SessionToken::read(foreign, &key, 1500), None, "{foreign}");
        }
        // Signed with the same key for something else.
        let payload = serde_json::to_vec(&token()).unwrap();
        let other = format!("{MARK}{}", URL_SAFE_NO_PAD.encode(key.sign("statement", &payload)));
        assert_eq!(SessionToken::read(&other, &key, 1500), None);
    }

    #[test]
    fn a_token_is_worn_in_the_second_half_of_its_life() {
        assert!(!token().is_worn(999));
        assert!(!token().is_worn(1499));
        assert!(token().is_worn(1500));
    }
}
