//! Aggregates over frames that slide. DataFusion subtracts what leaves a frame of floats: digits that the larger value has swallowed do
//! not come back, nor does anything after a NaN or an infinity. Here nothing is subtracted (`frame`). Of truth values the true and the
//! false ones are counted, and texts are put together anew: DataFusion knows no such frames.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::functions_aggregate::average::Avg;
use datafusion::functions_aggregate::bool_and_or::{BoolAnd, BoolOr};
use datafusion::functions_aggregate::string_agg::StringAgg;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature};
use datafusion::physical_expr::expressions::Literal;

use super::frame::{Frame, Part};
use super::spread::Spread;

/// What stands for an aggregate function in a window; `None` where DataFusion's own is sound.
pub(super) fn instead_of(function: &AggregateUDF) -> Option<Arc<AggregateUDF>> {
    let inner = function.inner();
    let kind = if inner.is::<Avg>() {
        Kind::Average
    } else if inner.is::<BoolAnd>() {
        Kind::Truth { all: true }
    } else if inner.is::<BoolOr>() {
        Kind::Truth { all: false }
    } else if inner.is::<StringAgg>() {
        Kind::Text
    } else {
        Kind::Spread(Spread::of(function)?)
    };
    Some(Arc::new(AggregateUDF::from(InWindow { function: function.clone(), kind })))
}

/// The sum of doubles in a window that slides.
pub(super) fn sum() -> Box<dyn Accumulator> {
    Box::new(Floats::<Total> { frame: Frame::default(), wanted: Wanted::Sum })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Average,
    Spread(Spread),
    Truth { all: bool },
    Text,
}

/// A function of DataFusion's but for its frames.
#[derive(Debug, PartialEq, Eq, Hash)]
struct InWindow {
    function: AggregateUDF,
    kind: Kind,
}

impl AggregateUDFImpl for InWindow {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.function.return_type(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.function.state_fields(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let is_double = *args.return_field.data_type() == DataType::Float64;
        match self.kind {
            _ if args.is_distinct => self.function.create_sliding_accumulator(args),
            Kind::Average if is_double => {
                Ok(Box::new(Floats::<Total> { frame: Frame::default(), wanted: Wanted::Average }))
            }
            Kind::Spread(spread) if is_double => {
                Ok(Box::new(Floats::<Moments> { frame: Frame::default(), wanted: spread }))
            }
            Kind::Truth { all } => Ok(Box::new(Truths { all, counts: [0; 2] })),
            Kind::Text => Ok(Box::new(Texts { texts: VecDeque::new(), between: separator(&args)? })),
            Kind::Average | Kind::Spread(_) => self.function.create_sliding_accumulator(args),
        }
    }
}

/// What stands between texts: the second argument.
fn separator(args: &AccumulatorArgs) -> Result<String> {
    let literal = args.exprs.get(1).and_then(|expr| expr.downcast_ref::<Literal>());
    match literal.map(Literal::value) {
        Some(value) if value.is_null() => Ok(String::new()),
        Some(value) => match value.try_as_str() {
            Some(Some(text)) => Ok(text.to_owned()),
            _ => plan_err!("what stands between texts is a text"),
        },
        None => plan_err!("what {} puts between texts is one text for all rows", args.name),
    }
}

/// A part that is made of floats.
trait OfFloats: Part + Send + Sync {
    /// What it is asked for.
    type Wanted: Copy + Debug + Send + Sync;

    fn of(value: f64) -> Self;

    /// `None` for NULL.
    fn result(&self, wanted: Self::Wanted) -> Option<f64>;
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    Sum,
    Average,
}

/// A sum and how many values it has.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    sum: f64,
    count: u64,
}

impl Part for Total {
    fn and(&self, later: &Self) -> Self {
        match (self.count, later.count) {
            (0, _) => *later,
            (_, 0) => *self,
            _ => Self { sum: self.sum + later.sum, count: self.count + later.count },
        }
    }
}

impl OfFloats for Total {
    type Wanted = Wanted;

    fn of(value: f64) -> Self {
        Self { sum: value, count: 1 }
    }

