//! `min` and `max` of floats: NaN is the largest number, as everywhere else.
//!
//! DataFusion compares with `<`, which is false for NaN, so that its answer depends on the order of the rows.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::min_max::{Max, Min};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

static MIN: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| FloatExtreme::function(true));
static MAX: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| FloatExtreme::function(false));

/// The function that stands for DataFusion's own for an argument of this type; `None` where that one is sound.
pub(super) fn instead_of(function: &AggregateUDF, argument: &DataType) -> Option<Arc<AggregateUDF>> {
    if !matches!(argument, DataType::Float32 | DataType::Float64) {
        return None;
    }
    match function.inner() {
        inner if inner.is::<Min>() => Some(Arc::clone(&MIN)),
        inner if inner.is::<Max>() => Some(Arc::clone(&MAX)),
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FloatExtreme {
    least: bool,
    signature: Signature,
}

impl FloatExtreme {
    fn function(least: bool) -> Arc<AggregateUDF> {
        let signature = Signature::uniform(1, vec![DataType::Float32, DataType::Float64], Volatility::Immutable);
        Arc::new(AggregateUDF::from(Self { least, signature }))
    }
}

impl AggregateUDFImpl for FloatExtreme {
    fn name(&self) -> &str {
        if self.least { "min" } else { "max" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [only] => Ok(only.clone()),
            _ => internal_err!("{} of {} arguments", self.name(), arg_types.len()),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Extreme { least: self.least, found: None, data_type: args.return_type().clone() }))
    }
}

/// Of one group. A float of 32 bits is one of 64 bits as well.
#[derive(Debug)]
struct Extreme {
    least: bool,
    found: Option<f64>,
    data_type: DataType,
}

impl Extreme {
    fn see(&mut self, value: f64) {
        // Of all NaNs this is the one that sorts last.
        let value = if value.is_nan() { f64::NAN } else { value };
        let is_better = |found: f64| match self.least {
            true => value.total_cmp(&found).is_lt(),
            false => value.total_cmp(&found).is_gt(),
        };
        if self.found.is_none_or(is_better) {
            self.found = Some(value);
        }
    }
}

impl Accumulator for Extreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return internal_err!("no argument") };
        match values.data_type() {
            DataType::Float32 => {
                values.as_primitive::<Float32Type>().iter().flatten().for_each(|value| self.see(f64::from(value)));
            }
            DataType::Float64 => {
                values.as_primitive::<Float64Type>().iter().flatten().for_each(|value| self.see(value))
            }
            other => return internal_err!("an extreme of {other}"),
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        #[expect(clippy::cast_possible_truncation, reason = "it was a float of 32 bits")]
        Ok(match self.data_type {
            DataType::Float32 => ScalarValue::Float32(self.found.map(|found| found as f32)),
            _ => ScalarValue::Float64(self.found),
        })
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
