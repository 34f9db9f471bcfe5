//! Comparisons of one column with constants, as one range of values. Operators compare once for each constant, and write the
//! result a bit at a time; in a loop over 64 rows that writes bytes, the compiler compares several values at once.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_plan::PhysicalExpr;

use super::conjunct::Truth;

/// The values of a column from `least` to `most`, both of them included: whole numbers, days, units of time, or decimals
/// without their point. None where `least` is more than `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    column: usize,
    least: i128,
    most: i128,
}

impl Range {
    /// The range that a comparison of a column with a constant of its type leaves; `None` for other expressions.
    pub(super) fn of(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Self> {
        let binary = expr.downcast_ref::<BinaryExpr>()?;
        let (column, op, literal) =
            match (binary.left().downcast_ref::<Column>(), binary.right().downcast_ref::<Column>()) {
                (Some(column), None) => (column, *binary.op(), binary.right()),
                (None, Some(column)) => (column, binary.op().swap()?, binary.left()),
                _ => return None,
            };
        let value = literal.downcast_ref::<Literal>()?.value();
        if schema.fields().get(column.index())?.data_type() != &value.data_type() {
            return None;
        }
        let value = number(value)?;
        let (least, most) = match op {
            Operator::Eq => (value, value),
            Operator::Gt => (value.checked_add(1)?, i128::MAX),
            Operator::GtEq => (value, i128::MAX),
            Operator::Lt => (i128::MIN, value.checked_sub(1)?),
            Operator::LtEq => (i128::MIN, value),
            _ => return None,
        };
        Some(Self { column: column.index(), least, most })
    }

    /// What both ranges leave, of one column.
    pub(super) fn and(self, other: Self) -> Option<Self> {
        let (least, most) = (self.least.max(other.least), self.most.min(other.most));
        (self.column == other.column).then_some(Self { least, most, ..self })
    }

    /// For which values of the column it is true; `None` where they are not of a type that it was made for.
    pub(super) fn truth(self, values: &ArrayRef) -> Option<Truth> {
        use arrow::datatypes::TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        match values.data_type() {
            DataType::Int8 => self.within::<Int8Type>(values),
            DataType::Int16 => self.within::<Int16Type>(values),
            DataType::Int32 => self.within::<Int32Type>(values),
            DataType::Int64 => self.within::<Int64Type>(values),
            DataType::Date32 => self.within::<Date32Type>(values),
            DataType::Date64 => self.within::<Date64Type>(values),
            DataType::Decimal128(..) => self.within::<Decimal128Type>(values),
            DataType::Timestamp(Second, _) => self.within::<TimestampSecondType>(values),
            DataType::Timestamp(Millisecond, _) => self.within::<TimestampMillisecondType>(values),
            DataType::Timestamp(Microsecond, _) => self.within::<TimestampMicrosecondType>(values),
            DataType::Timestamp(Nanosecond, _) => self.within::<TimestampNanosecondType>(values),
            _ => None,
        }
    }

    fn within<T: ArrowPrimitiveType<Native: TryFrom<i128> + Into<i128> + Bounded>>(
        self,
        values: &ArrayRef,
    ) -> Option<Truth> {
        let values = values.as_primitive_opt::<T>()?;
        let (least, most) = (self.least.max(T::Native::LEAST.into()), self.most.min(T::Native::MOST.into()));
        if least > most {
            return Some(Truth::None);
        }
        let (least, most) = (T::Native::try_from(least).ok()?, T::Native::try_from(most).ok()?);
        let found = bits(values.values(), least, most);
        Some(Truth::Of(match values.nulls() {
            Some(nulls) => &found & nulls.inner(),
            None => found,
        }))
    }
}

/// The least and the greatest value of a type.
trait Bounded {
    const LEAST: Self;
    const MOST: Self;
}

macro_rules! bounded {
    ($($number:ty),*) => {
        $(impl Bounded for $number {
            const LEAST: Self = Self::MIN;
            const MOST: Self = Self::MAX;
        })*
    };
}
bounded!(i8, i16, i32, i64, i128);

/// A constant as a whole number in the unit of its type.
fn number(value: &ScalarValue) -> Option<i128> {
    match value {
        ScalarValue::Int8(value) => value.map(Into::into),
        ScalarValue::Int16(value) => value.map(Into::into),
        ScalarValue::Int32(value) | ScalarValue::Date32(value) => value.map(Into::into),
        ScalarValue::Int64(value)
        | ScalarValue::Date64(value)
        | ScalarValue::TimestampSecond(value, _)
        | ScalarValue::TimestampMillisecond(value, _)
        | ScalarValue::TimestampMicrosecond(value, _)
        | ScalarValue::TimestampNanosecond(value, _) => value.map(Into::into),
        ScalarValue::Decimal128(value, ..) => *value,
        _ => None,
    }
}

/// A bit for each value: whether it is from `least` to `most`.
fn bits<T: Copy + PartialOrd>(values: &[T], least: T, most: T) -> BooleanBuffer {
    let (whole, rest) = values.as_chunks::<64>();
    let mut words = Vec::with_capacity(whole.len() + 1);
    for chunk in whole.iter().map(<[T; 64]>::as_slice).chain([rest]) {
        // `map` of an array is not always inlined, and then is a call for each value.
        let mut bytes = [0; 64];
        for (byte, value) in bytes.iter_mut().zip(chunk) {
            *byte = u8::from((*value >= least) & (*value <= most));
        }
        words.push(packed(&bytes));
    }
    BooleanBuffer::new(Buffer::from_vec(words), 0, values.len())
}

/// 64 bytes that are 0 or 1 as bits. The product moves the lowest bit of each of eight bytes into the highest byte, each to a
/// place of its own.
fn packed(bytes: &[u8; 64]) -> u64 {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let (eights, _) = bytes.as_chunks::<8>();
    let eights = eights.iter().map(|eight| u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56);
    eights.enumerate().fold(0, |word, (at, bits)| word | bits << (8 * at))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, Decimal128Array, Int8Array, Int64Array};
    use arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::{col, lit};

