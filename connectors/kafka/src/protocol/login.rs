//! The login at a broker: `SaslHandshake` and `SaslAuthenticate` (KIP-43, KIP-152).

use std::io;

use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::spawn_blocking;

use super::scram::{SHA_256, SHA_512, Scram};
use super::wire::{CLIENT_ID, Question, Reader, Writer, api, invalid, read_frame, write_frame};
use crate::config::{Mechanism, Sasl};

/// The most bytes of an answer of a login.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// `UNSUPPORTED_SASL_MECHANISM`.
const UNSUPPORTED_MECHANISM: i16 = 33;

/// Why nobody is logged in.
#[derive(Debug)]
pub(crate) enum LoginError {
    /// The broker, or what it proves of itself, says no.
    Refused(String),
    Io(io::Error),
}

impl From<io::Error> for LoginError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Logs in. Nothing else may have been asked of the broker, except what it supports.
pub(crate) async fn log_in(broker: &mut (impl AsyncRead + AsyncWrite + Unpin), sasl: &Sasl) -> Result<(), LoginError> {
    choose(broker, sasl.mechanism).await?;
    let functions = match sasl.mechanism {
        Mechanism::Plain => {
            let shown = format!("\0{}\0{}", sasl.username, sasl.password.expose_secret());
            return authenticate(broker, shown.as_bytes()).await.map(drop);
        }
        Mechanism::ScramSha256 => &SHA_256,
        Mechanism::ScramSha512 => &SHA_512,
    };
    let login = Scram::new(functions, &sasl.username, &sasl.password).map_err(LoginError::Refused)?;
    let challenge = text(authenticate(broker, login.first().as_bytes()).await?)?;
    // It takes a while, and other connections go on meanwhile.
    let proved = spawn_blocking(move || login.prove(&challenge)).await;
    let (last, proven) = proved.map_err(io::Error::other)?.map_err(LoginError::Refused)?;
    let end = text(authenticate(broker, last.as_bytes()).await?)?;
    proven.verify(&end).map_err(LoginError::Refused)
}

/// Tells the broker which mechanism is meant.
async fn choose(broker: &mut (impl AsyncRead + AsyncWrite + Unpin), mechanism: Mechanism) -> Result<(), LoginError> {
    let mut question = question(api::SASL_HANDSHAKE, 1)?;
    question.string(Some(mechanism.name()), false)?;
    let answer = ask(broker, question).await?;
    let mut reader = Reader::new(&answer);
    reader.int32()?;
    match reader.int16()? {
        0 => return Ok(()),
        UNSUPPORTED_MECHANISM => {}
        error => return Err(LoginError::Refused(format!("error {error}: it may ask for no login here"))),
    }
    let mut offered = Vec::new();
    for _ in 0..reader.count(false)? {
        offered.extend(reader.string(false)?);
    }
    let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
    Err(LoginError::Refused(format!("it does not offer {}, but {offered}", mechanism.name())))
}

/// One step of the mechanism: the broker's bytes.
async fn authenticate(broker: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &[u8]) -> Result<Vec<u8>, LoginError> {
    let mut question = question(api::SASL_AUTHENTICATE, 0)?;
    question.count(bytes.len(), false)?;
    question.bytes(bytes);
    let answer = ask(broker, question).await?;
    let mut reader = Reader::new(&answer);
    reader.int32()?;
    let (error, said) = (reader.int16()?, reader.string(false)?);
    if error != 0 {
        let said = said.filter(|said| !said.is_empty()).map(ToOwned::to_owned);
        return Err(LoginError::Refused(said.unwrap_or_else(|| format!("error {error}"))));
    }
    let length = reader.count(false)?;
    Ok(reader.bytes(length)?.to_vec())
}

fn question(api: i16, version: i16) -> io::Result<Writer> {
    let mut writer = Writer::default();
    Question { api, version, number: 0 }.write(&mut writer);
    writer.string(Some(CLIENT_ID), false)?;
    Ok(writer)
}

async fn ask(broker: &mut (impl AsyncRead + AsyncWrite + Unpin), question: Writer) -> io::Result<Vec<u8>> {
    write_frame(broker, &question.frame()).await?;
    read_frame(broker, MAX_ANSWER_BYTES).await
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| invalid("a login's answer is not in UTF-8"))
}
