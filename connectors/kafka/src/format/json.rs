//! One JSON object for each message; its fields are the columns, or those of the row that a change event tells of.

use super::envelope::Event;
use super::text::utf8;
use crate::cell::{Cell, read};
use crate::layout::MessageColumn;
use crate::object::ObjectReader;
use crate::temporal::Temporal;
use crate::types::ValueType;

/// Reads JSON objects.
#[derive(Debug)]
pub(crate) struct JsonReader {
    columns: Vec<(String, ValueType, Temporal)>,
    objects: ObjectReader,
    rest: bool,
    envelope: bool,
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
        let columns =
            columns.iter().map(|column| (column.name.clone(), column.value_type.clone(), column.temporal.clone()));
        Self { columns: columns.collect(), objects, rest: known.is_some(), envelope }
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
        let mut texts = Vec::new();
        self.objects.read(bytes, &mut texts)?;
        for ((name, value_type, temporal), text) in self.columns.iter().zip(texts) {
            cells.push(match text {
                None => Cell::Null,
                Some(text) => read(text, value_type, temporal).map_err(|error| format!("field {name}: {error}"))?,
            });
        }
        if self.rest {
            cells.push(self.objects.take_rest().map_or(Cell::Null, |text| Cell::Text(text.into())));
        }
        Ok(())
    }
}
