//! The memory of one query.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{Result, human_readable_size, resources_datafusion_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// A view of the memory that all queries share: it counts what one query has, and holds it to the query's own limit.
#[derive(Debug)]
pub(crate) struct QueryMemory {
    shared: Arc<dyn MemoryPool>,
    /// The most bytes that the query may have; `usize::MAX` is no limit of its own.
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
}

impl QueryMemory {
    /// The memory of a new query, which may have so many bytes.
    pub(crate) fn new(shared: Arc<dyn MemoryPool>, limit: usize) -> Self {
        Self { shared, limit, used: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }

    /// Bytes that the query has now.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The most bytes that the query had at one time.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    fn took(&self, bytes: usize) {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.peak.fetch_max(used, Ordering::Relaxed);
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.shared.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.shared.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.shared.grow(reservation, additional);
        self.took(additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.shared.shrink(reservation, shrink);
        // The shared pool holds each reservation to what it has, so this never falls below zero.
        self.used.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let used = self.used();
        if used.saturating_add(additional) > self.limit {
            return Err(resources_datafusion_err!(
                "{} needs {} more, beside the {} that the query has; query_max_memory is {}",
                reservation.consumer().name(),
                human_readable_size(additional),
                human_readable_size(used),
                human_readable_size(self.limit)
            ));
        }
        self.shared.try_grow(reservation, additional)?;
        self.took(additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.shared.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        match self.shared.memory_limit() {
            MemoryLimit::Finite(limit) => MemoryLimit::Finite(limit.min(self.limit)),
            other => other,
        }
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", human_readable_size(self.used()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::HeadroomPool;

    #[test]
    fn a_query_has_its_own_count_and_limit_and_all_share_one_pool() {
        let shared: Arc<dyn MemoryPool> = Arc::new(HeadroomPool::new(1000));
        let first = Arc::new(QueryMemory::new(Arc::clone(&shared), 100));
        let second = Arc::new(QueryMemory::new(Arc::clone(&shared), usize::MAX));
        let pool_of = |memory: &Arc<QueryMemory>| -> Arc<dyn MemoryPool> { Arc::clone(memory) as _ };
        let join = MemoryConsumer::new("join").register(&pool_of(&first));
        let other = MemoryConsumer::new("other").register(&pool_of(&second));
        join.try_grow(80).unwrap();
        other.try_grow(900).unwrap();
        let error = join.try_grow(21).unwrap_err().strip_backtrace();
        assert!(error.contains("query_max_memory is 100.0 B"), "{error}");
        assert!(join.try_grow(20).is_ok());
        assert!(other.try_grow(1).is_err(), "nothing is left of what all share");
        assert_eq!((first.used(), second.used(), shared.reserved()), (100, 900, 1000));
        drop(join);
        assert_eq!((first.used(), first.peak(), shared.reserved()), (0, 100, 900));
    }
}
