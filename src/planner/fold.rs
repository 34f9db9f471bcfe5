//! Folding: operators of the optimized plan are offered to the source below them, from the leaves up, and become part of
//! what the source computes where it takes them.
//!
//! This runs after all of DataFusion's own rules. What a source does not take stays, with the reason noted on its scan,
//! and the rest of the plan folds all the same.

mod choice;
mod cost;
mod judge;
mod node;
mod physical;
mod place;
mod scalar;

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchemaRef, plan_err};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::logical_expr::logical_plan::{Aggregate, Join, Limit, Projection, Sort, Union};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, FetchType, Filter, LogicalPlan, SkipType, SubqueryAlias, TableScan};
use portolan_connector::{FilterReport, Operand, Operator, Reason, Relation, TableName, Unfolded, Verdict};

pub(super) use self::judge::fold_judged;
pub(super) use self::physical::{physical_planner, whole};
pub(super) use self::place::{Place, place};

use self::choice::{Expected, Weighed, weigh};
pub(super) use self::cost::{ENGINE, join_micros, narrowed, transfer};
pub(super) use self::node::FoldedScan;
use self::scalar::{fold_scalar, has_scalar_subquery};
use super::FederatedTable;
use crate::explain::expression_sql;
use crate::semantics::as_written;

/// What sources are given of what they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folding {
    /// All.
    Always,
    /// What they are expected to do faster than the engine, where statistics tell.
    Cost,
    /// Nothing but scans.
    Never,
}

