//! One line of values for each message, as RFC 4180 writes them: a value in double quotes may hold the delimiter, line breaks
//! and, doubled, quotes. An empty value without quotes is NULL, one in quotes is an empty text.

use std::borrow::Cow;

use super::text;
use crate::cell::Cell;
use crate::layout::{MessageColumn, Place};
use crate::temporal::Temporal;
use crate::types::ValueType;

/// Reads lines of values.
#[derive(Debug)]
pub(crate) struct CsvReader {
    columns: Vec<Column>,
    delimiter: char,
    fields: usize,
}

#[derive(Debug)]
struct Column {
    name: String,
    field: usize,
    value_type: ValueType,
    temporal: Temporal,
}

impl CsvReader {
    /// A reader of lines of so many values.
    pub(super) fn new(columns: &[MessageColumn], delimiter: char, fields: usize) -> Self {
        let columns = columns.iter().enumerate().map(|(index, column)| Column {
            name: column.name.clone(),
            field: match column.place {
                Place::Field(field) => field,
                _ => index,
            },
            value_type: column.value_type.clone(),
            temporal: column.temporal.clone(),
        });
        Self { columns: columns.collect(), delimiter, fields }
    }

    pub(super) fn read<'m>(&mut self, bytes: &'m [u8], cells: &mut Vec<Cell<'m>>) -> Result<(), String> {
        let values = values(text::utf8(bytes)?, self.delimiter)?;
        if values.len() != self.fields {
            return Err(format!("it has {} values and not {}", values.len(), self.fields));
        }
        for column in &self.columns {
            cells.push(match values.get(column.field).cloned().flatten() {
                None => Cell::Null,
                Some(text) => text::read(text, &column.value_type, &column.temporal)
                    .map_err(|error| format!("column {}: {error}", column.name))?,
            });
        }
        Ok(())
    }
}

/// The values of one line, with or without a line break at its end.
fn values(line: &str, delimiter: char) -> Result<Vec<Option<Cow<'_, str>>>, String> {
    let line = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
    let (mut values, mut rest) = (Vec::new(), line);
    loop {
        let (value, behind) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (value, behind) = in_quotes(quoted)?;
                (Some(value), behind)
            }
            None => {
                let end = rest.find(delimiter).unwrap_or(rest.len());
                let (value, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
                if value.contains('\n') {
                    return Err("it has more than one line".to_owned());
                }
                ((!value.is_empty()).then_some(Cow::Borrowed(value)), behind)
            }
        };
        values.push(value);
        match behind.strip_prefix(delimiter) {
            Some(next) => rest = next,
            None if behind.is_empty() => return Ok(values),
            None => return Err(format!("value {} goes on behind its closing quote", values.len())),
        }
    }
}

/// The text up to the closing quote, and what is behind that.
fn in_quotes(text: &str) -> Result<(Cow<'_, str>, &str), String> {
    let mut from = 0;
    loop {
        let Some(at) = text.get(from..).and_then(|rest| rest.find('"')) else {
            return Err("a quote is not closed".to_owned());
        };
        let (value, behind) = text.split_at_checked(from + at).unwrap_or((text, ""));
        let behind = behind.strip_prefix('"').unwrap_or(behind);
        if !behind.starts_with('"') {
            let value = if from == 0 { Cow::Borrowed(value) } else { Cow::Owned(value.replace("\"\"", "\"")) };
            return Ok((value, behind));
        }
        from += at + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Vec<Option<String>>, String> {
        values(line, ',').map(|values| values.into_iter().map(|value| value.map(Cow::into_owned)).collect())
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| (*text != "NULL").then(|| (*text).to_owned())).collect()
    }

    #[test]
    fn lines() {
        assert_eq!(of("a,b c, d").unwrap(), some(&["a", "b c", " d"]));
        assert_eq!(of("").unwrap(), some(&["NULL"]));
        assert_eq!(of(",").unwrap(), some(&["NULL", "NULL"]));
        assert_eq!(of("\"\",é\r\n").unwrap(), some(&["", "é"]));
        assert_eq!(
            of("\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"").unwrap(),
            some(&["a,b", "say \"hi\"", "two\nlines"])
        );
        assert_eq!(of("\"\"\"\"").unwrap(), some(&["\""]));
        assert_eq!(of("a\r").unwrap(), some(&["a\r"]), "no line break");
        assert_eq!(of("a\"b,c").unwrap(), some(&["a\"b", "c"]), "a quote within a value is one");
    }

    #[test]
    fn what_is_no_line() {
        for (line, part) in [
            ("\"a", "not closed"),
            ("\"a\"\"", "not closed"),
            ("\"a\"b,c", "value 1 goes on behind its closing quote"),
            ("a\nb", "more than one line"),
        ] {
            assert!(of(line).unwrap_err().contains(part), "{line}");
        }
    }
}
