//! Of how many rows conditions are true.

use std::collections::BTreeMap;

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{BinaryExpr, InList};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Operator};

use super::{Estimated, bare, count, number};

/// A comparison of which nothing is known, as PostgreSQL and Trino assume.
const RANGE: f64 = 1.0 / 3.0;

/// A range with two ends, of which nothing is known.
const CLOSED_RANGE: f64 = 0.05;

/// A range in which there is no value as far as is known, or just one: statistics may be of yesterday or of a sample.
const OUTSIDE: f64 = 0.0001;

/// A value among values of which nothing is known.
const EQUAL: f64 = 0.05;

/// A pattern.
const LIKE: f64 = 0.1;

/// A pattern that says how the text begins.
const LIKE_START: f64 = 0.02;

/// The most values of a list that are looked at one by one.
const LIST_VALUES_MAX: usize = 64;

/// Whatever else.
const OTHER: f64 = 0.25;

/// The share of a relation's rows for which all conjuncts are true, from 0 to 1.
pub(in crate::planner) fn selectivity(conjuncts: &[&Expr], of: &Estimated) -> f64 {
    let conjuncts = conjuncts.iter().flat_map(|conjunct| split_conjunction(conjunct));
    let mut ranges: BTreeMap<&Column, Range> = BTreeMap::new();
    let mut share = 1.0;
    for conjunct in conjuncts {
        match bounds(conjunct) {
            Some((column, bound)) => {
                let range = ranges.entry(column).or_default();
                bound.into_iter().for_each(|bound| range.narrow(bound));
            }
            None => share *= one(conjunct, of),
        }
    }
    for (column, range) in ranges {
        let values = of.values(column);
        share *= match values.and_then(|values| values.spread) {
            Some(spread) => range.share_around(spread),
            None => range.share(values.and_then(|values| values.range)),
        };
        share *= 1.0 - of.values(column).map_or(0.0, |values| values.nulls);
    }
    share.clamp(0.0, 1.0)
}

/// The column of which a condition leaves only some values, and how many.
pub(super) fn fixed(condition: &Expr) -> Option<(Column, f64)> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (bare(left), bare(right)) {
            (Expr::Column(column), value) | (value, Expr::Column(column)) if value.column_refs().is_empty() => {
                Some((column.clone(), 1.0))
            }
            _ => None,
        },
        Expr::InList(InList { expr, list, negated: false }) => match bare(expr) {
            Expr::Column(column) => Some((column.clone(), count(list.len()))),
            _ => None,
        },
        _ => None,
    }
}

/// An end of a range of values.
enum Bound {
    /// Nothing is below; `None` where the value is not known.
    Lower(Option<f64>),
    /// Nothing is above.
    Upper(Option<f64>),
}

/// The values of a column that conditions leave.
#[derive(Default)]
struct Range {
    lower: Option<Option<f64>>,
    upper: Option<Option<f64>>,
}

impl Range {
    fn narrow(&mut self, bound: Bound) {
        let tighter = |known: Option<Option<f64>>, new: Option<f64>, choose: fn(f64, f64) -> f64| {
            Some(match (known.flatten(), new) {
                (Some(known), Some(new)) => Some(choose(known, new)),
                (known, new) => known.or(new),
            })
        };
        match bound {
            Bound::Lower(value) => self.lower = tighter(self.lower, value, f64::max),
            Bound::Upper(value) => self.upper = tighter(self.upper, value, f64::min),
        }
    }

    /// The share of values that are spread normally around a mean.
    fn share_around(&self, (mean, deviation): (f64, f64)) -> f64 {
        let below = |end: Option<Option<f64>>, open: f64| match end {
            None => Some(open),
            Some(end) => end.map(|end| normal((end - mean) / deviation.max(f64::MIN_POSITIVE))),
        };
        match (below(self.lower, 0.0), below(self.upper, 1.0)) {
            (Some(lower), Some(upper)) => (upper - lower).max(OUTSIDE),
            _ => RANGE,
        }
    }

    /// The share of the values from `min` to `max` that is in the range.
    fn share(&self, values: Option<(f64, f64)>) -> f64 {
        let unknown = if self.lower.is_some() && self.upper.is_some() { CLOSED_RANGE } else { RANGE };
        let Some((min, max)) = values else { return unknown };
        let (lower, upper) = match (self.lower, self.upper) {
            (Some(None), _) | (_, Some(None)) => return unknown,
            (lower, upper) => (lower.flatten().unwrap_or(min), upper.flatten().unwrap_or(max)),
        };
        let (lower, upper) = (lower.max(min), upper.min(max));
        match (lower > upper, max > min) {
            (true, _) => OUTSIDE,
            (false, false) => 1.0,
            (false, true) => ((upper - lower) / (max - min)).max(OUTSIDE),
        }
    }
}

/// The share of a standard normal distribution below a value, to three digits (Bowling et al., 2009).
fn normal(value: f64) -> f64 {
    1.0 / (1.0 + (-1.5976 * value - 0.070_56 * value.powi(3)).exp())
}

/// The column that a comparison bounds, and by what.
fn bounds(conjunct: &Expr) -> Option<(&Column, Vec<Bound>)> {
    match conjunct {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (column, value, op) = match (bare(left), bare(right)) {
                (Expr::Column(column), value) if value.column_refs().is_empty() => (column, value, *op),
                (value, Expr::Column(column)) if value.column_refs().is_empty() => (column, value, op.swap()?),
                _ => return None,
            };
            let value = constant(value);
            match op {
                Operator::Lt | Operator::LtEq => Some((column, vec![Bound::Upper(value)])),
                Operator::Gt | Operator::GtEq => Some((column, vec![Bound::Lower(value)])),
                _ => None,
            }
        }
        Expr::Between(between) if !between.negated => match bare(&between.expr) {
            Expr::Column(column) => {
                let (low, high) = (constant(&between.low), constant(&between.high));
                Some((column, vec![Bound::Lower(low), Bound::Upper(high)]))
            }
            _ => None,
        },
        _ => None,
    }
}

