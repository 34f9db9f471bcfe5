//! DuckDB in a process of its own, and a proxy that counts what a server sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A running DuckDB, which ends with this value.
pub(crate) struct Duckdb {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Duckdb {
    /// Starts one with the Python of PORTOLAN_BENCH_DUCKDB, which has `duckdb` and its postgres extension as packages; `None`
    /// where that is not set.
    pub(crate) fn start() -> Option<Self> {
        let python = std::env::var("PORTOLAN_BENCH_DUCKDB").ok()?;
        let client = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/ratios/duckdb_client.py");
        let mut command = Command::new(python);
        command.arg(client).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("Python starts");
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("its output"));
        Some(Self { process, input, output })
    }

    /// Runs a statement. Returns the seconds that it took and its number of rows.
    pub(crate) fn run(&mut self, sql: &str) -> (f64, usize) {
        let input = self.input.as_mut().expect("its input");
        input.write_all(sql.as_bytes()).and_then(|()| input.write_all(&[0])).expect("a statement is sent");
        input.flush().expect("a statement is sent");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an answer");
        let (seconds, rows) = line.trim().split_once(' ').unwrap_or_else(|| panic!("DuckDB fails: {sql}"));
        (seconds.parse().expect("seconds"), rows.parse().expect("a number of rows"))
    }
}

impl Drop for Duckdb {
    fn drop(&mut self) {
        // It ends with its input.
        self.input = None;
        let _ = self.process.wait();
    }
}

/// A port that leads to another one.
pub(crate) struct Counted {
    pub(crate) port: u16,
    received: Arc<AtomicU64>,
}

impl Counted {
    /// Passes on what comes to a new port, for as long as the process runs.
    pub(crate) fn before(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let received = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&received);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).expect("the server answers");
                let (from_client, to_server) = (clone(&client), clone(&server));
                let unused = AtomicU64::new(0);
                std::thread::spawn(move || pass(from_client, to_server, &unused));
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || pass(server, client, &counter));
            }
        });
        Self { port, received }
    }

    /// The bytes that the server has sent since the last call.
    pub(crate) fn take(&self) -> u64 {
        self.received.swap(0, Ordering::Relaxed)
    }
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a stream")
}

fn pass(mut from: TcpStream, mut to: TcpStream, counter: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
