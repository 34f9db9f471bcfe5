//! Physical expressions as SQL: turned back into the logical ones that they came from, and printed like those.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::Column as LogicalColumn;
use datafusion::logical_expr::expr::{BinaryExpr, Case, InList, Like, ScalarFunction};
use datafusion::logical_expr::{Cast, Expr, TryCast, WindowFrame};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr as PhysicalBinary, CaseExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal,
    NegativeExpr, NotExpr, TryCastExpr,
};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::window::{
    PlainAggregateWindowExpr, SlidingAggregateWindowExpr, StandardWindowExpr, WindowExpr,
};
use datafusion::physical_expr::{PhysicalSortExpr, ScalarFunctionExpr};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec, WindowUDFExpr};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use super::expression::sql_with;
use crate::planner::AllOf;

/// Prints the expressions of one plan.
#[derive(Debug, Default)]
pub(super) struct Printer {
    /// What an operator computed, by the name that DataFusion gives to the column with the result: `count(Int64(1))`
    /// is `count(*)` to a person.
    computed: HashMap<String, String>,
}

impl Printer {
    /// The printer for a plan.
    pub(super) fn of(plan: &Arc<dyn ExecutionPlan>) -> Self {
        let mut printer = Self::default();
        printer.learn(plan);
        printer
    }

    /// Goes from the leaves up: what is computed above may be computed from what was computed below.
    fn learn(&mut self, plan: &Arc<dyn ExecutionPlan>) {
        for child in plan.children() {
            self.learn(child);
        }
        if let Some(aggregate) = plan.downcast_ref::<AggregateExec>()
            && aggregate.mode().input_mode() == AggregateInputMode::Raw
        {
            let keys = aggregate.group_expr().expr().iter().filter(|(expr, _)| !expr.is::<Column>());
            let keys: Vec<(String, String)> = keys.map(|(expr, name)| (name.clone(), self.sql(expr))).collect();
            let functions = aggregate.aggr_expr().iter().zip(self.aggregates(aggregate));
            let functions = functions.map(|(function, text)| (function.name().to_owned(), text));
            self.computed = std::mem::take(&mut self.computed).into_iter().chain(keys).chain(functions).collect();
        }
        for window in windows(plan) {
            self.computed.insert(window.name().to_owned(), self.window(window.as_ref()));
        }
    }

    /// An expression as a person would write it.
    pub(super) fn sql(&self, expr: &Arc<dyn PhysicalExpr>) -> String {
        if let Some(all) = expr.downcast_ref::<AllOf>() {
            return self.sql(all.condition());
        }
        if let Some(expr) = logical(expr) {
            return sql_with(&expr, &self.computed);
        }
        match split_conjunction(expr).as_slice() {
            [_] => datafusion::physical_expr_common::physical_expr::fmt_sql(expr.as_ref()).to_string(),
            parts => parts.iter().map(|part| self.sql(part)).collect::<Vec<_>>().join(" AND "),
        }
    }

    /// A column as the operators below have made it.
    pub(super) fn column(&self, name: &str) -> String {
        sql_with(&Expr::Column(LogicalColumn::new_unqualified(name)), &self.computed)
    }

    /// The calls of an aggregate's functions.
    pub(super) fn aggregates(&self, aggregate: &AggregateExec) -> Vec<String> {
        let calls = aggregate.aggr_expr().iter().zip(aggregate.filter_expr());
        let calls = calls.map(|(function, filter)| match self.computed.get(function.name()) {
            // The last stage does not know the filter of the first.
            Some(text) if aggregate.mode().input_mode() == AggregateInputMode::Partial => text.clone(),
            _ => self.aggregate(function, filter.as_ref()),
        });
        calls.collect()
    }

    fn aggregate(&self, function: &AggregateFunctionExpr, filter: Option<&Arc<dyn PhysicalExpr>>) -> String {
        let name = function.fun().name();
        let arguments = function.expressions();
        let distinct = function.is_distinct();
        let counts_rows =
            name == "count" && !distinct && matches!(arguments.as_slice(), [only] if only.is::<Literal>());
        let mut inside = if counts_rows { "*".to_owned() } else { self.list(&arguments) };
        if distinct {
            inside = format!("DISTINCT {inside}");
        }
        if !function.order_bys().is_empty() {
            inside = format!("{inside} ORDER BY {}", self.sort_keys(function.order_bys()));
        }
        match filter {
            Some(filter) => format!("{name}({inside}) FILTER (WHERE {})", self.sql(filter)),
            None => format!("{name}({inside})"),
        }
    }

