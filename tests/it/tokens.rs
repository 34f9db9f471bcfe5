//! JSON web tokens of an issuer that tests play.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

/// What the issuer signs with.
pub(crate) const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

/// A token of an issuer that we play.
pub(crate) fn web_token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(sign(message.as_bytes())))
}

/// A token that is signed with a secret.
pub(crate) fn with_secret(claims: &Value, secret: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    web_token(&json!({"alg": "HS256"}), claims, |message| hmac::sign(&key, message).as_ref().to_vec())
}

/// What a token says of a user, for so many seconds from now on.
pub(crate) fn claims(user: &str, seconds: i64) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    json!({"sub": user, "exp": i64::try_from(now.as_secs()).unwrap() + seconds})
}
