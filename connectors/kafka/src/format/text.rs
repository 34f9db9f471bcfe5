//! Values that are written as texts.

use std::borrow::Cow;

use crate::cell::{Cell, number, shown};
use crate::number::is_number;
use crate::temporal::{self, Temporal};
use crate::types::ValueType;

/// Bytes as text.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 from byte {} on", error.valid_up_to()))
}

/// The value of a text as a type; the error says why it does not fit, to follow the column's name.
pub(super) fn read<'a>(text: Cow<'a, str>, value_type: &ValueType, temporal: &Temporal) -> Result<Cell<'a>, String> {
    let wrong = |text: &str| format!("{} is not {value_type}", shown(&format!("\"{text}\"")));
    match value_type {
        ValueType::Varchar => Ok(Cell::Text(text)),
        ValueType::Boolean if text.eq_ignore_ascii_case("true") => Ok(Cell::Boolean(true)),
        ValueType::Boolean if text.eq_ignore_ascii_case("false") => Ok(Cell::Boolean(false)),
        ValueType::Date | ValueType::Time { .. } => temporal::of_text(&text, value_type, temporal),
        ValueType::Timestamp { precision, .. } if *temporal == Temporal::Iso && is_number(&text) => {
            temporal::of_number(&text, *precision, temporal)
        }
        ValueType::Timestamp { .. } => temporal::of_text(&text, value_type, temporal),
        _ if is_number(&text) => number(&text, value_type, temporal),
        _ => Err(wrong(&text)),
    }
}

/// Whether a column of this type can be read of a text.
pub(crate) fn is_readable(value_type: &ValueType) -> bool {
    !matches!(
        value_type,
        ValueType::Json | ValueType::Varbinary | ValueType::Array(_) | ValueType::Map(_) | ValueType::Row(_)
    )
}
