//! From the physical plan to the report.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use portolan_connector::{SourceExec, SourceMetrics};

use super::expression;
use super::model::{Actual, Cost, Estimate, Filter, Node, Report, Source, Unfolded, Unit, VERSION};
use super::operator::{self, Shown};
use super::physical::Printer;
use crate::planner::OnceExec;
use crate::query::progress::{self, count};

/// What a report shows beside the operators and the sources.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Detail {
    /// What was counted and timed.
    pub(super) measured: bool,
    /// How the work is divided between threads.
    pub(super) distributed: bool,
}

/// Reads the report off a plan.
pub(super) fn report(plan: &Arc<dyn ExecutionPlan>, query: &str, detail: Detail) -> Report {
    let mut builder = Builder { sources: Vec::new(), parts: Vec::new(), printer: Printer::of(plan), detail };
    let node = builder.node(plan);
    Report { version: VERSION, query: query.to_owned(), sources: builder.sources, requests: Vec::new(), plan: node }
}

struct Builder {
    sources: Vec<Source>,
    /// The parts of the plan that are computed once, in the order in which they are shown.
    parts: Vec<usize>,
    printer: Printer,
    detail: Detail,
}

impl Builder {
    fn node(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Node {
        if let Some(leaf) = plan.downcast_ref::<SourceExec>() {
            return self.source(leaf);
        }
        if let Some(once) = plan.downcast_ref::<OnceExec>() {
            return self.once(plan, once);
        }
        if !operator::is_exchange(plan) {
            let shown = operator::shown(plan, &self.printer);
            return self.operator(plan, shown);
        }
        let shown = if self.detail.distributed { operator::exchange(plan, &self.printer) } else { None };
        match (shown, plan.children().as_slice()) {
            // Operators that only move rows between threads tell most people nothing.
            (None, [only]) => self.node(only),
            (None, _) => self.operator(plan, operator::shown(plan, &self.printer)),
            (Some(shown), _) => self.operator(plan, shown),
        }
    }

    /// What is computed once is shown in one of its places: where it was computed, if that is known.
    fn once(&mut self, plan: &Arc<dyn ExecutionPlan>, once: &OnceExec) -> Node {
        let known = self.parts.iter().position(|part| *part == once.part());
        let part = known.unwrap_or_else(|| {
            self.parts.push(once.part());
            self.parts.len() - 1
        });
        let shown_here = if self.detail.measured { once.computed_here() } else { known.is_none() };
        let (name, number) = ("Once".to_owned(), part + 1);
        if shown_here {
            return self.operator(plan, Shown { name, detail: format!("part {number}, for all of its places") });
        }
        let detail = format!("part {number}, computed in another of its places");
        let estimate_rows = self.expected(plan.as_ref());
        Node { operator: name, detail, source: None, estimate_rows, actual: None, children: Vec::new() }
    }

    fn operator(&mut self, plan: &Arc<dyn ExecutionPlan>, shown: Shown) -> Node {
        let actual = self.detail.measured.then(|| operator_actual(plan.metrics().as_ref()));
        let merged = if self.detail.distributed { None } else { operator::merged_input(plan) };
        let inputs: Vec<Arc<dyn ExecutionPlan>> = match merged {
            Some(input) => vec![input],
            None => plan.children().into_iter().cloned().collect(),
        };
        let children = inputs.iter().map(|input| self.node(input)).collect();
        let estimate_rows = self.expected(plan.as_ref());
        Node { operator: shown.name, detail: shown.detail, source: None, estimate_rows, actual, children }
    }

    /// How many rows come out of an operator, as far as the statistics of its inputs tell.
    fn expected(&self, plan: &dyn ExecutionPlan) -> Option<u64> {
        let statistics = StatisticsContext::new().compute(plan, &StatisticsArgs::new()).ok()?;
        statistics.num_rows.get_value().and_then(|rows| u64::try_from(*rows).ok())
    }

    fn source(&mut self, leaf: &SourceExec) -> Node {
        let report = leaf.report();
        let metrics = leaf.metrics();
        let id = self.sources.len();
        let mut filters: Vec<Filter> = report
            .filters
            .iter()
            .map(|filter| Filter {
                expression: expression::sql(&filter.expression),
                verdict: filter.verdict.label().to_owned(),
                reason: filter.verdict.reason().map(ToString::to_string),
                remote: filter.remote.clone(),
            })
            .collect();
        filters.extend(self.dynamic_filters(leaf));
        let mut units: Vec<Unit> = report
            .units
            .iter()
            .map(|unit| Unit { kind: unit.kind.to_owned(), total: unit.total, kept: unit.kept })
            .collect();
        let actual = self.detail.measured.then(|| source_actual(metrics.as_ref()));
        if self.detail.measured {
            let read = metrics.as_ref().and_then(row_groups);
            units.extend(read.filter(|read| units.iter().all(|unit| unit.kind != read.kind)));
        }
        if self.detail.distributed {
            let parts = leaf.properties().output_partitioning().partition_count();
            units.push(Unit { kind: "splits".to_owned(), total: None, kept: parts as u64 });
        }
        let tables: Vec<String> = report.tables.iter().map(ToString::to_string).collect();
        let detail = tables.join(", ");
        self.sources.push(Source {
            id,
            catalog: leaf.catalog().to_owned(),
            connector: report.connector.to_owned(),
            tables,
            filters,
            folded: report.folded.iter().map(|fold| (*fold).to_owned()).collect(),
            unfolded: report
                .unfolded
                .iter()
                .map(|unfolded| Unfolded {
                    operator: unfolded.operator.to_owned(),
                    detail: unfolded.detail.clone(),
                    reason: unfolded.reason.to_string(),
                })
                .collect(),
            request: report.request.clone(),
            columns: report.columns.clone(),
            columns_total: report.columns_total,
            snapshot: report.snapshot.clone(),
            units,
            estimate: Estimate { rows: report.estimate.rows, bytes: report.estimate.bytes },
            cost: report.cost.map(|cost| Cost {
                source_seconds: cost.source.as_secs_f64(),
                engine_seconds: cost.engine.as_secs_f64(),
            }),
            actual: actual.clone(),
        });
        let estimate_rows = report.estimate.rows;
        Node { operator: "Source".to_owned(), detail, source: Some(id), estimate_rows, actual, children: Vec::new() }
    }

    /// Filters that reach a native leaf only while the query runs: from a join's build side, a top-N, a minimum.
    fn dynamic_filters(&self, leaf: &SourceExec) -> Vec<Filter> {
        let mut found: Vec<Filter> = Vec::new();
        // The closures never fail, so neither do the walks.
        let _ = leaf.apply_expressions(&mut |root| {
            for part in split_conjunction(root) {
                let _ = part.apply(|expr| {
                    if let Some(dynamic) = expr.downcast_ref::<DynamicFilterPhysicalExpr>() {
                        let filter = self.dynamic_filter(expr, dynamic, leaf.is_at_once());
                        if !found.iter().any(|known| known.expression == filter.expression) {
                            found.push(filter);
                        }
                        return Ok(TreeNodeRecursion::Jump);
                    }
                    Ok(TreeNodeRecursion::Continue)
                });
            }
            Ok(TreeNodeRecursion::Continue)
        });
        found
    }

    fn dynamic_filter(
        &self,
        expr: &Arc<dyn PhysicalExpr>,
        dynamic: &DynamicFilterPhysicalExpr,
        at_once: bool,
    ) -> Filter {
        let columns: Vec<String> = expr.children().into_iter().map(|column| self.printer.sql(column)).collect();
        let remote = dynamic.current().ok().map(|current| self.printer.sql(&current)).filter(|text| text != "true");
        Filter {
            expression: format!("{}, from what the query finds as it runs", columns.join(", ")),
            verdict: "dynamic".to_owned(),
            reason: at_once.then(|| "the scan starts before it is known".to_owned()),
            remote,
        }
    }
}

fn source_actual(metrics: Option<&MetricsSet>) -> Actual {
    let empty = MetricsSet::default();
    let metrics = metrics.unwrap_or(&empty);
    Actual {
        rows: progress::rows(metrics),
        bytes: progress::bytes(metrics),
        seconds: progress::waiting_nanoseconds(metrics) as f64 / 1e9,
        skipped: count(metrics, SourceMetrics::ROWS_SKIPPED).filter(|count| *count > 0),
        lost: count(metrics, SourceMetrics::ROWS_LOST).filter(|count| *count > 0),
        memory_bytes: None,
        spills: None,
    }
}

fn operator_actual(metrics: Option<&MetricsSet>) -> Actual {
    Actual {
        rows: metrics.and_then(MetricsSet::output_rows).unwrap_or_default() as u64,
        bytes: None,
        seconds: metrics.and_then(MetricsSet::elapsed_compute).unwrap_or_default() as f64 / 1e9,
        skipped: None,
        lost: None,
        memory_bytes: metrics
            .and_then(|metrics| count(metrics, "peak_mem_used").or_else(|| count(metrics, "build_mem_used"))),
        spills: metrics.and_then(MetricsSet::spill_count).map(|count| count as u64).filter(|count| *count > 0),
    }
}

/// What statistics made of a Parquet scan's row groups.
fn row_groups(metrics: &MetricsSet) -> Option<Unit> {
    let (pruned, matched) = metrics
        .iter()
        .filter_map(|metric| match metric.value() {
            MetricValue::PruningMetrics { name, pruning_metrics } if name == "row_groups_pruned_statistics" => {
                Some((pruning_metrics.pruned(), pruning_metrics.matched()))
            }
            _ => None,
        })
        .fold((0, 0), |(pruned, matched), (more_pruned, more_matched)| (pruned + more_pruned, matched + more_matched));
    // A row group that two parts of the scan read was counted by both.
    let continued = metrics.sum_by_name("row_groups_continued").map_or(0, |count| count.as_usize());
    let keyless = metrics.sum_by_name("row_groups_keyless").map_or(0, |count| count.as_usize());
    let total = (pruned + matched + keyless).saturating_sub(continued);
    let total = u64::try_from(total).ok().filter(|total| *total > 0)?;
    Some(Unit { kind: "row_groups".to_owned(), total: Some(total), kept: u64::try_from(matched).ok()?.min(total) })
}
