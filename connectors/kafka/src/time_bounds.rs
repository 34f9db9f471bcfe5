//! Bounds of the times of messages, and what they say of offsets.

use serde::{Deserialize, Serialize};

use crate::range::Ranges;
use crate::rules::{NO_UPPER_BOUND, NOT_APPENDED, NOT_TOLD};

/// Milliseconds since 1970 between which a time must lie, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    pub(crate) lower: Option<i64>,
    pub(crate) upper: Option<i64>,
}

/// The answers that a partition's time index gave.
pub(crate) trait TimeIndex {
    /// The first offset whose message is not older than `millis`; an offset past the end if there is none. `None` if
    /// the index was not asked.
    fn first_at(&self, partition: i32, millis: i64) -> Option<i64>;

    /// The partition of a key; `None` if it is not known.
    fn partition_of(&self, _key: &[u8]) -> Option<i32> {
        None
    }
}

/// What is promised of the order of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TimeOrder {
    /// By how many milliseconds a message may be older than an earlier one; `None` if nothing is promised.
    pub(crate) slack: Option<i64>,
    /// Why what is promised is not believed.
    pub(crate) doubt: Option<Doubt>,
}

/// Why it is not believed that brokers stamp the messages of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Doubt {
    /// They say that they do not.
    OtherTimes,
    /// They do not tell.
    NotTold,
}

impl TimeOrder {
    /// The order of messages whose times have this slack, as far as it is promised.
    pub(crate) fn of(slack: Option<i64>) -> Self {
        Self { slack, doubt: None }
    }

    /// Why an upper bound skips nothing.
    pub(crate) fn no_upper_bound(self) -> &'static str {
        match self.doubt {
            None => NO_UPPER_BOUND,
            Some(Doubt::OtherTimes) => NOT_APPENDED,
            Some(Doubt::NotTold) => NOT_TOLD,
        }
    }
}

impl Bounds {
    pub(crate) fn from(lower: i64) -> Self {
        Self { lower: Some(lower), upper: None }
    }

    pub(crate) fn to(upper: i64) -> Self {
        Self { lower: None, upper: Some(upper) }
    }

    /// The bounds of messages that come so many milliseconds after such a time at most.
    pub(crate) fn later_by(self, lateness: i64) -> Self {
        Self { upper: self.upper.map(|upper| upper.saturating_add(lateness)), ..self }
    }

    pub(crate) fn narrows(self, order: TimeOrder) -> bool {
        self.lower.is_some() || self.after_upper(order).is_some()
    }

    /// A time such that from the first message of that time on, all are after the upper bound.
    pub(crate) fn after_upper(self, order: TimeOrder) -> Option<i64> {
        self.upper?.checked_add(order.slack?)?.checked_add(1)
    }

    pub(crate) fn offsets(self, partition: i32, order: TimeOrder, index: &dyn TimeIndex) -> Ranges {
        let mut ranges = Ranges::all();
        if let Some(first) = self.lower.and_then(|lower| index.first_at(partition, lower)) {
            ranges = ranges.intersect(&Ranges::from(first.into()));
        }
        if let Some(end) = self.after_upper(order).and_then(|after| index.first_at(partition, after)) {
            ranges = ranges.intersect(&Ranges::until(end.into()));
        }
        ranges
    }
}
