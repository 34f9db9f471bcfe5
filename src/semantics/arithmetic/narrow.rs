//! Sums, differences and products of decimals whose values fit 64 bits, which nearly all do.
//!
//! An operation on 128 bits that looks for overflow takes several times as long as one on 64 bits whose result has 128:
//! that cannot overflow, so nothing is looked for. Whether the values of a batch fit is asked first; one that does not
//! leaves the batch to Arrow's kernels.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, Decimal128Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type};
use datafusion::logical_expr::Operator;

/// The widest scaling of an operand of a sum: 10^18 times 64 bits is below 2^123, and so is twice that below 10^38.
const SCALED_BY_MAX: u32 = 18;

/// The result, of `result_type`, or `None` where operands, operator or values are not for this path.
///
/// No result has more than 38 digits: a product of 64-bit values is at most 2^126, which is below 10^38.
pub(super) fn evaluate(op: Operator, left: &dyn Datum, right: &dyn Datum, result_type: &DataType) -> Option<ArrayRef> {
    let &DataType::Decimal128(_, scale) = result_type else {
        return None;
    };
    let (left, right) = (Operand::of(left)?, Operand::of(right)?);
    let (values, nulls) = match op {
        Operator::Multiply if left.scale + right.scale == i32::from(scale) => {
            combine(&left, &right, |left, right| i128::from(left) * i128::from(right))?
        }
        Operator::Plus => {
            let (l, r) = (left.factor(scale)?, right.factor(scale)?);
            combine(&left, &right, move |left, right| i128::from(left) * l + i128::from(right) * r)?
        }
        Operator::Minus => {
            let (l, r) = (left.factor(scale)?, right.factor(scale)?);
            combine(&left, &right, move |left, right| i128::from(left) * l - i128::from(right) * r)?
        }
        _ => return None,
    };
    let array = Decimal128Array::try_new(values.into(), nulls).ok()?.with_data_type(result_type.clone());
    Some(Arc::new(array))
}

/// A column, or the one value that stands for all rows.
struct Operand<'a> {
    array: &'a Decimal128Array,
    is_scalar: bool,
    scale: i32,
}

impl<'a> Operand<'a> {
    fn of(datum: &'a dyn Datum) -> Option<Self> {
        let (array, is_scalar) = datum.get();
        let array = array.as_primitive_opt::<Decimal128Type>()?;
        all_narrow(array.values()).then(|| Self { array, is_scalar, scale: i32::from(array.scale()) })
    }

    /// What the values are multiplied by to have this scale.
    fn factor(&self, scale: i8) -> Option<i128> {
        let digits = u32::try_from(i32::from(scale) - self.scale).ok()?;
        (digits <= SCALED_BY_MAX).then(|| 10_i128.pow(digits))
    }

    /// The value for all rows; `None` for a column.
    fn value(&self) -> Option<i64> {
        self.is_scalar.then(|| self.array.values().first().map(|value| narrow(*value)))?
    }

    /// The NULLs of the column. NULL for all rows is not for this path.
    fn nulls(&self) -> Option<&'a NullBuffer> {
        if self.is_scalar { None } else { self.array.nulls() }
    }
}

/// Whether each value fits 64 bits, also those under a NULL. Without a branch for each, so that it is vectorised.
fn all_narrow(values: &[i128]) -> bool {
    values.iter().fold(0, |beyond, value| beyond | (i128::from(narrow(*value)) ^ value)) == 0
}

#[expect(clippy::cast_possible_truncation, reason = "callers have asked, or are asking, whether it fits")]
fn narrow(value: i128) -> i64 {
    value as i64
}

/// The results of all rows, and which of them are NULL.
#[inline(always)]
fn combine(
    left: &Operand<'_>,
    right: &Operand<'_>,
    compute: impl Fn(i64, i64) -> i128,
) -> Option<(Vec<i128>, Option<NullBuffer>)> {
    let is_null = |operand: &Operand<'_>| operand.is_scalar && operand.array.null_count() > 0;
    if is_null(left) || is_null(right) {
        return None;
    }
    let (lefts, rights) = (left.array.values(), right.array.values());
    let values = match (left.value(), right.value()) {
        (Some(left), Some(right)) => vec![compute(left, right)],
        (Some(left), None) => rights.iter().map(|right| compute(left, narrow(*right))).collect(),
        (None, Some(right)) => lefts.iter().map(|left| compute(narrow(*left), right)).collect(),
        (None, None) if lefts.len() == rights.len() => {
            lefts.iter().zip(rights.iter()).map(|(left, right)| compute(narrow(*left), narrow(*right))).collect()
        }
        (None, None) => return None,
    };
    Some((values, NullBuffer::union(left.nulls(), right.nulls())))
}

#[cfg(test)]
mod tests {
    use arrow::array::Scalar;
    use arrow::compute::kernels::numeric::{add, mul, sub};

    use super::*;

    const EDGE: i128 = i64::MAX as i128;

    fn column(values: Vec<Option<i128>>, precision: u8, scale: i8) -> Decimal128Array {
        Decimal128Array::from(values).with_data_type(DataType::Decimal128(precision, scale))
    }

    /// What Arrow's kernel answers, or `None` where this path must not be taken.
    fn expect(op: Operator, left: &dyn Datum, right: &dyn Datum, taken: bool) {
        let expected = match op {
            Operator::Plus => add(left, right),
            Operator::Minus => sub(left, right),
            _ => mul(left, right),
        };
        let expected = expected.expect("no overflow");
        let found = evaluate(op, left, right, expected.data_type());
        assert_eq!(found, taken.then_some(expected), "{op}");
    }

    #[test]
    fn as_arrows_kernels() {
        let values = vec![Some(0), Some(-1), None, Some(EDGE), Some(-EDGE - 1), Some(123_456)];
        let others = vec![Some(7), None, Some(3), Some(-EDGE - 1), Some(-EDGE - 1), Some(-99)];
        for (left_scale, right_scale) in [(0, 0), (2, 2), (2, 0), (0, 18), (5, 3)] {
            let left = column(values.clone(), 20, left_scale);
            let right = column(others.clone(), 18, right_scale);
            for op in [Operator::Plus, Operator::Minus, Operator::Multiply] {
                expect(op, &left, &right, true);
                for value in [EDGE, -EDGE - 1, 0, 12] {
                    let value = Scalar::new(column(vec![Some(value)], 20, right_scale));
                    expect(op, &left, &value, true);
                    expect(op, &value, &left, true);
                    expect(op, &value, &value, true);
                }
            }
        }
    }

    #[test]
    fn values_beyond_64_bits_are_not_for_this_path() {
        let one = column(vec![Some(1), Some(1)], 10, 0);
        for value in [EDGE + 1, -EDGE - 2, 1 << 64, (1 << 64) + 1, -(1 << 64)] {
            let wide = column(vec![Some(1), Some(value)], 30, 0);
            for op in [Operator::Plus, Operator::Minus, Operator::Multiply] {
                expect(op, &wide, &one, false);
                expect(op, &one, &wide, false);
                expect(op, &one, &Scalar::new(column(vec![Some(value)], 30, 0)), false);
            }
        }
    }

    #[test]
    fn scaling_by_more_than_18_digits_and_null_for_all_rows_are_not_for_this_path() {
        let one = column(vec![Some(1)], 3, 0);
        expect(Operator::Plus, &one, &column(vec![Some(1)], 30, 19), false);
        expect(Operator::Plus, &one, &column(vec![Some(1)], 30, 18), true);
        expect(Operator::Multiply, &one, &Scalar::new(column(vec![None], 3, 0)), false);
    }
}
