//! Where bytes go: standard output, a file, a command, a test.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Bytes of results that are collected before they are written out.
const BUFFER_BYTES: usize = 64 << 10;

/// Something that takes bytes and can be brought to an end.
pub(crate) trait Target: Write + Send {
    /// Ends the output, and waits until all of it has arrived.
    fn close(&mut self) -> io::Result<()>;

    /// Whether what was written can be seen, or will be as soon as it is flushed.
    fn is_seen(&self) -> bool {
        true
    }
}

/// A target that ends by being flushed.
struct Plain<W>(W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write + Send> Target for Plain<W> {
    fn close(&mut self) -> io::Result<()> {
        self.flush()
    }
}

/// A command that reads bytes from its standard input.
pub(super) struct Pipe {
    child: Child,
    /// `None` once the command was told that there is no more.
    input: Option<BufWriter<ChildStdin>>,
    command: String,
}

impl Pipe {
    /// Starts a command of the system's shell.
    pub(super) fn start(command: &str, environment: &[(&str, &str)]) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]).stdin(Stdio::piped()).envs(environment.iter().copied());
        let mut child = shell.spawn()?;
        let input = child.stdin.take().map(|input| BufWriter::with_capacity(BUFFER_BYTES, input));
        Ok(Self { child, input, command: command.to_owned() })
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.input {
            Some(input) => input.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Target for Pipe {
    fn close(&mut self) -> io::Result<()> {
        let flushed = self.flush();
        // What is left in the buffer after a failure has no reader.
        self.input = None;
        let status = self.child.wait()?;
        match flushed {
            // A command may stop reading when it has what it wants.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ if status.success() => Ok(()),
            _ => Err(io::Error::other(format!("{} ended with {status}", self.command))),
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // The command ends when its input does; nobody is told how.
        self.input = None;
        let _ = self.child.wait();
    }
}

/// Where results go.
pub(crate) struct Sink {
    target: Box<dyn Target>,
    /// Whether a person looks at it.
    pub(crate) terminal: bool,
    /// Whether it shows colours.
    pub(crate) colour: bool,
    /// Answers that were written to it.
    pub(crate) answers: u64,
    /// Bytes that were written to it.
    written: u64,
}

impl Sink {
    /// Standard output.
    pub(crate) fn standard_output() -> Self {
        let terminal = io::stdout().is_terminal();
        let writer = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
        Self { terminal, colour: terminal && wants_colour(), ..Self::other(writer) }
    }

    /// A file.
    pub(crate) fn file(file: File) -> Self {
        Self::other(BufWriter::with_capacity(BUFFER_BYTES, file))
    }

    /// A command of the system's shell.
    pub(crate) fn command(command: &str) -> io::Result<Self> {
        Ok(Self::target(Pipe::start(command, &[])?))
    }

    /// Anything else that takes bytes.
    pub(crate) fn other(writer: impl Write + Send + 'static) -> Self {
        Self::target(Plain(writer))
    }

    pub(super) fn target(target: impl Target + 'static) -> Self {
        Self { target: Box::new(target), terminal: false, colour: false, answers: 0, written: 0 }
    }

    /// How many of the bytes that were written to it can be seen.
    pub(super) fn seen(&self) -> u64 {
        if self.target.is_seen() { self.written } else { 0 }
    }

    /// Ends the output, and waits until all of it has arrived.
    pub(crate) fn close(mut self) -> io::Result<()> {
        self.target.close()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.target.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

/// Whether colours are wanted where a terminal shows them: see <https://no-color.org>.
pub(super) fn wants_colour() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
