//! Another way to write the same: a subquery of groups, of which an EXISTS looks for one, computed for that group alone.
//!
//! The engine takes correlated subqueries apart, since for most of its sources one pass over all groups is the better
//! way. Where a source finds the rows of a group by an index, and few groups are asked for, it is the worse one. Which
//! it is only the source's own planner can tell.

use crate::query::From;
use crate::{CompareOp, RemoteExpr, RemoteQuery, SourceId};

impl RemoteQuery {
    /// The query with groups computed where they are looked for; `None` where it looks for none.
    pub fn correlated(&self) -> Option<Self> {
        let mut query = self.clone();
        correlate_query(&mut query).then_some(query)
    }
}

/// Whether anything changed.
fn correlate_query(query: &mut RemoteQuery) -> bool {
    let mut changed = correlate_from(&mut query.from);
    for condition in query.filter.iter_mut().chain(&mut query.having) {
        changed |= correlate_condition(condition);
    }
    changed
}

fn correlate_from(from: &mut From) -> bool {
    match from {
        From::Table { .. } | From::Native { .. } | From::Shared { .. } => false,
        From::Queries { queries, .. } => {
            queries.iter_mut().fold(false, |changed, query| correlate_query(query) | changed)
        }
        From::Join { left, right, .. } => correlate_from(left) | correlate_from(right),
    }
}

fn correlate_condition(condition: &mut RemoteExpr) -> bool {
    let RemoteExpr::Exists { query, .. } = condition else { return false };
    let inner = correlate_query(query);
    look_into_groups(query) | inner
}

/// Moves equalities with keys of the groups from the query of an EXISTS into the subquery that makes the groups.
fn look_into_groups(query: &mut RemoteQuery) -> bool {
    let From::Queries { source, queries } = &mut query.from else { return false };
    let [groups] = queries.as_mut_slice() else { return false };
    if groups.group.as_ref().is_none_or(Vec::is_empty) || groups.limit.is_some() || groups.offset > 0 {
        return false;
    }
    let (mut kept, mut moved) = (Vec::new(), Vec::new());
    for condition in std::mem::take(&mut query.filter) {
        match within(&condition, *source, groups) {
            Some(condition) => moved.push(condition),
            None => kept.push(condition),
        }
    }
    query.filter = kept;
    let changed = !moved.is_empty();
    groups.filter.extend(moved);
    changed
}

/// An equality of a key with something outside, as a condition on the rows of the groups.
fn within(condition: &RemoteExpr, source: SourceId, groups: &RemoteQuery) -> Option<RemoteExpr> {
    let RemoteExpr::Compare { op: op @ CompareOp::Eq, left, right, collation } = condition else { return None };
    let key = |expr: &RemoteExpr| match expr {
        RemoteExpr::Column { source: of, name } if *of == source => {
            let output = groups.outputs.iter().find(|output| output.name == *name)?;
            let keys = groups.group.as_ref()?;
            let is_key = keys.contains(&output.value.expr) || keys.iter().any(|key| key == output.value.compared());
            is_key.then(|| output.value.expr.clone())
        }
        _ => None,
    };
    let pair = match (key(left), key(right)) {
        (Some(key), None) if !reads(right, source) => (key, right.as_ref().clone()),
        (None, Some(key)) if !reads(left, source) => (left.as_ref().clone(), key),
        _ => return None,
    };
    let (left, right) = (Box::new(pair.0), Box::new(pair.1));
    Some(RemoteExpr::Compare { op: *op, left, right, collation: collation.clone() })
}

/// Whether an expression reads a relation. Of an EXISTS that is not known.
fn reads(expr: &RemoteExpr, source: SourceId) -> bool {
    match expr {
        RemoteExpr::Column { source: of, .. } => *of == source,
        RemoteExpr::Exists { .. } | RemoteExpr::Scalar(_) => true,
        other => other.operands().into_iter().any(|operand| reads(operand, source)),
    }
}
