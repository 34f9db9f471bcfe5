//! The ways in which a connector can be wrong.

use std::sync::atomic::Ordering;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::functions::expr_fn::lower;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, col, lit};

use super::Fake;
use crate::Verdict;

/// One way of being wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Lie {
    /// None: the connector is honest.
    None,
    TextEqualityIgnoresCase,
    NothingIsGreaterThanNan,
    NotInForgetsNull,
    NotIsTwoValued,
    PruningSkipsMatches,
    JudgesPruningExact,
    VacuousRule,
    RuleWithoutColumns,
    TakesWithoutRule,
    AliasMatters,
    ForgetsItself,
    SourceFails,
    SecondFilterIsLost,
    FilterNeedsItsColumn,
    RefusesWithoutReason,
    ColumnsInTableOrder,
    NoRowsWithoutColumns,
    BatchesOfAnySize,
    LimitDespitePruning,
    LimitTooLow,
    LimitIgnored,
    TakesUnknownColumns,
}

impl Lie {
    /// What the source makes of a conjunct that it took.
    pub(super) fn understands(self, expr: &Expr) -> Expr {
        let understood = expr.clone().transform_up(|inner| {
            Ok(match (self, inner) {
                (_, Expr::Column(column)) => Transformed::yes(col(column.name)),
                (Self::TextEqualityIgnoresCase, Expr::BinaryExpr(binary))
                    if binary.op == Operator::Eq && *binary.left == col("name") =>
                {
                    let left = Box::new(lower(*binary.left));
                    Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, ..binary }))
                }
                (Self::NothingIsGreaterThanNan, Expr::BinaryExpr(binary))
                    if binary.op == Operator::Gt && *binary.left == col("score") =>
                {
                    let is_number = col("score").lt_eq(lit(f64::INFINITY));
                    Transformed::yes(Expr::BinaryExpr(binary).and(is_number))
                }
                (Self::NotInForgetsNull, Expr::InList(list)) if list.negated => {
                    let known = list
                        .list
                        .into_iter()
                        .filter(|value| !matches!(value, Expr::Literal(value, _) if value.is_null()));
                    Transformed::yes(Expr::InList(InList { list: known.collect(), ..list }))
                }
                (Self::NotIsTwoValued, Expr::Not(part)) => Transformed::yes(part.is_not_true()),
                (_, other) => Transformed::no(other),
            })
        });
        understood.unwrap().data
    }

    pub(super) fn judge(self, fake: &Fake, expr: &Expr) -> Verdict {
        let honest = fake.honest(expr);
        let asked = fake.judged.fetch_add(1, Ordering::Relaxed);
        let qualified = expr.column_refs().iter().any(|column| column.relation.is_some());
        match self {
            Self::JudgesPruningExact if honest == Verdict::Pruning => Verdict::Exact,
            Self::VacuousRule if matches!(expr, Expr::Like(_)) => Verdict::refused("patterns are hard"),
            Self::TakesWithoutRule if matches!(expr, Expr::Between(_)) => Verdict::Exact,
            Self::AliasMatters if qualified => Verdict::refused("who is that"),
            Self::ForgetsItself if asked % 3 == 1 => Verdict::refused("again?"),
            Self::RefusesWithoutReason if honest.reason().is_some() => Verdict::refused(""),
            Self::TakesUnknownColumns => Verdict::Exact,
            _ => honest,
        }
    }
}