fn constant(value: &Expr) -> Option<f64> {
    match bare(value) {
        Expr::Literal(value, _) => number(value),
        _ => None,
    }
}

/// The share of the rows for which one condition is true.
fn one(condition: &Expr, of: &Estimated) -> f64 {
    match condition {
        Expr::Alias(alias) => one(&alias.expr, of),
        Expr::Literal(ScalarValue::Boolean(Some(value)), _) => f64::from(u8::from(*value)),
        Expr::Literal(..) => 0.0,
        Expr::Not(inner) => 1.0 - one(inner, of),
        Expr::IsNull(inner) => nulls(inner, of),
        Expr::IsNotNull(inner) => 1.0 - nulls(inner, of),
        Expr::InList(InList { expr, list, negated }) => {
            let share = match list.len() {
                ..=LIST_VALUES_MAX => list.iter().map(|value| within(expr, value, of)).sum(),
                values => count(values) * equal(expr, of),
            };
            let share = share.min(1.0);
            if *negated { 1.0 - share } else { share }
        }
        Expr::Between(between) if between.negated => 1.0 - CLOSED_RANGE,
        Expr::Like(like) => {
            let share = if has_start(&like.pattern) { LIKE_START } else { LIKE };
            if like.negated { 1.0 - share } else { share }
        }
        Expr::Column(_) => 0.5,
        Expr::Exists(_) | Expr::InSubquery(_) => 0.5,
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => selectivity(&[left, right], of),
            Operator::Or => {
                let (left, right) = (selectivity(&[left], of), selectivity(&[right], of));
                left + right - left * right
            }
            Operator::Eq | Operator::IsNotDistinctFrom => compared(left, right, of),
            Operator::NotEq | Operator::IsDistinctFrom => 1.0 - compared(left, right, of),
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => RANGE,
            _ => OTHER,
        },
        _ => OTHER,
    }
}

/// Whether a pattern says how texts begin.
fn has_start(pattern: &Expr) -> bool {
    match bare(pattern) {
        Expr::Literal(value, _) => {
            matches!(value.try_as_str(), Some(Some(text)) if !text.is_empty() && !text.starts_with(['%', '_']))
        }
        _ => false,
    }
}

/// An equality: with a value, or between columns.
fn compared(left: &Expr, right: &Expr, of: &Estimated) -> f64 {
    match (left.column_refs().is_empty(), right.column_refs().is_empty()) {
        (false, true) => within(left, right, of),
        (true, false) => within(right, left, of),
        _ => 1.0 / of.distinct(left).max(of.distinct(right)),
    }
}

/// The share of the rows that have a value, which may be outside of what there is.
fn within(expr: &Expr, value: &Expr, of: &Estimated) -> f64 {
    if let (Expr::Column(column), Some(value)) = (bare(expr), constant(value))
        && let Some((min, max)) = of.values(column).and_then(|values| values.range)
        && (value < min || value > max)
    {
        // Statistics may be of yesterday.
        return 1.0 / of.rows.max(1.0);
    }
    match (bare(expr), bare(value)) {
        (Expr::Column(column), Expr::Literal(value, _)) => {
            frequency(column, value, of).unwrap_or_else(|| equal(expr, of))
        }
        _ => equal(expr, of),
    }
}

/// The share of the rows that have a value, where frequent values are known: its own, or what those leave to each of the others.
fn frequency(column: &Column, value: &ScalarValue, of: &Estimated) -> Option<f64> {
    let known = of.values(column).filter(|known| !known.frequent.is_empty())?;
    // As the statistics have it: a literal may be of another type than the column.
    let (first, _) = known.frequent.first()?;
    let value = value.cast_to(&first.data_type()).ok()?;
    if let Some((_, share)) = known.frequent.iter().find(|(frequent, _)| same(frequent, &value)) {
        return Some(*share);
    }
    let together: f64 = known.frequent.iter().map(|(_, share)| share).sum();
    let others = known.distinct? - count(known.frequent.len());
    let left = (1.0 - known.nulls - together).max(0.0);
    Some(if others >= 1.0 { left / others } else { 1.0 / of.rows.max(1.0) })
}

/// Whether two values of one type are one. Blanks at the end are those of PostgreSQL's `character(n)`.
fn same(one: &ScalarValue, other: &ScalarValue) -> bool {
    match (one.try_as_str(), other.try_as_str()) {
        (Some(Some(one)), Some(Some(other))) => one.trim_end_matches(' ') == other.trim_end_matches(' '),
        _ => one == other,
    }
}

/// The share of the rows that have one value of an expression.
fn equal(expr: &Expr, of: &Estimated) -> f64 {
    let known = match bare(expr) {
        Expr::Column(column) => of.values(column).is_some_and(|values| values.distinct.is_some()),
        _ => false,
    };
    if known { (1.0 - nulls(expr, of)) / of.distinct(expr) } else { EQUAL }
}

fn nulls(expr: &Expr, of: &Estimated) -> f64 {
    match bare(expr) {
        Expr::Column(column) => of.values(column).map_or(0.0, |values| values.nulls),
        _ => 0.0,
    }
}
