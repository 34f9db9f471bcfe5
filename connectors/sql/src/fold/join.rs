//! Joins.

use datafusion::common::{DFSchema, JoinType, NullEquality};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, ExprSchemable};
use portolan_connector::{Operation, Reason};

use super::scope::Columns;
use super::{exact, outputs};
use crate::query::{From, JoinKind};
use crate::{Dialect, RemoteExpr, RemoteQuery, Typed, Vocabulary, lower};

/// One side of a join.
#[derive(Clone, Copy, Debug)]
pub struct JoinSide<'a> {
    /// Its rows.
    pub query: &'a RemoteQuery,
    /// What the engine calls its columns.
    pub schema: &'a DFSchema,
}

/// Which pairs of rows belong together.
#[derive(Clone, Copy, Debug)]
pub struct JoinOn<'a> {
    /// Of the left side and of the right side: what is equal.
    pub equal: &'a [(Expr, Expr)],
    /// What else holds.
    pub condition: Option<&'a Expr>,
    /// Whether NULL equals NULL.
    pub nulls: NullEquality,
}

impl RemoteQuery {
    /// Two relations joined.
    pub fn join(
        left: JoinSide<'_>,
        right: JoinSide<'_>,
        join_type: JoinType,
        on: JoinOn<'_>,
        vocabulary: &Vocabulary<'_>,
        result: &DFSchema,
    ) -> Result<Self, Reason> {
        let dialect = vocabulary.dialect;
        rule(vocabulary, join_type)?;
        match join_type {
            JoinType::Inner => {
                let (one, other) = (left.query.flat(dialect), right.query.flat(dialect));
                let on = pairs((&one, left.schema), (&other, right.schema), on, vocabulary)?;
                side_by_side(JoinKind::Inner, one, other, on, result)
            }
            JoinType::Left => {
                let (one, mut other) = (left.query.flat(dialect), right.query.extensible(dialect));
                let mut on = pairs((&one, left.schema), (&other, right.schema), on, vocabulary)?;
                // A row that the right side leaves out is no partner.
                on.append(&mut other.filter);
                side_by_side(JoinKind::Left, one, other, on, result)
            }
            JoinType::Right => {
                let (mut one, other) = (left.query.extensible(dialect), right.query.flat(dialect));
                let mut on = pairs((&one, left.schema), (&other, right.schema), on, vocabulary)?;
                on.append(&mut one.filter);
                side_by_side(JoinKind::Right, one, other, on, result)
            }
            JoinType::Full => {
                if on.equal.is_empty() || on.condition.is_some() {
                    return Err("no rule for a full join by anything but equality".into());
                }
                let whole = |query: &Self| match query.is_flat() && query.filter.is_empty() {
                    true => query.extensible(dialect),
                    false => query.nested(dialect),
                };
                let (one, other) = (whole(left.query), whole(right.query));
                let on = pairs((&one, left.schema), (&other, right.schema), on, vocabulary)?;
                side_by_side(JoinKind::Full, one, other, on, result)
            }
            JoinType::LeftSemi => {
                partnered((left.query, left.schema), (right.query, right.schema), false, on, vocabulary)
            }
            JoinType::LeftAnti => {
                partnered((left.query, left.schema), (right.query, right.schema), true, on, vocabulary)
            }
            JoinType::RightSemi => {
                let on = Swapped::of(on);
                partnered((right.query, right.schema), (left.query, left.schema), false, on.on(), vocabulary)
            }
            JoinType::RightAnti => {
                let on = Swapped::of(on);
                partnered((right.query, right.schema), (left.query, left.schema), true, on.on(), vocabulary)
            }
            JoinType::LeftMark | JoinType::RightMark => Err("no rule for a join that marks rows".into()),
        }
    }

    /// This query, or one over it, that is nothing but rows, conditions and columns.
    fn flat(&self, dialect: &dyn Dialect) -> Self {
        let mut query = if self.is_flat() { self.clone() } else { self.nested(dialect) };
        query.order = Vec::new();
        query
    }

    /// The same with nothing but columns, which are NULL where an outer join finds no row.
    fn extensible(&self, dialect: &dyn Dialect) -> Self {
        let plain = self.outputs.iter().all(|output| matches!(output.value.expr, RemoteExpr::Column { .. }));
        if plain { self.flat(dialect) } else { self.nested(dialect) }
    }
}

/// The operands of a join that is written the other way round.
struct Swapped<'a> {
    equal: Vec<(Expr, Expr)>,
    condition: Option<&'a Expr>,
    nulls: NullEquality,
}

impl<'a> Swapped<'a> {
    fn of(on: JoinOn<'a>) -> Self {
        let equal = on.equal.iter().map(|(left, right)| (right.clone(), left.clone())).collect();
        Self { equal, condition: on.condition, nulls: on.nulls }
    }

