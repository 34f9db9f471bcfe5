//! What a conjunct says of partitions, offsets and times.
//!
//! A conjunct becomes a tree. Each node knows, for a partition, two sets of offsets: those where it may be true and
//! those where it may be false (where it is NULL it is neither). AND intersects the first and unites the second, OR
//! the other way round, NOT swaps them. Leaves over partitions and offsets know both sets exactly; a leaf over time
//! knows a larger set than the true one; a leaf over anything else says "anywhere". So the set of the root never lacks
//! an offset whose message matches, and it is exact where all leaves are.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use portolan_connector::{Capabilities, Column, Domain, Operation, Reason, Verdict};
use serde::{Deserialize, Serialize};

use crate::instant::millis_around;
use crate::range::Ranges;
use crate::rules::{
    BY_KEY, EVENT_TIME, NO_CONTENT, NO_UPPER_BOUND, NOT_APPENDED, NOT_TOLD, OFFSET, PARTITION, TIMESTAMP,
};

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
    fn no_upper_bound(self) -> &'static str {
        match self.doubt {
            None => NO_UPPER_BOUND,
            Some(Doubt::OtherTimes) => NOT_APPENDED,
            Some(Doubt::NotTold) => NOT_TOLD,
        }
    }
}

impl Predicate {
    /// Reads a conjunct over these columns. `lateness` is how many milliseconds a message comes after its event time at most.
    pub(crate) fn new(conjunct: &Expr, columns: &[Column], rules: &Capabilities, lateness: Option<i64>) -> Self {
        let mut reader = Reader { columns, rules, lateness, constants: 0 };
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

impl Bounds {
    fn from(lower: i64) -> Self {
        Self { lower: Some(lower), upper: None }
    }

    fn to(upper: i64) -> Self {
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

/// Reads expressions.
struct Reader<'a> {
    columns: &'a [Column],
    rules: &'a Capabilities,
    lateness: Option<i64>,
    constants: usize,
}

/// A constant that a column is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Constant {
    Null,
    Number(i128),
    /// The milliseconds just before or at an instant, and just after or at it.
    Time {
        floor: i64,
        ceiling: i64,
    },
}

impl<'a> Reader<'a> {
    fn read(&mut self, expr: &Expr) -> Predicate {
        match expr {
            Expr::Alias(alias) => self.read(&alias.expr),
            Expr::Literal(ScalarValue::Boolean(value), _) => Predicate::Constant(*value),
            Expr::Literal(ScalarValue::Null, _) => Predicate::Constant(None),
            Expr::Not(inner) => Predicate::Not(Box::new(self.read(inner))),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                Predicate::And(vec![self.read(left), self.read(right)])
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                Predicate::Or(vec![self.read(left), self.read(right)])
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => self.comparison(left, *op, right),
            Expr::InList(list) => self.in_list(list),
            Expr::Between(between) => self.between(between),
            Expr::IsNull(inner) => self.is_null(inner, false),
            Expr::IsNotNull(inner) => self.is_null(inner, true),
            other => self.unknown(other),
        }
    }

    fn comparison(&mut self, left: &Expr, op: Operator, right: &Expr) -> Predicate {
        for (column, value) in [(left, right), (right, left)] {
            if op == Operator::Eq
                && self.column(column).is_some_and(|column| column.domain == BY_KEY)
                && let Some(key) = key_bytes(value)
            {
                self.constants += 1;
                return Predicate::Keys(vec![key]);
            }
        }
        let (column, op, constant) = if let (Some(column), Some(constant)) = (self.column(left), constant(right)) {
            (column, op, constant)
        } else if let (Some(column), Some(swapped), Some(constant)) = (self.column(right), op.swap(), constant(left)) {
            (column, swapped, constant)
        } else {
            return self.unknown(&Expr::BinaryExpr(BinaryExpr::new(
                Box::new(left.clone()),
                op,
                Box::new(right.clone()),
            )));
        };
        let Some(operation) = operation(op) else {
            return Predicate::Unknown(format!("Kafka has no {op}").into());
        };
        self.constants += 1;
        let domain = column.domain;
        if let Some(refusal) = self.refusal(operation, domain) {
            return refusal;
        }
        match constant {
            Constant::Null if domain == PARTITION || domain == OFFSET => Predicate::Constant(None),
            Constant::Number(number) if domain == PARTITION => Predicate::Partition(compare(operation, number)),
            Constant::Number(number) if domain == OFFSET => Predicate::Offset(compare(operation, number)),
            Constant::Time { floor, ceiling } if is_time(domain) => {
                let ceiling = self.latest(domain, ceiling);
                let (exactly, from, to) =
                    (Bounds { lower: Some(floor), upper: Some(ceiling) }, Bounds::from(floor), Bounds::to(ceiling));
                let (when_true, when_false) = match operation {
                    Operation::Eq => (exactly, Bounds::default()),
                    Operation::Gt | Operation::GtEq => (from, to),
                    Operation::Lt | Operation::LtEq => (to, from),
                    _ => (Bounds::default(), Bounds::default()),
                };
                Predicate::Time { when_true, when_false }
            }
            Constant::Null | Constant::Number(_) | Constant::Time { .. } => wrong_constant(domain),
        }
    }

    fn in_list(&mut self, list: &InList) -> Predicate {
        let Some(column) = self.column(&list.expr) else {
            return self.unknown(&Expr::InList(list.clone()));
        };
        let domain = column.domain;
        self.constants += list.list.len();
        if let Some(refusal) = self.refusal(Operation::In, domain) {
            return refusal;
        }
        if domain == BY_KEY {
            let keys: Option<Vec<Vec<u8>>> = list.list.iter().map(key_bytes).collect();
            return match keys {
                Some(keys) if list.negated => Predicate::Not(Box::new(Predicate::Keys(keys))),
                Some(keys) => Predicate::Keys(keys),
                None => Predicate::Unknown("the list has more than constants".into()),
            };
        }
        let Some(constants) = list.list.iter().map(constant).collect::<Option<Vec<_>>>() else {
            return Predicate::Unknown("the list has more than constants".into());
        };
        let with_null = constants.contains(&Constant::Null);
        if is_time(domain) {
            let (mut lower, mut upper) = (None::<i64>, None::<i64>);
            for constant in constants {
                match constant {
                    Constant::Null => {}
                    Constant::Time { floor, ceiling } => {
                        lower = Some(lower.map_or(floor, |lower| lower.min(floor)));
                        let ceiling = self.latest(domain, ceiling);
                        upper = Some(upper.map_or(ceiling, |upper| upper.max(ceiling)));
                    }
                    Constant::Number(_) => return wrong_constant(domain),
                }
            }
            let listed = Predicate::Time { when_true: Bounds { lower, upper }, when_false: Bounds::default() };
            return if list.negated { Predicate::Not(Box::new(listed)) } else { listed };
        }
        let mut numbers = Vec::with_capacity(constants.len());
        for constant in constants {
            match constant {
                Constant::Null => {}
                Constant::Number(number) => numbers.push(number),
                Constant::Time { .. } => return wrong_constant(domain),
            }
        }
        // With a NULL in the list, what is not listed is neither in it nor not in it.
        let mut outcome = Outcome::total(Ranges::of(numbers));
        if with_null {
            outcome.no = Ranges::none();
        }
        let outcome = outcome.negated(list.negated);
        if domain == PARTITION { Predicate::Partition(outcome) } else { Predicate::Offset(outcome) }
    }

    fn between(&mut self, between: &Between) -> Predicate {
        let Some(column) = self.column(&between.expr) else {
            return self.unknown(&Expr::Between(between.clone()));
        };
        let domain = column.domain;
        self.constants += 2;
        if let Some(refusal) = self.refusal(Operation::Between, domain) {
            return refusal;
        }
        let (Some(low), Some(high)) = (constant(&between.low), constant(&between.high)) else {
            return Predicate::Unknown("a bound is not a constant".into());
        };
        if is_time(domain) {
            let mut bounds = Bounds::default();
            match low {
                Constant::Time { floor, .. } => bounds.lower = Some(floor),
                Constant::Null | Constant::Number(_) => return wrong_constant(domain),
            }
            match high {
                Constant::Time { ceiling, .. } => bounds.upper = Some(self.latest(domain, ceiling)),
                Constant::Null | Constant::Number(_) => return wrong_constant(domain),
            }
            let inside = Predicate::Time { when_true: bounds, when_false: Bounds::default() };
            return if between.negated { Predicate::Not(Box::new(inside)) } else { inside };
        }
        let bound = |operation, constant| match constant {
            Constant::Number(number) => Some(compare(operation, number)),
            Constant::Null => Some(Outcome::null()),
            Constant::Time { .. } => None,
        };
        let (Some(low), Some(high)) = (bound(Operation::GtEq, low), bound(Operation::LtEq, high)) else {
            return wrong_constant(domain);
        };
        let outcome = low.both(&high).negated(between.negated);
        if domain == PARTITION { Predicate::Partition(outcome) } else { Predicate::Offset(outcome) }
    }

    /// Partitions and offsets are never NULL.
    fn is_null(&self, inner: &Expr, negated: bool) -> Predicate {
        let operation = if negated { Operation::IsNotNull } else { Operation::IsNull };
        let Some(column) = self.column(inner) else {
            return self.unknown(inner);
        };
        self.refusal(operation, column.domain).unwrap_or(Predicate::Constant(Some(negated)))
    }

    /// The last time of a message whose time in this domain is not after one. A message comes after what it tells of, and by
    /// so much at most as the table promises.
    fn latest(&self, domain: Domain, ceiling: i64) -> i64 {
        if domain == EVENT_TIME { ceiling.saturating_add(self.lateness.unwrap_or(i64::MAX)) } else { ceiling }
    }

    /// The refusal of the rules, if they refuse.
    fn refusal(&self, operation: Operation, domain: Domain) -> Option<Predicate> {
        match self.rules.verdict(operation, domain) {
            Verdict::Refused(reason) => Some(Predicate::Unknown(reason)),
            Verdict::Exact | Verdict::Pruning => None,
        }
    }

    /// A column standing alone. A cast of a time to a finer or equal unit keeps the instant, and the engine makes one
    /// to compare with a finer literal.
    fn column(&self, expr: &Expr) -> Option<&'a Column> {
        match expr {
            Expr::Alias(alias) => self.column(&alias.expr),
            Expr::Column(column) => self.columns.iter().find(|candidate| candidate.name() == column.name),
            Expr::Cast(cast) => {
                let column = self.column(&cast.expr)?;
                let (from, to) = (column.field.data_type(), cast.field.data_type());
                let keeps = is_time(column.domain) && crate::instant::keeps_instant(from, to);
                keeps.then_some(column)
            }
            _ => None,
        }
    }

    fn unknown(&self, expr: &Expr) -> Predicate {
        let columns = expr.column_refs();
        let content = columns.iter().any(|column| {
            self.columns.iter().any(|candidate| {
                candidate.name() == column.name && ![PARTITION, OFFSET, TIMESTAMP].contains(&candidate.domain)
            })
        });
        if content || columns.is_empty() {
            return Predicate::Unknown(NO_CONTENT.into());
        }
        Predicate::Unknown("Kafka takes only comparisons of partition, offset and time with constants".into())
    }
}

/// Whether the values of a domain are times that bound the times of messages.
fn is_time(domain: Domain) -> bool {
    domain == TIMESTAMP || domain == EVENT_TIME
}

fn wrong_constant(domain: Domain) -> Predicate {
    let wanted = if is_time(domain) { "a timestamp in UTC" } else { "a whole number" };
    Predicate::Unknown(format!("{domain} is compared with something other than {wanted}").into())
}

fn operation(op: Operator) -> Option<Operation> {
    Some(match op {
        Operator::Eq => Operation::Eq,
        Operator::NotEq => Operation::NotEq,
        Operator::Lt => Operation::Lt,
        Operator::LtEq => Operation::LtEq,
        Operator::Gt => Operation::Gt,
        Operator::GtEq => Operation::GtEq,
        _ => return None,
    })
}

fn compare(operation: Operation, number: i128) -> Outcome {
    let next = number.saturating_add(1);
    Outcome::total(match operation {
        Operation::Eq => Ranges::between(number, next),
        Operation::NotEq => Ranges::between(number, next).complement(),
        Operation::Lt => Ranges::until(number),
        Operation::LtEq => Ranges::until(next),
        Operation::Gt => Ranges::from(next),
        _ => Ranges::from(number),
    })
}

/// The bytes of a key that a constant is.
fn key_bytes(expr: &Expr) -> Option<Vec<u8>> {
    match expr {
        Expr::Alias(alias) => key_bytes(&alias.expr),
        Expr::Literal(value, _) => bytes_of(value).map(<[u8]>::to_vec),
        _ => None,
    }
}

/// The bytes of a text or of bytes.
pub(crate) fn bytes_of(value: &ScalarValue) -> Option<&[u8]> {
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Some(text.as_bytes())
        }
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes)) => Some(bytes),
        _ => None,
    }
}

fn constant(expr: &Expr) -> Option<Constant> {
    let value = match expr {
        Expr::Alias(alias) => return constant(&alias.expr),
        Expr::Literal(value, _) => value,
        _ => return None,
    };
    if value.is_null() {
        return Some(Constant::Null);
    }
    let number = match value {
        ScalarValue::Int8(Some(number)) => i128::from(*number),
        ScalarValue::Int16(Some(number)) => i128::from(*number),
        ScalarValue::Int32(Some(number)) => i128::from(*number),
        ScalarValue::Int64(Some(number)) => i128::from(*number),
        ScalarValue::UInt8(Some(number)) => i128::from(*number),
        ScalarValue::UInt16(Some(number)) => i128::from(*number),
        ScalarValue::UInt32(Some(number)) => i128::from(*number),
        ScalarValue::UInt64(Some(number)) => i128::from(*number),
        other => {
            let (floor, ceiling) = millis_around(other)?;
            return Some(Constant::Time { floor, ceiling });
        }
    };
    Some(Constant::Number(number))
}
