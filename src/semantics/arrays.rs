//! Arrays as in PostgreSQL (manual, 9.19 and 9.24).
//!
//! * `x = ANY (array)` is unknown if it is not found beside a NULL: DataFusion's `array_has` says no, which is the same in WHERE.
//! * `array_remove` removes all that are equal, and NULLs where it is to remove NULL: DataFusion's removes the first, and is NULL then.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, GenericListArray, ListArray, OffsetSizeTrait};
use arrow::buffer::OffsetBuffer;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{cast, filter, is_not_null, is_null};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_nested::array_has::ArrayHas;
use datafusion::functions_nested::remove::ArrayRemoveAll;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};

use crate::syntax::call;

/// The name of the function: an array, and what it may have.
const NAME: &str = "equals_any";

/// The name of DataFusion's, which is never unknown because of a NULL in the array.
const HAS: &str = "array_has";

static FUNCTION: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(EqualsAny { has: ArrayHas::new() })));

/// The functions, to register by name.
pub(super) fn functions() -> [Arc<ScalarUDF>; 2] {
    [Arc::clone(&FUNCTION), Arc::new(ScalarUDF::from(Remove { all: ArrayRemoveAll::new() }))]
}

/// Writes `x = ANY (array)` as a function: at the top of a condition, also below AND and OR, as the one that sources know.
pub(super) fn respell_at_top(condition: &mut Expr) {
    match condition {
        Expr::Nested(inner) => respell_at_top(inner),
        // A chain of them is as deep as it is long; the parser has bounded it.
        Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
            respell_at_top(left);
            respell_at_top(right);
        }
        other => {
            if let Some(call) = as_call(other, HAS) {
                *other = call;
            }
        }
    }
}

/// The same within an expression.
pub(super) fn respelled(expr: &Expr) -> Option<Expr> {
    as_call(expr, NAME)
}

fn as_call(expr: &Expr, function: &str) -> Option<Expr> {
    match expr {
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } if !matches!(**right, Expr::Subquery(_)) => {
            Some(call(function, [right.as_ref().clone(), left.as_ref().clone()]))
        }
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct EqualsAny {
    has: ArrayHas,
}

impl ScalarUDFImpl for EqualsAny {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        self.has.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.has.return_type(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let one_value = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if one_value { 1 } else { args.number_rows };
        let Some(arrays) = args.args.first().cloned() else { return internal_err!("{NAME} takes an array") };
        let has = cast(&self.has.invoke_with_args(args)?.into_array(rows)?, &DataType::Boolean)?;
        let arrays = arrays.into_array(rows)?;
        let found: ArrayRef = match arrays.data_type() {
            DataType::List(_) => Arc::new(with_unknown(has.as_boolean(), arrays.as_list::<i32>())),
            DataType::LargeList(_) => Arc::new(with_unknown(has.as_boolean(), arrays.as_list::<i64>())),
            DataType::FixedSizeList(field, _) => {
                let lists = cast(&arrays, &DataType::List(Arc::clone(field)))?;
                Arc::new(with_unknown(has.as_boolean(), lists.as_list::<i32>()))
            }
            _ => has,
        };
        Ok(match one_value {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
            false => ColumnarValue::Array(found),
        })
    }
}

/// What is not found in an array with a NULL is unknown; an array without elements has nothing, not even NULL.
fn with_unknown<O: OffsetSizeTrait>(has: &BooleanArray, arrays: &GenericListArray<O>) -> BooleanArray {
    let known = |(row, has): (usize, Option<bool>)| {
        if arrays.is_null(row) {
            return None;
        }
        let elements = arrays.value(row);
        match has {
            _ if elements.is_empty() => Some(false),
            Some(false) if elements.logical_null_count() > 0 => None,
            has => has,
        }
    };
    has.iter().enumerate().map(known).collect()
}

/// `array_remove(array, element)`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Remove {
    all: ArrayRemoveAll,
}

impl ScalarUDFImpl for Remove {
    fn name(&self) -> &str {
        "array_remove"
    }

    fn signature(&self) -> &Signature {
        self.all.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.all.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = self.all.return_field_from_args(args)?;
        Ok(Arc::new(field.as_ref().clone().with_name(self.name())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let one_value = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if one_value { 1 } else { args.number_rows };
        let to = args.return_field.data_type().clone();
        let [arrays, elements] = take_function_args(self.name(), args.args.clone())?;
        let elements = elements.into_array(rows)?;
        let found = self.all.invoke_with_args(args)?;
        if elements.logical_null_count() == 0 {
            return Ok(found);
        }
        let DataType::List(item) = &to else { return Ok(found) };
        let arrays = cast(&arrays.into_array(rows)?, &DataType::List(Arc::clone(item)))?;
        let without = cast(&without_nulls(arrays.as_list())?, &to)?;
        let is_null = is_null(&elements)?;
        let found = zip(&is_null, &without, &cast(&found.into_array(rows)?, &to)?)?;
        Ok(match one_value {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
            false => ColumnarValue::Array(found),
        })
    }
}

/// The arrays with those of their elements that are not NULL.
fn without_nulls(arrays: &ListArray) -> Result<ArrayRef> {
    let kept = is_not_null(arrays.values())?;
    let lengths = (0..arrays.len()).map(|row| {
        let (from, to) = (arrays.value_offsets().get(row), arrays.value_offsets().get(row + 1));
        let range = from.zip(to).map(|(from, to)| *from as usize..*to as usize).unwrap_or_default();
        range.filter(|at| kept.value(*at)).count()
    });
    let offsets = OffsetBuffer::from_lengths(lengths);
    // Elements before the first array and behind the last one belong to none.
    let first = arrays.value_offsets().first().copied().unwrap_or_default() as usize;
    let last = arrays.value_offsets().last().copied().unwrap_or_default() as usize;
    let values = filter(&arrays.values().slice(first, last - first), &kept.slice(first, last - first))?;
    let DataType::List(item) = arrays.data_type() else { return internal_err!("no list") };
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, arrays.nulls().cloned())?))
}
