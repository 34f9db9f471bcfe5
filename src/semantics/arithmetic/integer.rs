//! Checked arithmetic on integers, at the speed of wrapping arithmetic: results are computed without branches, their
//! overflow bits are gathered on the side, and only when one is set the rows are looked at one by one.

use std::fmt::Display;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Datum, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::numeric::{div, rem};
use arrow::datatypes::{
    DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Operator;

use super::super::ArithmeticError;

pub(super) fn evaluate(op: Operator, left: &dyn Datum, right: &dyn Datum, result_type: &DataType) -> Result<ArrayRef> {
    if matches!(op, Operator::Divide | Operator::Modulo) {
        // Arrow checks these: by zero, and the smallest number by -1.
        let result = if op == Operator::Divide { div(left, right) } else { rem(left, right) };
        return result.map_err(|error| ArithmeticError::from_kernel(error, result_type));
    }
    match result_type {
        DataType::Int8 => calculate::<Int8Type>(op, left, right),
        DataType::Int16 => calculate::<Int16Type>(op, left, right),
        DataType::Int32 => calculate::<Int32Type>(op, left, right),
        DataType::Int64 => calculate::<Int64Type>(op, left, right),
        DataType::UInt8 => calculate::<UInt8Type>(op, left, right),
        DataType::UInt16 => calculate::<UInt16Type>(op, left, right),
        DataType::UInt32 => calculate::<UInt32Type>(op, left, right),
        DataType::UInt64 => calculate::<UInt64Type>(op, left, right),
        other => internal_err!("{other} is not an integer"),
    }
}

fn calculate<T>(op: Operator, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: Integer,
{
    match op {
        Operator::Plus => apply::<T>(left, right, "+", |a, b, bits| a.add(b, bits)),
        Operator::Minus => apply::<T>(left, right, "-", |a, b, bits| a.subtract(b, bits)),
        Operator::Multiply => apply::<T>(left, right, "*", |a, b, bits| a.multiply(b, bits)),
        other => internal_err!("{other} is not arithmetic"),
    }
}

/// Applies `op` to each pair of rows; a scalar meets every row of the other side.
fn apply<T>(
    left: &dyn Datum,
    right: &dyn Datum,
    symbol: &str,
    op: impl Fn(T::Native, T::Native, &mut T::Native) -> T::Native + Copy,
) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: Integer,
{
    let ((left, left_scalar), (right, right_scalar)) = (left.get(), right.get());
    let (left, right) = (left.as_primitive::<T>(), right.as_primitive::<T>());
    let mut bits = T::Native::default();
    let (values, nulls): (Vec<T::Native>, Option<NullBuffer>) = match (left_scalar, right_scalar) {
        (false, true) => match scalar(right) {
            None => return Ok(Arc::new(PrimitiveArray::<T>::new_null(left.len()))),
            Some(b) => (left.values().iter().map(|a| op(*a, b, &mut bits)).collect(), left.nulls().cloned()),
        },
        (true, false) => match scalar(left) {
            None => return Ok(Arc::new(PrimitiveArray::<T>::new_null(right.len()))),
            Some(a) => (right.values().iter().map(|b| op(a, *b, &mut bits)).collect(), right.nulls().cloned()),
        },
        _ if left.len() != right.len() => return internal_err!("operands of {} and {} rows", left.len(), right.len()),
        _ => (
            left.values().iter().zip(right.values()).map(|(a, b)| op(*a, *b, &mut bits)).collect(),
            NullBuffer::union(left.nulls(), right.nulls()),
        ),
    };
    if bits.top_bit() {
        // Rows that are NULL hold anything below; only the others count.
        let rows = values.len();
        let a = (0..rows).map(|row| if left_scalar { 0 } else { row });
        let b = (0..rows).map(|row| if right_scalar { 0 } else { row });
        for (row, (a, b)) in a.zip(b).enumerate() {
            let (a, b) = (left.value(a), right.value(b));
            let mut bits = T::Native::default();
            op(a, b, &mut bits);
            if bits.top_bit() && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                return Err(ArithmeticError::out_of_range(&T::DATA_TYPE, format!("{a} {symbol} {b}")).into());
            }
        }
    }
    Ok(Arc::new(PrimitiveArray::<T>::new(values.into(), nulls)))
}

fn scalar<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> Option<T::Native> {
    array.iter().next().flatten()
}

/// Wrapping arithmetic that sets the top bit of `bits` when the result wrapped.
trait Integer: Copy + Default + Display {
    fn add(self, other: Self, bits: &mut Self) -> Self;
    fn subtract(self, other: Self, bits: &mut Self) -> Self;
    fn multiply(self, other: Self, bits: &mut Self) -> Self;
    fn top_bit(self) -> bool;
}

// A signed sum wraps when both operands have the sign that the result has not, a difference when the operands differ
// in sign and the result has not that of the first.
macro_rules! signed {
    ($($native:ty),*) => {$(
        impl Integer for $native {
            #[inline(always)]
            fn add(self, other: Self, bits: &mut Self) -> Self {
                let result = self.wrapping_add(other);
                *bits |= (self ^ result) & (other ^ result);
                result
            }

            #[inline(always)]
            fn subtract(self, other: Self, bits: &mut Self) -> Self {
                let result = self.wrapping_sub(other);
                *bits |= (self ^ other) & (self ^ result);
                result
            }

            #[inline(always)]
            fn multiply(self, other: Self, bits: &mut Self) -> Self {
                let (result, wrapped) = self.overflowing_mul(other);
                *bits |= Self::from(wrapped) << (Self::BITS - 1);
                result
            }

            #[inline(always)]
            fn top_bit(self) -> bool {
                self < 0
            }
        }
    )*};
}

// The top bit of these formulas is the carry, or the borrow, of the highest digit.
macro_rules! unsigned {
    ($($native:ty),*) => {$(
        impl Integer for $native {
            #[inline(always)]
            fn add(self, other: Self, bits: &mut Self) -> Self {
                let result = self.wrapping_add(other);
                *bits |= (self & other) | ((self | other) & !result);
                result
            }

            #[inline(always)]
            fn subtract(self, other: Self, bits: &mut Self) -> Self {
                let result = self.wrapping_sub(other);
                *bits |= (!self & other) | ((!self | other) & result);
                result
            }

            #[inline(always)]
            fn multiply(self, other: Self, bits: &mut Self) -> Self {
                let (result, wrapped) = self.overflowing_mul(other);
                *bits |= Self::from(wrapped) << (Self::BITS - 1);
                result
            }

            #[inline(always)]
            fn top_bit(self) -> bool {
                self >> (Self::BITS - 1) != 0
            }
        }
    )*};
}

signed!(i8, i16, i32, i64);
unsigned!(u8, u16, u32, u64);

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair of 8-bit numbers against arithmetic that has room.
    #[test]
    fn eight_bits_overflow_exactly_when_the_result_does_not_fit() {
        for a in i8::MIN..=i8::MAX {
            for b in i8::MIN..=i8::MAX {
                let (x, y) = (i32::from(a), i32::from(b));
                check(i8::try_from(x + y).ok(), |bits| a.add(b, bits));
                check(i8::try_from(x - y).ok(), |bits| a.subtract(b, bits));
                check(i8::try_from(x * y).ok(), |bits| a.multiply(b, bits));
            }
        }
        for a in u8::MIN..=u8::MAX {
            for b in u8::MIN..=u8::MAX {
                let (x, y) = (i32::from(a), i32::from(b));
                check(u8::try_from(x + y).ok(), |bits| a.add(b, bits));
                check(u8::try_from(x - y).ok(), |bits| a.subtract(b, bits));
                check(u8::try_from(x * y).ok(), |bits| a.multiply(b, bits));
            }
        }
    }

    fn check<T: Integer + PartialEq + std::fmt::Debug>(expected: Option<T>, op: impl Fn(&mut T) -> T) {
        let mut bits = T::default();
        let result = op(&mut bits);
        assert_eq!(bits.top_bit(), expected.is_none());
        assert!(expected.is_none_or(|expected| expected == result));
    }
}
