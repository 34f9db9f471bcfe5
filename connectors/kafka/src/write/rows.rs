//! Rows as messages: which columns of a statement make which part of a message, and which partition it goes to.

use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{Array, RecordBatch};
use portolan_connector::ConnectorError;

use super::cells::cell;
use super::encode::PartEncoder;
use crate::cell::Cell;
use crate::columns::{HEADERS, KEY, MESSAGE, MESSAGE_TIMESTAMP};
use crate::format::{AvroWriter, Fault, PartReader};
use crate::layout::{Format, Layout, MessageColumn, Part};
use crate::partitioner::Partitioner;

/// How many messages without a key one partition gets before the next one does.
const TOGETHER: usize = 1_000;

/// Headers of a message: keys with values, which may be NULL.
pub(super) type Headers = Vec<(String, Option<Vec<u8>>)>;

/// A message to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) partition: i32,
    pub(super) key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Headers,
    /// Milliseconds since 1970; when it is sent, if there is none.
    pub(super) timestamp: Option<i64>,
}

impl Message {
    /// Bytes of all that it carries.
    pub(super) fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len));
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + headers.sum::<usize>()
    }
}

/// Makes messages of the rows of one statement.
#[derive(Debug)]
pub(super) struct RowEncoder {
    key: Side,
    value: Side,
    headers: Option<usize>,
    timestamp: Option<usize>,
    partitioner: Partitioner,
    partitions: u32,
    /// The partition of messages without a key, and how many it has got.
    free: (u32, usize),
}

/// Where the bytes of a part come from.
#[derive(Debug)]
enum Side {
    /// There are none.
    Nothing,
    /// They are in this column. They are read to see whether they are what the table declares, where somebody declared it.
    Whole(usize, Option<Box<PartReader>>),
    /// They are made of these columns.
    Columns(Vec<usize>, PartEncoder),
}

/// What a statement writes to.
pub(super) struct Target<'a> {
    pub(super) layout: &'a Layout,
    pub(super) partitioner: Partitioner,
    /// How many partitions the topic has.
    pub(super) partitions: u32,
}

impl RowEncoder {
    /// An encoder of rows with columns of these names. `avro` makes a writer for a part, of the fields of these names.
    pub(super) fn new(
        target: &Target<'_>,
        names: &[&str],
        next: &AtomicU32,
        avro: impl Fn(&Part, &[&str]) -> Result<AvroWriter, String>,
    ) -> Result<Self, ConnectorError> {
        let Target { layout, partitioner, partitions } = *target;
        let place = |name: &str| names.iter().position(|given| *given == name);
        let side = |part: &Part, whole: &str, what: &str| {
            side(part, place(whole), names, &avro).map_err(|(culprit, why)| {
                ConnectorError::user(format!("the {what} cannot be made of {culprit}: {why}"))
                    .hint(format!("{whole} takes its text or bytes as they are"))
            })
        };
        let known: Vec<&str> = [KEY, MESSAGE, HEADERS, MESSAGE_TIMESTAMP].to_vec();
        let of_part = |name: &str| {
            let parts = [&layout.key, &layout.value];
            parts.iter().any(|part| part.columns.iter().any(|column| column.name == name))
        };
        if let Some(other) = names.iter().find(|name| !known.contains(name) && !of_part(name)) {
            return Err(ConnectorError::internal(format!("column {other} is written, and it is in no message")));
        }
        Ok(Self {
            key: side(&layout.key, KEY, "key")?,
            value: side(&layout.value, MESSAGE, "value")?,
            headers: place(HEADERS),
            timestamp: place(MESSAGE_TIMESTAMP),
            partitioner,
            partitions: partitions.max(1),
            free: (next.fetch_add(1, Ordering::Relaxed), 0),
        })
    }

    /// The message of one row.
    pub(super) fn message(&mut self, batch: &RecordBatch, row: usize) -> Result<Message, String> {
        let key = self.key.bytes(batch, row).map_err(|error| format!("its key: {error}"))?;
        let value = self.value.bytes(batch, row)?;
        let partition = match key.as_deref().and_then(|key| self.partitioner.choice(key, self.partitions)) {
            Some(partition) => partition,
            None => self.free_partition(),
        };
        Ok(Message {
            partition: i32::try_from(partition).map_err(|_| format!("there is no partition {partition}"))?,
            key,
            value,
            headers: self.headers.map_or_else(|| Ok(Vec::new()), |place| headers(column(batch, place)?, row))?,
            timestamp: self.timestamp.map_or(Ok(None), |place| timestamp(column(batch, place)?, row))?,
        })
    }

    fn free_partition(&mut self) -> u32 {
        let (next, got) = &mut self.free;
        if *got >= TOGETHER {
            (*next, *got) = (next.wrapping_add(1), 0);
        }
        *got += 1;
        next.checked_rem(self.partitions).unwrap_or_default()
    }
}

