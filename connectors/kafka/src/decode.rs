//! From messages to record batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

use crate::build::ColumnBuilder;
use crate::cell::Cell;
use crate::columns::{BEFORE, EXTRA, KEY_CORRUPT, MESSAGE_CORRUPT};
use crate::format::{Fault, PartReader};
use crate::layout::{Layout, OnError, Part};
use crate::log::Record;
use crate::origin::{Origin, Row};
use crate::registry::{RegistryError, Schemas};
use crate::straight::Straight;

/// Bytes of text and bytes after which a batch is closed, however few rows it has.
const MAX_BATCH_BYTES: usize = 8 << 20;

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Poison {
    /// What is wrong, to follow the message's partition and offset.
    pub(crate) message: String,
    /// What to do, unless the message is to be left out.
    pub(crate) hint: &'static str,
    /// Set where the message may be good: its schema cannot be had.
    pub(crate) registry: Option<RegistryError>,
}

/// What to do about a value that does not decode.
const VALUE_HINT: &str = "declare another type for the column or set on_error = \"null\"";
/// What to do about a key that is no text.
const KEY_HINT: &str = "declare key = { format = \"binary\" }";
/// What to do about a value that is no text.
const MESSAGE_HINT: &str = "declare value = { format = \"binary\" }";

impl Poison {
    fn content(message: String) -> Self {
        Self { message, hint: VALUE_HINT, registry: None }
    }

    fn registry(error: RegistryError) -> Self {
        Self { message: error.to_string(), hint: VALUE_HINT, registry: Some(error) }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is a row.
    Row,
    /// It does not decode, and is left out for that.
    Skipped,
    /// It is not what the query is after.
    Other,
}

/// One part of the messages: how it is decoded, and whether it is.
#[derive(Debug)]
struct Side {
    reader: PartReader,
    /// Room for the values of a part.
    room: Vec<Cell<'static>>,
    /// Whether the part is decoded at all.
    decodes: bool,
    /// Whether a part that does not decode fails the query, if anything does.
    wanted: bool,
    /// Whether somebody said how the part is written.
    declared: bool,
}

impl Side {
    /// The values of a part, all NULL if there is none; or why it does not decode.
    fn read<'m>(&mut self, bytes: Option<&'m [u8]>) -> Result<Result<Vec<Cell<'m>>, String>, Poison> {
        let Some(bytes) = bytes.filter(|_| self.decodes) else {
            // What is missing counts as NULL.
            return Ok(Ok(Vec::new()));
        };
        let mut cells: Vec<Cell<'m>> = std::mem::take(&mut self.room);
        match self.reader.read(bytes, &mut cells) {
            Ok(()) => Ok(Ok(cells)),
            Err(Fault::Message(message)) => Ok(Err(message)),
            Err(Fault::Registry(error)) => Err(Poison::registry(error)),
        }
    }
}

/// The same room, for values of another message.
fn emptied<'a>(mut cells: Vec<Cell<'_>>) -> Vec<Cell<'a>> {
    if cells.capacity() == 0 {
        return Vec::new();
    }
    cells.clear();
    // Collecting from a vector into one of the same layout keeps its room.
    cells.into_iter().map(|_| Cell::Null).collect()
}

/// What a reader of messages is to make of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// How messages are taken apart.
    pub(crate) layout: &'a Layout,
    /// Whether rows are made of the messages that do not decode, instead of the others.
    pub(crate) errors: bool,
    /// The number of the partition that they come from.
    pub(crate) partition: i32,
    /// The cut that the query reads.
    pub(crate) cut: &'a str,
    /// The schemas of the registry, if there is one.
    pub(crate) schemas: Option<&'a Arc<dyn Schemas>>,
}

/// Collects messages into batches. A message adds exactly one row, or nothing.
#[derive(Debug)]
pub(crate) struct BatchDecoder {
    schema: SchemaRef,
    partition: i32,
    on_error: OnError,
    errors: bool,
    cut: String,
    outputs: Vec<(Origin, ColumnBuilder)>,
    /// Set where the values of a message may go straight to the outputs.
    straight: Option<Straight>,
    /// Whether a part is shown undecoded.
    shows_parts: bool,
    key: Side,
    value: Side,
    rows: usize,
    max_rows: usize,
    bytes: usize,
}

