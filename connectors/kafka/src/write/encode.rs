//! Values as the bytes of a part of a message, in the format that its table declares. What is written is read back as the
//! same values, or refused.

mod csv;
mod json;
mod raw;
mod times;

use crate::cell::Cell;
use crate::format::AvroWriter;
use crate::layout::{Format, MessageColumn, Part};

use self::csv::CsvWriter;
use self::json::JsonWriter;
use self::raw::RawWriter;

/// Writes parts of messages, one after the other.
#[derive(Debug)]
pub(super) enum PartEncoder {
    Json(JsonWriter),
    Csv(CsvWriter),
    Raw(RawWriter),
    Avro(Box<AvroWriter>),
    Text,
}

impl PartEncoder {
    /// An encoder of values of these columns of the part, in their order. `avro` is that of the part's schema. The error says
    /// why such parts are not written.
    pub(super) fn new(
        part: &Part,
        given: &[MessageColumn],
        avro: impl FnOnce() -> Result<AvroWriter, String>,
    ) -> Result<Self, String> {
        if part.envelope {
            return Err("change events of Debezium are not written".to_owned());
        }
        Ok(match &part.format {
            Format::Json => Self::Json(JsonWriter::new(given)),
            Format::Csv { delimiter, fields } => Self::Csv(CsvWriter::new(given, *delimiter, *fields)),
            Format::Raw => Self::Raw(RawWriter::new(&part.columns, given)?),
            Format::Avro(_) => Self::Avro(Box::new(avro()?)),
            Format::Text if part.columns.len() == 1 => Self::Text,
            Format::Text => return Err("several columns show one text".to_owned()),
            Format::JsonSchema => {
                return Err("messages of a JSON Schema are not written: nothing here checks them by it".to_owned());
            }
            Format::Protobuf { .. } => return Err("Protobuf is not written".to_owned()),
            Format::Binary => return Err("bytes have no columns".to_owned()),
        })
    }

    /// Writes the values of one message behind `out`. False where the part as a whole is NULL.
    pub(super) fn write(&self, cells: &[Cell<'_>], out: &mut Vec<u8>) -> Result<bool, String> {
        match (self, cells) {
            (Self::Json(writer), _) => writer.write(cells, out)?,
            (Self::Csv(writer), _) => writer.write(cells, out)?,
            (Self::Raw(writer), _) => writer.write(cells, out)?,
            (Self::Avro(writer), _) => writer.write(cells, out)?,
            (Self::Text, [Cell::Null]) => return Ok(false),
            (Self::Text, [Cell::Text(text)]) => out.extend_from_slice(text.as_bytes()),
            (Self::Text, _) => return Err("it is no text".to_owned()),
        }
        Ok(true)
    }
}

/// A decimal as text, with all digits of its scale.
fn decimal_text(units: i128, scale: u8) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    match digits.split_at_checked(digits.len() - scale) {
        Some((whole, fraction)) if scale > 0 => format!("{sign}{whole}.{fraction}"),
        _ => format!("{sign}{digits}"),
    }
}

/// A floating-point number with the fewest digits that name it, as JSON writes numbers. There is none for what is no number.
fn float_text(is_finite: bool, text: String) -> Result<String, String> {
    if is_finite { Ok(text) } else { Err(format!("{text} is no number that can be written")) }
}

#[cfg(test)]
mod tests;
