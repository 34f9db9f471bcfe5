//! One JSON object for each message; its fields are the columns, or those of the row that a change event tells of.

use super::envelope::Event;
use super::text::utf8;
use crate::cell::{Cell, Kind, read, shown};
use crate::flat::{Fields, Name};
use crate::infer::is_double;
use crate::layout::MessageColumn;
use crate::object::ObjectReader;
use crate::room::Room;
use crate::types::ValueType;

/// Reads JSON objects.
#[derive(Debug)]
pub(crate) struct JsonReader {
    columns: Vec<MessageColumn>,
    objects: ObjectReader,
    rest: bool,
    envelope: bool,
    /// Room for the texts of the fields.
    room: Vec<Option<&'static str>>,
}

impl JsonReader {
    /// A reader of these columns. With `known`, the fields that are none of these come behind them, as one JSON object. With
    /// `envelope`, messages are change events: behind that come what changed, and the row before the change.
    pub(super) fn new(columns: &[MessageColumn], known: Option<&[MessageColumn]>, envelope: bool) -> Self {
        let names = columns.iter().map(|column| column.name.as_str());
        let objects = ObjectReader::new(names);
        let objects = match known {
            Some(known) => objects.with_rest(known.iter().map(|column| column.name.as_str())),
            None => objects,
        };
        Self { columns: columns.to_vec(), objects, rest: known.is_some(), envelope, room: Vec::new() }
    }

    pub(super) fn read<'m>(&mut self, bytes: &'m [u8], cells: &mut Vec<Cell<'m>>) -> Result<(), String> {
        if !self.envelope {
            return self.row(bytes, cells);
        }
        let event = Event::read(utf8(bytes)?)?;
        match event.row() {
            Some(row) => self.row(row.as_bytes(), cells)?,
            None => cells.extend(std::iter::repeat_n(Cell::Null, self.columns.len() + usize::from(self.rest))),
        }
        if !self.rest {
            cells.push(Cell::Null);
        }
        cells.push(Cell::Text(event.op));
        cells.push(event.before.map_or(Cell::Null, |before| Cell::Text(before.into())));
        Ok(())
    }

    fn row<'m>(&mut self, bytes: &'m [u8], cells: &mut Vec<Cell<'m>>) -> Result<(), String> {
        if !self.rest
            && let Ok(text) = std::str::from_utf8(bytes)
            && self.flat_row(text, cells)
        {
            return Ok(());
        }
        self.long_row(bytes, cells)
    }

    /// The values of any object.
    fn long_row<'m>(&mut self, bytes: &'m [u8], cells: &mut Vec<Cell<'m>>) -> Result<(), String> {
        let mut texts: Vec<Option<&'m str>> = std::mem::take(&mut self.room);
        self.objects.read(bytes, &mut texts)?;
        let room = Room::new();
        for (column, text) in self.columns.iter().zip(&texts) {
            cells.push(match text {
                None => Cell::Null,
                Some(text) => value(text, column, &room).map_err(|error| format!("field {}: {error}", column.name))?,
            });
        }
        self.room = emptied(texts);
        if self.rest {
            cells.push(self.objects.take_rest().map_or(Cell::Null, |text| Cell::Text(text.into())));
        }
        Ok(())
    }

    /// The values of an object without others in it, taken as they are found. `false` where it is none, or where a value does not
    /// fit: what is wrong, the longer way tells.
    fn flat_row<'m>(&mut self, text: &'m str, cells: &mut Vec<Cell<'m>>) -> bool {
        let first = cells.len();
        cells.resize_with(first + self.columns.len(), || Cell::Null);
        let is_flat = cells.get_mut(first..).is_some_and(|cells| self.flat_values(text, cells).is_some());
        if !is_flat {
            cells.truncate(first);
        }
        is_flat
    }

    fn flat_values<'m>(&mut self, text: &'m str, cells: &mut [Cell<'m>]) -> Option<()> {
        self.visit_flat(text, |place, column, text| {
            let before = std::mem::replace(cells.get_mut(place)?, plain(text, column)?);
            // It is NULL, or of the same field before: values of flat objects have no memory of their own to give back.
            std::mem::forget(before);
            Some(())
        })
    }

    /// Whether the columns are all that is wanted of a message, and are found in it by name.
    pub(super) fn is_simple(&self) -> bool {
        !self.rest && !self.envelope
    }

    /// Hands the fields that are columns to `visit`, in the order of the text: the place of the column, the column, and the text of
    /// its value, which is no object and no array and in which nothing is to be replaced. `None` where `visit` says so, and where
    /// the text is no object of such fields.
    #[inline]
    pub(super) fn visit_flat<'m>(
        &mut self,
        text: &'m str,
        mut visit: impl FnMut(usize, &MessageColumn, &'m str) -> Option<()>,
    ) -> Option<()> {
        let Self { columns, objects, .. } = self;
        let mut fields = Fields::open(text)?;
        for position in 0.. {
            let expected = objects.expected(position);
            let slot = match fields.name(expected.map(|(name, _)| name))? {
                None => break,
                Some(Name::Expected) => expected.and_then(|(_, slot)| slot),
                Some(Name::Other(name)) => objects.slot(position, name),
            };
            let value = fields.value()?;
            if let Some(slot) = slot {
                visit(slot, columns.get(slot)?, value)?;
            }
        }
        Some(())
    }
}

