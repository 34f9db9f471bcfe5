//! The function that keeps computed floats to one zero and one NaN.
//!
//! PostgreSQL holds all NaNs equal and greater than every other float, and `-0` equal to `0`; Arrow's kernels take the
//! bits as they are in ORDER BY, min, max, DISTINCT, GROUP BY, IN lists and window partitions. The processor makes a
//! *negative* NaN of `0 / 0`, which would sort first. Leaves hand over canonical floats
//! ([`portolan_connector::canonical_floats`]); this function does the same for what the engine computes.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use portolan_connector::canonical_float_array;

static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(CanonicalFloat { signature: Signature::user_defined(Volatility::Immutable) }))
});

/// The function, to register by name: a plan that is written down and read again finds it there.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::clone(&FUNCTION)
}

/// Whether this is the function above.
pub(super) fn is_canonical(udf: &ScalarUDF) -> bool {
    udf.inner().is::<CanonicalFloat>()
}

/// The canonical form of a scalar that has another one.
pub(super) fn canonical_scalar(value: &ScalarValue) -> Option<ScalarValue> {
    if !value.data_type().is_floating() || value.is_null() {
        return None;
    }
    let array = value.to_array().ok()?;
    let canonical = canonical_float_array(&array);
    match Arc::ptr_eq(&array, &canonical) {
        true => None,
        false => ScalarValue::try_from_array(&canonical, 0).ok(),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CanonicalFloat {
    signature: Signature,
}

impl ScalarUDFImpl for CanonicalFloat {
    fn name(&self) -> &str {
        "canonical_float"
    }

    /// The name of the argument: results keep their names. That of a cast is the name of what is cast; a join has both
    /// beside one another when a cast is its key.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [cast @ (Expr::Cast(_) | Expr::TryCast(_))] => Ok(cast.to_string()),
            [arg] => Ok(arg.schema_name().to_string()),
            _ => plan_err!("{} takes one argument", self.name()),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [float] if float.is_floating() => Ok(types.to_vec()),
            _ => plan_err!("{} takes one float", self.name()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [float] = take_function_args(self.name(), types)?;
        Ok(float.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [arg] = take_function_args(self.name(), args.arg_fields)?;
        let field = Field::new(self.name(), arg.data_type().clone(), arg.is_nullable());
        Ok(Arc::new(field.with_metadata(arg.metadata().clone())))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = take_function_args(self.name(), args.args)?;
        Ok(match value {
            ColumnarValue::Array(array) => ColumnarValue::Array(canonical_float_array(&array)),
            ColumnarValue::Scalar(scalar) => ColumnarValue::Scalar(canonical_scalar(&scalar).unwrap_or(scalar)),
        })
    }
}
