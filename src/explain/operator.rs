//! The engine's operators under names that a person knows.

use std::fmt;
use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan, PhysicalExpr};

/// How an operator appears.
pub(super) enum Shown {
    /// Under a name, with what it works on.
    Operator { name: String, detail: String },
    /// Not at all: it only moves rows between threads.
    Skipped,
}

/// How a plan's root appears.
pub(super) fn shown(plan: &Arc<dyn ExecutionPlan>) -> Shown {
    if is_exchange(plan) {
        return Shown::Skipped;
    }
    let (name, detail) = describe(plan);
    Shown::Operator { name, detail }
}

fn is_exchange(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let merges_nothing_new = plan.is::<SortPreservingMergeExec>() && plan.fetch().is_none();
    plan.is::<RepartitionExec>()
        || (plan.is::<CoalescePartitionsExec>() && plan.fetch().is_none())
        || plan.is::<CooperativeExec>()
        || merges_nothing_new
}

fn describe(plan: &Arc<dyn ExecutionPlan>) -> (String, String) {
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let detail = format!("{}{}", physical_sql(filter.predicate()), limit_note(filter.fetch()));
        return ("Filter".into(), detail);
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let on = join.on().iter().map(|(left, right)| equality(left, right));
        let extra = join.filter().map(|filter| physical_sql(filter.expression()));
        return ("HashJoin".into(), join_detail(join.join_type(), on, extra));
    }
    if let Some(join) = plan.downcast_ref::<SortMergeJoinExec>() {
        let on = join.on().iter().map(|(left, right)| equality(left, right));
        return ("MergeJoin".into(), join_detail(&join.join_type(), on, None));
    }
    if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        let extra = join.filter().map(|filter| physical_sql(filter.expression()));
        return ("NestedLoopJoin".into(), join_detail(join.join_type(), std::iter::empty(), extra));
    }
    if plan.is::<CrossJoinExec>() {
        return ("CrossJoin".into(), String::new());
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        return ("Aggregate".into(), aggregate_detail(aggregate));
    }
    if let Some(sort) = plan.downcast_ref::<SortExec>() {
        let keys = sort_keys(sort.expr().iter());
        return match sort.fetch() {
            Some(rows) => ("TopN".into(), format!("{rows} by {keys}")),
            None => ("Sort".into(), keys),
        };
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let columns = projection.expr().iter().map(|column| {
            let text = physical_sql(&column.expr);
            if text == column.alias { text } else { format!("{text} AS {}", column.alias) }
        });
        return ("Project".into(), columns.collect::<Vec<_>>().join(", "));
    }
    if let Some(limit) = plan.downcast_ref::<GlobalLimitExec>() {
        let rows = limit.fetch().map(|rows| rows.to_string()).unwrap_or_else(|| "all".into());
        let skip = if limit.skip() > 0 { format!(" after {}", limit.skip()) } else { String::new() };
        return ("Limit".into(), format!("{rows}{skip}"));
    }
    if let Some(limit) = plan.downcast_ref::<LocalLimitExec>() {
        return ("Limit".into(), format!("{} in each part", limit.fetch()));
    }
    if let Some(rows) = plan.fetch()
        && (plan.is::<CoalescePartitionsExec>() || plan.is::<SortPreservingMergeExec>())
    {
        return ("Limit".into(), rows.to_string());
    }
    let name = plan.name().strip_suffix("Exec").unwrap_or(plan.name()).to_owned();
    (name, own_detail(plan))
}

fn limit_note(fetch: Option<usize>) -> String {
    fetch.map(|rows| format!(", first {rows}")).unwrap_or_default()
}

/// What an operator without words of ours says of itself, after its name.
fn own_detail(plan: &Arc<dyn ExecutionPlan>) -> String {
    struct Own<'a>(&'a dyn ExecutionPlan);
    impl fmt::Display for Own<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt_as(DisplayFormatType::Default, f)
        }
    }
    let text = Own(plan.as_ref()).to_string();
    text.strip_prefix(plan.name()).map(|rest| rest.trim_start_matches([':', ' ']).to_owned()).unwrap_or(text)
}

/// A physical expression as SQL, without the engine's column numbers.
pub(super) fn physical_sql(expr: &Arc<dyn PhysicalExpr>) -> String {
    datafusion::physical_expr_common::physical_expr::fmt_sql(expr.as_ref()).to_string()
}

fn equality(left: &Arc<dyn PhysicalExpr>, right: &Arc<dyn PhysicalExpr>) -> String {
    format!("{} = {}", physical_sql(left), physical_sql(right))
}

fn join_detail(kind: &JoinType, on: impl Iterator<Item = String>, extra: Option<String>) -> String {
    let words = match kind {
        JoinType::Inner => "inner",
        JoinType::Left => "left",
        JoinType::Right => "right",
        JoinType::Full => "full",
        JoinType::LeftSemi => "left semi",
        JoinType::RightSemi => "right semi",
        JoinType::LeftAnti => "left anti",
        JoinType::RightAnti => "right anti",
        JoinType::LeftMark => "left mark",
        JoinType::RightMark => "right mark",
    };
    let conditions: Vec<String> = on.chain(extra).collect();
    format!("{words}  {}", conditions.join(" AND ")).trim_end().to_owned()
}

fn sort_keys<'a>(keys: impl Iterator<Item = &'a PhysicalSortExpr>) -> String {
    keys.map(|key| {
        let direction = if key.options.descending { " DESC" } else { "" };
        let nulls = match (key.options.descending, key.options.nulls_first) {
            (false, true) => " NULLS FIRST",
            (true, false) => " NULLS LAST",
            _ => "",
        };
        format!("{}{direction}{nulls}", physical_sql(&key.expr))
    })
    .collect::<Vec<_>>()
    .join(", ")
}

fn aggregate_detail(aggregate: &AggregateExec) -> String {
    let keys: Vec<String> = aggregate.group_expr().expr().iter().map(|(_, name)| name.clone()).collect();
    let functions: Vec<String> = aggregate
        .aggr_expr()
        .iter()
        .map(|function| function.human_display().unwrap_or(function.name()).to_owned())
        .collect();
    match (keys.is_empty(), functions.is_empty()) {
        (true, _) => functions.join(", "),
        (false, true) => format!("by {}", keys.join(", ")),
        (false, false) => format!("{} by {}", functions.join(", "), keys.join(", ")),
    }
}

/// The input below the partial half of an aggregate whose final half this is: a person sees one aggregate.
pub(super) fn merged_input(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    let last = plan.downcast_ref::<AggregateExec>()?;
    if !matches!(last.mode(), AggregateMode::Final | AggregateMode::FinalPartitioned) {
        return None;
    }
    let mut below = Arc::clone(last.input());
    while is_exchange(&below) {
        let [only] = below.children()[..] else { return None };
        below = Arc::clone(only);
    }
    let first = below.downcast_ref::<AggregateExec>()?;
    matches!(first.mode(), AggregateMode::Partial).then(|| Arc::clone(first.input()))
}
