//! Folding: operators of the optimized plan are offered to the source below them, from the leaves up, and become part of
//! what the source computes where it takes them.
//!
//! This runs after all of DataFusion's own rules. What a source does not take stays, with the reason noted on its scan,
//! and the rest of the plan folds all the same.

mod node;
mod physical;
mod scalar;

use std::sync::Arc;

use datafusion::common::DFSchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::logical_expr::logical_plan::{Aggregate, Join, Limit, Projection, Sort, Union};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, FetchType, Filter, LogicalPlan, SkipType, SubqueryAlias, TableScan};
use portolan_connector::{FilterReport, Operand, Operator, Reason, Relation, TableName, Unfolded, Verdict};

pub(super) use self::physical::physical_planner;

use self::node::FoldedScan;
use self::scalar::{fold_scalar, has_scalar_subquery};
use super::FederatedTable;
use crate::explain::expression_sql;
use crate::semantics::as_written;

/// The plan with everything folded that sources take.
pub(super) fn fold(plan: LogicalPlan) -> Result<LogicalPlan> {
    match below(plan)? {
        Node::Engine(plan) => Ok(plan),
        // Nothing stands above that could change the order of the rows.
        Node::Source(source) => Ok(source.plan(None)),
    }
}

/// What became of a part of the plan.
enum Node {
    /// The engine computes it.
    Engine(LogicalPlan),
    /// A source computes it.
    Source(Box<Source>),
}

impl Node {
    /// The part as an input of an operator that the engine computes.
    fn input(self) -> LogicalPlan {
        match self {
            Self::Engine(plan) => plan,
            Self::Source(source) => source.input(None),
        }
    }
}

/// A part of the plan that a source computes.
#[derive(Clone)]
struct Source {
    relation: Arc<dyn Relation>,
    /// What the engine calls its columns.
    schema: DFSchemaRef,
    tables: Vec<TableName>,
    columns_total: usize,
    filters: Vec<FilterReport>,
    folded: Vec<&'static str>,
    /// The plan of a scan over which nothing is folded.
    scan: Option<LogicalPlan>,
    /// The plan under an operator of the engine's, where rows are sorted: it may deal them out to several threads, after
    /// which the order is lost. So the engine sorts again what the source gives.
    sorted_again: Option<LogicalPlan>,
}

impl Source {
    /// The scan of a table, if its source computes more than scans.
    fn of(scan: &TableScan) -> Result<Option<Self>> {
        let provider = source_as_provider(&scan.source)?;
        let Some(table) = provider.downcast_ref::<FederatedTable>() else { return Ok(None) };
        let Some((request, relation)) = table.relation(scan.projection.as_deref(), &scan.filters, scan.fetch)? else {
            return Ok(None);
        };
        let (filters, folded) = table.taken(&request);
        Ok(Some(Self {
            relation,
            schema: Arc::clone(&scan.projected_schema),
            tables: vec![table.table().name().clone()],
            columns_total: table.visible_columns(),
            filters,
            folded,
            scan: Some(LogicalPlan::TableScan(scan.clone())),
            sorted_again: None,
        }))
    }

    fn operand(&self) -> Operand<'_> {
        Operand { relation: &self.relation, schema: &self.schema }
    }

    /// The same with an operator folded into it.
    fn with(self: Box<Self>, relation: Arc<dyn Relation>, schema: &DFSchemaRef, operator: &'static str) -> Box<Self> {
        let mut source = self;
        if !source.folded.contains(&operator) {
            source.folded.push(operator);
        }
        Box::new(Self { relation, schema: Arc::clone(schema), scan: None, sorted_again: None, ..*source })
    }

    /// What EXPLAIN tells about another part, which has become a part of this one.
    fn absorb(&mut self, other: Self) {
        self.tables.extend(other.tables);
        self.columns_total += other.columns_total;
        self.filters.extend(other.filters);
        let new: Vec<_> = other.folded.into_iter().filter(|fold| !self.folded.contains(fold)).collect();
        self.folded.extend(new);
    }

    /// The part as the whole plan. `unfolded` stands above it and was refused.
    fn plan(&self, unfolded: Option<Unfolded>) -> LogicalPlan {
        match &self.scan {
            Some(scan) => noted(scan.clone(), unfolded),
            None => FoldedScan::plan(self, unfolded),
        }
    }

    /// The part under an operator that the engine computes.
    fn input(&self, unfolded: Option<Unfolded>) -> LogicalPlan {
        match &self.sorted_again {
            Some(plan) => plan.clone(),
            None => self.plan(unfolded),
        }
    }
}

