//! Rows in memory, and what they count against the catalog's limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use portolan_connector::{ConnectorError, Result};

/// The most rows of a chunk: what the engine takes at a time.
pub(crate) const CHUNK_ROWS: usize = 8192;

/// The memory that a catalog's rows may have.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of so many bytes.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    fn take(&self, bytes: usize) -> Result<()> {
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|used| *used <= self.limit)
        });
        match taken {
            Ok(_) => Ok(()),
            Err(used) => Err(ConnectorError::resource_exhausted(format!(
                "the tables in memory have {used} of at most {} bytes, and {bytes} more are needed",
                self.limit
            ))
            .hint("drop tables that are no longer needed, or raise max_size in the catalog file")),
        }
    }
}

/// Some rows of a table. They count for as long as anybody holds them: a table that was dropped or replaced may still
/// be read by a query.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) rows: RecordBatch,
    /// Bytes of the rows.
    pub(crate) bytes: usize,
    budget: Arc<Budget>,
}

impl Chunk {
    /// Keeps rows, if there is room for them.
    pub(crate) fn new(rows: RecordBatch, budget: &Arc<Budget>) -> Result<Self> {
        let bytes = rows.get_array_memory_size();
        budget.take(bytes)?;
        Ok(Self { rows, bytes, budget: Arc::clone(budget) })
    }

    /// These rows and others behind them, if together they are no more than a chunk has, and there is room for both
    /// beside those that queries may still read.
    pub(crate) fn joined(&self, behind: &Self) -> Option<Self> {
        if self.rows.num_rows() + behind.rows.num_rows() > CHUNK_ROWS {
            return None;
        }
        let rows = concat_batches(&self.rows.schema(), [&self.rows, &behind.rows]).ok()?;
        Self::new(rows, &self.budget).ok()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn rows_count_until_nobody_has_them() {
        let rows = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![1; 100])) as ArrayRef)]).unwrap();
        let budget = Budget::new(rows.get_array_memory_size() * 3 / 2);
        let chunk = Arc::new(Chunk::new(rows.clone(), &budget).unwrap());
        let reader = Arc::clone(&chunk);
        drop(chunk);
        let error = Chunk::new(rows.clone(), &budget).unwrap_err().to_string();
        assert!(error.contains("raise max_size"), "{error}");
        drop(reader);
        assert!(Chunk::new(rows, &budget).is_ok());
    }
}
