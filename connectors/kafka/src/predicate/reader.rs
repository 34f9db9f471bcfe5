//! From a conjunct to the tree of its conditions.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use portolan_connector::{Capabilities, Column, Domain, Operation, Verdict};

use super::constant::{Constant, constant, key_bytes};
use super::{Outcome, Predicate};
use crate::range::Ranges;
use crate::rules::{BY_KEY, EVENT_TIME, NO_CONTENT, OFFSET, PARTITION, TIMESTAMP};
use crate::time_bounds::Bounds;

/// Reads expressions.
pub(super) struct Reader<'a> {
    columns: &'a [Column],
    rules: &'a Capabilities,
    lateness: Option<i64>,
    /// How many constants it has come by.
    pub(super) constants: usize,
}

impl<'a> Reader<'a> {
    /// Of conjuncts over these columns, for a source with these rules.
    pub(super) fn new(columns: &'a [Column], rules: &'a Capabilities, lateness: Option<i64>) -> Self {
        Self { columns, rules, lateness, constants: 0 }
    }

    /// What an expression says.
    pub(super) fn read(&mut self, expr: &Expr) -> Predicate {
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
