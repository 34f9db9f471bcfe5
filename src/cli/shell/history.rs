//! What the person has typed, in this session and in earlier ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The inputs, oldest first. Whoever reads them from the person adds to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Arc<Mutex<Vec<String>>>);

impl History {
    pub(crate) fn add(&self, input: &str) {
        self.inputs().push(input.to_owned());
    }

    /// All inputs, a line break behind each.
    pub(crate) fn text(&self) -> String {
        self.inputs().iter().map(|input| format!("{input}\n")).collect()
    }

    fn inputs(&self) -> MutexGuard<'_, Vec<String>> {
        // A poisoned lock means that another thread panicked; the inputs themselves are still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