/// A scan, perhaps under another name, that knows which operator above it its source was not given.
fn noted(plan: LogicalPlan, unfolded: Option<Unfolded>) -> LogicalPlan {
    match plan {
        LogicalPlan::TableScan(scan) => FederatedTable::note_unfolded(&scan, unfolded),
        LogicalPlan::SubqueryAlias(mut alias) => {
            alias.input = Arc::new(noted(Arc::unwrap_or_clone(alias.input), unfolded));
            LogicalPlan::SubqueryAlias(alias)
        }
        other => other,
    }
}

/// Folds a plan from its leaves up.
fn below(plan: LogicalPlan) -> Result<Node> {
    match plan {
        LogicalPlan::TableScan(scan) => Ok(match Source::of(&scan)? {
            Some(source) => Node::Source(Box::new(source)),
            None => Node::Engine(LogicalPlan::TableScan(scan)),
        }),
        LogicalPlan::SubqueryAlias(alias) => fold_alias(alias),
        LogicalPlan::Filter(filter) => fold_filter(filter),
        LogicalPlan::Projection(projection) => fold_projection(projection),
        LogicalPlan::Aggregate(aggregate) => fold_aggregate(aggregate),
        LogicalPlan::Sort(sort) => fold_sort(sort),
        LogicalPlan::Limit(limit) => fold_limit(limit),
        LogicalPlan::Join(join) => fold_join(join),
        LogicalPlan::Union(union) => fold_union(union),
        other => {
            let folded = other.map_children(|child| Ok(Transformed::yes(below(child)?.input())))?.data;
            engine(folded)
        }
    }
}

/// An operator of the engine's, whose inputs are settled; so are now the subqueries in its expressions.
fn engine(plan: LogicalPlan) -> Result<Node> {
    let plan = plan.map_subqueries(|subquery| match subquery {
        LogicalPlan::Subquery(mut subquery) => {
            subquery.subquery = Arc::new(fold(Arc::unwrap_or_clone(subquery.subquery))?);
            Ok(Transformed::yes(LogicalPlan::Subquery(subquery)))
        }
        other => Ok(Transformed::yes(fold(other)?)),
    })?;
    Ok(Node::Engine(plan.data))
}

fn child(input: Arc<LogicalPlan>) -> Result<Node> {
    below(Arc::unwrap_or_clone(input))
}

/// Another name for the same columns.
fn fold_alias(alias: SubqueryAlias) -> Result<Node> {
    let SubqueryAlias { input, alias: name, schema, .. } = alias;
    let renamed =
        |plan: LogicalPlan| SubqueryAlias::try_new(Arc::new(plan), name.clone()).map(LogicalPlan::SubqueryAlias);
    match child(input)? {
        Node::Engine(plan) => Ok(Node::Engine(renamed(plan)?)),
        Node::Source(mut source) => {
            source.scan = source.scan.take().map(&renamed).transpose()?;
            source.sorted_again = source.sorted_again.take().map(&renamed).transpose()?;
            source.schema = schema;
            Ok(Node::Source(source))
        }
    }
}

fn fold_filter(filter: Filter) -> Result<Node> {
    let Filter { predicate, input, .. } = filter;
    let over = |predicate, plan: LogicalPlan| Filter::try_new(predicate, Arc::new(plan)).map(LogicalPlan::Filter);
    let mut source = match child(input)? {
        Node::Engine(plan) => return engine(over(predicate, plan)?),
        Node::Source(source) => source,
    };
    let (mut kept, mut unfolded) = (Vec::new(), None);
    for conjunct in split_conjunction_owned(predicate) {
        if has_scalar_subquery(&conjunct) {
            match fold_scalar(&source, &conjunct)? {
                Some(folded) => source = folded,
                None => kept.push(conjunct),
            }
            continue;
        }
        if source.scan.is_some() {
            // The table has judged it already.
            kept.push(conjunct);
            continue;
        }
        let schema = Arc::clone(&source.schema);
        let condition = as_written(conjunct.clone());
        match source.relation.fold(Operator::Filter(&condition), &schema, &schema) {
            Ok(relation) => {
                let sorted = source.sorted_again.take();
                source = source.with(relation, &schema, "filter");
                source.sorted_again = sorted.map(|plan| over(conjunct.clone(), plan)).transpose()?;
                source.filters.push(FilterReport { expression: conjunct, verdict: Verdict::Exact, remote: None });
            }
            Err(reason) => {
                unfolded.get_or_insert_with(|| refusal("filter", [&conjunct], reason));
                kept.push(conjunct);
            }
        }
    }
    match conjunction(kept) {
        None => Ok(Node::Source(source)),
        Some(predicate) => engine(over(predicate, source.input(unfolded))?),
    }
}

