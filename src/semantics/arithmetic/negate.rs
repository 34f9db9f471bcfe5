//! Unary minus on integers and decimals: the smallest integer has no opposite.

use std::sync::Arc;

use arrow::array::Array;
use arrow::compute::kernels::numeric::neg;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::super::ArithmeticError;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CheckedNegate {
    signature: Signature,
}

impl CheckedNegate {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for CheckedNegate {
    fn name(&self) -> &str {
        "checked_negate"
    }

    /// The name that the operator would have given the column: results keep their names.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [arg] => Ok(format!("(- {})", arg.schema_name())),
            _ => plan_err!("{} takes one argument", self.name()),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [number] if number.is_signed_integer() || number.is_decimal() => Ok(types.to_vec()),
            _ => plan_err!("{} takes one signed integer or decimal", self.name()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [number] = take_function_args(self.name(), types)?;
        Ok(number.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [arg] = take_function_args(self.name(), args.arg_fields)?;
        Ok(Arc::new(Field::new(self.name(), arg.data_type().clone(), arg.is_nullable())))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [number] = take_function_args(self.name(), args.args)?;
        let negate =
            |array: &dyn Array| neg(array).map_err(|error| ArithmeticError::from_kernel(error, array.data_type()));
        Ok(match number {
            ColumnarValue::Array(array) => ColumnarValue::Array(negate(&array)?),
            ColumnarValue::Scalar(scalar) => {
                let array = negate(&scalar.to_array()?)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
            }
        })
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        let [number] = take_function_args(self.name(), inputs)?;
        Ok(-number.sort_properties)
    }
}
