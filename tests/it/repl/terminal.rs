//! A terminal: a process runs in it, keys go in, and what it writes is drawn on a screen.

use std::io::{ErrorKind, Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pty};
use tempfile::TempDir;

/// How long anything may take to show on the screen. Tests run in parallel on few processors.
const PATIENCE: Duration = Duration::from_secs(60);

/// The size of a screen unless a test wants another.
const COLUMNS: u16 = 100;
const ROWS: u16 = 30;

pub(super) const ENTER: &str = "\r";
pub(super) const TAB: &str = "\t";
pub(super) const UP: &str = "\u{1b}[A";
pub(super) const CTRL_A: &str = "\u{1}";
pub(super) const CTRL_C: &str = "\u{3}";
pub(super) const CTRL_D: &str = "\u{4}";

/// What a process needs to be started with.
pub(super) struct Setting {
    /// The home directory, which is the person's alone.
    pub(super) home: TempDir,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    size: (u16, u16),
}

impl Setting {
    /// `portolan sql` with these arguments.
    pub(super) fn new(arguments: &[&str]) -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            variables: Vec::new(),
            size: (COLUMNS, ROWS),
        }
    }

    /// `portolan sql` with the shop's catalogs.
    pub(super) fn shop() -> Self {
        Self::new(&["--catalogs", crate::shop::SHOP.catalogs_file().to_str().unwrap()])
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn sized(mut self, columns: u16, rows: u16) -> Self {
        self.size = (columns, rows);
        self
    }

    /// Starts the process, and waits until it asks for input.
    pub(super) fn start(&self) -> Terminal {
        let terminal = self.start_unasked();
        terminal.wait_for("portolan> ");
        terminal
    }

    pub(super) fn start_unasked(&self) -> Terminal {
        let (columns, rows) = self.size;
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(rows, columns)).unwrap();
        let home = self.home.path();
        let child = Command::new(env!("CARGO_BIN_EXE_portolan"))
            .arg("sql")
            .args(&self.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("TERM", "xterm")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(home)
            .spawn(pts)
            .unwrap();
        let size = |number| NonZeroU16::new(number).unwrap();
        let screen = Arc::new(Screen {
            state: Mutex::new(State { parser: vt100::Parser::new(size(rows), size(columns), 0), written: Vec::new() }),
            changed: Condvar::new(),
        });
        let pty = Arc::new(pty);
        let (reader, shown) = (Arc::clone(&pty), Arc::clone(&screen));
        std::thread::spawn(move || shown.draw(&reader));
        Terminal { pty, screen, child }
    }
}

struct Screen {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    parser: vt100::Parser,
    /// All that was ever written.
    written: Vec<u8>,
}

impl Screen {
    /// Draws what a process writes until it ends.
    fn draw(&self, mut pty: &Pty) {
        let mut bytes = [0; 4096];
        loop {
            match pty.read(&mut bytes) {
                Ok(0) => return,
                Ok(count) => {
                    let mut state = self.state.lock().unwrap();
                    state.parser.process(&bytes[..count]);
                    state.written.extend_from_slice(&bytes[..count]);
                    self.changed.notify_all();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The process has ended.
                Err(_) => return,
            }
        }
    }
}

/// A process in a terminal. It is killed when it is dropped.
pub(super) struct Terminal {
    pty: Arc<Pty>,
    screen: Arc<Screen>,
    child: Child,
}

impl Terminal {
    /// Types keys.
    pub(super) fn keys(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Types a line and ends it.
    pub(super) fn line(&self, text: &str) {
        self.keys(text);
        self.keys(ENTER);
    }

    /// What the screen shows.
    pub(super) fn shown(&self) -> String {
        self.screen.state.lock().unwrap().parser.screen().contents()
    }

    /// All that was ever written, colours and all.
    pub(super) fn written(&self) -> String {
        String::from_utf8_lossy(&self.screen.state.lock().unwrap().written).into_owned()
    }

    /// Waits until the screen shows a text.
    pub(super) fn wait_for(&self, text: &str) -> String {
        self.wait_until(&format!("{text:?}"), |shown| shown.contains(text))
    }

    /// Waits until the screen shows what is wanted, and returns what it shows.
    pub(super) fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.screen.state.lock().unwrap();
        loop {
            let shown = state.parser.screen().contents();
            if wanted(&shown) {
                return shown;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the screen does not show {what}, but:\n{shown}");
            state = self.screen.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Types a line when the process asks for input, and waits until it asks again. Returns what the screen shows then. What was
    /// written of an answer may have been seen before the prompt that follows it came: that one is not counted.
    pub(super) fn run(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while !self.asks() {
            assert!(Instant::now() < deadline, "there is no prompt for {text:?}:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.press(&format!("{text}{ENTER}"));
        self.shown()
    }

    fn wait_for_prompt(&self, before: usize, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.prompts() <= before {
            assert!(Instant::now() < deadline, "no prompt follows {what:?}:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Types keys, and waits until the process asks for input again.
    pub(super) fn press(&self, keys: &str) {
        let before = self.prompts();
        self.keys(keys);
        self.wait_for_prompt(before, keys);
    }

    /// Presses Ctrl-C until a query that has just been asked for ends: a key that comes before the query begins is no
    /// signal yet.
    pub(super) fn cancel(&self) {
        let before = self.prompts();
        let deadline = Instant::now() + PATIENCE;
        while self.prompts() <= before {
            assert!(Instant::now() < deadline, "Ctrl-C ends nothing:\n{}", self.shown());
            self.keys(CTRL_C);
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Whether the process asks for input now: it turns bracketed paste off when it has a line.
    fn asks(&self) -> bool {
        let written = self.written();
        written.rfind("\u{1b}[?2004h") > written.rfind("\u{1b}[?2004l")
    }

    /// How often the process has asked for input: each time it does, it turns bracketed paste on.
    fn prompts(&self) -> usize {
        self.written().matches("\u{1b}[?2004h").count()
    }

    /// Waits until the process has ended, and returns its exit status.
    pub(super) fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the process goes on:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes a file of the person's home directory.
pub(super) fn write(home: &Path, name: &str, text: &str) {
    std::fs::write(home.join(name), text).unwrap();
}
