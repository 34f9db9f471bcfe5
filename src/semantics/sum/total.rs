//! An exact sum: a number as wide as the summands, and a count of how often it wrapped around.

use std::fmt::Debug;
use std::hash::Hash;

use arrow::array::{ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowNumericType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Int64Type,
    UInt64Type, i256,
};
use datafusion::common::{Result, ScalarValue};

use super::super::ArithmeticError;

/// A type whose sums are kept exactly. The total is `low + carry * 2^bits`, where `bits` is the width of `Native`.
pub(super) trait Summand: ArrowNumericType + Send + Debug
where
    Self::Native: Hash + Eq,
{
    /// The type of the exact total in a state: twice as wide.
    type Wide: ArrowNumericType + Send + Debug;

    /// Adds, and says by how much the carry changes: -1, 0 or 1.
    fn add(low: Self::Native, value: Self::Native) -> (Self::Native, i64);

    /// The exact total. `None` when not even the wide type holds it.
    fn widen(low: Self::Native, carry: i64) -> Option<<Self::Wide as ArrowPrimitiveType>::Native>;

    /// The opposite of [`Self::widen`].
    fn narrow(total: <Self::Wide as ArrowPrimitiveType>::Native) -> (Self::Native, i64);

    /// The sum of all values.
    fn sum(values: &[Self::Native]) -> (Self::Native, i64) {
        values.iter().fold((Self::default_value(), 0), |(low, carry), value| {
            let (low, step) = Self::add(low, *value);
            (low, carry + step)
        })
    }

    /// Whether a number without carry fits the result type. Integers do; decimals have a limit of digits.
    fn fits(_low: Self::Native, _result: &DataType) -> bool {
        true
    }
}

/// The sum of the values that are not NULL, and how many those are.
pub(super) fn sum_array<T: Summand>(values: &PrimitiveArray<T>) -> (T::Native, i64, u64)
where
    T::Native: Hash + Eq,
{
    use arrow::array::Array;

    let slices: Box<dyn Iterator<Item = (usize, usize)>> = match values.nulls() {
        None => Box::new(std::iter::once((0, values.len()))),
        Some(nulls) => Box::new(nulls.valid_slices()),
    };
    let mut total = (T::default_value(), 0, 0);
    for (start, end) in slices {
        let (low, carry) = T::sum(values.values().get(start..end).unwrap_or_default());
        let (low, step) = T::add(total.0, low);
        total = (low, total.1 + carry + step, total.2 + (end - start) as u64);
    }
    total
}

/// The total as the result, or the error that it does not fit.
pub(super) fn result<T: Summand>(low: T::Native, carry: i64, data_type: &DataType) -> Result<T::Native>
where
    T::Native: Hash + Eq,
{
    match carry == 0 && T::fits(low, data_type) {
        true => Ok(low),
        false => Err(out_of_range::<T>(low, carry, data_type)?),
    }
}

/// The total as a state.
pub(super) fn state<T: Summand>(
    low: T::Native,
    carry: i64,
    data_type: &DataType,
) -> Result<<T::Wide as ArrowPrimitiveType>::Native>
where
    T::Native: Hash + Eq,
{
    match T::widen(low, carry) {
        Some(total) => Ok(total),
        None => Err(ArithmeticError::out_of_range(data_type, "the sum has more than 76 digits").into()),
    }
}

fn out_of_range<T: Summand>(
    low: T::Native,
    carry: i64,
    data_type: &DataType,
) -> Result<datafusion::error::DataFusionError>
where
    T::Native: Hash + Eq,
{
    let total = state::<T>(low, carry, data_type)?;
    let total = ScalarValue::new_primitive::<T::Wide>(Some(total), &super::state_type(data_type))?;
    let advice = match data_type {
        DataType::Int64 | DataType::UInt64 => "; sum(CAST(... AS DECIMAL(38, 0))) has room for it",
        _ => "",
    };
    Ok(ArithmeticError::out_of_range(data_type, format!("the sum is {total}{advice}")).into())
}

/// An array of primitives with this data type.
pub(super) fn array<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> ArrayRef {
    std::sync::Arc::new(PrimitiveArray::<T>::new(values.into(), nulls).with_data_type(data_type.clone()))
}

