//! How many queries run at the same time, and who comes next.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool};
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// The part of the shared memory that may be taken while another query begins, in percent. Above it, queries wait for
/// one that runs to end, rather than all failing together.
const MEMORY_TAKEN_MAX_PERCENT: usize = 80;

/// Limits on queries that run at the same time.
#[derive(Clone, Copy, Debug)]
pub struct QueryLimits {
    /// Queries that run at the same time; others wait.
    pub running: usize,
    /// Queries of one user that run at the same time; others wait.
    pub running_per_user: usize,
    /// Queries that wait; above it they are refused.
    pub queued: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self { running: 64, running_per_user: 64, queued: 1000 }
    }
}

/// The queue before the queries that run: first come, first served, except that a user who has all that one user may
/// have does not hold up others.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: QueryLimits,
    memory: Arc<dyn MemoryPool>,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    running: usize,
    by_user: HashMap<Arc<str>, usize>,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    user: Arc<str>,
    called: oneshot::Sender<Slot>,
}

/// A query's place among those that run, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    admission: Arc<Admission>,
    user: Arc<str>,
}

impl Admission {
    pub(crate) fn new(limits: QueryLimits, memory: Arc<dyn MemoryPool>) -> Arc<Self> {
        Arc::new(Self { limits, memory, line: Mutex::default() })
    }

    /// Waits for a place.
    pub(crate) async fn enter(self: &Arc<Self>, user: &Arc<str>) -> Result<Slot> {
        let called = {
            let mut line = self.line();
            line.waiting.retain(|waiter| !waiter.called.is_closed());
            // Nobody passes those who wait, unless they wait for a place that this user does not need.
            let must_wait = line.waiting.iter().any(|waiter| self.is_free(&line, &waiter.user));
            if !must_wait && self.is_free(&line, user) {
                return Ok(self.take(&mut line, user));
            }
            if line.waiting.len() >= self.limits.queued {
                return Err(Error::resource_exhausted(format!("{} queries wait already", self.limits.queued))
                    .hint("try again later, or raise --max-queued-queries"));
            }
            let (call, called) = oneshot::channel();
            line.waiting.push_back(Waiter { user: Arc::clone(user), called: call });
            called
        };
        called.await.map_err(|_| Error::internal("the queue of queries was closed"))
    }

    /// Queries that run, and queries that wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let line = self.line();
        (line.running, line.waiting.iter().filter(|waiter| !waiter.called.is_closed()).count())
    }

    fn is_free(&self, line: &Line, user: &Arc<str>) -> bool {
        line.running < self.limits.running
            && line.by_user.get(user).copied().unwrap_or(0) < self.limits.running_per_user
            && (line.running == 0 || !self.memory_is_short())
    }

    fn memory_is_short(&self) -> bool {
        match self.memory.memory_limit() {
            MemoryLimit::Finite(limit) => self.memory.reserved() > limit / 100 * MEMORY_TAKEN_MAX_PERCENT,
            _ => false,
        }
    }

    fn take(self: &Arc<Self>, line: &mut Line, user: &Arc<str>) -> Slot {
        line.running += 1;
        *line.by_user.entry(Arc::clone(user)).or_default() += 1;
        Slot { admission: Arc::clone(self), user: Arc::clone(user) }
    }

    fn leave(self: &Arc<Self>, user: &Arc<str>) {
        let mut line = self.line();
        line.running = line.running.saturating_sub(1);
        if let Some(count) = line.by_user.get_mut(user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                line.by_user.remove(user);
            }
        }
        // Places that nobody came for are given back after the lock, since giving back takes it.
        let mut declined = Vec::new();
        while let Some(next) = line.waiting.iter().position(|waiter| self.is_free(&line, &waiter.user)) {
            let Some(waiter) = line.waiting.remove(next) else { break };
            if waiter.called.is_closed() {
                continue;
            }
            let slot = self.take(&mut line, &waiter.user);
            declined.extend(waiter.called.send(slot).err());
        }
        drop(line);
        drop(declined);
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // A poisoned lock means that another thread panicked; the counts themselves are still whole.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        Arc::clone(&self.admission).leave(&self.user);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::query::HeadroomPool;
    use datafusion::execution::memory_pool::MemoryConsumer;

    fn admission(limits: QueryLimits) -> (Arc<Admission>, Arc<dyn MemoryPool>) {
        let memory: Arc<dyn MemoryPool> = Arc::new(HeadroomPool::new(1000));
        (Admission::new(limits, Arc::clone(&memory)), memory)
    }

    #[tokio::test]
    async fn queries_wait_their_turn_and_one_user_does_not_hold_up_others() {
        let (admission, _) = admission(QueryLimits { running: 3, running_per_user: 2, queued: 2 });
        let (ann, bob): (Arc<str>, Arc<str>) = ("ann".into(), "bob".into());
        let first = admission.enter(&ann).await.unwrap();
        let _second = admission.enter(&ann).await.unwrap();
        let mut third = Box::pin(admission.enter(&ann));
        assert!(third.as_mut().now_or_never().is_none(), "two of ann's run already");
        let bobs = admission.enter(&bob).await.unwrap();
        let mut fourth = Box::pin(admission.enter(&bob));
        assert!(fourth.as_mut().now_or_never().is_none(), "three run already");
        let refused = admission.enter(&bob).await.unwrap_err();
        assert!(refused.to_string().contains("2 queries wait already"), "{refused}");
        drop(first);
        let third = third.await.unwrap();
        assert!(fourth.as_mut().now_or_never().is_none());
        drop(third);
        let fourth = fourth.await.unwrap();
        assert_eq!(admission.counts(), (3, 0));
        drop((bobs, fourth));
        assert_eq!(admission.counts(), (1, 0));
    }

    #[tokio::test]
    async fn who_stops_waiting_takes_no_place() {
        let (admission, _) = admission(QueryLimits { running: 1, running_per_user: 1, queued: 10 });
        let user: Arc<str> = "ann".into();
        let slot = admission.enter(&user).await.unwrap();
        let mut gone = Box::pin(admission.enter(&user));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        let mut next = Box::pin(admission.enter(&user));
        assert!(next.as_mut().now_or_never().is_none());
        drop(slot);
        drop(next.await.unwrap());
        assert_eq!(admission.counts(), (0, 0));
    }

    #[tokio::test]
    async fn queries_wait_while_memory_is_short_unless_none_runs() {
        let (admission, memory) = admission(QueryLimits::default());
        let user: Arc<str> = "ann".into();
        let taken = MemoryConsumer::new("test").register(&memory);
        taken.try_grow(900).unwrap();
        let slot = admission.enter(&user).await.unwrap();
        let mut next = Box::pin(admission.enter(&user));
        assert!(next.as_mut().now_or_never().is_none());
        drop(slot);
        assert!(next.await.is_ok());
    }
}
