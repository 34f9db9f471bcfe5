//! Runs that were cancelled before they began.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Runs that are remembered. More than clients have between a ticket and its rows.
const RUNS_MAX: usize = 10_000;

/// Runs whose client has given them up before it asked for the rows.
#[derive(Debug, Default)]
pub(super) struct Cancelled(Mutex<VecDeque<String>>);

impl Cancelled {
    /// Remembers a run.
    pub(super) fn add(&self, run: &str) {
        // A poisoned lock means that another thread panicked; the list itself is still whole.
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.len() >= RUNS_MAX {
            runs.pop_front();
        }
        runs.push_back(run.to_owned());
    }

    /// Whether a run was cancelled.
    pub(super) fn has(&self, run: &str) -> bool {
        !run.is_empty() && self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|known| known == run)
    }
}
