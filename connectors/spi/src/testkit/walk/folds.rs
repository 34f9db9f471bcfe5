//! Rules for what a source computes: each is folded over the whole table, and the rows are compared with the engine's.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::catalog::MemTable;
use datafusion::common::{DFSchema, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::functions::expr_fn::{character_length, coalesce, date_part, substr, substring};
use datafusion::functions_aggregate::expr_fn::{
    avg, bool_and, bool_or, count, count_distinct, max, min, sum, sum_distinct,
};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, Operator as Sign, binary_expr, cast, ident, lit, when,
};

use super::super::report::{RuleReport, Violation, rule_name};
use super::super::rows::Rows;
use super::super::subject::failed;
use super::Target;
use super::verify::Verifier;
use crate::{Capabilities, Operation, Operator, Relation, Result, Rule, Verdict};

/// Numbers up to this size are added and multiplied without an overflow in any type.
const SMALL: i64 = 100;

/// The operations that compute something of one column.
const COMPUTED: &[Operation] = &[
    Operation::Add,
    Operation::Subtract,
    Operation::Multiply,
    Operation::Divide,
    Operation::Cast,
    Operation::Case,
    Operation::Coalesce,
    Operation::DatePart,
    Operation::Substring,
    Operation::CharacterLength,
    Operation::GroupBy,
    Operation::Sort,
    Operation::Sum,
    Operation::Min,
    Operation::Max,
    Operation::Avg,
    Operation::BoolAnd,
    Operation::BoolOr,
];

/// Walks the rules for values, groups and orders. A table without a relation has nothing to fold into.
pub(super) async fn walk(verifier: &mut Verifier, capabilities: &Capabilities, targets: &[Target]) -> Result<()> {
    let Some(relation) = verifier.relation() else { return Ok(()) };
    let table = Table::of(verifier)?;
    for rule in capabilities.rules().iter().filter(|rule| COMPUTED.contains(&rule.operation)) {
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
        for operation in COMPUTED.iter().filter(|operation| capabilities.rule(**operation, Some(domain)).is_none()) {
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
        // The engine has one zero; a statement with another one never gets here.
        let literals = target.literals.iter().filter(|value| !is_negative_zero(value));
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
            Operation::Add => project(arithmetic(column(), Sign::Plus, data_type, &target.literals)),
            Operation::Subtract => project(arithmetic(column(), Sign::Minus, data_type, &target.literals)),
            Operation::Multiply => project(arithmetic(column(), Sign::Multiply, data_type, &target.literals)),
            Operation::Divide => project(arithmetic(column(), Sign::Divide, data_type, &target.literals)),
            Operation::Cast => project(casts(&column(), data_type)),
            Operation::Case => project(cases(&column(), literals)),
            Operation::Coalesce => {
                project(literals.clone().map(|value| coalesce(vec![column(), lit(value.clone())])).collect())
            }
            Operation::DatePart => project(
                ["year", "quarter", "month", "day"].iter().map(|part| date_part(lit(*part), column())).collect(),
            ),
            Operation::Substring => project(vec![
                substr(column(), lit(1_i64)),
                substr(column(), lit(2_i64)),
                substring(column(), lit(1_i64), lit(1_i64)),
                substring(column(), lit(2_i64), lit(0_i64)),
                substring(column(), lit(3_i64), lit(100_i64)),
            ]),
            Operation::CharacterLength => project(vec![character_length(column())]),
            _ => Vec::new(),
        };
        // What the engine itself does not plan, such as a sum of texts, asks nothing of a source.
        let settled = |plan: LogicalPlanBuilder| {
            let plan = plan.build()?;
            self.state.analyzer().execute_and_check(plan, self.state.config_options(), |_, _| {})
        };
        plans.into_iter().filter_map(|plan| plan.and_then(settled).ok()).collect()
    }
}

/// A number where it is small, and NULL where it is not.
fn small(column: Expr, data_type: &DataType) -> Expr {
    let bound = |number: i64| {
        let number = ScalarValue::from(number).cast_to(data_type).or_else(|_| ScalarValue::try_from(data_type));
        lit(number.unwrap_or(ScalarValue::Null))
    };
    if !data_type.is_numeric() {
        return column;
    }
    let is_small = column.clone().between(bound(-SMALL), bound(SMALL));
    when(is_small, column.clone()).end().unwrap_or(column)
}

fn arithmetic(column: Expr, sign: Sign, data_type: &DataType, literals: &[ScalarValue]) -> Vec<Expr> {
    let is_small = |value: &&ScalarValue| {
        let number = value.cast_to(&DataType::Float64).ok().and_then(|number| match number {
            ScalarValue::Float64(number) => number,
            _ => None,
        });
        number.is_some_and(|number| number != 0.0 && number.abs() <= SMALL as f64)
    };
    let operand = small(column, data_type);
    literals.iter().filter(is_small).map(|value| binary_expr(operand.clone(), sign, lit(value.clone()))).collect()
}

fn casts(column: &Expr, data_type: &DataType) -> Vec<Expr> {
    let wider = match data_type {
        DataType::Decimal128(precision, scale) => vec![DataType::Decimal128((precision + 6).min(38), scale + 3)],
        _ => vec![DataType::Int32, DataType::Int64, DataType::Float64, DataType::Decimal128(38, 5)],
    };
    wider.into_iter().filter(|wider| wider != data_type).map(|wider| cast(column.clone(), wider)).collect()
}

fn is_negative_zero(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float32(Some(value)) => *value == 0.0 && value.is_sign_negative(),
        ScalarValue::Float64(Some(value)) => *value == 0.0 && value.is_sign_negative(),
        _ => false,
    }
}

fn cases<'a>(column: &Expr, literals: impl Iterator<Item = &'a ScalarValue>) -> Vec<Expr> {
    let mut cases = Vec::new();
    for value in literals {
        let value = lit(value.clone());
        cases.push(when(column.clone().is_null(), value.clone()).otherwise(column.clone()));
        cases.push(when(column.clone().eq(value), column.clone()).end());
    }
    cases.push(when(column.clone().is_not_null(), column.clone()).end());
    cases.into_iter().filter_map(std::result::Result::ok).collect()
}
