//! The engine's operators under names that a person knows.

use std::fmt;
use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::physical_expr::Partitioning;
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
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PhysicalExpr};

use super::origin;
use super::physical::{Printer, windows};
use crate::planner::{AheadExec, BuiltOnceExec, InconstantExec, KeyCollectorExec, KeyFilterExec, KnownExec};

/// An operator under its name, with what it works on.
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) detail: String,
}

/// Whether an operator only moves rows: between threads, or earlier.
pub(super) fn is_exchange(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let merges_nothing_new = plan.is::<SortPreservingMergeExec>() && plan.fetch().is_none();
    plan.is::<RepartitionExec>()
        || (plan.is::<CoalescePartitionsExec>() && plan.fetch().is_none())
        || plan.is::<CooperativeExec>()
        || plan.is::<AheadExec>()
        || plan.is::<BuiltOnceExec>()
        || plan.is::<InconstantExec>()
        || plan.is::<KnownExec>()
        || plan.is::<KeyCollectorExec>()
        || merges_nothing_new
}

/// How an exchange appears to someone who asks how the work is divided; `None` for one that keeps rows where they are.
pub(super) fn exchange(plan: &Arc<dyn ExecutionPlan>, printer: &Printer) -> Option<Shown> {
    let parts = |plan: &Arc<dyn ExecutionPlan>| plan.output_partitioning().partition_count();
    let from = plan.children().first().map_or(1, |input| parts(input));
    let way = format!("{from} -> {}", parts(plan));
    let (name, how) = if let Some(repartition) = plan.downcast_ref::<RepartitionExec>() {
        let how = match repartition.partitioning() {
            Partitioning::Hash(keys, _) => {
                format!("by hash of {}", keys.iter().map(|key| printer.sql(key)).collect::<Vec<_>>().join(", "))
            }
            Partitioning::RoundRobinBatch(_) => "round robin".to_owned(),
            other => other.to_string(),
        };
        ("Exchange", how)
    } else if let Some(merge) = plan.downcast_ref::<SortPreservingMergeExec>() {
        ("Merge", printer.sort_keys(merge.expr().iter()))
    } else if plan.is::<CoalescePartitionsExec>() {
        ("Gather", String::new())
    } else {
        return None;
    };
    Some(Shown { name: name.to_owned(), detail: format!("{way}  {how}").trim_end().to_owned() })
}

/// How any other operator appears.
pub(super) fn shown(plan: &Arc<dyn ExecutionPlan>, printer: &Printer) -> Shown {
    let (name, detail) = describe(plan, printer);
    Shown { name, detail }
}

fn describe(plan: &Arc<dyn ExecutionPlan>, printer: &Printer) -> (String, String) {
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let detail = format!("{}{}", printer.sql(filter.predicate()), limit_note(filter.fetch()));
        return ("Filter".into(), detail);
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let on = join.on().iter().map(|keys| equality(join.left(), join.right(), keys, printer));
        let extra = join.filter().map(|filter| printer.sql(filter.expression()));
        return ("HashJoin".into(), join_detail(join.join_type(), on, extra));
    }
    if let Some(join) = plan.downcast_ref::<SortMergeJoinExec>() {
        let on = join.on().iter().map(|keys| equality(join.left(), join.right(), keys, printer));
        return ("MergeJoin".into(), join_detail(&join.join_type(), on, None));
    }
    if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        let extra = join.filter().map(|filter| printer.sql(filter.expression()));
        return ("NestedLoopJoin".into(), join_detail(join.join_type(), std::iter::empty(), extra));
    }
    if let Some(filter) = plan.downcast_ref::<KeyFilterExec>() {
        return ("KeyFilter".into(), format!("{} among the keys of joins above", filter.columns().join(", ")));
    }
    if plan.is::<CrossJoinExec>() {
        return ("CrossJoin".into(), String::new());
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        return (aggregate_name(aggregate).into(), aggregate_detail(aggregate, printer));
    }
    if let Some(sort) = plan.downcast_ref::<SortExec>() {
        let keys = printer.sort_keys(sort.expr().iter());
        return match sort.fetch() {
            Some(rows) => ("TopN".into(), format!("{rows} by {keys}")),
            None => ("Sort".into(), keys),
        };
    }
    if let windows @ [_, ..] = windows(plan) {
        let calls = windows.iter().map(|window| printer.window(window.as_ref()));
        return ("Window".into(), calls.collect::<Vec<_>>().join(", "));
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let columns = projection.expr().iter().map(|column| {
            let text = printer.sql(&column.expr);
            let alias = printer.column(&column.alias);
            if text == column.alias || text == alias { text } else { format!("{text} AS {alias}") }
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

/// Two keys that have to be equal. Columns of one name are told apart by their tables.
fn equality(
    left: &Arc<dyn ExecutionPlan>,
    right: &Arc<dyn ExecutionPlan>,
    (left_key, right_key): &(Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>),
    printer: &Printer,
) -> String {
    let (left_text, right_text) = (printer.sql(left_key), printer.sql(right_key));
    match (origin::table(left, left_key), origin::table(right, right_key)) {
        (Some(left), Some(right)) if left_text == right_text => {
            format!("{left}.{left_text} = {right}.{right_text}")
        }
        _ => format!("{left_text} = {right_text}"),
    }
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

/// The halves of an aggregate have names of their own where both are shown.
fn aggregate_name(aggregate: &AggregateExec) -> &'static str {
    match aggregate.mode() {
        AggregateMode::Partial => "PartialAggregate",
        AggregateMode::PartialReduce => "IntermediateAggregate",
        _ => "Aggregate",
    }
}

fn aggregate_detail(aggregate: &AggregateExec, printer: &Printer) -> String {
    let keys: Vec<String> = aggregate.group_expr().expr().iter().map(|(_, name)| printer.column(name)).collect();
    let functions = printer.aggregates(aggregate);
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
