//! AND, OR and NOT.

use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use portolan_connector::{Operation, Reason};

use super::{Lowered, Lowering, Strength, refuse};
use crate::RemoteExpr;

impl Lowering<'_> {
    /// A chain of ANDs or of ORs, however it is nested, is one combination of many parts.
    pub(super) fn combination(
        &mut self,
        operation: Operation,
        binary: &BinaryExpr,
        depth: usize,
    ) -> Result<Lowered, Reason> {
        let mut strength = self.rule_without_operands(operation)?;
        let mut parts = Vec::new();
        let mut fallible = false;
        for part in chain(binary) {
            let part = self.predicate(part, depth + 1)?;
            if operation == Operation::Or && part.strength == Strength::Pruning {
                return Err(refuse::pruning_inside(operation));
            }
            strength = strength.min(part.strength);
            fallible |= part.fallible;
            parts.push(part.expr);
        }
        let expr = if operation == Operation::Or { RemoteExpr::Or(parts) } else { RemoteExpr::And(parts) };
        // An AND that prunes must not end up inside of a NOT; the part's strength says so.
        Ok(Lowered { expr, strength, fallible })
    }

    pub(super) fn negation(&mut self, part: &Expr, depth: usize) -> Result<Lowered, Reason> {
        let strength = self.rule_without_operands(Operation::Not)?;
        let part = self.predicate(part, depth + 1)?;
        if part.strength == Strength::Pruning {
            return Err(refuse::pruning_inside(Operation::Not));
        }
        Ok(Lowered::new(RemoteExpr::Not(Box::new(part.expr)), strength).or_fails(part.fallible))
    }
}

/// The parts of a chain of one operator, from left to right. Not recursive: a chain may have thousands of parts.
fn chain(binary: &BinaryExpr) -> Vec<&Expr> {
    let op: Operator = binary.op;
    let mut parts = Vec::new();
    let mut pending: Vec<&Expr> = vec![&binary.right, &binary.left];
    while let Some(expr) = pending.pop() {
        match expr {
            Expr::BinaryExpr(inner) if inner.op == op => pending.extend([&*inner.right, &*inner.left]),
            part => parts.push(part),
        }
    }
    parts
}
