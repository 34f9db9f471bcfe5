//! Rules for what a source computes: each is folded over the whole table, and the rows are compared with the engine's.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::catalog::MemTable;
use datafusion::common::{DFSchema, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::functions_aggregate::expr_fn::{
    avg, bool_and, bool_or, count, count_distinct, max, min, sum, sum_distinct,
};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ident, lit};

use super::super::report::{RuleReport, Violation, rule_name};
use super::super::rows::Rows;
use super::super::subject::failed;
use super::values::small;
use super::verify::Verifier;
use super::{Target, values};
use crate::{Capabilities, Operation, Operator, Relation, Result, Rule, Verdict};

/// The operations over the rows of a group, and orders.
const GROUPED: &[Operation] = &[
    Operation::GroupBy,
    Operation::Sort,
    Operation::Sum,
    Operation::Min,
    Operation::Max,
    Operation::Avg,
    Operation::BoolAnd,
    Operation::BoolOr,
];

/// The operations that compute something of one column.
fn computed() -> impl Iterator<Item = &'static Operation> {
    values::COMPUTED.iter().chain(GROUPED)
}

/// Walks the rules for values, groups and orders. A table without a relation has nothing to fold into.
pub(super) async fn walk(verifier: &mut Verifier, capabilities: &Capabilities, targets: &[Target]) -> Result<()> {
    let Some(relation) = verifier.relation() else { return Ok(()) };
    let table = Table::of(verifier)?;
    for rule in capabilities.rules().iter().filter(|rule| computed().any(|operation| *operation == rule.operation)) {
        let mut line = RuleReport::new(rule);
        let mut tried = 0;
        for target in targets {
            let found = capabilities.rule(rule.operation, Some(target.column.domain));
            if !found.is_some_and(|found| std::ptr::eq(found, rule)) {
                continue;
            }
            for plan in table.plans(rule.operation, target) {
                tried += 1;
                check(verifier, &relation, &mut line, rule, &table, plan).await?;
            }
        }
        if rule.verdict == Verdict::Exact && tried > 0 && line.accepted == 0 {
            let problem = "the rule is vacuous: everything that it allows is refused";
            verifier.report.violations.push(Violation::new(line.rule(), problem));
        }
        verifier.report.rules.push(line);
    }
    deny(verifier, capabilities, targets, &relation, &table);
    Ok(())
}

/// What no rule names must be refused.
fn deny(
    verifier: &mut Verifier,
    capabilities: &Capabilities,
    targets: &[Target],
    relation: &Arc<dyn Relation>,
    table: &Table,
) {
    for target in targets {
        let domain = target.column.domain;
        for operation in computed().filter(|operation| capabilities.rule(**operation, Some(domain)).is_none()) {
            for plan in table.plans(*operation, target) {
                match fold(relation, &table.schema, &plan) {
                    Some(Ok(_)) => {
                        let problem = "no rule allows it, and it is folded";
                        let violation = Violation::new(rule_name(*operation, Some(domain)), problem);
                        verifier.report.violations.push(violation.on(plan.display_indent()));
                    }
                    _ => verifier.report.denied += 1,
                }
            }
        }
    }
}

/// Folds one operator and compares the rows.
async fn check(
    verifier: &mut Verifier,
    relation: &Arc<dyn Relation>,
    line: &mut RuleReport,
    rule: &Rule,
    table: &Table,
    plan: LogicalPlan,
) -> Result<()> {
    let folded = match fold(relation, &table.schema, &plan) {
        None => return Ok(()),
        Some(Err(reason)) => {
            *line.refused.entry(reason.to_string()).or_default() += 1;
            return Ok(());
        }
        Some(Ok(folded)) => folded,
    };
    line.accepted += 1;
    let mut violation = Violation::new(line.rule(), "").on(plan.display_indent());
    if let Verdict::Refused(_) = rule.verdict {
        violation.problem = "declared refused, and folded".to_owned();
        verifier.report.violations.push(violation);
        return Ok(());
    }
    let expected = verifier.session().execute_logical_plan(plan.clone()).await.map_err(failed)?;
    let expected = expected.collect().await.map_err(failed)?;
    verifier.report.reads += 1;
    let reading = match verifier.read_relation(folded.as_ref(), plan.schema()).await {
        Ok(reading) => reading,
        Err(error) => {
            violation.problem = format!("the source fails: {error}");
            verifier.report.violations.push(violation);
            return Ok(());
        }
    };
    violation.request.clone_from(&reading.request);
    let schema = Arc::new(Schema::clone(plan.schema().as_arrow()));
    let (expected, found) =
        (Rows::new(&schema, &expected).map_err(failed)?, Rows::new(&schema, &reading.batches).map_err(failed)?);
    let (missing, extra) = (expected.beyond(&found), found.beyond(&expected));
    let in_order = !matches!(plan, LogicalPlan::Sort(_)) || expected.in_the_order_of(&found);
    if missing.is_empty() && extra.is_empty() && in_order {
        return Ok(());
    }
    violation.problem = match in_order {
        true => format!("the engine computes {} rows, the source {}, and they differ", expected.len(), found.len()),
        false => "the rows are in another order".to_owned(),
    };
    violation.missing = (!missing.is_empty()).then(|| expected.describe(&missing));
    violation.extra = (!extra.is_empty()).then(|| found.describe(&extra));
    verifier.report.violations.push(violation);
    Ok(())
}

