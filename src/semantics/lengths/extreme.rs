//! The shortest and the longest interval. Of those that are as long as each other it is the one with the fewest months, then days, so that
//! the answer does not depend on the order of the rows.

use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::functions_aggregate::min_max::{Max, Min};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility};

use crate::semantics::frame::{Frame, Part};
use crate::semantics::intervals::nanoseconds;

static SHORTEST: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| Extreme::function(Ordering::Less, false));
static LONGEST: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| Extreme::function(Ordering::Greater, false));
static OF_GROUP: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| Extreme::function(Ordering::Less, true));

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// What stands for `min` or `max` of intervals.
pub(super) fn instead_of(function: &AggregateUDF) -> Option<Arc<AggregateUDF>> {
    match function.inner() {
        inner if inner.is::<Min>() => Some(Arc::clone(&SHORTEST)),
        inner if inner.is::<Max>() => Some(Arc::clone(&LONGEST)),
        _ => None,
    }
}

/// The shortest of a group.
pub(super) fn least(interval: Expr) -> Expr {
    let function = Arc::clone(&OF_GROUP);
    Expr::AggregateFunction(AggregateFunction::new_udf(function, vec![interval], false, None, Vec::new(), None))
}

/// Orders intervals: by length, then by what they are made of.
pub(super) fn compare(left: IntervalMonthDayNano, right: IntervalMonthDayNano) -> Ordering {
    let parts = |of: IntervalMonthDayNano| (nanoseconds(of), of.months, of.days);
    parts(left).cmp(&parts(right))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    wanted: Ordering,
    /// Whether there are rows always: then the answer is NULL only if a value may be.
    of_group: bool,
    signature: Signature,
}

impl Extreme {
    fn function(wanted: Ordering, of_group: bool) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::from(Self {
            wanted,
            of_group,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    }
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        if self.wanted == Ordering::Less { "min" } else { "max" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Interval(_)] => Ok(types.to_vec()),
            _ => plan_err!("{} of intervals takes one", self.name()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [only] => Ok(only.clone()),
            _ => internal_err!("{} of {} arguments", self.name(), types.len()),
        }
    }

    fn return_field(&self, args: &[FieldRef]) -> Result<FieldRef> {
        let types: Vec<DataType> = args.iter().map(|field| field.data_type().clone()).collect();
        let nullable = !self.of_group || args.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, nullable)))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let result = args.return_type().clone();
        Ok(match self.wanted {
            Ordering::Less => Box::new(Group::<true> { found: Best(None), result }),
            _ => Box::new(Group::<false> { found: Best(None), result }),
        })
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let result = args.return_type().clone();
        Ok(match self.wanted {
            Ordering::Less => Box::new(InFrame::<true> { frame: Frame::default(), result }),
            _ => Box::new(InFrame::<false> { frame: Frame::default(), result }),
        })
    }
}

/// The best of some intervals, if there are any.
#[derive(Clone, Copy, Debug, Default)]
struct Best<const LEAST: bool>(Option<IntervalMonthDayNano>);

impl<const LEAST: bool> Part for Best<LEAST> {
    fn and(&self, later: &Self) -> Self {
        match (self.0, later.0) {
            (Some(one), Some(other)) => {
                let is_better = if LEAST { compare(other, one).is_lt() } else { compare(other, one).is_gt() };
                Self(Some(if is_better { other } else { one }))
            }
            (one, other) => Self(one.or(other)),
        }
    }
}

impl<const LEAST: bool> Best<LEAST> {
    fn scalar(self, result: &DataType) -> Result<ScalarValue> {
        ScalarValue::IntervalMonthDayNano(self.0).cast_to(result)
    }
}

/// The intervals of a column, with what is missing.
fn values(columns: &[ArrayRef]) -> Result<Vec<Option<IntervalMonthDayNano>>> {
    let [column] = columns else { return internal_err!("an extreme has one column") };
    Ok(cast(column, &INTERVAL)?.as_primitive::<IntervalMonthDayNanoType>().iter().collect())
}

/// Of one group.
#[derive(Debug)]
struct Group<const LEAST: bool> {
    found: Best<LEAST>,
    result: DataType,
}

impl<const LEAST: bool> Accumulator for Group<LEAST> {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for value in values(columns)? {
            self.found = self.found.and(&Best(value));
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.found.scalar(&self.result)
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

/// Of a frame that slides.
#[derive(Debug)]
struct InFrame<const LEAST: bool> {
    frame: Frame<Best<LEAST>>,
    result: DataType,
}

impl<const LEAST: bool> Accumulator for InFrame<LEAST> {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        values(columns)?.into_iter().for_each(|value| self.frame.push(Best(value)));
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let count = columns.first().map_or(0, |values| values.len());
        (0..count).for_each(|_| self.frame.pop());
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.frame.total().scalar(&self.result)
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
