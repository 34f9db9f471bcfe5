//! Literals: of the column's type, exactly representable, and not of a kind in which the engine is not of one mind.

use datafusion::common::ScalarValue;
use portolan_connector::Reason;

use super::Lowering;
use super::operand::same_values;
use crate::calendar::MICROS_PER_DAY;
use crate::{RemoteColumn, RemoteLiteral};

impl Lowering<'_> {
    /// The literal as the source's, for comparison with the column.
    pub(super) fn literal(&mut self, value: &ScalarValue, column: &RemoteColumn) -> Result<RemoteLiteral, Reason> {
        self.count_literal(size(value))?;
        let data_type = value.data_type();
        if !matches!(value, ScalarValue::Null) && !same_values(&data_type, &column.arrow_type) {
            return Err(Reason::new(format!(
                "the literal is of the type {data_type} and the column {} of {}",
                column.name, column.arrow_type
            )));
        }
        check_nan(value)?;
        if column.clamped && is_outermost(value) {
            return Err("the literal also stands for the values that are out of the engine's range".into());
        }
        self.vocabulary.dialect.literal(value, column)
    }
}

/// Whether no value of the type comes before it, or none after it.
fn is_outermost(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Date32(Some(days)) => matches!(*days, i32::MIN | i32::MAX),
        ScalarValue::Time64Microsecond(Some(micros)) => !(1..MICROS_PER_DAY - 1).contains(micros),
        ScalarValue::TimestampMicrosecond(Some(micros), _) => matches!(*micros, i64::MIN | i64::MAX),
        value => !value.is_null(),
    }
}

/// The engine compares floats by IEEE 754's total order, in which there are many NaNs: the negative ones come first
/// and those with other bits come last. Only the usual one is what SQL sources mean by NaN.
fn check_nan(value: &ScalarValue) -> Result<(), Reason> {
    let unusual = match value {
        ScalarValue::Float32(Some(value)) => value.is_nan() && value.to_bits() != f32::NAN.to_bits(),
        ScalarValue::Float64(Some(value)) => value.is_nan() && value.to_bits() != f64::NAN.to_bits(),
        _ => false,
    };
    if unusual { Err("the literal is a NaN with a sign or a payload".into()) } else { Ok(()) }
}

/// How many bytes of text or byte string a literal has.
pub(super) fn size(value: &ScalarValue) -> usize {
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            text.len()
        }
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes))
        | ScalarValue::FixedSizeBinary(_, Some(bytes)) => bytes.len(),
        ScalarValue::Dictionary(_, inner) => size(inner),
        _ => 0,
    }
}
