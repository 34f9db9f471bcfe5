//! From the engine's expression to the remote vocabulary: deny by default.
//!
//! Every operation on every column is looked up in the connector's rules; what has no rule, no translation or no
//! exact literal is refused with a reason for the person who reads EXPLAIN.

mod combine;
mod compare;
pub mod limits;
mod literal;
mod operand;
mod pattern;
mod refuse;
#[cfg(test)]
mod tests;
mod truth;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, Operator};
use portolan_connector::{Capabilities, Domain, Operation, Reason, Verdict};

use self::limits::{MAX_CONJUNCT_LITERAL_BYTES, MAX_DEPTH, MAX_NODES};
use crate::{Dialect, RemoteColumn, RemoteExpr};

/// Translates one conjunct. `columns` knows the source's columns by their exact name; a column's qualifier is an
/// alias and ignored.
///
/// The answer follows from the arguments alone. Where every rule that applies is exact, so is the translation; where
/// one only prunes, [`judge`] says so.
pub fn lower(
    expr: &Expr,
    columns: &dyn Fn(&str) -> Option<RemoteColumn>,
    capabilities: &Capabilities,
    dialect: &dyn Dialect,
) -> Result<RemoteExpr, Reason> {
    Lowering::new(columns, capabilities, dialect).predicate(expr, 0).map(|lowered| lowered.expr)
}

/// What the source does with one conjunct: the verdict that belongs to what [`lower`] answers.
pub fn judge(
    expr: &Expr,
    columns: &dyn Fn(&str) -> Option<RemoteColumn>,
    capabilities: &Capabilities,
    dialect: &dyn Dialect,
) -> Verdict {
    match Lowering::new(columns, capabilities, dialect).predicate(expr, 0) {
        Ok(Lowered { strength: Strength::Exact, .. }) => Verdict::Exact,
        Ok(Lowered { strength: Strength::Pruning, .. }) => Verdict::Pruning,
        Err(reason) => Verdict::Refused(reason),
    }
}

/// How closely a translation follows the original. Ordered: the least of the parts is that of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    /// True for some rows more.
    Pruning,
    /// True, false and unknown for the same rows.
    Exact,
}

/// A translation and how closely it follows.
struct Lowered {
    expr: RemoteExpr,
    strength: Strength,
}

/// The translation of one conjunct.
struct Lowering<'a> {
    columns: &'a dyn Fn(&str) -> Option<RemoteColumn>,
    capabilities: &'a Capabilities,
    dialect: &'a dyn Dialect,
    /// How many predicates and literals the conjunct had so far.
    nodes: usize,
    /// How many bytes its literals had so far.
    literal_bytes: usize,
}

impl<'a> Lowering<'a> {
    fn new(
        columns: &'a dyn Fn(&str) -> Option<RemoteColumn>,
        capabilities: &'a Capabilities,
        dialect: &'a dyn Dialect,
    ) -> Self {
        Self { columns, capabilities, dialect, nodes: 0, literal_bytes: 0 }
    }

    /// Translates something whose value is a truth value.
    fn predicate(&mut self, expr: &Expr, depth: usize) -> Result<Lowered, Reason> {
        if depth > MAX_DEPTH {
            return Err(Reason::new(format!("the condition is nested more than {MAX_DEPTH} levels deep")));
        }
        self.count_node()?;
        match expr {
            Expr::Alias(alias) => self.predicate(&alias.expr, depth + 1),
            Expr::Column(_) => self.bare_column(expr),
            Expr::Literal(ScalarValue::Boolean(value), _) => Ok(constant(*value)),
            Expr::Literal(ScalarValue::Null, _) => Ok(constant(None)),
            Expr::BinaryExpr(binary) => match binary.op {
                Operator::And => self.combination(Operation::And, binary, depth),
                Operator::Or => self.combination(Operation::Or, binary, depth),
                Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch => {
                    self.untranslated(Operation::Regex, &binary.left)
                }
                op => self.comparison(&binary.left, op, &binary.right),
            },
            Expr::Not(part) => self.negation(part, depth),
            Expr::IsNull(part) => self.null_test(part, Operation::IsNull),
            Expr::IsNotNull(part) => self.null_test(part, Operation::IsNotNull),
            Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_) => self.truth_test(expr),
            Expr::InList(list) => self.in_list(list),
            Expr::Between(between) => self.between(between),
            Expr::Like(like) => self.like(like),
            Expr::SimilarTo(like) => self.untranslated(Operation::Regex, &like.expr),
            Expr::ScalarFunction(function) => Err(self.function(function)),
            other => Err(refuse::expression(other)),
        }
    }

    /// The rule for an operation on columns of a domain.
    fn rule(&self, operation: Operation, domain: Domain) -> Result<Strength, Reason> {
        strength(self.capabilities.verdict(operation, domain))
    }

    /// The rule for an operation that has no operands of its own: AND, OR, NOT.
    fn rule_without_operands(&self, operation: Operation) -> Result<Strength, Reason> {
        match self.capabilities.rule(operation, None) {
            Some(rule) => strength(rule.verdict.clone()),
            None => Err(Reason::new(format!("no rule for {operation}"))),
        }
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
    fn untranslated(&self, operation: Operation, operand: &Expr) -> Result<Lowered, Reason> {
        let column = self.column(operand)?;
        self.rule(operation, column.domain)?;
        Err(Reason::new(format!("{operation} has no translation to {}", self.dialect.name())))
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
    Lowered { expr: RemoteExpr::Constant(value), strength: Strength::Exact }
}

fn strength(verdict: Verdict) -> Result<Strength, Reason> {
    match verdict {
        Verdict::Exact => Ok(Strength::Exact),
        Verdict::Pruning => Ok(Strength::Pruning),
        Verdict::Refused(reason) => Err(reason),
    }
}
