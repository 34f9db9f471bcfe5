//! How long the steps of planning take. `--log portolan::planner=debug` tells them.

use std::time::Instant;

/// Tells after each step how long it took.
#[derive(Debug)]
pub(super) struct Stopwatch {
    since: Instant,
}

impl Stopwatch {
    /// Starts the first step.
    pub(super) fn start() -> Self {
        Self { since: Instant::now() }
    }

    /// Ends a step, and starts the next one.
    pub(super) fn lap(&mut self, step: &str) {
        let now = Instant::now();
        let micros = u64::try_from(now.duration_since(self.since).as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(step, micros, "planned");
        self.since = now;
    }
}
