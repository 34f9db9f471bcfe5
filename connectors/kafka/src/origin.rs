//! Where the columns of messages come from.

use crate::build::ColumnBuilder;
use crate::cell::Cell;
use crate::columns::{
    BEFORE, CUT, EXTRA, HEADERS, KEY, KEY_BYTES, KEY_CORRUPT, KEY_LENGTH, MESSAGE, MESSAGE_CORRUPT, MESSAGE_LENGTH,
    MESSAGE_TIMESTAMP, OP, PARTITION_ID, PARTITION_OFFSET, REASON, TIMESTAMP_TYPE,
};
use crate::layout::Part;
use crate::log::Record;

/// Where a column of the output comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Partition,
    Offset,
    Timestamp,
    TimestampType,
    Key,
    KeyLength,
    KeyCorrupt,
    Message,
    MessageLength,
    MessageCorrupt,
    Headers,
    Reason,
    Cut,
    /// A column of the key, by its place among those that are decoded.
    OfKey(usize),
    /// A column of the value.
    OfValue(usize),
}

/// What a row is made of.
pub(crate) struct Row<'a> {
    pub(crate) record: &'a Record<'a>,
    pub(crate) partition: i32,
    pub(crate) cut: &'a str,
    /// The values of its key, and of its value; none are all NULL.
    pub(crate) key: &'a [Cell<'a>],
    pub(crate) value: &'a [Cell<'a>],
    pub(crate) key_corrupt: bool,
    pub(crate) value_corrupt: bool,
    /// Why it does not decode, where that is asked for.
    pub(crate) reason: &'a str,
}

impl Origin {
    /// The origin of the column of this name; the error is that there is none.
    pub(crate) fn of(name: &str, key: &Part, value: &Part) -> Result<Self, String> {
        Ok(match name {
            PARTITION_ID => Self::Partition,
            PARTITION_OFFSET => Self::Offset,
            MESSAGE_TIMESTAMP => Self::Timestamp,
            TIMESTAMP_TYPE => Self::TimestampType,
            KEY | KEY_BYTES => Self::Key,
            KEY_LENGTH => Self::KeyLength,
            KEY_CORRUPT => Self::KeyCorrupt,
            MESSAGE => Self::Message,
            MESSAGE_LENGTH => Self::MessageLength,
            MESSAGE_CORRUPT => Self::MessageCorrupt,
            HEADERS => Self::Headers,
            REASON => Self::Reason,
            CUT => Self::Cut,
            EXTRA => Self::OfValue(value.columns.len()),
            OP => Self::OfValue(value.columns.len() + 1),
            BEFORE => Self::OfValue(value.columns.len() + 2),
            name => {
                let place = |part: &Part| part.columns.iter().position(|column| column.name == name);
                let found = place(value).map(Self::OfValue).or_else(|| place(key).map(Self::OfKey));
                found.ok_or_else(|| format!("there is no column {name}"))?
            }
        })
    }

    /// Adds what a row has of this to its column; returns the bytes of variable length that were added.
    pub(crate) fn push(self, row: &Row<'_>, builder: &mut ColumnBuilder) -> Result<usize, String> {
        let Row { record, partition, cut, key, value, .. } = *row;
        match self {
            Self::Partition => builder.push_cell(&Cell::Integer(partition.into())),
            Self::Offset => builder.push_cell(&Cell::Integer(record.offset)),
            Self::Timestamp => builder.push_cell(&record.time.map_or(Cell::Null, |(millis, _)| Cell::Integer(millis))),
            Self::TimestampType => {
                builder.push_cell(&record.time.map_or(Cell::Null, |(_, kind)| Cell::Text(kind.name().into())))
            }
            Self::Key => builder.push_bytes(record.key),
            Self::KeyLength => builder.push_cell(&length(record.key)),
            Self::KeyCorrupt => builder.push_cell(&Cell::Boolean(row.key_corrupt)),
            Self::Message => builder.push_bytes(record.value),
            Self::MessageLength => builder.push_cell(&length(record.value)),
            Self::MessageCorrupt => builder.push_cell(&Cell::Boolean(row.value_corrupt)),
            Self::Headers => builder.push_headers(record.headers),
            Self::Reason => builder.push_cell(&Cell::Text(row.reason.into())),
            Self::Cut => builder.push_cell(&Cell::Text(cut.into())),
            Self::OfKey(place) => builder.push_cell(key.get(place).unwrap_or(&Cell::Null)),
            Self::OfValue(place) => builder.push_cell(value.get(place).unwrap_or(&Cell::Null)),
        }
    }
}

fn length(bytes: Option<&[u8]>) -> Cell<'static> {
    bytes.map_or(Cell::Null, |bytes| Cell::Integer(i64::try_from(bytes.len()).unwrap_or(i64::MAX)))
}