/// The plan with everything folded that sources take and that they are to be given.
fn fold(plan: LogicalPlan, folding: Folding) -> Result<LogicalPlan> {
    if folding == Folding::Never {
        return Ok(plan);
    }
    match below(plan, folding)? {
        Node::Engine(plan) => Ok(plan),
        // Nothing stands above that could change the order of the rows.
        Node::Source(source) => Ok(source.alone()),
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
    /// What is expected of it, where statistics tell.
    expected: Option<Expected>,
}

impl Source {
    /// The scan of a table, if its source computes more than scans.
    fn of(scan: &TableScan, folding: Folding) -> Result<Option<Self>> {
        let provider = source_as_provider(&scan.source)?;
        let Some(table) = provider.downcast_ref::<FederatedTable>() else { return Ok(None) };
        let Some((request, relation)) = table.relation(scan.projection.as_deref(), &scan.filters, scan.fetch)? else {
            return Ok(None);
        };
        let (filters, folded) = table.taken(&request);
        let plan = LogicalPlan::TableScan(scan.clone());
        let expected = Expected::of_scan(&plan, relation.costs(), folding);
        Ok(Some(Self {
            relation,
            schema: Arc::clone(&scan.projected_schema),
            tables: vec![table.table().name().clone()],
            columns_total: table.visible_columns(),
            filters,
            folded,
            scan: Some(plan),
            sorted_again: None,
            expected,
        }))
    }

    fn operand(&self) -> Operand<'_> {
        Operand { relation: &self.relation, schema: &self.schema }
    }

    /// The same with an operator folded into it.
    fn with(
        self: Box<Self>,
        relation: Arc<dyn Relation>,
        schema: &DFSchemaRef,
        operator: &'static str,
        expected: Option<Expected>,
    ) -> Box<Self> {
        let mut source = self;
        if !source.folded.contains(&operator) {
            source.folded.push(operator);
        }
        Box::new(Self { relation, schema: Arc::clone(schema), scan: None, sorted_again: None, expected, ..*source })
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

    /// The part with nothing above it.
    fn alone(&self) -> LogicalPlan {
        self.fetched().unwrap_or_else(|| self.plan(None))
    }

    /// The part under an operator that the engine computes.
    fn input(&self, unfolded: Option<Unfolded>) -> LogicalPlan {
        let other = self.fetched().or_else(|| self.sorted_again.clone());
        other.unwrap_or_else(|| self.plan(unfolded))
    }

    /// The part as the engine computes it, where that is expected to be faster.
    fn fetched(&self) -> Option<LogicalPlan> {
        Some(self.expected.as_ref()?.fetched.as_ref()?.plan.clone())
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
fn below(plan: LogicalPlan, folding: Folding) -> Result<Node> {
    match plan {
        LogicalPlan::TableScan(scan) => Ok(match Source::of(&scan, folding)? {
            Some(source) => Node::Source(Box::new(source)),
            None => Node::Engine(LogicalPlan::TableScan(scan)),
        }),
        LogicalPlan::SubqueryAlias(alias) => fold_alias(alias, folding),
        LogicalPlan::Filter(filter) => fold_filter(filter, folding),
        LogicalPlan::Projection(projection) => fold_projection(projection, folding),
        LogicalPlan::Aggregate(aggregate) => fold_aggregate(aggregate, folding),
        LogicalPlan::Sort(sort) => fold_sort(sort, folding),
        LogicalPlan::Limit(limit) => fold_limit(limit, folding),
        LogicalPlan::Join(join) => fold_join(join, folding),
        LogicalPlan::Union(union) => fold_union(union, folding),
        other => {
            let folded = other.map_children(|child| Ok(Transformed::yes(below(child, folding)?.input())))?.data;
            engine(folded, folding)
        }
    }
}

/// An operator of the engine's, whose inputs are settled; so are now the subqueries in its expressions.
fn engine(plan: LogicalPlan, folding: Folding) -> Result<Node> {
    let plan = plan.map_subqueries(|subquery| match subquery {
        LogicalPlan::Subquery(mut subquery) => {
            subquery.subquery = Arc::new(fold(Arc::unwrap_or_clone(subquery.subquery), folding)?);
            Ok(Transformed::yes(LogicalPlan::Subquery(subquery)))
        }
        other => Ok(Transformed::yes(fold(other, folding)?)),
    })?;
    Ok(Node::Engine(plan.data))
}

fn child(input: Arc<LogicalPlan>, folding: Folding) -> Result<Node> {
    below(Arc::unwrap_or_clone(input), folding)
}

/// Another name for the same columns.
fn fold_alias(alias: SubqueryAlias, folding: Folding) -> Result<Node> {
    let SubqueryAlias { input, alias: name, schema, .. } = alias;
    let renamed =
        |plan: LogicalPlan| SubqueryAlias::try_new(Arc::new(plan), name.clone()).map(LogicalPlan::SubqueryAlias);
    match child(input, folding)? {
        Node::Engine(plan) => Ok(Node::Engine(renamed(plan)?)),
        Node::Source(mut source) => {
            source.scan = source.scan.take().map(&renamed).transpose()?;
            source.sorted_again = source.sorted_again.take().map(&renamed).transpose()?;
            source.expected = source.expected.take().map(|expected| expected.renamed(&schema, renamed)).transpose()?;
            source.schema = schema;
            Ok(Node::Source(source))
        }
    }
}

fn fold_filter(filter: Filter, folding: Folding) -> Result<Node> {
    let Filter { predicate, input, .. } = filter;
    let over = |predicate, plan: LogicalPlan| Filter::try_new(predicate, Arc::new(plan)).map(LogicalPlan::Filter);
    let mut source = match child(input, folding)? {
        Node::Engine(plan) => return engine(over(predicate, plan)?, folding),
        Node::Source(source) => source,
    };
    let (mut kept, mut unfolded) = (Vec::new(), None);
    for conjunct in split_conjunction_owned(predicate) {
        if has_scalar_subquery(&conjunct) {
            match fold_scalar(&source, &conjunct, folding)? {
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
                let weighed = Weighed { name: "filter", of: vec![&conjunct], inputs: &[&source] };
                let expected = weigh(&weighed, only(|plan| over(conjunct.clone(), plan)))?;
                let sorted = source.sorted_again.take();
                source = source.with(relation, &schema, "filter", expected);
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
        Some(predicate) => engine(over(predicate, source.input(unfolded))?, folding),
    }
}

fn fold_projection(projection: Projection, folding: Folding) -> Result<Node> {
    let Projection { expr, input, schema, .. } = projection;
    let over = |plan: LogicalPlan| {
        Projection::try_new_with_schema(expr.clone(), Arc::new(plan), Arc::clone(&schema)).map(LogicalPlan::Projection)
    };
    let source = match child(input, folding)? {
        Node::Engine(plan) => return engine(over(plan)?, folding),
        Node::Source(source) => source,
    };
    let columns: Vec<Expr> = expr.iter().cloned().map(as_written).collect();
    match source.relation.fold(Operator::Project(&columns), &source.schema, &schema) {
        Ok(relation) => {
            let weighed = Weighed { name: "projection", of: computed(&expr), inputs: &[&source] };
            let expected = weigh(&weighed, only(over))?;
            let sorted = source.sorted_again.as_ref().map(|plan| over(plan.clone())).transpose()?;
            let mut source = source.with(relation, &schema, "projection", expected);
            source.sorted_again = sorted;
            Ok(Node::Source(source))
        }
        Err(reason) => {
            let unfolded = refusal("projection", computed(&expr), reason);
            engine(over(source.input(Some(unfolded)))?, folding)
        }
    }
}

fn fold_aggregate(aggregate: Aggregate, folding: Folding) -> Result<Node> {
    let Aggregate { input, group_expr, aggr_expr, schema, .. } = aggregate;
    let over = |plan: LogicalPlan| {
        Aggregate::try_new_with_schema(Arc::new(plan), group_expr.clone(), aggr_expr.clone(), Arc::clone(&schema))
            .map(LogicalPlan::Aggregate)
    };
    let source = match child(input, folding)? {
        Node::Engine(plan) => return engine(over(plan)?, folding),
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
        Ok(relation) => {
            let of = group_expr.iter().chain(&aggr_expr).collect();
            let weighed = Weighed { name: "aggregate", of, inputs: &[&source] };
            let expected = weigh(&weighed, only(over))?;
            Ok(Node::Source(source.with(relation, &schema, "aggregate", expected)))
        }
        Err(reason) => {
            let unfolded = refusal("aggregate", group_expr.iter().chain(&aggr_expr), reason);
            engine(over(source.input(Some(unfolded)))?, folding)
        }
    }
}

fn fold_sort(sort: Sort, folding: Folding) -> Result<Node> {
    let Sort { expr, input, fetch } = sort;
    let over = |plan: LogicalPlan| LogicalPlan::Sort(Sort { expr: expr.clone(), input: Arc::new(plan), fetch });
    let source = match child(input, folding)? {
        Node::Engine(plan) => return engine(over(plan), folding),
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
            let of = expr.iter().map(|key| &key.expr).collect();
            let weighed = Weighed { name: operator.name(), of, inputs: &[&source] };
            let expected = weigh(&weighed, only(|plan| Ok(over(plan))))?;
            let mut source = source.with(relation, &schema, operator.name(), expected);
            let below = unsorted.unwrap_or_else(|| source.plan(None));
            source.sorted_again = Some(over(below));
            Ok(Node::Source(source))
        }
        Err(reason) => {
            let unfolded = refusal(operator.name(), expr.iter().map(|key| &key.expr), reason);
            engine(over(source.input(Some(unfolded))), folding)
        }
    }
}

fn fold_limit(limit: Limit, folding: Folding) -> Result<Node> {
    let (skip, fetch) = (limit.get_skip_type()?, limit.get_fetch_type()?);
    let Limit { skip: skip_expr, fetch: fetch_expr, input } = limit;
    let over = |plan: LogicalPlan| {
        LogicalPlan::Limit(Limit { skip: skip_expr.clone(), fetch: fetch_expr.clone(), input: Arc::new(plan) })
    };
    let source = match child(input, folding)? {
        Node::Engine(plan) => return engine(over(plan), folding),
        Node::Source(source) => source,
    };
    let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (skip, fetch) else {
        return engine(over(source.input(None)), folding);
    };
    let schema = Arc::clone(&source.schema);
    match source.relation.fold(Operator::Limit { skip, fetch }, &schema, &schema) {
        Ok(relation) => {
            let weighed = Weighed { name: "limit", of: Vec::new(), inputs: &[&source] };
            let expected = weigh(&weighed, only(|plan| Ok(over(plan))))?;
            let sorted = source.sorted_again.as_ref().map(|plan| over(plan.clone()));
            let mut source = source.with(relation, &schema, "limit", expected);
            source.sorted_again = sorted;
            Ok(Node::Source(source))
        }
        Err(reason) => {
            let unfolded = refusal("limit", std::iter::empty(), reason);
            engine(over(source.input(Some(unfolded))), folding)
        }
    }
}

fn fold_join(join: Join, folding: Folding) -> Result<Node> {
    let left = child(Arc::clone(&join.left), folding)?;
    let right = child(Arc::clone(&join.right), folding)?;
    let (left, right) = match (left, right) {
        (Node::Source(left), Node::Source(right)) if catalog(&left) == catalog(&right) => (left, right),
        (left, right) => {
            let (left, right) = (Arc::new(left.input()), Arc::new(right.input()));
            return engine(LogicalPlan::Join(Join { left, right, ..join }), folding);
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
    let on: Vec<Expr> = join.on.iter().map(|(left, right)| left.clone().eq(right.clone())).collect();
    let folded = match join.null_aware {
        true => Err("no rule for NOT IN where NULL may be among the values".into()),
        false => left.relation.fold(operator, &left.schema, &join.schema),
    };
    match folded {
        Ok(relation) => {
            let weighed =
                Weighed { name: "join", of: on.iter().chain(&join.filter).collect(), inputs: &[&left, &right] };
            let expected = weigh(&weighed, |inputs| Ok(joined(&join, inputs)))?;
            let mut source = left.with(relation, &join.schema, "join", expected);
            source.absorb(*right);
            Ok(Node::Source(source))
        }
        Err(reason) => {
            let unfolded = refusal("join", on.iter().chain(&join.filter), reason);
            let (left, right) = (Arc::new(left.input(Some(unfolded))), Arc::new(right.input(None)));
            engine(LogicalPlan::Join(Join { left, right, ..join }), folding)
        }
    }
}

fn fold_union(union: Union, folding: Folding) -> Result<Node> {
    let Union { inputs, schema } = union;
    let over = |inputs: Vec<LogicalPlan>| {
        let inputs = inputs.into_iter().map(Arc::new).collect();
        LogicalPlan::Union(Union { inputs, schema: Arc::clone(&schema) })
    };
    let inputs = inputs.into_iter().map(|input| child(input, folding)).collect::<Result<Vec<_>>>()?;
    let all_of_one = {
        let mut catalogs = inputs.iter().map(|input| match input {
            Node::Source(source) => Some(catalog(source)),
            Node::Engine(_) => None,
        });
        let first = catalogs.next().flatten();
        first.is_some() && catalogs.all(|other| other == first)
    };
    if !all_of_one {
        return engine(over(inputs.into_iter().map(Node::input).collect()), folding);
    }
    let mut sources = inputs.into_iter().filter_map(|input| match input {
        Node::Source(source) => Some(source),
        Node::Engine(_) => None,
    });
    let Some(first) = sources.next() else { return engine(over(Vec::new()), folding) };
    let others: Vec<_> = sources.collect();
    let operands: Vec<Operand<'_>> = others.iter().map(|source| source.operand()).collect();
    match first.relation.fold(Operator::UnionAll(&operands), &first.schema, &schema) {
        Ok(relation) => {
            let all: Vec<&Source> = [&first].into_iter().chain(&others).map(AsRef::as_ref).collect();
            let weighed = Weighed { name: "union", of: Vec::new(), inputs: &all };
            let expected = weigh(&weighed, |inputs| Ok(over(inputs)))?;
            let mut source = first.with(relation, &schema, "union", expected);
            others.into_iter().for_each(|other| source.absorb(*other));
            Ok(Node::Source(source))
        }
        Err(reason) => {
            let unfolded = refusal("union", std::iter::empty(), reason);
            let first = first.input(Some(unfolded));
            engine(
                over([first].into_iter().chain(others.into_iter().map(|other| other.input(None))).collect()),
                folding,
            )
        }
    }
}

/// The columns of a projection that are computed.
fn computed(columns: &[Expr]) -> Vec<&Expr> {
    columns.iter().filter(|expr| !matches!(expr, Expr::Column(_))).collect()
}

/// An operator with one input as one with a list of them.
fn only(over: impl Fn(LogicalPlan) -> Result<LogicalPlan>) -> impl Fn(Vec<LogicalPlan>) -> Result<LogicalPlan> {
    move |inputs| match <[LogicalPlan; 1]>::try_from(inputs) {
        Ok([input]) => over(input),
        Err(inputs) => plan_err!("one input was expected, there are {}", inputs.len()),
    }
}

/// A join of other inputs.
fn joined(join: &Join, inputs: Vec<LogicalPlan>) -> LogicalPlan {
    let mut inputs = inputs.into_iter().map(Arc::new);
    let (left, right) = (inputs.next(), inputs.next());
    let left = left.unwrap_or_else(|| Arc::clone(&join.left));
    LogicalPlan::Join(Join { left, right: right.unwrap_or_else(|| Arc::clone(&join.right)), ..join.clone() })
}

fn catalog(source: &Source) -> Option<&str> {
    source.tables.first().map(|table| table.catalog.as_str())
}

fn refusal<'a>(operator: &'static str, of: impl IntoIterator<Item = &'a Expr>, reason: Reason) -> Unfolded {
    let detail: Vec<String> = of.into_iter().map(expression_sql).collect();
    Unfolded { operator, detail: detail.join(", "), reason, by_choice: false }
}