/// The only column of the arguments of an accumulator.
pub(super) fn column<T: ArrowPrimitiveType>(values: &[ArrayRef]) -> Result<&PrimitiveArray<T>> {
    match values {
        [values] => match values.as_primitive_opt::<T>() {
            Some(values) => Ok(values),
            None => datafusion::common::internal_err!("sum over {} got {}", T::DATA_TYPE, values.data_type()),
        },
        _ => datafusion::common::internal_err!("sum got {} columns", values.len()),
    }
}

/// The exact sum. Values below 2^50, which are nearly all, are summed in 64 bits, a chunk at a time; `sizes` tells
/// afterwards whether a chunk had a larger one.
fn sum_exactly(values: &[i64]) -> i128 {
    const CHUNK: usize = 1 << 12;
    const LIMIT: i64 = 1 << 50;
    values
        .chunks(CHUNK)
        .map(|chunk| {
            let (sum, sizes) = chunk.iter().fold((0_i64, 0_u64), |(sum, sizes), value| {
                (sum.wrapping_add(*value), sizes | value.wrapping_add(LIMIT) as u64)
            });
            match sizes < 2 * LIMIT as u64 {
                true => i128::from(sum),
                false => chunk.iter().map(|value| i128::from(*value)).sum(),
            }
        })
        .sum()
}

macro_rules! signed_64_bits {
    ($($t:ty),*) => {$(
        impl Summand for $t {
            type Wide = Decimal128Type;

            #[inline(always)]
            fn add(low: i64, value: i64) -> (i64, i64) {
                let (low, wrapped) = low.overflowing_add(value);
                (low, if wrapped { value.signum() } else { 0 })
            }

            fn widen(low: i64, carry: i64) -> Option<i128> {
                Some(i128::from(low) + (i128::from(carry) << 64))
            }

            fn narrow(total: i128) -> (i64, i64) {
                let low = total as i64;
                (low, ((total - i128::from(low)) >> 64) as i64)
            }

            fn sum(values: &[i64]) -> (i64, i64) {
                Self::narrow(sum_exactly(values))
            }
        }
    )*};
}

signed_64_bits!(
    Int64Type,
    DurationSecondType,
    DurationMillisecondType,
    DurationMicrosecondType,
    DurationNanosecondType
);

impl Summand for UInt64Type {
    type Wide = Decimal128Type;

    #[inline(always)]
    fn add(low: u64, value: u64) -> (u64, i64) {
        let (low, wrapped) = low.overflowing_add(value);
        (low, i64::from(wrapped))
    }

    fn widen(low: u64, carry: i64) -> Option<i128> {
        Some(i128::from(low) + (i128::from(carry) << 64))
    }

    fn narrow(total: i128) -> (u64, i64) {
        (total as u64, (total >> 64) as i64)
    }
}

macro_rules! small_decimal {
    ($t:ty, $native:ty) => {
        impl Summand for $t {
            type Wide = Decimal128Type;

            #[inline(always)]
            fn add(low: $native, value: $native) -> ($native, i64) {
                let (low, wrapped) = low.overflowing_add(value);
                (low, if wrapped { i64::from(value.signum()) } else { 0 })
            }

            fn widen(low: $native, carry: i64) -> Option<i128> {
                Some(i128::from(low) + (i128::from(carry) << <$native>::BITS))
            }

            fn narrow(total: i128) -> ($native, i64) {
                let low = total as $native;
                (low, ((total - i128::from(low)) >> <$native>::BITS) as i64)
            }

            fn fits(low: $native, result: &DataType) -> bool {
                has_digits::<Self>(low, result)
            }
        }
    };
}

small_decimal!(Decimal32Type, i32);
small_decimal!(Decimal64Type, i64);

impl Summand for Decimal128Type {
    type Wide = Decimal256Type;

    #[inline(always)]
    fn add(low: i128, value: i128) -> (i128, i64) {
        let (low, wrapped) = low.overflowing_add(value);
        (low, if wrapped { value.signum() as i64 } else { 0 })
    }

    fn widen(low: i128, carry: i64) -> Option<i256> {
        // The low half is unsigned in 256 bits: a negative one borrows from the high half.
        Some(i256::from_parts(low as u128, i128::from(carry) + (low >> 127)))
    }

    fn narrow(total: i256) -> (i128, i64) {
        let (low, high) = total.to_parts();
        let low = low as i128;
        (low, (high - (low >> 127)) as i64)
    }

    fn fits(low: i128, result: &DataType) -> bool {
        has_digits::<Self>(low, result)
    }
}

