//! `sum` that reports overflow instead of wrapping, with DataFusion's result types.
//!
//! Sums are kept exactly, in more bits than the result has, and checked against the result type only at the end. So
//! the answer does not depend on the order of the rows or on how many tasks shared the work, and a window that slides
//! over extreme values is right as soon as they have left it.

mod accumulator;
mod distinct;
mod groups;
mod total;

use std::sync::Arc;

use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Field, FieldRef, Int64Type, TimeUnit, UInt64Type,
};
use datafusion::common::Result;
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature,
};

use super::sliding;
use accumulator::SumAccumulator;
use distinct::DistinctSumAccumulator;
use groups::SumGroupsAccumulator;

/// The checked `sum`, to register over DataFusion's.
pub(super) fn function() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(CheckedSum { unchecked: Sum::new() }))
}

/// Whether this is the function above.
pub(super) fn is_checked(function: &AggregateUDF) -> bool {
    function.inner().is::<CheckedSum>()
}

/// Whether this is DataFusion's own `sum`, which wraps.
pub(super) fn wraps(function: &AggregateUDF) -> bool {
    function.inner().is::<Sum>()
}

/// `sum`. What does not overflow by wrapping (floats, intervals) stays with DataFusion's implementation.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedSum {
    unchecked: Sum,
}

/// Runs `$then!(ArrowType)` for the result types whose sums are checked here, `$otherwise` for the others.
macro_rules! for_checked_type {
    ($data_type:expr, $then:ident, $otherwise:expr) => {
        match $data_type {
            DataType::Int64 => $then!(Int64Type),
            DataType::UInt64 => $then!(UInt64Type),
            DataType::Decimal32(_, _) => $then!(Decimal32Type),
            DataType::Decimal64(_, _) => $then!(Decimal64Type),
            DataType::Decimal128(_, _) => $then!(Decimal128Type),
            DataType::Decimal256(_, _) => $then!(Decimal256Type),
            DataType::Duration(TimeUnit::Second) => $then!(DurationSecondType),
            DataType::Duration(TimeUnit::Millisecond) => $then!(DurationMillisecondType),
            DataType::Duration(TimeUnit::Microsecond) => $then!(DurationMicrosecondType),
            DataType::Duration(TimeUnit::Nanosecond) => $then!(DurationNanosecondType),
            _ => $otherwise,
        }
    };
}

/// The type in which exact sums travel between tasks: the next wider decimal, used as an integer of 128 or 256 bits.
fn state_type(result: &DataType) -> DataType {
    match result {
        DataType::Int64 | DataType::UInt64 | DataType::Duration(_) => DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0),
        DataType::Decimal32(_, s) | DataType::Decimal64(_, s) => DataType::Decimal128(DECIMAL128_MAX_PRECISION, *s),
        DataType::Decimal128(_, s) | DataType::Decimal256(_, s) => DataType::Decimal256(DECIMAL256_MAX_PRECISION, *s),
        other => other.clone(),
    }
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        self.unchecked.name()
    }

    fn signature(&self) -> &Signature {
        self.unchecked.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.unchecked.return_type(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let result = args.return_field.data_type().clone();
        macro_rules! make {
            ($t:ty) => {
                match args.is_distinct {
                    true => Ok(Box::new(DistinctSumAccumulator::<$t>::new(result))),
                    false => Ok(Box::new(SumAccumulator::<$t>::new(result))),
                }
            };
        }
        for_checked_type!(args.return_field.data_type(), make, self.unchecked.accumulator(args))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if args.is_distinct {
            return self.unchecked.state_fields(args);
        }
        let name = format_state_name(args.name, "sum");
        Ok(vec![Arc::new(Field::new(name, state_type(args.return_field.data_type()), true))])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let result = args.return_field.data_type().clone();
        macro_rules! make {
            ($t:ty) => {
                Ok(Box::new(SumGroupsAccumulator::<$t>::new(result)))
            };
        }
        for_checked_type!(args.return_field.data_type(), make, self.unchecked.create_groups_accumulator(args))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        macro_rules! checked {
            ($t:ty) => {
                self.accumulator(args)
            };
        }
        if *args.return_field.data_type() == DataType::Float64 && !args.is_distinct {
            return Ok(sliding::sum());
        }
        for_checked_type!(args.return_field.data_type(), checked, self.unchecked.create_sliding_accumulator(args))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.unchecked.set_monotonicity(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.unchecked.documentation()
    }
}