impl BatchDecoder {
    /// A decoder for the columns of `schema`, which are columns of the parts and hidden columns by name.
    ///
    /// Where messages that do not decode are no error, each message is checked against all columns of its parts, so that
    /// a row does not depend on which of them a query asks for; otherwise against those that it asks for.
    pub(crate) fn new(schema: SchemaRef, wanted: Wanted<'_>, max_rows: usize) -> Result<Self, Fault> {
        let Wanted { layout, errors, partition, cut, schemas } = wanted;
        let is_asked = |name: &str| schema.fields().iter().any(|field| field.name() == name);
        let checked = |part: &Part, corrupt: &str| match layout.on_error {
            OnError::Fail if !errors && !is_asked(corrupt) => part.only(is_asked),
            _ => part.clone(),
        };
        let (key, value) = (checked(&layout.key, KEY_CORRUPT), checked(&layout.value, MESSAGE_CORRUPT));
        let mut outputs = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let origin = Origin::of(field.name(), &key, &value)?;
            let builder = match origin {
                Origin::Headers => ColumnBuilder::headers(),
                _ => ColumnBuilder::new(field.data_type())?,
            };
            outputs.push((origin, builder));
        }
        // Rows that are left out must be left out whatever is asked for.
        let always = errors || layout.on_error == OnError::Skip;
        let side = |part: &Part, rest, corrupt, wanted, always| {
            let decodes = always || wanted || is_asked(corrupt);
            // A schema is not asked for where nothing is decoded by it.
            let reader = if decodes { PartReader::new(part, rest, schemas)? } else { PartReader::Binary };
            Ok::<_, Fault>(Side { reader, room: Vec::new(), decodes, wanted, declared: part.declared })
        };
        let of_key = outputs.iter().any(|(origin, _)| matches!(origin, Origin::OfKey(_)));
        let of_value = outputs.iter().any(|(origin, _)| matches!(origin, Origin::OfValue(_)));
        let rest = (is_asked(EXTRA) || is_asked(BEFORE)).then_some(layout.value.columns.as_slice());
        let shows_parts = outputs.iter().any(|(origin, _)| matches!(origin, Origin::Key | Origin::Message));
        let columns = value.columns.len();
        let key = side(&key, None, KEY_CORRUPT, of_key, always && key.declared)?;
        let value = side(&value, rest, MESSAGE_CORRUPT, of_value, always && value.declared)?;
        let is_simple = value.reader.is_simple() && !key.decodes && !shows_parts && !errors;
        Ok(Self {
            straight: if is_simple { Straight::new(&mut outputs, columns) } else { None },
            key,
            value,
            schema: Arc::clone(&schema),
            partition,
            on_error: layout.on_error,
            errors,
            cut: cut.to_owned(),
            shows_parts,
            outputs,
            rows: 0,
            max_rows,
            bytes: 0,
        })
    }

    /// The messages that follow are of this partition.
    pub(crate) fn of_partition(&mut self, partition: i32) {
        self.partition = partition;
    }

    /// Adds a message, or says what is wrong with it.
    pub(crate) fn push(&mut self, record: &Record<'_>) -> Result<Pushed, Poison> {
        if self.push_straight(record)? {
            return Ok(Pushed::Row);
        }
        let (key, value) = (self.key.read(record.key)?, self.value.read(record.value)?);
        if self.errors {
            let key_error = key.as_ref().err().map(|error| format!("its key: {error}"));
            let reasons: Vec<String> = value.as_ref().err().cloned().into_iter().chain(key_error).collect();
            if reasons.is_empty() {
                return Ok(Pushed::Other);
            }
            return self.add(record, Ok(Vec::new()), Ok(Vec::new()), &reasons.join("; "));
        }
        match self.on_error {
            OnError::Fail => {
                if let (Err(message), true) = (&value, self.value.wanted) {
                    return Err(Poison::content(message.clone()));
                }
                if let (Err(message), true) = (&key, self.key.wanted) {
                    return Err(Poison::content(format!("its key: {message}")));
                }
                self.check_texts(record)?;
            }
            OnError::Skip if (value.is_err() && self.value.declared) || (key.is_err() && self.key.declared) => {
                return Ok(Pushed::Skipped);
            }
            OnError::Skip | OnError::Null => {}
        }
        self.add(record, key, value, "")
    }

    /// Checks what is shown undecoded before anything is added, so that a failing message adds to no column.
    fn check_texts(&self, record: &Record<'_>) -> Result<(), Poison> {
        if !self.shows_parts {
            return Ok(());
        }
        for (origin, builder) in &self.outputs {
            let (bytes, what, hint) = match origin {
                Origin::Key => (record.key, "its key", KEY_HINT),
                Origin::Message => (record.value, "it", MESSAGE_HINT),
                _ => continue,
            };
            if builder.wants_text() && bytes.is_some_and(|bytes| std::str::from_utf8(bytes).is_err()) {
                return Err(Poison { message: format!("{what} is not UTF-8 text"), hint, registry: None });
            }
        }
        Ok(())
    }

    /// Adds a message of the simplest kind; `false` if it is none, and nothing is added.
    fn push_straight(&mut self, record: &Record<'_>) -> Result<bool, Poison> {
        let Self { straight: Some(straight), value: Side { reader, .. }, outputs, .. } = self else {
            return Ok(false);
        };
        let added = record.value.and_then(|value| straight.push(value, reader, outputs, self.rows));
        let Some(added) = added else { return Ok(false) };
        self.bytes += added;
        if !straight.others.is_empty() {
            let (partition, cut) = (self.partition, self.cut.as_str());
            let (key_corrupt, value_corrupt, reason) = (false, false, "");
            let row = Row { record, partition, cut, key: &[], value: &[], key_corrupt, value_corrupt, reason };
            for place in &straight.others {
                if let Some((origin, builder)) = outputs.get_mut(*place) {
                    self.bytes += origin.push(&row, builder).map_err(Poison::content)?;
                }
            }
        }
        self.rows += 1;
        Ok(true)
    }

    /// Adds a row.
    fn add(
        &mut self,
        record: &Record<'_>,
        key: Result<Vec<Cell<'_>>, String>,
        value: Result<Vec<Cell<'_>>, String>,
        reason: &str,
    ) -> Result<Pushed, Poison> {
        let (partition, cut) = (self.partition, self.cut.as_str());
        let (key_corrupt, value_corrupt) = (key.is_err(), value.is_err());
        let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
        let row = Row { record, partition, cut, key: &key, value: &value, key_corrupt, value_corrupt, reason };
        for (origin, builder) in &mut self.outputs {
            self.bytes += origin.push(&row, builder).map_err(Poison::content)?;
        }
        self.rows += 1;
        (self.key.room, self.value.room) = (emptied(key), emptied(value));
        Ok(Pushed::Row)
    }

    /// Rows since the last batch.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the batch should be closed.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.rows >= self.max_rows || self.bytes >= MAX_BATCH_BYTES
    }

    /// Closes the batch.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, String> {
        let arrays =
            self.outputs.iter_mut().map(|(_, builder)| builder.finish()).collect::<Result<Vec<ArrayRef>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options).map_err(|error| error.to_string())
    }
}