    fn on(&self) -> JoinOn<'_> {
        JoinOn { equal: &self.equal, condition: self.condition, nulls: self.nulls }
    }
}

fn rule(vocabulary: &Vocabulary<'_>, join_type: JoinType) -> Result<(), Reason> {
    let operation = match join_type {
        JoinType::Inner => Operation::Join,
        JoinType::Left | JoinType::Right | JoinType::Full => Operation::OuterJoin,
        _ => Operation::SemiJoin,
    };
    match vocabulary.capabilities.allows(operation) {
        true => Ok(()),
        false => Err(Reason::new(format!("no rule for {operation}"))),
    }
}

/// What holds of the pairs of a join.
fn pairs(
    (left, left_schema): (&RemoteQuery, &DFSchema),
    (right, right_schema): (&RemoteQuery, &DFSchema),
    on: JoinOn<'_>,
    vocabulary: &Vocabulary<'_>,
) -> Result<Vec<RemoteExpr>, Reason> {
    let mut conditions = Vec::with_capacity(on.equal.len() + 1);
    let (one, other) = (Columns::of(left, left_schema), Columns::of(right, right_schema));
    for (left, right) in on.equal {
        // What is never NULL equals no NULL. Otherwise the source would have to compare every pair: it can neither hash nor
        // sort by IS NOT DISTINCT FROM.
        let nullable = |expr: &Expr, schema: &DFSchema| expr.nullable(schema).unwrap_or(true);
        if on.nulls == NullEquality::NullEqualsNull && nullable(left, left_schema) && nullable(right, right_schema) {
            return Err("no rule for a join in which NULL equals NULL".into());
        }
        let left = lower::lower_value(left, &one, vocabulary)?;
        let right = lower::lower_value(right, &other, vocabulary)?;
        let equal = lower::lower_equality(left, right, vocabulary)?;
        if equal.fallible {
            return Err(super::FALLIBLE.into());
        }
        conditions.push(equal.expr);
    }
    if let Some(condition) = on.condition {
        let both = Columns::of(left, left_schema).beside(right, right_schema);
        let parts = split_conjunction(condition);
        // With no other condition on these rows, the source evaluates it for those for which the engine does.
        let alone = parts.len() == 1 && conditions.is_empty() && left.filter.is_empty() && right.filter.is_empty();
        for part in parts {
            let part = exact(part, &both, vocabulary)?;
            let sound = !part.fallible || (alone && of_whole_groups(&part.expr, &[&left.from, &right.from]));
            if !sound {
                return Err(super::FALLIBLE.into());
            }
            conditions.push(part.expr);
        }
    }
    Ok(conditions)
}

/// Whether a condition reads nothing but aggregates that subqueries compute.
fn of_whole_groups(condition: &RemoteExpr, from: &[&From]) -> bool {
    let RemoteExpr::Column { source, name } = condition else {
        return !matches!(condition, RemoteExpr::Exists { .. } | RemoteExpr::Scalar(_))
            && condition.operands().into_iter().all(|operand| of_whole_groups(operand, from));
    };
    from.iter().any(|from| match from {
        From::Queries { source: of, queries } if of == source => queries.iter().all(|query| {
            let output = query.outputs.iter().find(|output| output.name == *name);
            query.group.is_some() && output.is_some_and(|output| output.value.expr.has_aggregate())
        }),
        _ => false,
    })
}

fn side_by_side(
    kind: JoinKind,
    left: RemoteQuery,
    right: RemoteQuery,
    on: Vec<RemoteExpr>,
    result: &DFSchema,
) -> Result<RemoteQuery, Reason> {
    let values: Vec<Typed> = left.outputs.into_iter().chain(right.outputs).map(|output| output.value).collect();
    let mut filter = left.filter;
    filter.extend(right.filter);
    let from = From::Join { kind, left: Box::new(left.from), right: Box::new(right.from), on };
    Ok(RemoteQuery { filter, outputs: outputs(values, result)?, ..RemoteQuery::over(from) })
}

/// The rows that have a partner, or those that have none.
fn partnered(
    (rows, schema): (&RemoteQuery, &DFSchema),
    (partners, partners_schema): (&RemoteQuery, &DFSchema),
    negated: bool,
    on: JoinOn<'_>,
    vocabulary: &Vocabulary<'_>,
) -> Result<RemoteQuery, Reason> {
    let dialect = vocabulary.dialect;
    let (mut rows, mut partners) = (rows.flat(dialect), partners.flat(dialect));
    let conditions = pairs((&rows, schema), (&partners, partners_schema), on, vocabulary)?;
    partners.filter.extend(conditions);
    partners.outputs = Vec::new();
    rows.filter.push(RemoteExpr::Exists { query: Box::new(partners), negated });
    Ok(rows)
}
