//! A schema registry as Confluent's is asked over HTTP: subjects with versions, schemas by id, references.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::ServerError;

/// How long a client may take to send its request.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// The most bytes of a request's body.
const MAX_BODY: u64 = 16 << 20;

/// A schema registry in this process, on a free loopback port. It keeps its schemas in memory and ends with the process.
#[derive(Debug)]
pub struct SchemaRegistry {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    schemas: Mutex<Schemas>,
    /// How many requests are still to be answered with an error.
    failing: AtomicUsize,
    asked: AtomicUsize,
    /// What a client must send as `Authorization`, if anything.
    authorization: Option<String>,
}

#[derive(Debug, Default)]
struct Schemas {
    /// Bodies by id, from 1 on.
    by_id: Vec<String>,
    /// Ids by subject, in the order of their versions from 1 on.
    subjects: BTreeMap<String, Vec<usize>>,
}

impl SchemaRegistry {
    /// Starts a registry that anyone may ask.
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with(None)
    }

    /// Starts a registry that asks for this header: `Basic dXNlcjpwYXNz`.
    pub fn start_with(authorization: Option<&str>) -> Result<Self, ServerError> {
        let failed = || ServerError::io("start the schema registry");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let state = Arc::new(State { authorization: authorization.map(ToOwned::to_owned), ..State::default() });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let state = Arc::clone(&shared);
                // A client that goes away is no error of the registry's.
                std::thread::spawn(move || state.serve(stream).ok());
            }
        });
        Ok(Self { address, state })
    }

    /// The address: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a version of a subject and returns its id. `body` is the JSON object that the registry returns of the schema,
    /// without its id, its subject and its version: `"schema":"...","schemaType":"AVRO"`.
    pub fn register(&self, subject: &str, body: &str) -> u32 {
        let mut schemas = self.state.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        let known = schemas.by_id.iter().position(|known| known == body);
        let index = known.unwrap_or_else(|| {
            schemas.by_id.push(body.to_owned());
            schemas.by_id.len() - 1
        });
        schemas.subjects.entry(subject.to_owned()).or_default().push(index + 1);
        u32::try_from(index + 1).unwrap_or(u32::MAX)
    }

    /// Answers the next so many requests with an error of the server.
    pub fn fail(&self, requests: usize) {
        self.state.failing.store(requests, Ordering::SeqCst);
    }

    /// How many requests have come.
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }
}

impl State {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(REQUEST_LIMIT))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let path = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let (mut authorization, mut length) = (None, 0);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "authorization" => authorization = Some(value.to_owned()),
                "content-length" => length = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        std::io::copy(&mut reader.take(length.min(MAX_BODY)), &mut std::io::sink())?;
        self.asked.fetch_add(1, Ordering::SeqCst);
        let fails = self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let (status, body) = if fails {
            ("503 Service Unavailable", r#"{"error_code":50301,"message":"busy"}"#.to_owned())
        } else if self.authorization.is_some() && authorization != self.authorization {
            ("401 Unauthorized", r#"{"error_code":401,"message":"Unauthorized"}"#.to_owned())
        } else if let Some(body) = self.answer(&path) {
            ("200 OK", body)
        } else {
            ("404 Not Found", r#"{"error_code":40403,"message":"Schema not found"}"#.to_owned())
        };
        let kind = "application/vnd.schemaregistry.v1+json";
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn answer(&self, path: &str) -> Option<String> {
        let schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        let parts: Vec<String> =
            path.split('/').skip(1).map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["schemas", "ids", id] => {
                let body = schemas.by_id.get(id.parse::<usize>().ok()?.checked_sub(1)?)?;
                Some(format!("{{{body}}}"))
            }
            ["subjects", subject, "versions", version] => {
                let versions = schemas.subjects.get(*subject)?;
                let version: usize = if *version == "latest" { versions.len() } else { version.parse().ok()? };
                let id = versions.get(version.checked_sub(1)?)?;
                let body = schemas.by_id.get(id.checked_sub(1)?)?;
                Some(format!("{{\"subject\":\"{subject}\",\"version\":{version},\"id\":{id},{body}}}"))
            }
            _ => None,
        }
    }
}