/// Offers the operator at the top of a plan; `None` where it is none that folds.
fn fold(
    relation: &Arc<dyn Relation>,
    schema: &DFSchema,
    plan: &LogicalPlan,
) -> Option<Result<Arc<dyn Relation>, crate::Reason>> {
    if let LogicalPlan::Sort(sort) = plan {
        // What is sorted is itself folded first.
        let below = fold(relation, schema, &sort.input)?;
        let sorted = Operator::Sort { keys: &sort.expr, fetch: sort.fetch };
        return Some(below.and_then(|below| below.fold(sorted, sort.input.schema(), plan.schema())));
    }
    let operator = match plan {
        LogicalPlan::Projection(projection) => Operator::Project(&projection.expr),
        LogicalPlan::Aggregate(aggregate) => {
            Operator::Aggregate { keys: &aggregate.group_expr, aggregates: &aggregate.aggr_expr }
        }
        _ => return None,
    };
    Some(relation.fold(operator, schema, plan.schema()))
}

/// All rows of the tested table, as the engine's own.
struct Table {
    scan: LogicalPlan,
    schema: DFSchema,
    state: datafusion::execution::SessionState,
}

impl Table {
    fn of(verifier: &Verifier) -> Result<Self> {
        let batch = verifier.all_rows();
        let rows = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]]).map_err(failed)?;
        let source = provider_as_source(Arc::new(rows));
        let scan =
            LogicalPlanBuilder::scan(TableReference::bare("t"), source, None).and_then(LogicalPlanBuilder::build);
        let scan = scan.map_err(failed)?;
        Ok(Self { schema: scan.schema().as_ref().clone(), scan, state: verifier.session().state() })
    }

    /// Plans of one operator that put a rule to the test, as they are when types are settled.
    fn plans(&self, operation: Operation, target: &Target) -> Vec<LogicalPlan> {
        let column = || ident(target.column.name());
        let data_type = target.column.field.data_type();
        let over = || LogicalPlanBuilder::from(self.scan.clone());
        let project =
            |values: Vec<Expr>| values.into_iter().map(|value| over().project([value.alias("v")])).collect::<Vec<_>>();
        let total = |values: Vec<Expr>| {
            values.into_iter().map(|value| over().aggregate(Vec::<Expr>::new(), [value])).collect::<Vec<_>>()
        };
        let plans = match operation {
            Operation::GroupBy => vec![
                over().aggregate([column()], [count(lit(1_i64))]),
                over().aggregate(Vec::<Expr>::new(), [count_distinct(column()), count(column())]),
            ],
            Operation::Sort => [(true, true), (true, false), (false, true), (false, false)]
                .map(|(ascending, nulls_first)| {
                    over().project([column()])?.sort([column().sort(ascending, nulls_first)])
                })
                .into(),
            Operation::Min => total(vec![min(column())]),
            Operation::Max => total(vec![max(column())]),
            Operation::BoolAnd => total(vec![bool_and(column())]),
            Operation::BoolOr => total(vec![bool_or(column())]),
            Operation::Sum => total(vec![sum(small(column(), data_type)), sum_distinct(small(column(), data_type))]),
            // The engine's own average of integers is not DataFusion's.
            Operation::Avg if data_type.is_integer() => Vec::new(),
            Operation::Avg => total(vec![avg(small(column(), data_type))]),
            operation => project(values::of(operation, target.column.name(), data_type, &target.literals)),
        };
        // What the engine itself does not plan, such as a sum of texts, asks nothing of a source.
        let settled = |plan: LogicalPlanBuilder| {
            let plan = plan.build()?;
            self.state.analyzer().execute_and_check(plan, self.state.config_options(), |_, _| {})
        };
        plans.into_iter().filter_map(|plan| plan.and_then(settled).ok()).collect()
    }
}