/// Where the bytes of a part come from; the error names columns, and says why not of them.
fn side(
    part: &Part,
    whole: Option<usize>,
    names: &[&str],
    avro: &impl Fn(&Part, &[&str]) -> Result<AvroWriter, String>,
) -> Result<Side, (String, String)> {
    let given: Vec<(usize, &str, &MessageColumn)> = names
        .iter()
        .enumerate()
        .filter_map(|(index, name)| Some((index, *name, part.columns.iter().find(|column| column.name == *name)?)))
        .collect();
    let (places, of_part): (Vec<usize>, Vec<MessageColumn>) =
        given.iter().map(|(index, _, column)| (*index, (*column).clone())).unzip();
    let given: Vec<&str> = given.iter().map(|(_, name, _)| *name).collect();
    match (whole, given.is_empty()) {
        (None, true) => Ok(Side::Nothing),
        (Some(_), false) => {
            Err((format!("column {}", given.join(", ")), "its whole is written by the same statement".to_owned()))
        }
        (Some(place), true) => {
            let is_read = part.declared && matches!(part.format, Format::Json | Format::Csv { .. } | Format::Raw);
            let reader = match is_read {
                true => {
                    Some(Box::new(PartReader::new(part, None, None).map_err(|fault| ("it".to_owned(), told(fault)))?))
                }
                false => None,
            };
            Ok(Side::Whole(place, reader))
        }
        (None, false) => {
            let encoder = PartEncoder::new(part, &of_part, || avro(part, &given));
            Ok(Side::Columns(places, encoder.map_err(|why| ("columns".to_owned(), why))?))
        }
    }
}

fn told(fault: Fault) -> String {
    match fault {
        Fault::Message(message) => message,
        Fault::Registry(error) => error.to_string(),
    }
}

impl Side {
    /// The bytes of the part; `None` where it is NULL.
    fn bytes(&mut self, batch: &RecordBatch, row: usize) -> Result<Option<Vec<u8>>, String> {
        match self {
            Self::Nothing => Ok(None),
            Self::Whole(place, reader) => {
                let bytes = match cell(column(batch, *place)?, row)? {
                    Cell::Null => return Ok(None),
                    Cell::Text(text) => text.into_owned().into_bytes(),
                    Cell::Bytes(bytes) => bytes.into_owned(),
                    _ => return Err("it is neither text nor bytes".to_owned()),
                };
                if let Some(reader) = reader {
                    reader.read(&bytes, &mut Vec::new()).map_err(told)?;
                }
                Ok(Some(bytes))
            }
            Self::Columns(places, encoder) => {
                let cells = places.iter().map(|place| cell(column(batch, *place)?, row));
                let cells: Vec<Cell<'_>> = cells.collect::<Result<_, String>>()?;
                let mut bytes = Vec::new();
                Ok(encoder.write(&cells, &mut bytes)?.then_some(bytes))
            }
        }
    }
}

fn column(batch: &RecordBatch, place: usize) -> Result<&dyn Array, String> {
    batch.columns().get(place).map(AsRef::as_ref).ok_or_else(|| format!("the rows have no column number {place}"))
}

fn headers(array: &dyn Array, row: usize) -> Result<Headers, String> {
    let Cell::List(headers) = cell(array, row)? else { return Err(format!("{HEADERS} is NULL")) };
    let header = |header: Cell<'_>| match header {
        Cell::Fields(fields) => match <[Cell<'_>; 2]>::try_from(fields) {
            // C's strings end at a NUL, and so do keys in the client library.
            Ok([Cell::Text(key), _]) if key.contains('\0') => Err(format!("a key of {HEADERS} has a NUL character")),
            Ok([Cell::Text(key), Cell::Null]) => Ok((key.into_owned(), None)),
            Ok([Cell::Text(key), Cell::Bytes(value)]) => Ok((key.into_owned(), Some(value.into_owned()))),
            _ => Err(format!("a key of {HEADERS} is NULL")),
        },
        _ => Err(format!("a header of {HEADERS} is NULL")),
    };
    headers.into_iter().map(header).collect()
}

fn timestamp(array: &dyn Array, row: usize) -> Result<Option<i64>, String> {
    match cell(array, row)? {
        Cell::Null => Ok(None),
        // The client library takes 0 for now.
        Cell::Integer(millis) if millis > 0 => Ok(Some(millis)),
        Cell::Integer(_) => Err(format!("{MESSAGE_TIMESTAMP} is not after 1970-01-01 00:00:00, and Kafka's times are")),
        _ => Err(format!("{MESSAGE_TIMESTAMP} is no timestamp")),
    }
}
