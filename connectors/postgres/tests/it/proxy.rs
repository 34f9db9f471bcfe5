//! A proxy between the connector and its server: it sees what is asked, and can cut the wire.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use portolan_connector::Connector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::harness::{Database, connector};

/// What all connections of a proxy have in common.
#[derive(Default)]
struct Seen {
    /// What was asked after the login: simple queries and parsed statements, in the order of their arrival.
    asked: Mutex<Vec<String>>,
    /// How many times a client sent something after the server had.
    turns: AtomicUsize,
    connections: AtomicUsize,
    cut: Notify,
    /// Bytes of the server's after which a connection is cut; 0 for never. Only the next one that sends so many.
    cut_after: AtomicUsize,
}

/// A proxy on a free port.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    seen: Arc<Seen>,
}

impl Proxy {
    /// Stands before the server on a port of this machine.
    pub(crate) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let of = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                of.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(relay(client, server, Arc::clone(&of)));
            }
        });
        Self { port, seen }
    }

    /// A connector whose connections go through the proxy.
    pub(crate) fn connector(&self, database: &Database, properties: &str) -> Arc<dyn Connector> {
        let (user, password) = (database.server.user(), database.server.password());
        let url = format!("postgres://{user}@127.0.0.1:{}/{}", self.port, database.name);
        connector(&format!("url = '{url}'\npassword = '{password}'\ntls = 'disable'\n{properties}")).unwrap()
    }

    /// What was asked since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.asked.lock().unwrap())
    }

    /// How many times somebody waited for the server since the last call, at most.
    pub(crate) fn turns(&self) -> usize {
        self.seen.turns.swap(0, Ordering::Relaxed)
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        self.seen.cut.notify_waiters();
    }

    /// Cuts the next connection that the server has sent so many bytes on, in one answer.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.seen.cut_after.store(bytes, Ordering::Relaxed);
    }
}

async fn relay(client: TcpStream, server: TcpStream, seen: Arc<Seen>) {
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let servers_turn = Arc::new(AtomicBool::new(true));
    let (turn, watched) = (Arc::clone(&servers_turn), Arc::clone(&seen));
    let up = async move {
        let mut messages = Messages::default();
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            if turn.swap(false, Ordering::Relaxed) {
                watched.turns.fetch_add(1, Ordering::Relaxed);
            }
            messages.feed(&buffer[..count], &watched.asked);
            if to_server.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
    };
    let watched = Arc::clone(&seen);
    let down = async move {
        let mut sent = 0;
        let mut buffer = vec![0; 1 << 13];
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            sent = if servers_turn.swap(true, Ordering::Relaxed) { sent + count } else { count };
            let limit = watched.cut_after.load(Ordering::Relaxed);
            if limit > 0 && sent >= limit {
                watched.cut_after.store(0, Ordering::Relaxed);
                break;
            }
            if to_client.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! { () = up => {}, () = down => {}, () = seen.cut.notified() => {} }
}

/// The messages of a client: a kind, a length that counts itself, a content. The first has no kind.
#[derive(Default)]
struct Messages {
    started: bool,
    bytes: Vec<u8>,
}

impl Messages {
    fn feed(&mut self, bytes: &[u8], asked: &Mutex<Vec<String>>) {
        self.bytes.extend_from_slice(bytes);
        loop {
            let kind = usize::from(self.started);
            let Some(length) = self.bytes.get(kind..kind + 4) else { return };
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize + kind;
            if self.bytes.len() < length {
                return;
            }
            let message: Vec<u8> = self.bytes.drain(..length).collect();
            let text =
                |content: &[u8]| String::from_utf8_lossy(content.split(|byte| *byte == 0).next().unwrap()).into_owned();
            match message[0] {
                b'Q' if self.started => asked.lock().unwrap().push(text(&message[5..])),
                // The name of the statement comes first; ours have none.
                b'P' if self.started => asked.lock().unwrap().push(text(&message[6..])),
                _ => {}
            }
            self.started = true;
        }
    }
}
