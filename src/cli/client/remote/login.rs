//! Who the person says they are.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret, SecretString};

/// How a session is opened.
#[derive(Clone, Debug, Default)]
pub(crate) enum Login {
    /// Without a word: the server decides who that is.
    #[default]
    Nobody,
    /// By name and password, once; the server answers with a token for the calls that follow.
    Password { user: String, password: SecretString },
    /// By a token that somebody else gave out, with each call.
    Token(SecretString),
}

/// The header of a first call by name and password (RFC 7617).
pub(super) fn basic(user: &str, password: &SecretString) -> String {
    let pair = SecretString::from(format!("{user}:{}", password.expose_secret()));
    format!("Basic {}", BASE64_STANDARD.encode(pair.expose_secret()))
}
