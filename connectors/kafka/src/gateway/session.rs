//! One connection of a client to a broker, through the gateway.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{
    AsyncBufRead, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, copy_buf, split,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::addresses::{are_rewritten, rewrite};
use super::local::{authenticated, handshake};
use super::{Shared, tls};
use crate::error::LogError;
use crate::protocol::{
    Address, LoginError, Question, Reader, api, frame_length, invalid, log_in, read_frame, write_frame,
};

/// The most bytes of a question before the login, and of the answer.
const MAX_EARLY_BYTES: usize = 1 << 20;

/// The most bytes of an answer that is written anew: about topics, of which a cluster may have hundreds of thousands.
const MAX_REWRITTEN_BYTES: usize = 256 << 20;

/// The most questions of a connection whose answers are to be written anew, at one time.
const MAX_OPEN_QUESTIONS: usize = 10_000;

/// Bytes that are read at once.
const READ_BYTES: usize = 128 << 10;

/// A stream that may be encrypted.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Connects to the broker, lets the client in, and hands on questions and answers until one of them hangs up.
pub(super) async fn serve(mut client: TcpStream, to: Address, shared: Arc<Shared>) {
    // Who connects and asks nothing costs the broker nothing.
    let Ok(Ok(first)) = timeout(shared.connect_timeout, read_frame(&mut client, MAX_EARLY_BYTES)).await else { return };
    let opened = timeout(shared.connect_timeout, open(client, first, &to, &shared));
    let (client, broker) = match opened.await {
        Ok(Ok(streams)) => streams,
        // The client has gone, or said something else than a client does.
        Ok(Err(None)) => return,
        Ok(Err(Some(error))) => return shared.failed(&to, error),
        Err(_) => {
            let limit = shared.connect_timeout.as_millis();
            let said = format!("{to}: no answer within {limit} ms of `connect_timeout_ms`");
            return shared.failed(&to, LogError::Unreachable { brokers: to.to_string(), said: Some(said) });
        }
    };
    shared.succeeded(&to);
    if let Err(error) = hand_on(client, broker, &shared).await {
        tracing::debug!(%error, broker = %to, "a connection to a Kafka broker ended");
        // An answer that cannot be written anew; all else is a connection that ends.
        if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::Other) {
            let said = Some(format!("{to}: {error}"));
            shared.failed(&to, LogError::Unreachable { brokers: to.to_string(), said });
        }
    }
}

type Opened = (TcpStream, Box<dyn Stream>);

/// Both sides, logged in. `None` is an error of which nobody needs to be told.
async fn open(
    mut client: TcpStream,
    first: Vec<u8>,
    to: &Address,
    shared: &Arc<Shared>,
) -> Result<Opened, Option<LogError>> {
    let unreachable = |error: io::Error| {
        Some(LogError::Unreachable { brokers: to.to_string(), said: Some(format!("{to}: {error}")) })
    };
    let plain = TcpStream::connect((to.host.as_str(), to.port)).await.map_err(unreachable)?;
    // It is only slower where that is not possible.
    let _ = plain.set_nodelay(true).and_then(|()| client.set_nodelay(true));
    let mut broker: Box<dyn Stream> = match &shared.tls {
        Some(connector) => {
            let encrypted = tls::encrypt(connector, &to.host, plain).await;
            Box::new(
                encrypted.map_err(|error| Some(LogError::Tls { broker: to.to_string(), said: error.to_string() }))?,
            )
        }
        None => Box::new(plain),
    };
    let mut first = Some(first);
    loop {
        let frame = match first.take() {
            Some(frame) => frame,
            None => read_frame(&mut client, MAX_EARLY_BYTES).await.map_err(|_| None)?,
        };
        let mut reader = Reader::new(&frame);
        let question = Question::read(&mut reader).map_err(|_| None)?;
        // The client's name of itself.
        reader.string(false).map_err(|_| None)?;
        match question.api {
            api::API_VERSIONS => {
                // A broker hangs up here, as a rule, that wants a certificate, or another one.
                let asked = write_frame(&mut broker, &frame).await;
                asked.map_err(|error| hung_up(to, shared, &error))?;
                let answer = read_frame(&mut broker, MAX_EARLY_BYTES).await;
                let answer = answer.map_err(|error| hung_up(to, shared, &error))?;
                let answer = rewrite(question, &answer, &|address| shared.route(address)).map_err(unreachable)?;
                write_frame(&mut client, &answer).await.map_err(|_| None)?;
            }
            api::SASL_HANDSHAKE => {
                let answer = handshake(question, &mut reader).map_err(|_| None)?;
                write_frame(&mut client, &answer).await.map_err(|_| None)?;
            }
            api::SASL_AUTHENTICATE => {
                if !shared.secret.is_in(&mut reader).map_err(|_| None)? {
                    tracing::warn!(broker = %to, "somebody else on this machine has tried to reach a Kafka broker through Portolan");
                    return Err(None);
                }
                let login = match &shared.sasl {
                    Some(sasl) => log_in(&mut broker, sasl).await,
                    None => Ok(()),
                };
                let refusal = match login {
                    Ok(()) => None,
                    Err(LoginError::Refused(said)) => Some(said),
                    Err(LoginError::Io(error)) => return Err(unreachable(error)),
                };
                let answer = authenticated(question, refusal.as_deref()).map_err(|_| None)?;
                write_frame(&mut client, &answer).await.map_err(|_| None)?;
                return match refusal {
                    None => Ok((client, broker)),
                    Some(said) => Err(Some(LogError::Login { said: Some(said) })),
                };
            }
            _ => return Err(None),
        }
    }
}

