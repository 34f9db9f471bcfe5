//! Literal texts beside values of other types, such as `ok = 'true'`, `'5' + 3` and `day - '2024-01-01'`: a literal without a type has
//! that of the other operand, as in PostgreSQL (manual, 10.2). DataFusion knows no such operators.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// Gives such literals a type.
#[derive(Debug)]
pub(super) struct UntypedLiterals;

impl ExprPlanner for UntypedLiterals {
    fn plan_binary_op(&self, mut expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (literal, other) = match (is_text(&expr.left), is_text(&expr.right)) {
            (true, false) => (&mut expr.left, &expr.right),
            (false, true) => (&mut expr.right, &expr.left),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        if let Ok(other) = other.get_type(schema)
            && takes_type(&expr.op, &other)
        {
            *literal = cast(std::mem::take(literal), other);
        }
        Ok(PlannerResult::Original(expr))
    }
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Utf8(Some(_)) | ScalarValue::Utf8View(Some(_)), _))
}

/// Whether a literal beside a value of this type is one of the same type. Comparisons with other types DataFusion knows.
fn takes_type(op: &BinaryOperator, other: &DataType) -> bool {
    use BinaryOperator::{Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Plus};
    match op {
        Eq | NotEq | Lt | LtEq | Gt | GtEq => *other == DataType::Boolean,
        Minus if matches!(other, DataType::Date32 | DataType::Timestamp(..)) => true,
        Plus | Minus | Multiply | Divide | Modulo => other.is_numeric(),
        _ => false,
    }
}