fn fold_projection(projection: Projection) -> Result<Node> {
    let Projection { expr, input, schema, .. } = projection;
    let over = |plan: LogicalPlan| {
        Projection::try_new_with_schema(expr.clone(), Arc::new(plan), Arc::clone(&schema)).map(LogicalPlan::Projection)
    };
    let source = match child(input)? {
        Node::Engine(plan) => return engine(over(plan)?),
        Node::Source(source) => source,
    };
    let columns: Vec<Expr> = expr.iter().cloned().map(as_written).collect();
    match source.relation.fold(Operator::Project(&columns), &source.schema, &schema) {
        Ok(relation) => {
            let sorted = source.sorted_again.as_ref().map(|plan| over(plan.clone())).transpose()?;
            let mut source = source.with(relation, &schema, "projection");
            source.sorted_again = sorted;
            Ok(Node::Source(source))
        }
        Err(reason) => {
            let computed = expr.iter().filter(|expr| !matches!(expr, Expr::Column(_)));
            let unfolded = refusal("projection", computed, reason);
            engine(over(source.input(Some(unfolded)))?)
        }
    }
}

fn fold_aggregate(aggregate: Aggregate) -> Result<Node> {
    let Aggregate { input, group_expr, aggr_expr, schema, .. } = aggregate;
    let over = |plan: LogicalPlan| {
        Aggregate::try_new_with_schema(Arc::new(plan), group_expr.clone(), aggr_expr.clone(), Arc::clone(&schema))
            .map(LogicalPlan::Aggregate)
    };
    let source = match child(input)? {
        Node::Engine(plan) => return engine(over(plan)?),
        Node::Source(source) => source,
    };
    let keys: Vec<Expr> = group_expr.iter().cloned().map(as_written).collect();
    let aggregates: Vec<Expr> = aggr_expr.iter().cloned().map(as_written).collect();
    let operator = Operator::Aggregate { keys: &keys, aggregates: &aggregates };
    let folded = match keys.iter().any(|key| matches!(key, Expr::GroupingSet(_))) {
        true => Err("no rule for grouping sets".into()),
        false => source.relation.fold(operator, &source.schema, &schema),
    };
    match folded {
        Ok(relation) => Ok(Node::Source(source.with(relation, &schema, "aggregate"))),
        Err(reason) => {
            let unfolded = refusal("aggregate", group_expr.iter().chain(&aggr_expr), reason);
            engine(over(source.input(Some(unfolded)))?)
        }
    }
}

fn fold_sort(sort: Sort) -> Result<Node> {
    let Sort { expr, input, fetch } = sort;
    let over = |plan: LogicalPlan| LogicalPlan::Sort(Sort { expr: expr.clone(), input: Arc::new(plan), fetch });
    let source = match child(input)? {
        Node::Engine(plan) => return engine(over(plan)),
        Node::Source(source) => source,
    };
    let mut keys = expr.clone();
    keys.iter_mut().for_each(|key| key.expr = as_written(key.expr.clone()));
    let operator = Operator::Sort { keys: &keys, fetch };
    let schema = Arc::clone(&source.schema);
    match source.relation.fold(operator, &schema, &schema) {
        Ok(relation) => {
            // The first rows are the same ones in whatever order; without a limit there is nothing to gain.
            let unsorted = if fetch.is_some() { None } else { Some(source.input(None)) };
            let mut source = source.with(relation, &schema, operator.name());
            let below = unsorted.unwrap_or_else(|| source.plan(None));
            source.sorted_again = Some(over(below));
            Ok(Node::Source(source))
        }
        Err(reason) => {
            let unfolded = refusal(operator.name(), expr.iter().map(|key| &key.expr), reason);
            engine(over(source.input(Some(unfolded))))
        }
    }
}

