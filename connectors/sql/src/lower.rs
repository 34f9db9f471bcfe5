//! From the engine's expression to the remote vocabulary: deny by default.
//!
//! Every operation on every column is looked up in the connector's rules; what has no rule, no translation or no
//! exact literal is refused with a reason for the person who reads EXPLAIN.

mod aggregate;
mod array;
mod combine;
mod compare;
mod compute;
mod date;
mod division;
mod function;
pub mod limits;
mod literal;
mod number;
mod operand;
mod pattern;
mod refuse;
#[cfg(test)]
mod tests;
mod text;
mod truth;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, Operator};
use portolan_connector::{Domain, Operation, Reason, Verdict};

pub(crate) use self::compare::check_same_type;
use self::limits::{MAX_CONJUNCT_LITERAL_BYTES, MAX_DEPTH, MAX_NODES};
use crate::{CompareOp, RemoteExpr, Scope, Typed, Vocabulary};

/// A condition as the source is asked it.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate {
    /// The condition.
    pub expr: RemoteExpr,
    /// [`Verdict::Exact`] or [`Verdict::Pruning`].
    pub verdict: Verdict,
    /// Whether evaluating it may fail.
    pub fallible: bool,
}

/// Translates one conjunct. `scope` knows the columns that it may name.
///
/// The answer follows from the arguments alone. Where every rule that applies is exact, so is the translation; where
/// one only prunes, its verdict says so.
pub fn lower(expr: &Expr, scope: &dyn Scope, vocabulary: &Vocabulary<'_>) -> Result<Predicate, Reason> {
    let lowered = Lowering::new(scope, vocabulary).predicate(expr, 0)?;
    let verdict = match lowered.strength {
        Strength::Exact => Verdict::Exact,
        Strength::Pruning => Verdict::Pruning,
    };
    Ok(Predicate { expr: lowered.expr, verdict, fallible: lowered.fallible })
}

/// What the source does with one conjunct that stands among others, in an order that the source chooses.
pub fn judge(expr: &Expr, scope: &dyn Scope, vocabulary: &Vocabulary<'_>) -> Verdict {
    match lower(expr, scope, vocabulary) {
        Ok(Predicate { fallible: true, .. }) => Verdict::Refused(refuse::fallible()),
        Ok(predicate) => predicate.verdict,
        Err(reason) => Verdict::Refused(reason),
    }
}

/// Translates an expression that has a value for each row.
pub fn lower_value(expr: &Expr, scope: &dyn Scope, vocabulary: &Vocabulary<'_>) -> Result<Typed, Reason> {
    Lowering::new(scope, vocabulary).value(expr, 0)
}

/// Translates the equality of two values that are translated already.
pub(crate) fn lower_equality(left: Typed, right: Typed, vocabulary: &Vocabulary<'_>) -> Result<Predicate, Reason> {
    let nothing = |_: &str| None;
    let lowered = Lowering::new(&nothing, vocabulary).with_value(left, CompareOp::Eq, right)?;
    match lowered.strength {
        Strength::Exact => Ok(Predicate { expr: lowered.expr, verdict: Verdict::Exact, fallible: lowered.fallible }),
        Strength::Pruning => Err("the equality only prunes".into()),
    }
}

/// Translates a call of a function over the rows of a group.
pub fn lower_aggregate(expr: &Expr, scope: &dyn Scope, vocabulary: &Vocabulary<'_>) -> Result<Typed, Reason> {
    Lowering::new(scope, vocabulary).aggregate(expr)
}

/// How closely a translation follows the original. Ordered: the least of the parts is that of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    /// True for some rows more.
    Pruning,
    /// True, false and unknown for the same rows.
    Exact,
}

/// A condition, how closely it follows the original, and whether evaluating it may fail.
struct Lowered {
    expr: RemoteExpr,
    strength: Strength,
    fallible: bool,
}

impl Lowered {
    fn new(expr: RemoteExpr, strength: Strength) -> Self {
        Self { expr, strength, fallible: false }
    }

    fn or_fails(mut self, fallible: bool) -> Self {
        self.fallible |= fallible;
        self
    }
}

/// The translation of one expression.
struct Lowering<'a> {
    scope: &'a dyn Scope,
    vocabulary: Vocabulary<'a>,
    /// How many predicates and literals the expression had so far.
    nodes: usize,
    /// How many bytes its literals had so far.
    literal_bytes: usize,
}

impl<'a> Lowering<'a> {
    fn new(scope: &'a dyn Scope, vocabulary: &Vocabulary<'a>) -> Self {
        Self { scope, vocabulary: *vocabulary, nodes: 0, literal_bytes: 0 }
    }

