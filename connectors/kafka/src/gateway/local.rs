//! The login of librdkafka at the gateway: `PLAIN`, with a secret that only this process knows.

use std::io;

use portolan_connector::{ConnectorError, Result};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};

use crate::config::{Mechanism, Sasl};
use crate::protocol::{Question, Reader, Writer};

/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// `SASL_AUTHENTICATION_FAILED`.
const AUTHENTICATION_FAILED: i16 = 58;

/// `UNSUPPORTED_SASL_MECHANISM`.
const UNSUPPORTED_MECHANISM: i16 = 33;

/// The most characters of what a client is told of a login that has failed.
const MAX_REFUSAL_CHARS: usize = 1_000;

const USER: &str = "portolan";

/// What a client must know to get through.
#[derive(Debug)]
pub(super) struct Secret(SecretString);

impl Secret {
    pub(super) fn new() -> Result<Self> {
        let mut bytes = [0; SECRET_BYTES];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| ConnectorError::internal("this machine gives no random numbers"))?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()))
    }

    /// What a client logs in with that knows the secret.
    pub(super) fn login(&self) -> Sasl {
        Sasl { mechanism: Mechanism::Plain, username: USER.to_owned(), password: self.0.clone() }
    }

    /// Whether a question of a login (`SaslAuthenticate`, versions 0 and 1) has the secret.
    ///
    /// RFC 4616: a name to act for, a user and a password, with a zero byte between them.
    pub(super) fn is_in(&self, reader: &mut Reader<'_>) -> io::Result<bool> {
        let length = usize::try_from(reader.int32()?).unwrap_or(0);
        let shown = reader.bytes(length)?;
        let wanted = format!("\0{USER}\0{}", self.0.expose_secret());
        // Digests, so that the time of a comparison says nothing of the secret.
        Ok(digest(&SHA256, shown).as_ref() == digest(&SHA256, wanted.as_bytes()).as_ref())
    }
}

/// The answer to `SaslHandshake`.
pub(super) fn handshake(question: Question, reader: &mut Reader<'_>) -> io::Result<Vec<u8>> {
    let is_known = reader.string(false)? == Some(Mechanism::Plain.name());
    let mut writer = Writer::default();
    writer.int32(question.number);
    writer.int16(if is_known { 0 } else { UNSUPPORTED_MECHANISM });
    writer.count(1, false)?;
    writer.string(Some(Mechanism::Plain.name()), false)?;
    Ok(writer.frame())
}

/// The answer to `SaslAuthenticate`: `refusal` says why a login has failed.
pub(super) fn authenticated(question: Question, refusal: Option<&str>) -> io::Result<Vec<u8>> {
    let mut writer = Writer::default();
    writer.int32(question.number);
    writer.int16(if refusal.is_some() { AUTHENTICATION_FAILED } else { 0 });
    let refusal: Option<String> = refusal.map(|text| text.chars().take(MAX_REFUSAL_CHARS).collect());
    writer.string(refusal.as_deref(), false)?;
    // No more bytes of the login, and from version 1 on no end of the session.
    writer.int32(0);
    if question.version >= 1 {
        writer.bytes(&0_i64.to_be_bytes());
    }
    Ok(writer.frame())
}