/// A broker that hangs up instead of an answer.
fn hung_up(to: &Address, shared: &Shared, error: &io::Error) -> Option<LogError> {
    Some(match &shared.tls {
        Some(_) => LogError::Tls { broker: to.to_string(), said: error.to_string() },
        None => LogError::Unreachable { brokers: to.to_string(), said: Some(format!("{to}: {error}")) },
    })
}

/// Questions whose answers are written anew, by their numbers.
type Questions = Mutex<HashMap<i32, Question>>;

/// Hands on frames both ways until one side ends.
async fn hand_on(client: TcpStream, broker: Box<dyn Stream>, shared: &Arc<Shared>) -> io::Result<()> {
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = split(broker);
    let questions = Questions::default();
    tokio::select! {
        ended = ask(BufReader::new(from_client), BufWriter::new(to_broker), &questions) => ended,
        ended = answer(BufReader::with_capacity(READ_BYTES, from_broker), BufWriter::new(to_client), &questions, shared) => ended,
    }
}

async fn ask(
    mut client: impl AsyncBufRead + Unpin,
    mut broker: impl AsyncWrite + Unpin,
    questions: &Questions,
) -> io::Result<()> {
    loop {
        let length = client.read_i32().await?;
        let mut beginning = [0; Question::BYTES];
        client.read_exact(&mut beginning).await?;
        let rest =
            frame_length(length)?.checked_sub(Question::BYTES).ok_or_else(|| invalid("a question is too short"))?;
        let question = Question::read(&mut Reader::new(&beginning))?;
        if are_rewritten(question) {
            let mut questions = questions.lock().unwrap_or_else(PoisonError::into_inner);
            if questions.len() >= MAX_OPEN_QUESTIONS {
                return Err(invalid("too many questions have no answer"));
            }
            questions.insert(question.number, question);
        }
        broker.write_i32(length).await?;
        broker.write_all(&beginning).await?;
        copy(&mut client, &mut broker, rest).await?;
    }
}

async fn answer(
    mut broker: impl AsyncBufRead + Unpin,
    mut client: impl AsyncWrite + Unpin,
    questions: &Questions,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    loop {
        let length = broker.read_i32().await?;
        let number = broker.read_i32().await?;
        let rest = frame_length(length)?.saturating_sub(size_of::<i32>());
        let question = questions.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        let Some(question) = question else {
            client.write_i32(length).await?;
            client.write_i32(number).await?;
            copy(&mut broker, &mut client, rest).await?;
            continue;
        };
        if rest > MAX_REWRITTEN_BYTES {
            return Err(invalid("an answer about topics is too long"));
        }
        let mut frame = number.to_be_bytes().to_vec();
        frame.resize(frame.len() + rest, 0);
        if let Some(body) = frame.get_mut(size_of::<i32>()..) {
            broker.read_exact(body).await?;
        }
        let frame = rewrite(question, &frame, &|address| shared.route(address))?;
        write_frame(&mut client, &frame).await?;
    }
}

/// Hands on so many bytes, and all that waits before them.
async fn copy(
    from: &mut (impl AsyncBufRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    bytes: usize,
) -> io::Result<()> {
    let bytes = bytes as u64;
    if copy_buf(&mut from.take(bytes), to).await? != bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    to.flush().await
}
