//! How many connections of bounded reads may be open at once, over all queries of a catalog.
//!
//! A read that cannot hand its rows on keeps no place that others may need ([`Permits::are_all_taken`]): however small the limit
//! is, two sides of a join do not wait for each other.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The permits of a catalog.
#[derive(Debug)]
pub(crate) struct Permits {
    free: Mutex<usize>,
    changed: Condvar,
}

/// A permit for a connection. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Permits>);

impl Permits {
    /// So many permits.
    pub(crate) fn of(count: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::new(count), changed: Condvar::new() })
    }

    /// A permit, if one is free.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Permit> {
        let mut free = self.lock();
        *free = free.checked_sub(1)?;
        Some(Permit(Arc::clone(self)))
    }

    /// Waits until a permit may be free, by then at the latest.
    pub(crate) fn wait(&self, until: Instant) {
        let free = self.lock();
        let left = until.saturating_duration_since(Instant::now());
        if *free == 0 && !left.is_zero() {
            // Somebody else may be faster: who waits looks again.
            drop(self.changed.wait_timeout(free, left));
        }
    }

    /// Lets one who waits look again: a connection that waits for the next read can be closed for its place.
    pub(crate) fn look_again(&self) {
        self.changed.notify_one();
    }

    /// Whether the next one would have to wait.
    pub(crate) fn are_all_taken(&self) -> bool {
        self.free() == 0
    }

    /// How many are free.
    pub(crate) fn free(&self) -> usize {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        // A number is whole whatever happened to who held it.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.lock() += 1;
        self.0.look_again();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

    use std::time::Duration;

    use super::*;

    #[test]
    fn permits_are_free_again_when_they_are_left() {
        let permits = Permits::of(2);
        let (first, _second) = (permits.take().unwrap(), permits.take().unwrap());
        assert!(permits.take().is_none() && permits.are_all_taken());
        let waiting = std::thread::spawn({
            let permits = Arc::clone(&permits);
            move || {
                let until = Instant::now() + Duration::from_secs(60);
                loop {
                    match permits.take() {
                        Some(place) => return place,
                        None => permits.wait(until),
                    }
                }
            }
        });
        drop(first);
        let place = waiting.join().unwrap();
        assert!(permits.are_all_taken());
        drop(place);
        assert!(!permits.are_all_taken());
    }

    #[test]
    fn nobody_waits_longer_than_is_said() {
        let permits = Permits::of(0);
        let started = Instant::now();
        permits.wait(started + Duration::from_millis(30));
        assert!(started.elapsed() >= Duration::from_millis(25) && permits.take().is_none());
        permits.wait(started);
    }
}