    #[expect(clippy::cast_precision_loss, reason = "no frame has 2^53 values")]
    fn result(&self, wanted: Wanted) -> Option<f64> {
        let value = match wanted {
            Wanted::Sum => self.sum,
            Wanted::Average => self.sum / self.count as f64,
        };
        (self.count > 0).then_some(value)
    }
}

/// How many values there are, their mean, and the sum of the squares of their distances from it.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Part for Moments {
    /// Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
    fn and(&self, later: &Self) -> Self {
        if self.count == 0.0 {
            return *later;
        }
        if later.count == 0.0 {
            return *self;
        }
        let count = self.count + later.count;
        let distance = later.mean - self.mean;
        let mean = self.mean + distance * later.count / count;
        let squares = self.squares + later.squares + distance * distance * self.count * later.count / count;
        Self { count, mean, squares }
    }
}

impl OfFloats for Moments {
    type Wanted = Spread;

    fn of(value: f64) -> Self {
        // From an infinity nothing has a distance.
        Self { count: 1.0, mean: value, squares: if value.is_finite() { 0.0 } else { f64::NAN } }
    }

    fn result(&self, spread: Spread) -> Option<f64> {
        let freedom = if spread.is_sample() { self.count - 1.0 } else { self.count };
        (freedom > 0.0).then(|| spread.of_variance(self.squares / freedom))
    }
}

/// A NULL adds nothing.
#[derive(Debug)]
struct Floats<P: OfFloats> {
    frame: Frame<P>,
    wanted: P::Wanted,
}

impl<P: OfFloats + 'static> Accumulator for Floats<P>
where
    P::Wanted: 'static,
{
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values] = values else { return internal_err!("a frame of floats has one column") };
        for value in values.as_primitive::<Float64Type>() {
            self.frame.push(value.map_or_else(P::default, P::of));
        }
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

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.frame.total().result(self.wanted)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.frame.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("a window's frame is not shared")
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        internal_err!("a window's frame is not shared")
    }
}

/// How many values are false, and how many are true.
#[derive(Debug)]
struct Truths {
    all: bool,
    counts: [usize; 2],
}

impl Truths {
    fn counted(values: &[ArrayRef]) -> Result<[usize; 2]> {
        let [values] = values else { return internal_err!("a frame of truth values has one column") };
        let values = values.as_boolean();
        Ok([values.false_count(), values.true_count()])
    }
}

impl Accumulator for Truths {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [no, yes] = Self::counted(values)?;
        let [all_no, all_yes] = self.counts;
        self.counts = [all_no + no, all_yes + yes];
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [no, yes] = Self::counted(values)?;
        let [all_no, all_yes] = self.counts;
        self.counts = [all_no.saturating_sub(no), all_yes.saturating_sub(yes)];
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let [no, yes] = self.counts;
        let value = if self.all { no == 0 } else { yes > 0 };
        Ok(ScalarValue::Boolean((no + yes > 0).then_some(value)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("a window's frame is not shared")
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        internal_err!("a window's frame is not shared")
    }
}

/// The texts of a frame; a NULL takes its place only.
#[derive(Debug)]
struct Texts {
    texts: VecDeque<Option<String>>,
    between: String,
}

impl Accumulator for Texts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return internal_err!("a frame of texts has a column") };
        let values = cast(values, &DataType::LargeUtf8)?;
        self.texts.extend(values.as_string::<i64>().iter().map(|text| text.map(str::to_owned)));
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let count = values.first().map_or(0, |values| values.len());
        self.texts.drain(..count.min(self.texts.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let texts: Vec<&str> = self.texts.iter().flatten().map(String::as_str).collect();
        Ok(ScalarValue::LargeUtf8((!texts.is_empty()).then(|| texts.join(&self.between))))
    }

    fn size(&self) -> usize {
        let texts: usize = self.texts.iter().flatten().map(String::capacity).sum();
        size_of_val(self) + texts + self.texts.capacity() * size_of::<Option<String>>() + self.between.capacity()
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
            let mut frame: Frame<Total> = Frame::default();
            for (at, value) in values.iter().enumerate() {
                frame.push(value.map_or_else(Total::default, Total::of));
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
