//! What the program writes to.

use std::io::{self, IsTerminal, Write};

use super::sink::{Sink, wants_colour};

/// Results, and beside them what is said to the person.
pub(crate) struct Console {
    /// Results.
    pub(crate) out: Sink,
    /// Where results go instead, after `\o`.
    pub(crate) redirected: Option<Sink>,
    /// Where the answer goes that is being written to the screen, if a pager may have to show it.
    pub(super) paged: Option<Sink>,
    /// Errors and warnings.
    pub(crate) err: Sink,
}

impl Console {
    pub(crate) fn new(out: Sink, err: Sink) -> Self {
        Self { out, redirected: None, paged: None, err }
    }

    /// The process's own standard output and standard error.
    pub(crate) fn standard() -> Self {
        let mut err = Sink::other(io::stderr());
        err.terminal = io::stderr().is_terminal();
        err.colour = err.terminal && wants_colour();
        Self::new(Sink::standard_output(), err)
    }

    /// Where results go now.
    pub(crate) fn results(&mut self) -> &mut Sink {
        match (&mut self.redirected, &mut self.paged) {
            (Some(redirected), _) => redirected,
            (None, Some(paged)) => paged,
            (None, None) => &mut self.out,
        }
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
