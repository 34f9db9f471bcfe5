//! What a conjunct says of partitions, offsets and times.
//!
//! A conjunct becomes a tree. Each node knows, for a partition, two sets of offsets: those where it may be true and
//! those where it may be false (where it is NULL it is neither). AND intersects the first and unites the second, OR
//! the other way round, NOT swaps them. Leaves over partitions and offsets know both sets exactly; a leaf over time
//! knows a larger set than the true one; a leaf over anything else says "anywhere". So the set of the root never lacks
//! an offset whose message matches, and it is exact where all leaves are.

mod constant;
mod reader;

use datafusion::logical_expr::Expr;
use portolan_connector::{Capabilities, Column, Reason, Verdict};

use crate::range::Ranges;
use crate::rules::NO_CONTENT;
use crate::time_bounds::{Bounds, TimeIndex, TimeOrder};
use reader::Reader;

pub(crate) use constant::bytes_of;

/// The most constants that one conjunct may compare with.
const MAX_CONSTANTS: usize = 10_000;

/// A conjunct, as far as Kafka is concerned.
#[derive(Clone, Debug)]
pub(crate) enum Predicate {
    /// The same for all messages; `None` is NULL.
    Constant(Option<bool>),
    /// Depends on the partition's number alone.
    Partition(Outcome),
    /// Depends on the offset alone.
    Offset(Outcome),
    /// Is true of these keys alone, or of fewer.
    Keys(Vec<Vec<u8>>),
    /// Depends on the time alone, and bounds it.
    Time { when_true: Bounds, when_false: Bounds },
    /// Says nothing that Kafka can use.
    Unknown(Reason),
    /// All of these.
    And(Vec<Predicate>),
    /// Any of these.
    Or(Vec<Predicate>),
    /// Not this.
    Not(Box<Predicate>),
}

/// For which numbers a comparison is true and for which it is false.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    yes: Ranges,
    no: Ranges,
}

impl Predicate {
    /// Reads a conjunct over these columns. `lateness` is how many milliseconds a message comes after its event time at most.
    pub(crate) fn new(conjunct: &Expr, columns: &[Column], rules: &Capabilities, lateness: Option<i64>) -> Self {
        let mut reader = Reader::new(columns, rules, lateness);
        let predicate = reader.read(conjunct);
        if reader.constants > MAX_CONSTANTS {
            return Self::Unknown(format!("it compares with more than {MAX_CONSTANTS} constants").into());
        }
        predicate
    }

    /// What Kafka does with the conjunct.
    pub(crate) fn verdict(&self, order: TimeOrder) -> Verdict {
        if self.is_exact() {
            return Verdict::Exact;
        }
        if self.narrows(order).0 {
            return Verdict::Pruning;
        }
        Verdict::Refused(self.reason(order).unwrap_or_else(|| Reason::from(NO_CONTENT)))
    }

    /// Whether it depends on nothing but partition and offset.
    pub(crate) fn is_exact(&self) -> bool {
        match self {
            Self::Constant(_) | Self::Partition(_) | Self::Offset(_) => true,
            Self::Keys(_) | Self::Time { .. } | Self::Unknown(_) => false,
            Self::And(parts) | Self::Or(parts) => parts.iter().all(Self::is_exact),
            Self::Not(part) => part.is_exact(),
        }
    }

    /// Whether the sets where it may be true, and false, can be smaller than everything.
    fn narrows(&self, order: TimeOrder) -> (bool, bool) {
        match self {
            Self::Constant(_) | Self::Partition(_) | Self::Offset(_) => (true, true),
            Self::Time { when_true, when_false } => (when_true.narrows(order), when_false.narrows(order)),
            Self::Keys(_) => (true, false),
            Self::Unknown(_) => (false, false),
            Self::And(parts) => {
                let parts = parts.iter().map(|part| part.narrows(order));
                parts.fold((false, true), |(yes, no), part| (yes || part.0, no && part.1))
            }
            Self::Or(parts) => {
                let parts = parts.iter().map(|part| part.narrows(order));
                parts.fold((true, false), |(yes, no), part| (yes && part.0, no || part.1))
            }
            Self::Not(part) => {
                let (yes, no) = part.narrows(order);
                (no, yes)
            }
        }
    }

