//! Timestamps, times, intervals and infinite floats as text look as they are shown, as in PostgreSQL: `2024-01-31 01:02:03.5`, and instants with
//! `+00` behind it; `10:20:30.5`, `1 year 2 mons`, `Infinity`. Arrow writes a T between day and time, `14 mons` and `inf`.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::DataType;
use arrow::util::display::FormatOptions;
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::cli::output::write_text;

static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(ValueText { signature: Signature::user_defined(Volatility::Immutable) }))
});

/// The function, to register by name: a plan that is written down and read again finds it there.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::clone(&FUNCTION)
}

/// Whether this is the function above.
pub(super) fn is_text_of_value(udf: &ScalarUDF) -> bool {
    udf.inner().is::<ValueText>()
}

/// What is cast as text, if it is a value that Arrow writes in another way.
pub(super) fn of_value(operand: &Expr, from: &DataType, to: &DataType) -> Option<Expr> {
    if !(to.is_string() && looks_different(from)) {
        return None;
    }
    Some(Expr::ScalarFunction(ScalarFunction::new_udf(function(), vec![operand.clone()])))
}

fn looks_different(data_type: &DataType) -> bool {
    use DataType::{Duration, Float32, Float64, Interval, Time32, Time64, Timestamp};
    matches!(data_type, Timestamp(..) | Time32(_) | Time64(_) | Interval(_) | Duration(_) | Float32 | Float64)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ValueText {
    signature: Signature,
}

impl ScalarUDFImpl for ValueText {
    fn name(&self) -> &str {
        "value_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [value] if looks_different(value) => Ok(types.to_vec()),
            _ => plan_err!("{} takes one timestamp, time, interval or float", self.name()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = take_function_args(self.name(), args.args)?;
        Ok(match value {
            ColumnarValue::Array(array) => ColumnarValue::Array(written(&array)?),
            ColumnarValue::Scalar(scalar) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&written(&scalar.to_array()?)?, 0)?)
            }
        })
    }
}

fn written(values: &ArrayRef) -> Result<ArrayRef> {
    match values.data_type() {
        DataType::Timestamp(..) => of_timestamps(values),
        DataType::Float32 | DataType::Float64 => of_floats(values),
        _ => as_shown(values),
    }
}

fn as_shown(values: &ArrayRef) -> Result<ArrayRef> {
    let text = |row: usize| {
        let mut text = String::new();
        match write_text(values, row, &mut text) {
            Ok(is_there) => Ok(is_there.then_some(text)),
            Err(error) => Err(DataFusionError::External(Box::new(error))),
        }
    };
    Ok(Arc::new((0..values.len()).map(text).collect::<Result<StringArray>>()?))
}

fn of_floats(floats: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(floats, &DataType::Utf8)?;
    if !texts.as_string::<i32>().iter().flatten().any(|text| text.ends_with("inf")) {
        return Ok(texts);
    }
    let spelled = |text| match text {
        "inf" => "Infinity",
        "-inf" => "-Infinity",
        other => other,
    };
    Ok(Arc::new(texts.as_string::<i32>().iter().map(|text| text.map(spelled)).collect::<StringArray>()))
}

fn of_timestamps(timestamps: &ArrayRef) -> Result<ArrayRef> {
    let format = FormatOptions::new()
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"));
    let options = CastOptions { safe: false, format_options: format };
    let texts = cast_with_options(timestamps, &DataType::Utf8, &options)?;
    let texts: StringArray = texts.as_string::<i32>().iter().map(|text| text.map(shortest)).collect();
    Ok(Arc::new(texts))
}

/// Without the zeros at the end of the fraction, and without the minutes of an offset that has none.
fn shortest(text: &str) -> String {
    let text = text
        .strip_suffix(":00")
        .filter(|text| text.rfind(['+', '-']).is_some_and(|at| at + 3 == text.len()))
        .unwrap_or(text);
    let Some((whole, rest)) = text.split_once('.') else { return text.to_owned() };
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (fraction, zone) = rest.split_at(digits);
    match fraction.trim_end_matches('0') {
        "" => format!("{whole}{zone}"),
        fraction => format!("{whole}.{fraction}{zone}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_timestamps_are_as_short_as_they_can_be() {
        for (text, expected) in [
            ("2024-01-31 01:02:00", "2024-01-31 01:02:00"),
            ("2024-01-31 00:00:00.500", "2024-01-31 00:00:00.5"),
            ("2024-01-31 00:00:00.000001+00:00", "2024-01-31 00:00:00.000001+00"),
            ("2024-01-31 00:00:00+00:00", "2024-01-31 00:00:00+00"),
            ("2024-01-31 00:00:00-03:30", "2024-01-31 00:00:00-03:30"),
        ] {
            assert_eq!(shortest(text), expected);
        }
    }
}
