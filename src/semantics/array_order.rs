//! Arrays are compared element by element, and a NULL in one is larger than all else, as in PostgreSQL (manual, 9.19); Arrow takes it
//! for the smallest.

use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, Int8Array, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

static FUNCTION: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(ArrayOrder { signature: Signature::any(2, Volatility::Immutable) })));

/// The function, to register by name.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::clone(&FUNCTION)
}

/// A comparison of arrays, where their order matters, as one of what the function gives with zero; `None` of another one.
pub(super) fn compared(binary: &BinaryExpr, left: &DataType, right: &DataType) -> Option<Expr> {
    let by_order = matches!(binary.op, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq);
    if !by_order || left != right || !is_array(left) {
        return None;
    }
    let args = vec![binary.left.as_ref().clone(), binary.right.as_ref().clone()];
    let order = Expr::ScalarFunction(ScalarFunction::new_udf(function(), args));
    Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(order), binary.op, Box::new(lit(0_i8)))))
}

fn is_array(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
}

/// `array_order(left, right)` is -1, 0 or 1, as `left` is less, equal or greater.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayOrder {
    signature: Signature,
}

impl ScalarUDFImpl for ArrayOrder {
    fn name(&self) -> &str {
        "array_order"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [left, right] if left == right && is_array(left) => Ok(DataType::Int8),
            _ => plan_err!("{} takes two arrays of one type", self.name()),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = take_function_args(self.name(), args.args)?;
        let (left, right) = (left.into_array(args.number_rows)?, right.into_array(args.number_rows)?);
        Ok(ColumnarValue::Array(Arc::new(order(&left, &right)?)))
    }
}

fn order(left: &ArrayRef, right: &ArrayRef) -> Result<Int8Array> {
    let compare = make_comparator(left, right, SortOptions { descending: false, nulls_first: false })?;
    let sign = |ordering| match ordering {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    };
    let of_row = |row| (left.is_valid(row) && right.is_valid(row)).then(|| sign(compare(row, row)));
    Ok((0..left.len()).map(of_row).collect())
}
