//! Clients that wait for the next one who needs one, because starting one costs more than a small read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The most clients of one kind that wait, where each has threads.
const MAX_IDLE: usize = 4;

/// How long a client waits at most.
const MAX_IDLE_TIME: Duration = Duration::from_secs(60);

/// Clients of one kind. Those that have waited for long are closed by a thread, whether or not somebody asks for another.
pub(crate) struct Idle<T> {
    waiting: Arc<Mutex<Waiting<T>>>,
    time: Duration,
    /// The most that wait.
    most: usize,
}

struct Waiting<T> {
    /// The one that has waited longest comes first.
    clients: Vec<(Instant, T)>,
    /// Whether the thread runs.
    watched: bool,
}

impl<T: Send + 'static> Default for Idle<T> {
    fn default() -> Self {
        Self::of(MAX_IDLE)
    }
}

impl<T: Send + 'static> Idle<T> {
    /// Lets so many wait.
    pub(crate) fn of(most: usize) -> Self {
        Self { most, ..Self::for_at_most(MAX_IDLE_TIME) }
    }

    fn for_at_most(time: Duration) -> Self {
        let waiting = Arc::new(Mutex::new(Waiting { clients: Vec::new(), watched: false }));
        Self { waiting, time, most: MAX_IDLE }
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        lock(&self.waiting).clients.len()
    }

    /// The client that has waited shortest.
    pub(crate) fn take(&self) -> Option<T> {
        self.take_where(|_| true)
    }

    /// Of those that are wanted, the one that has waited shortest.
    pub(crate) fn take_where(&self, is_wanted: impl Fn(&T) -> bool) -> Option<T> {
        let (since, client) = {
            let mut waiting = lock(&self.waiting);
            let place = waiting.clients.iter().rposition(|(_, client)| is_wanted(client))?;
            waiting.clients.remove(place)
        };
        // Closing takes a while, so it is not done under the lock.
        (since.elapsed() < self.time).then_some(client)
    }

    /// Lets a client wait; closes it where enough do.
    pub(crate) fn put(&self, client: T) {
        let mut waiting = lock(&self.waiting);
        if waiting.clients.len() >= self.most {
            drop(waiting);
            drop(client);
            return;
        }
        waiting.clients.push((Instant::now(), client));
        if !waiting.watched {
            let (pool, time) = (Arc::downgrade(&self.waiting), self.time);
            let thread = std::thread::Builder::new().name("kafka idle".to_owned());
            // Without a thread, clients wait until somebody takes them.
            waiting.watched = thread.spawn(move || watch(&pool, time)).is_ok();
        }
    }
}

/// Closes clients when their time is over, until none waits or nobody asks for any more.
fn watch<T>(pool: &Weak<Mutex<Waiting<T>>>, time: Duration) {
    let mut next = time;
    loop {
        std::thread::sleep(next);
        let Some(pool) = pool.upgrade() else { return };
        let mut waiting = lock(&pool);
        let old: Vec<(Instant, T)> = waiting.clients.extract_if(.., |(since, _)| since.elapsed() >= time).collect();
        let oldest = waiting.clients.first().map(|(since, _)| time.saturating_sub(since.elapsed()));
        waiting.watched = oldest.is_some();
        drop(waiting);
        drop(old);
        match oldest {
            Some(left) => next = left,
            None => return,
        }
    }
}

fn lock<T>(waiting: &Mutex<Waiting<T>>) -> MutexGuard<'_, Waiting<T>> {
    // A poisoned lock means that another thread panicked; the list itself is still whole.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Client(Arc<AtomicUsize>);

    impl Drop for Client {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn clients_that_nobody_takes_are_closed() {
        let closed = Arc::new(AtomicUsize::new(0));
        let idle = Idle::for_at_most(Duration::from_millis(50));
        for round in 1..=2 {
            idle.put(Client(Arc::clone(&closed)));
            let begun = Instant::now();
            while closed.load(Ordering::SeqCst) < round {
                assert!(begun.elapsed() < Duration::from_secs(30), "the client still waits");
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(begun.elapsed() >= Duration::from_millis(50));
        }
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let closed = Arc::new(AtomicUsize::new(0));
        let idle = Idle::for_at_most(Duration::from_secs(600));
        for _ in 0..MAX_IDLE + 2 {
            idle.put(Client(Arc::clone(&closed)));
        }
        assert_eq!(closed.load(Ordering::SeqCst), 2);
        let taken: Vec<Client> = std::iter::from_fn(|| idle.take()).collect();
        assert_eq!(taken.len(), MAX_IDLE);
        assert_eq!(closed.load(Ordering::SeqCst), 2);
    }
}
