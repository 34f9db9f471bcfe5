//! The memory that all queries share.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion::common::{Result, human_readable_size, resources_datafusion_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// The part of the memory that operators which can spill leave alone: one in so many.
const HEADROOM_PART: usize = 5;

/// A limit that is shared by two kinds of operators. Those that can spill get equal parts, of what the others leave and
/// without the headroom; those that cannot get what is there.
///
/// DataFusion's `FairSpillPool` knows no headroom: a sort may take all there is, and the merge that is to empty it then
/// finds nothing to work with and fails the query.
#[derive(Debug)]
pub(crate) struct HeadroomPool {
    limit: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    /// Operators that can spill.
    spillers: usize,
    /// What they hold, in bytes.
    spillable: usize,
    /// What the others hold, in bytes.
    unspillable: usize,
}

impl HeadroomPool {
    /// A pool of so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, used: Mutex::default() }
    }

    /// Numbers stay meaningful whatever another thread did.
    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn headroom(&self) -> usize {
        self.limit / HEADROOM_PART
    }
}

impl Used {
    fn of(&mut self, consumer: &MemoryConsumer) -> &mut usize {
        if consumer.can_spill() { &mut self.spillable } else { &mut self.unspillable }
    }
}

impl MemoryPool for HeadroomPool {
    fn name(&self) -> &str {
        "headroom"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.used().spillers += 1;
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            let mut used = self.used();
            used.spillers = used.spillers.saturating_sub(1);
        }
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        let mut used = self.used();
        let held = used.of(reservation.consumer());
        *held = held.saturating_add(additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        let mut used = self.used();
        let held = used.of(reservation.consumer());
        *held = held.saturating_sub(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut used = self.used();
        let consumer = reservation.consumer();
        let free = self.limit.saturating_sub(used.spillable).saturating_sub(used.unspillable);
        let available = if consumer.can_spill() {
            let for_spillers = self.limit.saturating_sub(used.unspillable).saturating_sub(self.headroom());
            (for_spillers / used.spillers.max(1)).saturating_sub(reservation.size())
        } else {
            free
        };
        if additional > available {
            return Err(resources_datafusion_err!(
                "{} needs {} more, beside the {} that it has; {} of {} are left for it",
                consumer.name(),
                human_readable_size(additional),
                human_readable_size(reservation.size()),
                human_readable_size(available),
                human_readable_size(self.limit)
            ));
        }
        let held = used.of(consumer);
        *held = held.saturating_add(additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        let used = self.used();
        used.spillable.saturating_add(used.unspillable)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

impl fmt::Display for HeadroomPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", human_readable_size(self.limit))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_merge_finds_memory_beside_a_sort_that_took_all_it_could() {
        let pool: Arc<dyn MemoryPool> = Arc::new(HeadroomPool::new(100));
        let spiller = |name: &str| MemoryConsumer::new(name).with_can_spill(true).register(&pool);
        let merge = MemoryConsumer::new("merge").register(&pool);
        merge.try_grow(20).unwrap();
        let sort = spiller("sort");
        sort.try_grow(60).unwrap();
        assert!(sort.try_grow(1).is_err(), "100 without the 20 of the merge and the 20 of headroom");
        merge.try_grow(20).unwrap();
        let error = merge.try_grow(1).unwrap_err().strip_backtrace();
        assert!(error.contains("merge needs 1.0 B more, beside the 40.0 B that it has; 0.0 B of 100.0 B"), "{error}");
        assert_eq!(pool.reserved(), 100);

        // Two that can spill share what is left.
        drop(merge);
        sort.free();
        let other = spiller("other");
        sort.try_grow(40).unwrap();
        assert!(sort.try_grow(1).is_err());
        other.try_grow(40).unwrap();
        drop(other);
        sort.try_grow(40).unwrap();
        drop(sort);
        assert_eq!(pool.reserved(), 0);
    }
}
