//! Operators of the engine's folded into a query, one by one.
//!
//! Each takes a query and gives the query that computes the operator over it, or the reason why the source is not
//! asked for it. Where SQL has no place left for an operator in the same SELECT, the query so far becomes a subquery.
//! The columns of the query are, position by position, the columns of the schema that comes with the operator.

mod join;
mod scope;
#[cfg(test)]
mod tests;

use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, SortExpr};
use portolan_connector::{Operation, Reason, Verdict};

pub use join::{JoinOn, JoinSide};

use self::scope::Columns;
use crate::lower::{self, Predicate, limits::MAX_EXPRESSION_PARTS};
use crate::query::{From, Output, SortKey};
use crate::{Dialect, RemoteExpr, RemoteQuery, SourceId, Typed, Vocabulary};

/// What a filter may say that stays with the engine.
const FALLIBLE: &str = "it may fail for rows that another condition leaves out";

impl RemoteQuery {
    /// The rows for which a condition holds.
    pub fn filter(&self, condition: &Expr, schema: &DFSchema, vocabulary: &Vocabulary<'_>) -> Result<Self, Reason> {
        let mut query = if self.distinct || self.is_limited() { self.nested(vocabulary.dialect) } else { self.clone() };
        let condition = exact(condition, &Columns::of(&query, schema), vocabulary)?;
        if condition.fallible && !(query.having.is_empty() && query.group.is_some() && of_whole_groups(&condition.expr))
        {
            return Err(FALLIBLE.into());
        }
        let condition = condition.expr;
        match query.group {
            Some(_) => query.having.push(condition),
            None => query.filter.push(condition),
        }
        Ok(query)
    }

    /// Other columns, computed from these.
    pub fn project(
        &self,
        columns: &[Expr],
        schema: &DFSchema,
        vocabulary: &Vocabulary<'_>,
        result: &DFSchema,
    ) -> Result<Self, Reason> {
        let over = |mut query: Self| {
            let scope = Columns::of(&query, schema);
            let values = columns.iter().map(|column| lower::lower_value(column, &scope, vocabulary));
            query.outputs = outputs(values.collect::<Result<_, _>>()?, result)?;
            Ok::<_, Reason>(query)
        };
        if self.distinct {
            return over(self.nested(vocabulary.dialect));
        }
        let query = over(self.clone())?;
        // Without an aggregate function and without a key nothing would say that there is one group.
        let one_group = query.group.as_ref().is_some_and(Vec::is_empty) && query.having.is_empty();
        match one_group && !query.outputs.iter().any(|output| output.value.expr.has_aggregate()) {
            true => over(self.nested(vocabulary.dialect)),
            false => Ok(query),
        }
    }

    /// One row for each group: the keys, then the aggregates.
    pub fn aggregate(
        &self,
        keys: &[Expr],
        aggregates: &[Expr],
        schema: &DFSchema,
        vocabulary: &Vocabulary<'_>,
        result: &DFSchema,
    ) -> Result<Self, Reason> {
        let mut query = match self.is_flat() {
            true => self.clone(),
            false => self.nested(vocabulary.dialect),
        };
        let scope = Columns::of(&query, schema);
        let mut values = Vec::with_capacity(keys.len() + aggregates.len());
        for key in keys {
            let key = lower::lower_value(key, &scope, vocabulary)?;
            rule(Operation::GroupBy, &key, vocabulary)?;
            values.push(key);
        }
        let group = values.iter().map(|key| key.compared().clone()).collect();
        for aggregate in aggregates {
            values.push(lower::lower_aggregate(aggregate, &scope, vocabulary)?);
        }
        query.outputs = outputs(values, result)?;
        query.group = Some(group);
        query.order = Vec::new();
        Ok(query)
    }

    /// The rows in an order, at most so many.
    pub fn sort(
        &self,
        keys: &[SortExpr],
        fetch: Option<usize>,
        schema: &DFSchema,
        vocabulary: &Vocabulary<'_>,
    ) -> Result<Self, Reason> {
        // A SELECT DISTINCT may be sorted only by what it returns, and a collation makes something else of that.
        let mut query = if self.distinct || self.is_limited() { self.nested(vocabulary.dialect) } else { self.clone() };
        let scope = Columns::of(&query, schema);
        let mut order = Vec::with_capacity(keys.len());
        for key in keys {
            let value = lower::lower_value(&key.expr, &scope, vocabulary)?;
            rule(Operation::Sort, &value, vocabulary)?;
            let is_text = vocabulary.dialect.is_text(&value.column);
            let collation = vocabulary.dialect.byte_order_collation().filter(|_| is_text).map(str::to_owned);
            order.push(SortKey { value: value.expr, collation, descending: !key.asc, nulls_first: key.nulls_first });
        }
        query.order = order;
        query.limit = fetch;
        Ok(query)
    }

    /// The rows after the first `skip`, at most `fetch`.
    #[must_use]
    pub fn slice(&self, skip: usize, fetch: Option<usize>) -> Self {
        let left = self.limit.map(|limit| limit.saturating_sub(skip));
        let limit = match (left, fetch) {
            (Some(left), Some(fetch)) => Some(left.min(fetch)),
            (left, fetch) => left.or(fetch),
        };
        Self { offset: self.offset.saturating_add(skip), limit, ..self.clone() }
    }