fn fold_limit(limit: Limit) -> Result<Node> {
    let (skip, fetch) = (limit.get_skip_type()?, limit.get_fetch_type()?);
    let Limit { skip: skip_expr, fetch: fetch_expr, input } = limit;
    let over = |plan: LogicalPlan| {
        LogicalPlan::Limit(Limit { skip: skip_expr.clone(), fetch: fetch_expr.clone(), input: Arc::new(plan) })
    };
    let source = match child(input)? {
        Node::Engine(plan) => return engine(over(plan)),
        Node::Source(source) => source,
    };
    let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (skip, fetch) else {
        return engine(over(source.input(None)));
    };
    let schema = Arc::clone(&source.schema);
    match source.relation.fold(Operator::Limit { skip, fetch }, &schema, &schema) {
        Ok(relation) => {
            let sorted = source.sorted_again.as_ref().map(|plan| over(plan.clone()));
            let mut source = source.with(relation, &schema, "limit");
            source.sorted_again = sorted;
            Ok(Node::Source(source))
        }
        Err(reason) => {
            let unfolded = refusal("limit", std::iter::empty(), reason);
            engine(over(source.input(Some(unfolded))))
        }
    }
}

fn fold_join(join: Join) -> Result<Node> {
    let left = child(Arc::clone(&join.left))?;
    let right = child(Arc::clone(&join.right))?;
    let (left, right) = match (left, right) {
        (Node::Source(left), Node::Source(right)) if catalog(&left) == catalog(&right) => (left, right),
        (left, right) => {
            let (left, right) = (Arc::new(left.input()), Arc::new(right.input()));
            return engine(LogicalPlan::Join(Join { left, right, ..join }));
        }
    };
    let equal: Vec<(Expr, Expr)> =
        join.on.iter().map(|(left, right)| (as_written(left.clone()), as_written(right.clone()))).collect();
    let condition = join.filter.clone().map(as_written);
    let operator = Operator::Join {
        right: right.operand(),
        join_type: join.join_type,
        equal: &equal,
        condition: condition.as_ref(),
        nulls: join.null_equality,
    };
    let folded = match join.null_aware {
        true => Err("no rule for NOT IN where NULL may be among the values".into()),
        false => left.relation.fold(operator, &left.schema, &join.schema),
    };
    match folded {
        Ok(relation) => {
            let mut source = left.with(relation, &join.schema, "join");
            source.absorb(*right);
            Ok(Node::Source(source))
        }
        Err(reason) => {
            let on: Vec<Expr> = join.on.iter().map(|(left, right)| left.clone().eq(right.clone())).collect();
            let unfolded = refusal("join", on.iter().chain(&join.filter), reason);
            let (left, right) = (Arc::new(left.input(Some(unfolded))), Arc::new(right.input(None)));
            engine(LogicalPlan::Join(Join { left, right, ..join }))
        }
    }
}

fn fold_union(union: Union) -> Result<Node> {
    let Union { inputs, schema } = union;
    let over = |inputs: Vec<LogicalPlan>| {
        let inputs = inputs.into_iter().map(Arc::new).collect();
        LogicalPlan::Union(Union { inputs, schema: Arc::clone(&schema) })
    };
    let inputs = inputs.into_iter().map(child).collect::<Result<Vec<_>>>()?;
    let all_of_one = {
        let mut catalogs = inputs.iter().map(|input| match input {
            Node::Source(source) => Some(catalog(source)),
            Node::Engine(_) => None,
        });
        let first = catalogs.next().flatten();
        first.is_some() && catalogs.all(|other| other == first)
    };
    if !all_of_one {
        return engine(over(inputs.into_iter().map(Node::input).collect()));
    }
    let mut sources = inputs.into_iter().filter_map(|input| match input {
        Node::Source(source) => Some(source),
        Node::Engine(_) => None,
    });
    let Some(first) = sources.next() else { return engine(over(Vec::new())) };
    let others: Vec<_> = sources.collect();
    let operands: Vec<Operand<'_>> = others.iter().map(|source| source.operand()).collect();
    match first.relation.fold(Operator::UnionAll(&operands), &first.schema, &schema) {
        Ok(relation) => {
            let mut source = first.with(relation, &schema, "union");
            others.into_iter().for_each(|other| source.absorb(*other));
            Ok(Node::Source(source))
        }
        Err(reason) => {
            let unfolded = refusal("union", std::iter::empty(), reason);
            let first = first.input(Some(unfolded));
            engine(over([first].into_iter().chain(others.into_iter().map(|other| other.input(None))).collect()))
        }
    }
}

fn catalog(source: &Source) -> Option<&str> {
    source.tables.first().map(|table| table.catalog.as_str())
}

fn refusal<'a>(operator: &'static str, of: impl IntoIterator<Item = &'a Expr>, reason: Reason) -> Unfolded {
    let detail: Vec<String> = of.into_iter().map(expression_sql).collect();
    Unfolded { operator, detail: detail.join(", "), reason }
}
