//! Servers and clients as processes of their own, and what they cost.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// How long a server may take to say where it listens. The bare one first fetches what it will send.
const START_MAX: Duration = Duration::from_secs(120);

/// Where Python with pyarrow is.
const PYTHON: &str = "PORTOLAN_TEST_PYTHON";

/// Linux counts processor time in these, to the second.
const TICKS_PER_SECOND: f64 = 100.0;

/// A server that says on standard error where it listens. It ends when it is dropped.
pub(crate) struct Server {
    child: Child,
    /// Host and port.
    pub(crate) address: String,
}

impl Server {
    /// `portolan serve` over a catalog file.
    pub(crate) fn portolan(catalogs: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--catalogs"]).arg(catalogs);
        Self::start(command)
    }

    /// A server that is a child of this bench.
    pub(crate) fn child(arguments: &[&str]) -> Self {
        Self::start(child(arguments))
    }

    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the server starts");
        let lines = lines(child.stderr.take().expect("its standard error"));
        let line = lines.recv_timeout(START_MAX).expect("the server says where it listens");
        let address = line.split("grpc://").nth(1).and_then(|rest| rest.split(';').next()).expect("an address");
        let address = address.to_owned();
        // Whatever else it says is shown.
        std::thread::spawn(move || lines.iter().for_each(|line| eprintln!("{line}")));
        Self { child, address }
    }

    /// What the server has used and what it has now.
    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }

    /// Forgets the most memory that the server has had.
    pub(crate) fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").expect("the peak can be reset");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has used and what it has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time, user and system, in seconds.
    pub(crate) cpu: f64,
    /// Memory, in bytes.
    pub(crate) memory: u64,
    /// The most memory at one time, in bytes.
    pub(crate) peak_memory: u64,
    pub(crate) threads: u64,
    pub(crate) files: usize,
}

impl Usage {
    /// What a process has used and has.
    pub(crate) fn of(process: u32) -> Self {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}")).expect("the process runs");
        let status = read("status");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0)
        };
        // Behind the name in parentheses: user and system time are the 12th and 13th field.
        let stat = read("stat");
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: f64 = fields.skip(11).take(2).map(|field| field.parse::<f64>().expect("ticks")).sum();
        Self {
            cpu: ticks / TICKS_PER_SECOND,
            memory: number("VmRSS:") * 1024,
            peak_memory: number("VmHWM:") * 1024,
            threads: number("Threads:"),
            files: std::fs::read_dir(format!("/proc/{process}/fd")).expect("the process runs").count(),
        }
    }
}

/// A client that says on standard output how it is getting on: lines of a name and a number.
pub(crate) struct Client {
    child: Child,
    lines: Receiver<String>,
}

impl Client {
    /// A child of this bench.
    pub(crate) fn child(arguments: &[&str]) -> Self {
        Self::start(child(arguments))
    }

    /// `reader.py`: reads a statement's rows with pyarrow.
    pub(crate) fn reader(address: &str, sql: &str, options: &[&str]) -> Self {
        let Some(python) = std::env::var_os(PYTHON) else {
            eprintln!("this bench reads with pyarrow: set {PYTHON} to a Python that has it, such as the one of ./test");
            std::process::exit(2);
        };
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/ratios/reader.py");
        let mut command = Command::new(python);
        command.args([program, &format!("grpc+tcp://{address}"), sql]).args(options);
        Self::start(command)
    }

    fn start(mut command: Command) -> Self {
        // It ends when its standard input does, which is when this is dropped.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the client starts");
        let lines = lines(child.stdout.take().expect("its standard output"));
        Self { child, lines }
    }

    /// Waits for the line of this name.
    pub(crate) fn number(&self, name: &str) -> f64 {
        self.number_within(name, Duration::MAX).expect("the client gets on: see its standard error")
    }

    /// The number of the line with this name, if there is one within this time. Lines before it are passed over.
    pub(crate) fn number_within(&self, name: &str, patience: Duration) -> Option<f64> {
        loop {
            match self.lines.recv_timeout(patience) {
                Ok(line) => match line.split_once(' ') {
                    Some((found, number)) if found == name => return Some(number.parse().expect("a number")),
                    _ => {}
                },
                Err(mpsc::RecvTimeoutError::Timeout) => return None,
                Err(mpsc::RecvTimeoutError::Disconnected) => panic!("the client ended before it said {name}"),
            }
        }
    }

    /// Waits until the client ends, and returns all that it said.
    pub(crate) fn numbers(mut self) -> HashMap<String, f64> {
        drop(self.child.stdin.take());
        let numbers = self.lines.iter().map(|line| {
            let (name, number) = line.split_once(' ').expect("a name and a number");
            (name.to_owned(), number.parse().expect("a number"))
        });
        let numbers = numbers.collect();
        let status = self.child.wait().expect("the client ends");
        assert!(status.success(), "the client failed: {status}");
        numbers
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn child(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the bench's own path"));
    command.arg("child").args(arguments);
    command
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