    /// The rows of several queries, one after the other. They have as many columns, of the same types.
    pub fn union_all(queries: &[&Self], vocabulary: &Vocabulary<'_>, result: &DFSchema) -> Result<Self, Reason> {
        let Some((first, others)) = queries.split_first() else {
            return Err("a union of nothing has no rule".into());
        };
        for other in others {
            let alike = |(one, other): (&Output, &Output)| {
                let (one, other) = (&one.value.column, &other.value.column);
                lower::check_same_type(one, other).is_ok()
            };
            if first.outputs.len() != other.outputs.len() || !first.outputs.iter().zip(&other.outputs).all(alike) {
                return Err("the columns of the union are of different types in the source".into());
            }
        }
        let members: Vec<Self> = queries.iter().map(|query| query.of_one_collation(vocabulary.dialect)).collect();
        let mut union = first.nested(vocabulary.dialect);
        let fallible =
            |at: usize| queries.iter().any(|q| q.outputs.get(at).is_some_and(|output| output.value.fallible));
        let values = union.outputs.iter().enumerate().map(|(at, output)| {
            let mut value = output.value.clone();
            value.fallible = fallible(at);
            value.digits = None;
            value.column.collation = None;
            value
        });
        let values = values.collect();
        if let From::Queries { queries, .. } = &mut union.from {
            *queries = members;
        }
        union.outputs = outputs(values, result)?;
        Ok(union)
    }

    /// A query over this one.
    fn nested(&self, dialect: &dyn Dialect) -> Self {
        let source = SourceId::fresh();
        let names = self.output_names(dialect);
        let outputs = self.outputs.iter().zip(names).map(|(output, name)| {
            let mut value = Typed { expr: RemoteExpr::column(source, name), ..output.value.clone() };
            // What is computed may be under another.
            value.column.collation = value.column.collation.filter(|_| output.value.is_stored());
            Output { name: output.name.clone(), value }
        });
        let outputs = outputs.collect();
        Self { outputs, ..Self::over(From::Queries { source, queries: vec![self.clone()] }) }
    }

    /// The same, its texts under one collation whatever their columns have.
    fn of_one_collation(&self, dialect: &dyn Dialect) -> Self {
        let mut query = self.clone();
        let Some(collation) = dialect.byte_order_collation() else { return query };
        for output in query.outputs.iter_mut().filter(|output| dialect.is_text(&output.value.column)) {
            let operand = Box::new(output.value.expr.clone());
            output.value.expr = RemoteExpr::Collate { operand, collation: collation.to_owned() };
        }
        query
    }

    fn is_limited(&self) -> bool {
        self.limit.is_some() || self.offset > 0
    }

    /// Whether it is nothing but rows, conditions and columns, and perhaps an order.
    fn is_flat(&self) -> bool {
        self.group.is_none() && !self.distinct && !self.is_limited()
    }
}

/// A condition that is true, false or unknown for the same rows.
fn exact(condition: &Expr, scope: &dyn crate::Scope, vocabulary: &Vocabulary<'_>) -> Result<Predicate, Reason> {
    let predicate = lower::lower(condition, scope, vocabulary)?;
    match predicate.verdict {
        Verdict::Exact => Ok(predicate),
        _ => Err("the condition only prunes".into()),
    }
}

/// Whether a condition reads nothing but aggregates, so that the source evaluates it for whole groups and not earlier.
fn of_whole_groups(condition: &RemoteExpr) -> bool {
    match condition {
        RemoteExpr::Aggregate { .. } => true,
        RemoteExpr::Column { .. } | RemoteExpr::Exists { .. } | RemoteExpr::Scalar(_) => false,
        other => other.operands().into_iter().all(of_whole_groups),
    }
}

/// What an operation needs of the type of a value.
fn rule(operation: Operation, value: &Typed, vocabulary: &Vocabulary<'_>) -> Result<(), Reason> {
    match vocabulary.capabilities.verdict(operation, value.column.domain) {
        Verdict::Exact => Ok(()),
        Verdict::Pruning => Err(Reason::new(format!("{operation} only prunes"))),
        Verdict::Refused(reason) => Err(reason),
    }
}

/// The columns of a result, named and typed as the engine has them.
fn outputs(values: Vec<Typed>, result: &DFSchema) -> Result<Vec<Output>, Reason> {
    if values.len() != result.fields().len() {
        return Err("the source would return other columns than the engine".into());
    }
    let output = |(value, field): (Typed, &arrow::datatypes::FieldRef)| {
        let (here, there) = (field.data_type(), &value.column.arrow_type);
        if here != there {
            return Err(Reason::new(format!("{} is {here} in the engine and {there} in the source", field.name())));
        }
        if value.expr.parts() > MAX_EXPRESSION_PARTS {
            return Err(Reason::new(format!("{} has more than {MAX_EXPRESSION_PARTS} parts", field.name())));
        }
        Ok(Output { name: field.name().clone(), value })
    };
    values.into_iter().zip(result.fields()).map(output).collect()
}
