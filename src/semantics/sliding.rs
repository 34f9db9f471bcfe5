//! Sums and averages of floats over frames that slide. DataFusion subtracts what leaves the frame: digits that the larger value has
//! swallowed do not come back, nor does anything after a NaN or an infinity. Here a frame is the sum of two parts, of which one only
//! grows and the other has its sums ready for each value that may be the first, so that nothing is ever subtracted.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::average::Avg;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature};

static AVERAGE: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::from(SlidingAverage { adding: Avg::new() })));

/// The average of doubles in a window.
pub(super) fn average() -> Arc<AggregateUDF> {
    Arc::clone(&AVERAGE)
}

/// The sum of doubles in a window that slides.
pub(super) fn sum() -> Box<dyn Accumulator> {
    Box::new(Sliding { frame: Frame::default(), is_average: false })
}

/// DataFusion's `avg` but for its frames.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SlidingAverage {
    adding: Avg,
}

impl AggregateUDFImpl for SlidingAverage {
    fn name(&self) -> &str {
        self.adding.name()
    }

    fn signature(&self) -> &Signature {
        self.adding.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.adding.return_type(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.adding.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.adding.state_fields(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match args.is_distinct || *args.return_field.data_type() != DataType::Float64 {
            true => self.adding.create_sliding_accumulator(args),
            false => Ok(Box::new(Sliding { frame: Frame::default(), is_average: true })),
        }
    }
}

/// A sum and how many values it has.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    sum: f64,
    count: u64,
}

impl Total {
    /// A NULL adds nothing.
    fn of(value: Option<f64>) -> Self {
        value.map_or_else(Self::default, |sum| Self { sum, count: 1 })
    }

    fn and(self, later: Self) -> Self {
        match (self.count, later.count) {
            (0, _) => later,
            (_, 0) => self,
            _ => Self { sum: self.sum + later.sum, count: self.count + later.count },
        }
    }
}

/// The values of a frame, first in and first out.
#[derive(Debug, Default)]
struct Frame {
    /// For each value of the first part the total from it to the part's end; the frame's first value is the last one here.
    leaving: Vec<Total>,
    /// The values of the second part, in order.
    coming: Vec<Option<f64>>,
    /// The total of these.
    come: Total,
}

impl Frame {
    fn push(&mut self, value: Option<f64>) {
        self.coming.push(value);
        self.come = self.come.and(Total::of(value));
    }

    fn pop(&mut self) {
        if self.leaving.is_empty() {
            let mut total = Total::default();
            self.leaving.extend(self.coming.drain(..).rev().map(|value| {
                total = Total::of(value).and(total);
                total
            }));
            self.come = Total::default();
        }
        self.leaving.pop();
    }

    fn total(&self) -> Total {
        self.leaving.last().copied().unwrap_or_default().and(self.come)
    }
}

#[derive(Debug)]
struct Sliding {
    frame: Frame,
    is_average: bool,
}

impl Accumulator for Sliding {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values] = values else { return internal_err!("a frame of floats has one column") };
        values.as_primitive::<Float64Type>().iter().for_each(|value| self.frame.push(value));
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let count = values.first().map_or(0, |values| values.len());
        (0..count).for_each(|_| self.frame.pop());
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    #[expect(clippy::cast_precision_loss, reason = "no frame has 2^53 values")]
    fn evaluate(&mut self) -> Result<ScalarValue> {
        let Total { sum, count } = self.frame.total();
        let value = if self.is_average { sum / count as f64 } else { sum };
        Ok(ScalarValue::Float64((count > 0).then_some(value)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.frame.leaving.capacity() * size_of::<Total>()
            + self.frame.coming.capacity() * size_of::<Option<f64>>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("a window's frame is not shared")
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        internal_err!("a window's frame is not shared")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_the_sum_of_its_values() {
        let values =
            [Some(1e16), None, Some(1.0), Some(f64::NAN), Some(f64::INFINITY), Some(2.0), Some(3.0), None, Some(0.5)];
        for width in 1..5 {
            let mut frame = Frame::default();
            for (at, value) in values.iter().enumerate() {
                frame.push(*value);
                if at >= width {
                    frame.pop();
                }
                let expected: Vec<f64> =
                    values[(at + 1).saturating_sub(width)..=at].iter().copied().flatten().collect();
                let total = frame.total();
                assert_eq!(total.count, expected.len() as u64);
                let sum: f64 = expected.iter().sum();
                assert!(total.sum == sum || total.sum.is_nan() && sum.is_nan(), "{} {sum}", total.sum);
            }
        }
    }
}