/// The value of a text in which nothing is to be replaced; `None` if it does not fit.
pub(crate) fn plain<'m>(text: &'m str, column: &MessageColumn) -> Option<Cell<'m>> {
    match (&column.value_type, text.strip_prefix('"')) {
        (ValueType::Varchar, Some(rest)) => rest.strip_suffix('"').map(|text| Cell::Text(text.into())),
        _ => value(text, column, &Room::new()).ok(),
    }
}

/// The value of a text. The error says why it does not fit, to follow the column's name.
fn value<'m>(text: &'m str, column: &MessageColumn, room: &Room) -> Result<Cell<'m>, String> {
    let MessageColumn { value_type, temporal, inferred, .. } = column;
    if *inferred && *value_type == ValueType::Double && Kind::of(text) == Kind::Number && !is_double(text) {
        return Err(format!("{} has more digits than a double keeps", shown(text)));
    }
    read(text, value_type, temporal, room)
}

/// The same room, for texts of another message.
fn emptied<'a>(mut texts: Vec<Option<&str>>) -> Vec<Option<&'a str>> {
    texts.clear();
    // Collecting from a vector into one of the same layout keeps its room.
    texts.into_iter().map(|_| None).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

    use super::*;

    fn reader(columns: &[(&str, ValueType)]) -> JsonReader {
        let column = |(name, value_type): &(&str, ValueType)| MessageColumn::new(*name, value_type.clone());
        let objects = ObjectReader::new(columns.iter().map(|(name, _)| *name));
        let columns = columns.iter().map(column).collect();
        JsonReader { columns, objects, rest: false, envelope: false, room: Vec::new() }
    }

    #[test]
    fn numbers_of_inferred_columns_keep_their_digits() {
        for (inferred, message, is_read) in [
            (true, r#"{"d":0.1}"#, true),
            (true, r#"{"d":9007199254740992}"#, true),
            (true, r#"{"d":9007199254740993}"#, false),
            (true, r#"{"d":0.1234567890123456789}"#, false),
            // Who declares a column as double asks for the nearest one.
            (false, r#"{"d":9007199254740993}"#, true),
        ] {
            let mut reader = reader(&[("d", ValueType::Double)]);
            reader.columns.iter_mut().for_each(|column| column.inferred = inferred);
            let outcome = reader.row(message.as_bytes(), &mut Vec::new());
            assert_eq!(outcome.is_ok(), is_read, "{message}: {outcome:?}");
        }
    }

    /// Both ways to the values of an object find the same, whichever is taken.
    #[test]
    fn what_is_found_at_once_is_what_is_found_the_longer_way() {
        let columns =
            [("n", ValueType::BigInt), ("t", ValueType::Varchar), ("d", ValueType::Double), ("b", ValueType::Boolean)];
        for (message, is_flat) in [
            ("{}", true),
            (r#"{"n":1,"t":"é x","d":2.5,"b":true}"#, true),
            (r#"{"b":false,"x":9,"t":"","d":-1e3,"n":-0}"#, true),
            (r#"{"n":1,"n":2,"t":"a","t":null}"#, true),
            (r#"{"t":12.50,"n":1.0}"#, true),
            // The last one counts, whatever was before it.
            (r#"{"n":"x","n":3}"#, false),
            (r#"{"t":"a\nb"}"#, false),
            (r#"{"t":{"x":[1, 2]},"n":4}"#, false),
            (r#"{"n":"x"}"#, false),
            (r#"{"n":1.5}"#, false),
            (r#"{"n":99999999999999999999}"#, false),
            (r#"{"d":1e999}"#, false),
            (r#"{"n":1"#, false),
            ("", false),
        ] {
            let (mut at_once, mut longer) = (vec![Cell::Boolean(true)], Vec::new());
            assert_eq!(reader(&columns).flat_row(message, &mut at_once), is_flat, "{message}");
            assert_eq!(at_once.first(), Some(&Cell::Boolean(true)), "{message}");
            let outcome = reader(&columns).long_row(message.as_bytes(), &mut longer);
            if is_flat {
                assert_eq!(outcome, Ok(()), "{message}");
                assert_eq!(at_once.get(1..), Some(&longer[..]), "{message}");
            } else {
                assert_eq!(at_once.len(), 1, "{message}: what was found first is left behind");
            }
            let mut either = Vec::new();
            assert_eq!(reader(&columns).row(message.as_bytes(), &mut either), outcome, "{message}");
            assert_eq!(either, longer, "{message}");
        }
    }
}
