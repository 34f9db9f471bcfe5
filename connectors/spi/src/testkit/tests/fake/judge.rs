//! What an honest source takes: what its rules name, and no text with a NUL.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, Operator};

use super::Fake;
use crate::{Capabilities, ConnectorTable, Domain, Operation, Reason, Verdict};

type Judgement = Result<Verdict, Reason>;

impl Fake {
    pub(super) fn honest(&self, expr: &Expr) -> Verdict {
        self.judgement(expr).unwrap_or_else(Verdict::Refused)
    }

    fn judgement(&self, expr: &Expr) -> Judgement {
        match expr {
            Expr::BinaryExpr(binary) => match binary.op {
                Operator::And => self.combined(Operation::And, &[&binary.left, &binary.right]),
                Operator::Or => self.combined(Operation::Or, &[&binary.left, &binary.right]),
                op => {
                    let operation = operation(op).ok_or("no rule for the operator")?;
                    match (&*binary.left, &*binary.right) {
                        (Expr::Column(column), literal) => self.on_column(operation, &column.name, &[literal]),
                        (literal, Expr::Column(column)) => self.on_column(flipped(operation), &column.name, &[literal]),
                        _ => Err("no rule".into()),
                    }
                }
            },
            Expr::Not(part) => self.combined(Operation::Not, &[part]),
            Expr::IsNull(operand) => self.on(Operation::IsNull, operand, &[]),
            Expr::IsNotNull(operand) => self.on(Operation::IsNotNull, operand, &[]),
            Expr::Column(_) => self.on(Operation::Truth, expr, &[]),
            Expr::IsTrue(operand)
            | Expr::IsNotTrue(operand)
            | Expr::IsFalse(operand)
            | Expr::IsNotFalse(operand)
            | Expr::IsUnknown(operand)
            | Expr::IsNotUnknown(operand) => self.on(Operation::Truth, operand, &[]),
            Expr::InList(list) => self.on(Operation::In, &list.expr, &list.list.iter().collect::<Vec<_>>()),
            Expr::Between(range) => self.on(Operation::Between, &range.expr, &[&range.low, &range.high]),
            Expr::Like(like) if like.case_insensitive => self.on(Operation::ILike, &like.expr, &[&like.pattern]),
            Expr::Like(like) => self.on(Operation::Like, &like.expr, &[&like.pattern]),
            _ => Err("no rule".into()),
        }
    }

    fn on(&self, operation: Operation, operand: &Expr, literals: &[&Expr]) -> Judgement {
        match operand {
            Expr::Column(column) => self.on_column(operation, &column.name, literals),
            _ => Err("no rule".into()),
        }
    }

    fn on_column(&self, operation: Operation, name: &str, literals: &[&Expr]) -> Judgement {
        let table: &dyn ConnectorTable = self;
        let (_, column) = table.column(name).ok_or("no such column")?;
        let verdict = self.capabilities.verdict(operation, column.domain);
        let nul = |literal: &&Expr| match literal {
            Expr::Literal(ScalarValue::Utf8(Some(text)), _) => text.contains('\0'),
            _ => false,
        };
        if literals.iter().any(nul) { Err("the literal has a NUL".into()) } else { Ok(verdict) }
    }

    fn combined(&self, operation: Operation, parts: &[&Expr]) -> Judgement {
        let mut verdict = of(&self.capabilities, operation);
        for part in parts {
            match self.judgement(part)? {
                Verdict::Exact => {}
                Verdict::Pruning if operation == Operation::And => verdict = Verdict::Pruning,
                Verdict::Pruning => return Err("a part only prunes".into()),
                Verdict::Refused(reason) => return Err(reason),
            }
        }
        Ok(verdict)
    }
}

fn of(capabilities: &Capabilities, operation: Operation) -> Verdict {
    capabilities.verdict(operation, Domain("no domain"))
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

fn flipped(operation: Operation) -> Operation {
    match operation {
        Operation::Lt => Operation::Gt,
        Operation::LtEq => Operation::GtEq,
        Operation::Gt => Operation::Lt,
        Operation::GtEq => Operation::LtEq,
        same => same,
    }
}
