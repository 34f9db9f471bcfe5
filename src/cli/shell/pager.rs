//! Shows what is higher or wider than the screen in a pager.

use std::io::{self, Write};
use std::path::Path;

use super::sink::{Pipe, Target};
use crate::cli::output::screen_width;

/// The pager when `$PAGER` names none, if it is installed: it passes colours on, does not fold lines, and ends by itself where
/// everything fits.
const PAGER: &str = "less";
const PAGER_COMMAND: &str = "less -SRXF";

/// Options for a `less` that `$PAGER` names, unless the person has set their own.
const LESS_OPTIONS: &str = "SRXF";

/// The size of the screen, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// The pager's command; `None` where there is none.
pub(super) fn command() -> Option<String> {
    match std::env::var("PAGER") {
        Ok(command) if !command.trim().is_empty() => Some(command),
        _ => is_installed(PAGER).then(|| PAGER_COMMAND.to_owned()),
    }
}

fn is_installed(program: &str) -> bool {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&directories).any(|directory| Path::new(&directory).join(program).is_file())
}

/// Output that waits until it is known whether the screen has room for it. It holds no more than a screen of it.
pub(super) struct Paged {
    command: String,
    screen: Screen,
    /// Whether the pager shows even what fits.
    always: bool,
    held: Vec<u8>,
    lines: usize,
    /// Where the line begins in `held` that is not ended yet.
    line_start: usize,
    pager: Option<Pipe>,
}

impl Paged {
    pub(super) fn new(command: String, screen: Screen, always: bool) -> Self {
        Self { command, screen, always, held: Vec::new(), lines: 0, line_start: 0, pager: None }
    }

    /// Looks at what was added since the last line began. Returns whether the screen has no room for it.
    fn overflows(&mut self) -> bool {
        while let Some(length) = self.rest().iter().position(|byte| *byte == b'\n') {
            let wide = self.is_wide(length);
            self.line_start += length + 1;
            self.lines += 1;
            // One line is for the prompt.
            if wide || self.lines >= self.screen.height {
                return true;
            }
        }
        self.is_wide(self.rest().len())
    }

    fn rest(&self) -> &[u8] {
        self.held.get(self.line_start..).unwrap_or_default()
    }

    /// Whether the first bytes of the line that begins are wider than the screen.
    fn is_wide(&self, length: usize) -> bool {
        let line = self.rest().get(..length).unwrap_or_default();
        length > self.screen.width && screen_width(&String::from_utf8_lossy(line)) > self.screen.width
    }

    fn open(&mut self) -> io::Result<()> {
        let environment: &[(&str, &str)] =
            if std::env::var_os("LESS").is_none() { &[("LESS", LESS_OPTIONS)] } else { &[] };
        let mut pager = Pipe::start(&self.command, environment)?;
        let written = pager.write_all(&std::mem::take(&mut self.held));
        self.pager = Some(pager);
        written
    }
}

impl Write for Paged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(pager) = &mut self.pager {
            return pager.write(bytes);
        }
        self.held.extend_from_slice(bytes);
        if self.overflows() {
            self.open()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pager.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Target for Paged {
    fn is_seen(&self) -> bool {
        self.pager.is_some()
    }

    fn close(&mut self) -> io::Result<()> {
        if self.always && self.pager.is_none() && !self.held.is_empty() {
            self.open()?;
        }
        if let Some(mut pager) = self.pager.take() {
            return pager.close();
        }
        let mut out = io::stdout().lock();
        out.write_all(&std::mem::take(&mut self.held))?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overflows(text: &str) -> bool {
        let mut paged = Paged::new(String::new(), Screen { width: 10, height: 3 }, false);
        paged.held.extend_from_slice(text.as_bytes());
        paged.overflows()
    }

    #[test]
    fn only_what_does_not_fit_needs_a_pager() {
        assert!(!overflows("one\ntwo\n"));
        assert!(overflows("one\ntwo\nthree\n"));
        assert!(!overflows("1234567890\n"));
        assert!(overflows("12345678901\n"));
        assert!(overflows("12345678901"));
        // Colours take no room, wide characters take two columns.
        assert!(!overflows("\u{1b}[2mNULL\u{1b}[0m 12345\n"));
        assert!(overflows("漢字漢字漢字\n"));
        assert!(!overflows("ééééé\n"));
    }

    #[test]
    fn a_command_gets_what_does_not_fit() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("shown");
        let mut paged = Paged::new(format!("cat > '{}'", file.display()), Screen { width: 10, height: 3 }, false);
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            paged.write_all(line.as_bytes()).unwrap();
        }
        paged.close().unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "one\ntwo\nthree\nfour\n");
    }
}