    use super::*;

    fn schema(data_type: DataType) -> Schema {
        Schema::new(vec![Field::new("v", data_type, true)])
    }

    fn compared(data_type: DataType, op: Operator, value: ScalarValue) -> Option<Range> {
        let schema = schema(data_type);
        let column = col("v", &schema).unwrap();
        let expr = Arc::new(BinaryExpr::new(Arc::clone(&column), op, lit(value.clone()))) as Arc<dyn PhysicalExpr>;
        let turned = Arc::new(BinaryExpr::new(lit(value), op.swap()?, column)) as Arc<dyn PhysicalExpr>;
        assert_eq!(Range::of(&expr, &schema), Range::of(&turned, &schema));
        Range::of(&expr, &schema)
    }

    fn rows(range: Range, values: ArrayRef) -> Vec<bool> {
        match range.truth(&values).unwrap() {
            Truth::All => vec![true; values.len()],
            Truth::None => vec![false; values.len()],
            Truth::Of(mask) => mask.iter().collect(),
        }
    }

    #[test]
    fn each_row_has_its_bit() {
        let at_least = compared(DataType::Int64, Operator::GtEq, ScalarValue::from(10_i64)).unwrap();
        let less = compared(DataType::Int64, Operator::Lt, ScalarValue::from(150_i64)).unwrap();
        for length in [0, 1, 63, 64, 65, 200] {
            let values = Int64Array::from_iter((0..length).map(|value| (value % 7 != 3).then_some(value)));
            let expected: Vec<bool> = (0..length).map(|value| value % 7 != 3 && (10..150).contains(&value)).collect();
            assert_eq!(rows(at_least.and(less).unwrap(), Arc::new(values)), expected);
        }
        let sliced: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100).slice(5, 10));
        assert_eq!(rows(at_least, sliced), [false, false, false, false, false, true, true, true, true, true]);
    }

    #[test]
    fn the_ends_of_a_type() {
        let values = || Arc::new(Int8Array::from(vec![-128, -1, 0, 127])) as ArrayRef;
        let range = |op, value: i8| compared(DataType::Int8, op, ScalarValue::from(value)).unwrap();
        assert_eq!(rows(range(Operator::Gt, 127), values()), [false; 4]);
        assert_eq!(rows(range(Operator::Lt, -128), values()), [false; 4]);
        assert_eq!(rows(range(Operator::GtEq, -128), values()), [true; 4]);
        assert_eq!(rows(range(Operator::Eq, -1), values()), [false, true, false, false]);
        let none = range(Operator::Gt, 5).and(range(Operator::Lt, 3)).unwrap();
        assert_eq!(rows(none, values()), [false; 4]);
    }

    #[test]
    fn dates_and_decimals() {
        let day = compared(DataType::Date32, Operator::LtEq, ScalarValue::Date32(Some(-1))).unwrap();
        assert_eq!(rows(day, Arc::new(Date32Array::from(vec![-2, -1, 0]))), [true, true, false]);
        let decimal = DataType::Decimal128(15, 2);
        let cheap = compared(decimal.clone(), Operator::Lt, ScalarValue::Decimal128(Some(2400), 15, 2)).unwrap();
        let prices = Decimal128Array::from(vec![2399, 2400]).with_precision_and_scale(15, 2).unwrap();
        assert_eq!(rows(cheap, Arc::new(prices)), [true, false]);
        // 24 with another scale is another number of the unit.
        assert_eq!(compared(decimal, Operator::Lt, ScalarValue::Decimal128(Some(24), 15, 0)), None);
    }

    #[test]
    fn what_is_no_range() {
        assert_eq!(compared(DataType::Int64, Operator::NotEq, ScalarValue::from(1_i64)), None);
        assert_eq!(compared(DataType::Int64, Operator::Lt, ScalarValue::Int64(None)), None);
        assert_eq!(compared(DataType::Float64, Operator::Lt, ScalarValue::from(1.0)), None);
        assert_eq!(compared(DataType::Utf8, Operator::Lt, ScalarValue::from("a")), None);
    }
}
