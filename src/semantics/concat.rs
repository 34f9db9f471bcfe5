//! `concat` and `concat_ws` write a truth value as `t` or `f`, as in PostgreSQL, whose operator `||` writes `true` or `false`; DataFusion
//! makes texts of all arguments by a cast.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::functions::string::{concat, concat_ws};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast, lit, not, when,
};

use super::arithmetic::type_of;

static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 2]> =
    LazyLock::new(|| [concat(), concat_ws()].map(|inner| Arc::new(ScalarUDF::from(Texts::new(inner)))));

/// The functions, which take truth values as they are until [`of_texts`] has written them.
pub(super) fn functions() -> [Arc<ScalarUDF>; 2] {
    FUNCTIONS.clone()
}

/// A call of one of the functions above as DataFusion's, of texts; `None` of another call.
pub(super) fn of_texts(call: &ScalarFunction, schema: &DFSchema) -> Result<Option<Expr>> {
    let Some(texts) = call.func.inner().downcast_ref::<Texts>() else { return Ok(None) };
    let types = call.args.iter().map(|arg| type_of(arg, schema)).collect::<Result<Vec<_>>>()?;
    // The others have been brought to one type.
    let text = types.iter().find(|has| has.is_string()).cloned().unwrap_or(DataType::Utf8);
    let args = call.args.iter().zip(types).map(|(arg, has)| match has {
        DataType::Boolean => {
            let written = when(arg.clone(), lit("t")).when(not(arg.clone()), lit("f")).end()?;
            Ok(if text == DataType::Utf8 { written } else { cast(written, text.clone()) })
        }
        _ => Ok(arg.clone()),
    });
    let args = args.collect::<Result<_>>()?;
    Ok(Some(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&texts.inner), args))))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Texts {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl Texts {
    fn new(inner: Arc<ScalarUDF>) -> Self {
        Self { inner, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// With texts in the places of truth values.
fn written(types: &[DataType]) -> Vec<DataType> {
    let written =
        |data_type: &DataType| if *data_type == DataType::Boolean { DataType::Utf8 } else { data_type.clone() };
    types.iter().map(written).collect()
}

impl ScalarUDFImpl for Texts {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let coerced = self.inner.coerce_types(&written(types))?;
        let kept =
            |(has, coerced): (&DataType, DataType)| if *has == DataType::Boolean { DataType::Boolean } else { coerced };
        Ok(types.iter().zip(coerced).map(kept).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(&written(types))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }
}
