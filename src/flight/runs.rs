//! Runs of which something must be remembered although the server keeps nothing for them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Runs that are remembered. More than clients have between a ticket and its rows.
const RUNS_MAX: usize = 10_000;

/// The last runs of which one thing is true.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<VecDeque<String>>);

impl Runs {
    /// Remembers a run. Returns whether it is new.
    pub(super) fn add(&self, run: &str) -> bool {
        let mut runs = self.runs();
        if runs.iter().any(|known| known == run) {
            return false;
        }
        if runs.len() >= RUNS_MAX {
            runs.pop_front();
        }
        runs.push_back(run.to_owned());
        true
    }

    /// Whether a run is remembered.
    pub(super) fn has(&self, run: &str) -> bool {
        !run.is_empty() && self.runs().iter().any(|known| known == run)
    }

    fn runs(&self) -> MutexGuard<'_, VecDeque<String>> {
        // A poisoned lock means that another thread panicked; the list itself is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
