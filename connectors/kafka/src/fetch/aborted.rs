//! Messages of transactions that were aborted: the log has them, and readers of what is committed leave them out.
//!
//! Brokers say which producers' transactions were aborted, and from which offset on (KIP-98); a mark in the log ends each.

use std::collections::{BTreeSet, VecDeque};

use super::batch::Batch;

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aborted {
    pub(super) producer: i64,
    /// The offset of its first message.
    pub(super) first_offset: i64,
}

/// Those of one answer.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    /// Those that begin later, by offset.
    later: VecDeque<Aborted>,
    /// Producers whose transaction has begun and not ended.
    open: BTreeSet<i64>,
}

impl Transactions {
    /// What an answer says, in any order.
    pub(super) fn new(mut aborted: Vec<Aborted>) -> Self {
        aborted.sort_unstable_by_key(|aborted| aborted.first_offset);
        Self { later: aborted.into(), open: BTreeSet::new() }
    }

    /// Whether a batch, asked for in order, is left out. `is_abort` tells whether it is the mark of an aborted transaction.
    pub(super) fn leave_out(&mut self, batch: &Batch, is_abort: bool) -> bool {
        while let Some(aborted) = self.later.pop_front_if(|aborted| aborted.first_offset < batch.next_offset) {
            self.open.insert(aborted.producer);
        }
        let Some(producer) = batch.transaction_of else { return batch.is_control };
        if is_abort {
            self.open.remove(&producer);
        }
        batch.is_control || self.open.contains(&producer)
    }
}
