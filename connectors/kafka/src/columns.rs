//! The columns of a topic's table: the fields of its values, and what Kafka keeps beside each message.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use portolan_connector::{Column, Domain};

use crate::decode::{ByteFormat, ValueColumn};
use crate::rules::{CONTENT, OFFSET, PARTITION, TIMESTAMP};

/// The partition's number.
pub(crate) const PARTITION_ID: &str = "_partition_id";
/// The message's offset within its partition.
pub(crate) const PARTITION_OFFSET: &str = "_partition_offset";
/// When the message was made or appended.
pub(crate) const MESSAGE_TIMESTAMP: &str = "_timestamp";
/// The message's key.
pub(crate) const KEY: &str = "_key";
/// The message's value as it was sent.
pub(crate) const MESSAGE: &str = "_message";
/// The message's headers.
pub(crate) const HEADERS: &str = "_headers";

/// Whether a column of this name is a hidden one.
pub(crate) fn is_hidden_name(name: &str) -> bool {
    [PARTITION_ID, PARTITION_OFFSET, MESSAGE_TIMESTAMP, KEY, MESSAGE, HEADERS].contains(&name)
}

/// The fields of one header. A key may appear twice and a value may be NULL, so that headers are no map.
pub(crate) fn header_fields() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Binary, true)])
}

/// The one field of the list of headers.
pub(crate) fn header_item() -> Field {
    Field::new("item", DataType::Struct(header_fields()), false)
}

/// All columns: those of the value, then the hidden ones.
pub(crate) fn table_columns(
    values: &[ValueColumn],
    key: ByteFormat,
    message: ByteFormat,
    comment: Option<&str>,
) -> Vec<Column> {
    let mut columns: Vec<Column> = values
        .iter()
        .map(|value| {
            let field = Arc::new(Field::new(&value.name, value.value_type.arrow(), true));
            let mut column = Column::new(field, value.value_type.to_string(), CONTENT);
            column.comment = comment.map(ToOwned::to_owned);
            column
        })
        .collect();
    let hidden = |name, data_type, nullable, source_type: &str, domain: Domain, help| {
        Column::new(Arc::new(Field::new(name, data_type, nullable)), source_type, domain).hidden(help)
    };
    columns.extend([
        hidden(PARTITION_ID, DataType::Int64, false, "bigint", PARTITION, "the partition's number"),
        hidden(PARTITION_OFFSET, DataType::Int64, false, "bigint", OFFSET, "the message's offset within its partition"),
        hidden(
            MESSAGE_TIMESTAMP,
            DataType::Timestamp(TimeUnit::Millisecond, None),
            true,
            "timestamp(3)",
            TIMESTAMP,
            "when the message was made, or appended where the topic says so, in UTC",
        ),
        hidden(KEY, key.arrow(), true, key.sql(), CONTENT, "the message's key, NULL if it has none"),
        hidden(
            MESSAGE,
            message.arrow(),
            true,
            message.sql(),
            CONTENT,
            "the message's value as sent, NULL for a tombstone",
        ),
        hidden(
            HEADERS,
            DataType::List(Arc::new(header_item())),
            false,
            "array(row(key varchar, value varbinary))",
            CONTENT,
            "the message's headers in order",
        ),
    ]);
    columns
}
