//! What the program writes to.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};

/// Bytes of results that are collected before they are written out.
const BUFFER_BYTES: usize = 64 << 10;

/// Where results go.
pub(crate) struct Sink {
    writer: Box<dyn Write + Send>,
    /// Whether a person looks at it.
    pub(crate) terminal: bool,
    /// Whether it shows colours.
    pub(crate) colour: bool,
    /// Answers that were written to it.
    pub(crate) answers: u64,
}

impl Sink {
    /// Standard output.
    pub(crate) fn standard_output() -> Self {
        let terminal = io::stdout().is_terminal();
        let writer = Box::new(BufWriter::with_capacity(BUFFER_BYTES, io::stdout()));
        Self { writer, terminal, colour: terminal && wants_colour(), answers: 0 }
    }

    /// A file.
    pub(crate) fn file(file: File) -> Self {
        Self::other(BufWriter::with_capacity(BUFFER_BYTES, file))
    }

    /// Anything else that takes bytes.
    pub(crate) fn other(writer: impl Write + Send + 'static) -> Self {
        Self { writer: Box::new(writer), terminal: false, colour: false, answers: 0 }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Results, and beside them what is said to the person.
pub(crate) struct Console {
    /// Results.
    pub(crate) out: Sink,
    /// Where results go instead, after `\o`.
    pub(crate) redirected: Option<Sink>,
    /// Errors and warnings.
    pub(crate) err: Sink,
}

impl Console {
    /// The process's own standard output and standard error.
    pub(crate) fn standard() -> Self {
        let terminal = io::stderr().is_terminal();
        let mut err = Sink::other(io::stderr());
        err.colour = terminal && wants_colour();
        Self { out: Sink::standard_output(), redirected: None, err }
    }

    /// Where results go now.
    pub(crate) fn results(&mut self) -> &mut Sink {
        self.redirected.as_mut().unwrap_or(&mut self.out)
    }

    /// Says something to the person beside the results.
    pub(crate) fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// Reports an error. Where even that cannot be written, the exit status still says it.
    pub(crate) fn error(&mut self, text: &str) {
        self.labelled("error:", "\u{1b}[1;31m", text);
    }

    /// Reports what is wrong and does not stop anything.
    pub(crate) fn warning(&mut self, text: &str) {
        self.labelled("warning:", "\u{1b}[1;33m", text);
    }

    fn labelled(&mut self, label: &str, colour: &str, text: &str) {
        // Results come first where both go to one screen.
        let _ = self.out.flush();
        let _ = match self.err.colour {
            true => writeln!(self.err, "{colour}{label}\u{1b}[0m {text}"),
            false => writeln!(self.err, "{label} {text}"),
        };
        let _ = self.err.flush();
    }
}

/// Whether colours are wanted where a terminal shows them: see <https://no-color.org>.
fn wants_colour() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