/// No wider type exists: beyond 256 bits the sum ends in an error as soon as it gets there.
impl Summand for Decimal256Type {
    type Wide = Self;

    fn add(low: i256, value: i256) -> (i256, i64) {
        let (low, wrapped) = low.overflowing_add(value);
        (low, if wrapped { i64::from(!value.is_negative()) * 2 - 1 } else { 0 })
    }

    fn widen(low: i256, carry: i64) -> Option<i256> {
        (carry == 0).then_some(low)
    }

    fn narrow(total: i256) -> (i256, i64) {
        (total, 0)
    }

    fn fits(low: i256, result: &DataType) -> bool {
        has_digits::<Self>(low, result)
    }
}

fn has_digits<T: DecimalType>(value: T::Native, data_type: &DataType) -> bool {
    let (DataType::Decimal32(precision, _)
    | DataType::Decimal64(precision, _)
    | DataType::Decimal128(precision, _)
    | DataType::Decimal256(precision, _)) = data_type
    else {
        return false;
    };
    T::is_valid_decimal_precision(value, *precision)
}

/// The opposite of a total.
pub(super) fn negate<T: Summand>(low: T::Native, carry: i64) -> (T::Native, i64)
where
    T::Native: Hash + Eq,
{
    // 0 - low wraps for every unsigned number but 0 and for the smallest signed one; adding the opposite back to
    // `low` tells by how much.
    let opposite = T::default_value().sub_wrapping(low);
    let (_, step) = T::add(low, opposite);
    (opposite, -carry - step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [i64; 8] = [0, 1, -1, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1, 4_294_967_296];

    #[test]
    fn totals_of_64_bits_are_exact_and_survive_the_way_through_a_state() {
        for a in VALUES {
            for b in VALUES {
                for c in VALUES {
                    let exact = i128::from(a) + i128::from(b) + i128::from(c);
                    let (low, carry) = Int64Type::sum(&[a, b, c]);
                    assert_eq!(Int64Type::widen(low, carry), Some(exact));
                    assert_eq!(Int64Type::narrow(exact), (low, carry));
                    let (low, carry) = [a, b, c].iter().fold((0, 0), |(low, carry), value| {
                        let (low, step) = Int64Type::add(low, *value);
                        (low, carry + step)
                    });
                    assert_eq!(Int64Type::widen(low, carry), Some(exact));
                    let (low, carry) = negate::<Int64Type>(low, carry);
                    assert_eq!(Int64Type::widen(low, carry), Some(-exact));
                }
            }
        }
    }

    #[test]
    fn long_sums_are_exact_around_the_limit_of_the_quick_way() {
        for limit in [1_i64 << 50, -(1_i64 << 50), i64::MAX, i64::MIN, 0] {
            let values: Vec<i64> = (-5_000..5_000).map(|step: i64| limit.wrapping_add(step)).collect();
            let exact: i128 = values.iter().map(|value| i128::from(*value)).sum();
            assert_eq!(sum_exactly(&values), exact);
        }
    }

    #[test]
    fn totals_of_unsigned_numbers_are_exact() {
        for a in [0, 1, u64::MAX, u64::MAX / 2] {
            for b in [0, 1, u64::MAX, u64::MAX / 2] {
                let (low, carry) = UInt64Type::sum(&[a, b]);
                assert_eq!(UInt64Type::widen(low, carry), Some(i128::from(a) + i128::from(b)));
                let (low, carry) = negate::<UInt64Type>(low, carry);
                assert_eq!(UInt64Type::widen(low, carry), Some(-i128::from(a) - i128::from(b)));
            }
        }
    }

    #[test]
    fn totals_of_128_bits_are_exact_and_survive_the_way_through_a_state() {
        let values = [0, 1, -1, i128::MAX, i128::MIN, i128::MAX - 1];
        for a in values {
            for b in values {
                for c in values {
                    let exact = i256::from_i128(a).wrapping_add(i256::from_i128(b)).wrapping_add(i256::from_i128(c));
                    let (low, carry) = Decimal128Type::sum(&[a, b, c]);
                    assert_eq!(Decimal128Type::widen(low, carry), Some(exact));
                    assert_eq!(Decimal128Type::narrow(exact), (low, carry));
                    let (low, carry) = negate::<Decimal128Type>(low, carry);
                    assert_eq!(Decimal128Type::widen(low, carry), Some(exact.wrapping_neg()));
                }
            }
        }
    }
}
