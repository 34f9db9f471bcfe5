//! Walking over expressions and queries.

use crate::query::From;
use crate::{RemoteExpr, RemoteQuery};

/// What an expression is computed from, without the queries in it. Written once for looking and for changing.
macro_rules! operands {
    ($expression:expr $(, $mutable:tt)?) => {
        match $expression {
            RemoteExpr::Column { .. }
            | RemoteExpr::Literal(_)
            | RemoteExpr::Constant(_)
            | RemoteExpr::Exists { .. }
            | RemoteExpr::Scalar(_) => Vec::new(),
            RemoteExpr::Compare { left, right, .. } | RemoteExpr::Arithmetic { left, right, .. } => vec![left, right],
            RemoteExpr::Quotient { dividend, divisor, .. } => vec![dividend, divisor],
            RemoteExpr::NullIf(value, other) => vec![value, other],
            RemoteExpr::And(parts)
            | RemoteExpr::Or(parts)
            | RemoteExpr::Coalesce(parts)
            | RemoteExpr::Concat { parts, .. }
            | RemoteExpr::Extreme { values: parts, .. } => parts.into_iter().collect(),
            RemoteExpr::Not(operand)
            | RemoteExpr::IsNull(operand)
            | RemoteExpr::IsNotNull(operand)
            | RemoteExpr::In { operand, .. }
            | RemoteExpr::Between { operand, .. }
            | RemoteExpr::Like { operand, .. }
            | RemoteExpr::Truth { operand, .. }
            | RemoteExpr::Cast { operand, .. }
            | RemoteExpr::Collate { operand, .. }
            | RemoteExpr::ArrayHas { operand, .. }
            | RemoteExpr::Function { argument: operand, .. } => vec![operand],
            RemoteExpr::Case { branches, otherwise } => {
                let branches = branches.into_iter().flat_map(|(condition, value)| [condition, value]);
                branches.chain(otherwise.into_iter().map(|value| & $($mutable)? **value)).collect()
            }
            RemoteExpr::Aggregate { argument, filter, .. } => {
                argument.into_iter().chain(filter).map(|part| & $($mutable)? **part).collect()
            }
        }
    };
}

impl RemoteExpr {
    /// What it is computed from, without the queries in it.
    pub(crate) fn operands(&self) -> Vec<&Self> {
        operands!(self)
    }

    /// The same, to be changed.
    fn operands_mut(&mut self) -> Vec<&mut Self> {
        operands!(self, mut)
    }

    /// Changes the expression and its parts, those in queries too, from the outside in. What `change` puts in the place of a
    /// part is not looked at again.
    pub(crate) fn walk_mut(&mut self, change: &mut dyn FnMut(&mut Self) -> bool) {
        if change(self) {
            return;
        }
        match self {
            Self::Exists { query, .. } | Self::Scalar(query) => query.walk_mut(change),
            _ => self.operands_mut().into_iter().for_each(|operand| operand.walk_mut(change)),
        }
    }
}

impl RemoteQuery {
    /// Changes all expressions of a query and of those that it reads, as [`RemoteExpr::walk_mut`] does.
    pub(crate) fn walk_mut(&mut self, change: &mut dyn FnMut(&mut RemoteExpr) -> bool) {
        self.own_mut(change);
        self.from.subqueries_mut(&mut |query| query.walk_mut(change));
    }

    /// Changes the expressions of a query, those of subqueries in them too.
    fn own_mut(&mut self, change: &mut dyn FnMut(&mut RemoteExpr) -> bool) {
        self.from.conditions_mut(change);
        let own = self.filter.iter_mut().chain(self.group.iter_mut().flatten()).chain(&mut self.having);
        own.for_each(|expression| expression.walk_mut(change));
        self.outputs.iter_mut().for_each(|output| output.value.expr.walk_mut(change));
        self.order.iter_mut().for_each(|key| key.value.walk_mut(change));
    }

    /// Changes the relations of a query and of those that it reads, from the outside in.
    pub(crate) fn relations_mut(&mut self, change: &mut dyn FnMut(&mut From)) {
        self.from.relations_mut(change);
        self.walk_mut(&mut |part| match part {
            RemoteExpr::Exists { query, .. } | RemoteExpr::Scalar(query) => {
                query.relations_mut(change);
                true
            }
            _ => false,
        });
    }

    /// Changes the queries that a query reads, and not those in them.
    pub(crate) fn subqueries_mut(&mut self, change: &mut dyn FnMut(&mut Self)) {
        self.from.subqueries_mut(change);
        self.own_mut(&mut |part| match part {
            RemoteExpr::Exists { query, .. } | RemoteExpr::Scalar(query) => {
                change(query);
                true
            }
            _ => false,
        });
    }
}

impl From {
    /// The conditions of joins.
    fn conditions_mut(&mut self, change: &mut dyn FnMut(&mut RemoteExpr) -> bool) {
        if let Self::Join { left, right, on, .. } = self {
            left.conditions_mut(change);
            right.conditions_mut(change);
            on.iter_mut().for_each(|condition| condition.walk_mut(change));
        }
    }

    fn subqueries_mut(&mut self, change: &mut dyn FnMut(&mut RemoteQuery)) {
        match self {
            Self::Table { .. } | Self::Native { .. } | Self::Shared { .. } => {}
            Self::Queries { queries, .. } => queries.iter_mut().for_each(change),
            Self::Join { left, right, .. } => {
                left.subqueries_mut(change);
                right.subqueries_mut(change);
            }
        }
    }

    fn relations_mut(&mut self, change: &mut dyn FnMut(&mut Self)) {
        change(self);
        match self {
            Self::Table { .. } | Self::Native { .. } | Self::Shared { .. } => {}
            Self::Queries { queries, .. } => queries.iter_mut().for_each(|query| query.from.relations_mut(change)),
            Self::Join { left, right, .. } => {
                left.relations_mut(change);
                right.relations_mut(change);
            }
        }
    }
}
