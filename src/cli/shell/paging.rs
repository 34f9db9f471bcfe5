//! When a pager shows what is written.

use std::io::{self, Write};

use super::pager::{self, Paged};
use super::sink::Sink;
use super::view::PagerUse;
use super::{Shell, Stop};

impl Shell {
    /// Collects what is written from now on until the screen is full. Returns whether it does.
    pub(super) fn begin_paging(&mut self) -> bool {
        let (Some(screen), true) = (self.screen, self.interactive && self.console.results().terminal) else {
            return false;
        };
        if self.view.pager == PagerUse::Off {
            return false;
        }
        let Some(command) = pager::command() else { return false };
        let mut paged = Sink::target(Paged::new(command, screen, self.view.pager == PagerUse::Always));
        paged.terminal = true;
        paged.colour = self.console.out.colour;
        self.console.paged = Some(paged);
        true
    }

    /// Shows what was collected, and waits until the person leaves the pager.
    pub(super) fn end_paging(&mut self) -> io::Result<()> {
        match self.console.paged.take().map_or(Ok(()), Sink::close) {
            Err(error) if is_left(&error) => Ok(()),
            closed => closed,
        }
    }

    /// Shows a text to the person, in a pager where it is higher than the screen.
    pub(super) fn show_text(&mut self, text: &str) -> Result<(), Stop> {
        if self.console.redirected.is_some() || !self.begin_paging() {
            return self.say(text);
        }
        // A pager that is left early has shown enough.
        let _ = writeln!(self.console.results(), "{text}");
        self.end_paging().map_err(|error| self.cannot_write(&error))
    }
}

/// Whether whoever read the output has left.
pub(super) fn is_left(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}