    /// A window function's call.
    pub(super) fn window(&self, window: &dyn WindowExpr) -> String {
        let any = window.as_any();
        let aggregate =
            (any.downcast_ref::<PlainAggregateWindowExpr>().map(PlainAggregateWindowExpr::get_aggregate_expr)).or_else(
                || any.downcast_ref::<SlidingAggregateWindowExpr>().map(SlidingAggregateWindowExpr::get_aggregate_expr),
            );
        let standard = any.downcast_ref::<StandardWindowExpr>();
        let standard = standard.and_then(|expr| expr.get_standard_func_expr().as_any().downcast_ref::<WindowUDFExpr>());
        let call = match (aggregate, standard) {
            (Some(aggregate), _) => self.aggregate(aggregate, None),
            (None, Some(function)) => format!("{}({})", function.fun().name(), self.list(function.args())),
            (None, None) => return window.name().to_owned(),
        };
        let mut over = Vec::new();
        if !window.partition_by().is_empty() {
            over.push(format!("PARTITION BY {}", self.list(window.partition_by())));
        }
        if !window.order_by().is_empty() {
            over.push(format!("ORDER BY {}", self.sort_keys(window.order_by())));
        }
        let frame = window.get_window_frame().to_string();
        let usual = WindowFrame::new((!window.order_by().is_empty()).then_some(false)).to_string();
        if aggregate.is_some() && frame != usual {
            over.push(frame);
        }
        format!("{call} OVER ({})", over.join(" "))
    }

    fn list(&self, exprs: &[Arc<dyn PhysicalExpr>]) -> String {
        exprs.iter().map(|expr| self.sql(expr)).collect::<Vec<_>>().join(", ")
    }

    /// The keys of a sort, with NULLS only where they are not in their usual place: last, or first when descending.
    pub(super) fn sort_keys<'a>(&self, keys: impl IntoIterator<Item = &'a PhysicalSortExpr>) -> String {
        let keys = keys.into_iter().map(|key| {
            let direction = if key.options.descending { " DESC" } else { "" };
            let nulls = match (key.options.descending, key.options.nulls_first) {
                (false, true) => " NULLS FIRST",
                (true, false) => " NULLS LAST",
                _ => "",
            };
            format!("{}{direction}{nulls}", self.sql(&key.expr))
        });
        keys.collect::<Vec<_>>().join(", ")
    }
}

/// The window functions that an operator computes.
pub(super) fn windows(plan: &Arc<dyn ExecutionPlan>) -> &[Arc<dyn WindowExpr>] {
    let whole = plan.downcast_ref::<WindowAggExec>().map(WindowAggExec::window_expr);
    whole.or_else(|| plan.downcast_ref::<BoundedWindowAggExec>().map(BoundedWindowAggExec::window_expr)).unwrap_or(&[])
}

/// The logical expression, or `None` where a part has no logical form.
fn logical(expr: &Arc<dyn PhysicalExpr>) -> Option<Expr> {
    let boxed = |expr: &Arc<dyn PhysicalExpr>| logical(expr).map(Box::new);
    let all = |list: &[Arc<dyn PhysicalExpr>]| list.iter().map(logical).collect::<Option<Vec<_>>>();
    if let Some(column) = expr.downcast_ref::<Column>() {
        return Some(Expr::Column(LogicalColumn::new_unqualified(column.name())));
    }
    if let Some(literal) = expr.downcast_ref::<Literal>() {
        return Some(Expr::Literal(literal.value().clone(), None));
    }
    if let Some(binary) = expr.downcast_ref::<PhysicalBinary>() {
        return Some(Expr::BinaryExpr(BinaryExpr::new(boxed(binary.left())?, *binary.op(), boxed(binary.right())?)));
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return Some(Expr::Not(boxed(not.arg())?));
    }
    if let Some(negative) = expr.downcast_ref::<NegativeExpr>() {
        return Some(Expr::Negative(boxed(negative.arg())?));
    }
    if let Some(null) = expr.downcast_ref::<IsNullExpr>() {
        return Some(Expr::IsNull(boxed(null.arg())?));
    }
    if let Some(null) = expr.downcast_ref::<IsNotNullExpr>() {
        return Some(Expr::IsNotNull(boxed(null.arg())?));
    }
    if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        let (text, pattern) = (boxed(like.expr())?, boxed(like.pattern())?);
        return Some(Expr::Like(Like::new(like.negated(), text, pattern, None, like.case_insensitive())));
    }
    if let Some(list) = expr.downcast_ref::<InListExpr>() {
        return Some(Expr::InList(InList::new(boxed(list.expr())?, all(list.list())?, list.negated())));
    }
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        return Some(Expr::Cast(Cast::new(boxed(cast.expr())?, cast.cast_type().clone())));
    }
    if let Some(cast) = expr.downcast_ref::<TryCastExpr>() {
        return Some(Expr::TryCast(TryCast::new(boxed(cast.expr())?, cast.cast_type().clone())));
    }
    if let Some(case) = expr.downcast_ref::<CaseExpr>() {
        let branches = case.when_then_expr().iter().map(|(when, then)| Some((boxed(when)?, boxed(then)?)));
        let operand = case.expr().map(boxed);
        let otherwise = case.else_expr().map(boxed);
        return Some(Expr::Case(Case {
            expr: operand.map_or(Some(None), |expr| expr.map(Some))?,
            when_then_expr: branches.collect::<Option<Vec<_>>>()?,
            else_expr: otherwise.map_or(Some(None), |expr| expr.map(Some))?,
        }));
    }
    let call = expr.downcast_ref::<ScalarFunctionExpr>()?;
    Some(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(call.fun().clone()), all(call.args())?)))
}
