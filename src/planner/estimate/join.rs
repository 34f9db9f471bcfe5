//! How many rows a join has.

use datafusion::common::JoinType;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Join};

use super::{Estimated, columns_of, selectivity, unknown};

/// The least share of rows that are expected to have no partner.
const ALONE_MIN: f64 = 0.1;

/// What is expected of a join of two relations.
pub(in crate::planner) fn joined(left: &Estimated, right: &Estimated, join: &Join) -> Option<Estimated> {
    let pairs = pairs(left, right, &join.on, join.filter.as_ref());
    let filter = join.filter.as_ref();
    let of_right = || {
        let on: Vec<(Expr, Expr)> = join.on.iter().map(|(one, other)| (other.clone(), one.clone())).collect();
        partnered(right, left, &on, filter)
    };
    let result = match join.join_type {
        JoinType::Inner => left.product(right, pairs),
        JoinType::Left => left.product(right, pairs.max(left.rows)),
        JoinType::Right => left.product(right, pairs.max(right.rows)),
        JoinType::Full => left.product(right, pairs.max(left.rows).max(right.rows)),
        JoinType::LeftSemi => left.clone().share(partnered(left, right, &join.on, filter)),
        JoinType::RightSemi => right.clone().share(of_right()),
        JoinType::LeftAnti => left.clone().share(alone(partnered(left, right, &join.on, filter))),
        JoinType::RightAnti => right.clone().share(alone(of_right())),
        JoinType::LeftMark => marked(left, join),
        JoinType::RightMark => marked(right, join),
    };
    Some(result.named(&join.schema))
}

/// How many pairs of rows satisfy the conditions.
pub(in crate::planner) fn pairs(
    left: &Estimated,
    right: &Estimated,
    on: &[(Expr, Expr)],
    filter: Option<&Expr>,
) -> f64 {
    let product = left.rows * right.rows;
    let equal = match on {
        [] => product,
        [(one, other)] => product / left.distinct(one).max(right.distinct(other)),
        several => {
            // Keys of several columns mostly are keys of one side: of the smaller number of combinations.
            let distinct = |of: &Estimated, exprs: Vec<&Expr>| {
                exprs.into_iter().map(|expr| of.distinct(expr)).product::<f64>().min(of.rows).max(1.0)
            };
            let one = distinct(left, several.iter().map(|(one, _)| one).collect());
            let other = distinct(right, several.iter().map(|(_, other)| other).collect());
            product / one.min(other)
        }
    };
    let Some(filter) = filter else { return equal };
    let both =
        Estimated { rows: product.max(1.0), columns: left.columns.iter().chain(&right.columns).cloned().collect() };
    let conjuncts = split_conjunction(filter);
    equal * selectivity(&conjuncts, &both)
}

/// The share of a relation's rows that have a partner in another one. `on` names this relation's keys first.
pub(in crate::planner) fn partnered(of: &Estimated, by: &Estimated, on: &[(Expr, Expr)], filter: Option<&Expr>) -> f64 {
    let by_pairs = (pairs(of, by, on, filter) / of.rows.max(1.0)).min(1.0);
    let by_keys = on.iter().map(|(mine, theirs)| (by.distinct(theirs) / of.distinct(mine)).min(1.0));
    let by_keys = by_keys.fold(1.0, f64::min);
    if on.is_empty() || filter.is_some() { by_keys.min(by_pairs) } else { by_keys }
}

/// The share of rows without a partner, if so many have one. What is left over is what estimates know least of.
pub(in crate::planner) fn alone(partnered: f64) -> f64 {
    (1.0 - partnered).max(ALONE_MIN)
}

fn marked(of: &Estimated, join: &Join) -> Estimated {
    let mut marked = of.clone();
    marked.columns.extend(columns_of(&join.schema).skip(of.columns.len()).map(unknown));
    marked
}
