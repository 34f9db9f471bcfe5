//! What columns are compared with.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

use crate::instant::millis_around;

/// A constant that a column is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Constant {
    Null,
    Number(i128),
    /// The milliseconds just before or at an instant, and just after or at it.
    Time {
        floor: i64,
        ceiling: i64,
    },
}

/// The bytes of a key that a constant is.
pub(super) fn key_bytes(expr: &Expr) -> Option<Vec<u8>> {
    match expr {
        Expr::Alias(alias) => key_bytes(&alias.expr),
        Expr::Literal(value, _) => bytes_of(value).map(<[u8]>::to_vec),
        _ => None,
    }
}

/// The bytes of a text or of bytes.
pub(crate) fn bytes_of(value: &ScalarValue) -> Option<&[u8]> {
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Some(text.as_bytes())
        }
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes)) => Some(bytes),
        _ => None,
    }
}

/// The constant that an expression is; `None` if it is none, or one of another kind.
pub(super) fn constant(expr: &Expr) -> Option<Constant> {
    let value = match expr {
        Expr::Alias(alias) => return constant(&alias.expr),
        Expr::Literal(value, _) => value,
        _ => return None,
    };
    if value.is_null() {
        return Some(Constant::Null);
    }
    let number = match value {
        ScalarValue::Int8(Some(number)) => i128::from(*number),
        ScalarValue::Int16(Some(number)) => i128::from(*number),
        ScalarValue::Int32(Some(number)) => i128::from(*number),
        ScalarValue::Int64(Some(number)) => i128::from(*number),
        ScalarValue::UInt8(Some(number)) => i128::from(*number),
        ScalarValue::UInt16(Some(number)) => i128::from(*number),
        ScalarValue::UInt32(Some(number)) => i128::from(*number),
        ScalarValue::UInt64(Some(number)) => i128::from(*number),
        other => {
            let (floor, ceiling) = millis_around(other)?;
            return Some(Constant::Time { floor, ceiling });
        }
    };
    Some(Constant::Number(number))
}