    /// The first reason why it is not exact.
    fn reason(&self, order: TimeOrder) -> Option<Reason> {
        match self {
            Self::Unknown(reason) => Some(reason.clone()),
            Self::Time { .. } => Some(order.no_upper_bound().into()),
            Self::And(parts) | Self::Or(parts) => parts.iter().find_map(|part| part.reason(order)),
            Self::Not(part) => part.reason(order),
            // What is not such a key may be anywhere.
            Self::Keys(_) => Some(NO_CONTENT.into()),
            Self::Constant(_) | Self::Partition(_) | Self::Offset(_) => None,
        }
    }

    /// Adds the times that have to be looked up to evaluate it.
    pub(crate) fn times(&self, order: TimeOrder, times: &mut Vec<i64>) {
        match self {
            Self::Time { when_true, when_false } => {
                for bounds in [when_true, when_false] {
                    times.extend(bounds.lower);
                    times.extend(bounds.after_upper(order));
                }
            }
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.times(order, times)),
            Self::Not(part) => part.times(order, times),
            Self::Constant(_) | Self::Partition(_) | Self::Offset(_) | Self::Keys(_) | Self::Unknown(_) => {}
        }
    }

    /// The offsets of a partition whose messages may match; exactly those that match where the verdict is exact.
    pub(crate) fn offsets(&self, partition: i32, order: TimeOrder, index: &dyn TimeIndex) -> Ranges {
        self.evaluate(partition, order, index).yes
    }

    fn evaluate(&self, partition: i32, order: TimeOrder, index: &dyn TimeIndex) -> Outcome {
        match self {
            Self::Constant(Some(value)) => Outcome::constant(*value),
            Self::Constant(None) => Outcome { yes: Ranges::none(), no: Ranges::none() },
            Self::Partition(outcome) => {
                let everywhere = |here: bool| if here { Ranges::all() } else { Ranges::none() };
                let number = i128::from(partition);
                Outcome { yes: everywhere(outcome.yes.contains(number)), no: everywhere(outcome.no.contains(number)) }
            }
            Self::Offset(outcome) => outcome.clone(),
            Self::Time { when_true, when_false } => Outcome {
                yes: when_true.offsets(partition, order, index),
                no: when_false.offsets(partition, order, index),
            },
            Self::Keys(keys) => {
                let may_be_here = |key: &Vec<u8>| index.partition_of(key).is_none_or(|of_key| of_key == partition);
                let yes = if keys.iter().any(may_be_here) { Ranges::all() } else { Ranges::none() };
                Outcome { yes, no: Ranges::all() }
            }
            Self::Unknown(_) => Outcome { yes: Ranges::all(), no: Ranges::all() },
            Self::And(parts) => {
                let parts = parts.iter().map(|part| part.evaluate(partition, order, index));
                parts.fold(Outcome::constant(true), |sum, part| Outcome {
                    yes: sum.yes.intersect(&part.yes),
                    no: sum.no.union(&part.no),
                })
            }
            Self::Or(parts) => {
                let parts = parts.iter().map(|part| part.evaluate(partition, order, index));
                parts.fold(Outcome::constant(false), |sum, part| Outcome {
                    yes: sum.yes.union(&part.yes),
                    no: sum.no.intersect(&part.no),
                })
            }
            Self::Not(part) => {
                let Outcome { yes, no } = part.evaluate(partition, order, index);
                Outcome { yes: no, no: yes }
            }
        }
    }
}

impl Outcome {
    fn constant(value: bool) -> Self {
        let (yes, no) = if value { (Ranges::all(), Ranges::none()) } else { (Ranges::none(), Ranges::all()) };
        Self { yes, no }
    }

    /// Of a comparison that is never NULL.
    fn total(yes: Ranges) -> Self {
        Self { no: yes.complement(), yes }
    }

    /// Of a comparison with NULL.
    fn null() -> Self {
        Self { yes: Ranges::none(), no: Ranges::none() }
    }

    fn both(self, other: &Self) -> Self {
        Self { yes: self.yes.intersect(&other.yes), no: self.no.union(&other.no) }
    }

    fn negated(self, negated: bool) -> Self {
        if negated { Self { yes: self.no, no: self.yes } } else { self }
    }
}
