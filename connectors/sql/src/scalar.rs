//! Another way to write the same: a join with a query of one row as the value of that query, where it is read.
//!
//! Sources compute such a value once, before anything else, and know then that it is one.

use std::collections::{HashMap, HashSet};

use crate::query::{From, JoinKind};
use crate::{RemoteExpr, RemoteQuery, SourceId};

impl RemoteQuery {
    /// The query with values in the place of joins; `None` where there is no such join.
    pub fn with_scalars(&self) -> Option<Self> {
        let mut query = self.clone();
        let mut read: HashMap<SourceId, usize> = HashMap::new();
        query.walk_mut(&mut |part| {
            if let RemoteExpr::Column { source, .. } = part {
                *read.entry(*source).or_default() += 1;
            }
            false
        });
        let once = read.into_iter().filter(|(_, times)| *times == 1).map(|(source, _)| source).collect();
        in_query(&mut query, &once).then_some(query)
    }
}

/// Whether anything changed. `once`: the relations of which one column is read, in one place.
fn in_query(query: &mut RemoteQuery, once: &HashSet<SourceId>) -> bool {
    let mut taken = Taken::default();
    let from = query.from.clone().without_values(once, &mut taken);
    let mut changed = match from {
        Some(from) if !taken.values.is_empty() => {
            query.from = from;
            query.filter.append(&mut taken.conditions);
            query.walk_mut(&mut |part| {
                let value = match part {
                    RemoteExpr::Column { source, .. } => taken.values.remove(source),
                    _ => None,
                };
                let is_value = value.is_some();
                if let Some(value) = value {
                    *part = RemoteExpr::Scalar(Box::new(value));
                }
                is_value
            });
            true
        }
        _ => false,
    };
    query.subqueries_mut(&mut |subquery| changed |= in_query(subquery, once));
    changed
}

/// What is left of a tree of joins.
#[derive(Default)]
struct Taken {
    values: HashMap<SourceId, RemoteQuery>,
    /// Those of joins that are none any more.
    conditions: Vec<RemoteExpr>,
}

impl From {
    /// The relations of inner joins without those that are values; `None` where nothing remains.
    fn without_values(self, once: &HashSet<SourceId>, taken: &mut Taken) -> Option<Self> {
        match self {
            Self::Queries { source, queries } => match queries.as_slice() {
                [query] if once.contains(&source) && is_value(query) => {
                    taken.values.insert(source, query.clone());
                    None
                }
                _ => Some(Self::Queries { source, queries }),
            },
            Self::Join { kind: JoinKind::Inner, left, right, mut on } => {
                match (left.without_values(once, taken), right.without_values(once, taken)) {
                    (Some(left), Some(right)) => {
                        let (left, right) = (Box::new(left), Box::new(right));
                        Some(Self::Join { kind: JoinKind::Inner, left, right, on })
                    }
                    (one, other) => {
                        taken.conditions.append(&mut on);
                        one.or(other)
                    }
                }
            }
            other => Some(other),
        }
    }
}

/// Whether a query has one row of one column, whatever the tables hold.
fn is_value(query: &RemoteQuery) -> bool {
    let one_group = query.group.as_ref().is_some_and(Vec::is_empty) && query.having.is_empty();
    one_group && query.outputs.len() == 1 && query.limit.is_none() && query.offset == 0
}