    /// Translates something whose value is a truth value.
    fn predicate(&mut self, expr: &Expr, depth: usize) -> Result<Lowered, Reason> {
        check_depth(depth)?;
        self.count_node()?;
        match expr {
            Expr::Alias(alias) => self.predicate(&alias.expr, depth + 1),
            Expr::Column(_) | Expr::Case(_) => self.truth_value(expr, depth),
            Expr::Literal(ScalarValue::Boolean(value), _) => Ok(constant(*value)),
            Expr::Literal(ScalarValue::Null, _) => Ok(constant(None)),
            Expr::BinaryExpr(binary) => match binary.op {
                Operator::And => self.combination(Operation::And, binary, depth),
                Operator::Or => self.combination(Operation::Or, binary, depth),
                Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch => {
                    self.untranslated(Operation::Regex, &binary.left, depth)
                }
                op => self.comparison(&binary.left, op, &binary.right, depth),
            },
            Expr::Not(part) => self.negation(part, depth),
            Expr::IsNull(part) => self.null_test(part, Operation::IsNull, depth),
            Expr::IsNotNull(part) => self.null_test(part, Operation::IsNotNull, depth),
            Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_) => self.truth_test(expr, depth),
            Expr::InList(list) => self.in_list(list, depth),
            Expr::Between(between) => self.between(between, depth),
            Expr::Like(like) => self.like(like, depth),
            Expr::SimilarTo(like) => self.untranslated(Operation::Regex, &like.expr, depth),
            Expr::ScalarFunction(function) if Self::is_condition(function) => self.truth_value(expr, depth),
            Expr::ScalarFunction(function) => Err(self.no_predicate(function)),
            other => Err(refuse::expression(other)),
        }
    }

    /// The rule for an operation on columns of a domain.
    fn rule(&self, operation: Operation, domain: Domain) -> Result<Strength, Reason> {
        strength(self.vocabulary.capabilities.verdict(operation, domain))
    }

    /// The rule for an operation that has no operands of its own: AND, OR, NOT.
    fn rule_without_operands(&self, operation: Operation) -> Result<Strength, Reason> {
        match self.vocabulary.capabilities.rule(operation, None) {
            Some(rule) => strength(rule.verdict.clone()),
            None => Err(Reason::new(format!("no rule for {operation}"))),
        }
    }

    /// The rule for an operation whose result is a value, which only an exact one can give.
    fn exact_rule(&self, operation: Operation, domain: Option<Domain>) -> Result<(), Reason> {
        let strength = match domain {
            Some(domain) => self.rule(operation, domain)?,
            None => self.rule_without_operands(operation)?,
        };
        if strength == Strength::Exact { Ok(()) } else { Err(Reason::new(format!("{operation} only prunes"))) }
    }

    /// The rule for an operation, and the one for NOT where the operation is written negated.
    fn rule_maybe_negated(&self, operation: Operation, domain: Domain, negated: bool) -> Result<Strength, Reason> {
        let strength = self.rule(operation, domain)?;
        if !negated {
            return Ok(strength);
        }
        let of_not = self.rule_without_operands(Operation::Not)?;
        if strength == Strength::Pruning {
            return Err(refuse::pruning_inside(Operation::Not));
        }
        Ok(of_not)
    }

    /// An operation that the vocabulary lacks: the rule's own reason, or that there is no translation.
    fn untranslated(&mut self, operation: Operation, operand: &Expr, depth: usize) -> Result<Lowered, Reason> {
        let operand = self.value(operand, depth + 1)?;
        self.rule(operation, operand.column.domain)?;
        Err(Reason::new(format!("{operation} has no translation to {}", self.vocabulary.dialect.name())))
    }

    fn count_node(&mut self) -> Result<(), Reason> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Reason::new(format!("the condition has more than {MAX_NODES} parts")));
        }
        Ok(())
    }

    fn count_literal(&mut self, bytes: usize) -> Result<(), Reason> {
        self.count_node()?;
        self.literal_bytes = self.literal_bytes.saturating_add(bytes);
        if self.literal_bytes > MAX_CONJUNCT_LITERAL_BYTES {
            return Err(Reason::new(format!(
                "the literals of the condition have more than {MAX_CONJUNCT_LITERAL_BYTES} bytes"
            )));
        }
        Ok(())
    }
}

/// A truth value means the same everywhere and needs no rule.
fn constant(value: Option<bool>) -> Lowered {
    Lowered::new(RemoteExpr::Constant(value), Strength::Exact)
}

fn check_depth(depth: usize) -> Result<(), Reason> {
    match depth > MAX_DEPTH {
        true => Err(Reason::new(format!("the condition is nested more than {MAX_DEPTH} levels deep"))),
        false => Ok(()),
    }
}

fn strength(verdict: Verdict) -> Result<Strength, Reason> {
    match verdict {
        Verdict::Exact => Ok(Strength::Exact),
        Verdict::Pruning => Ok(Strength::Pruning),
        Verdict::Refused(reason) => Err(reason),
    }
}
