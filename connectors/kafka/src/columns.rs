//! The columns of a topic's tables: what messages hold, and what Kafka keeps beside each of them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use portolan_connector::{Column, Domain};

use crate::layout::{ByteFormat, Format, Layout, MessageColumn, Part};
use crate::rules::{BY_KEY, CONTENT, OFFSET, PARTITION, TIMESTAMP};
use crate::types::ValueType;

/// The partition's number.
pub(crate) const PARTITION_ID: &str = "_partition_id";
/// The message's offset within its partition.
pub(crate) const PARTITION_OFFSET: &str = "_partition_offset";
/// When the message was made or appended.
pub(crate) const MESSAGE_TIMESTAMP: &str = "_timestamp";
/// Which of the two the time is.
pub(crate) const TIMESTAMP_TYPE: &str = "_timestamp_type";
/// The message's key.
pub(crate) const KEY: &str = "_key";
/// The key's bytes, whatever it is shown as; for what reads messages, and no column of a table.
pub(crate) const KEY_BYTES: &str = "$key_bytes";
/// The bytes of the key.
pub(crate) const KEY_LENGTH: &str = "_key_length";
/// Whether the key does not decode.
pub(crate) const KEY_CORRUPT: &str = "_key_corrupt";
/// The message's value as it was sent.
pub(crate) const MESSAGE: &str = "_message";
/// The bytes of the value.
pub(crate) const MESSAGE_LENGTH: &str = "_message_length";
/// Whether the value does not decode.
pub(crate) const MESSAGE_CORRUPT: &str = "_message_corrupt";
/// The message's headers.
pub(crate) const HEADERS: &str = "_headers";
/// The fields of the value that are no columns.
pub(crate) const EXTRA: &str = "_extra";
/// What a change event did.
pub(crate) const OP: &str = "_op";
/// The row before a change.
pub(crate) const BEFORE: &str = "_before";
/// The cut that the query reads.
pub(crate) const CUT: &str = "_cut";
/// Why a message does not decode; a column of `"topic$errors"`.
pub(crate) const REASON: &str = "_reason";

/// Names that a column of a message cannot have.
const RESERVED: [&str; 17] = [
    PARTITION_ID,
    PARTITION_OFFSET,
    MESSAGE_TIMESTAMP,
    TIMESTAMP_TYPE,
    KEY,
    KEY_BYTES,
    KEY_LENGTH,
    KEY_CORRUPT,
    MESSAGE,
    MESSAGE_LENGTH,
    MESSAGE_CORRUPT,
    HEADERS,
    EXTRA,
    OP,
    BEFORE,
    CUT,
    REASON,
];

/// Whether a column of this name is a hidden one.
pub(crate) fn is_hidden_name(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The fields of one header. A key may appear twice and a value may be NULL, so that headers are no map. No key is NULL: that it
/// could be makes the type that of arrays which statements write.
pub(crate) fn header_fields() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8, true), Field::new("value", DataType::Binary, true)])
}

/// The one field of the list of headers.
pub(crate) fn header_item() -> Field {
    Field::new("item", DataType::Struct(header_fields()), true)
}

/// All columns of a table of messages: those of the key and the value, then the hidden ones. `by_key` says whether it is
/// known which partition a key goes to; the origins say where the columns of a part come from.
pub(crate) fn table_columns(layout: &Layout, by_key: bool, key_origin: &str, value_origin: &str) -> Vec<Column> {
    let key_domain = if by_key { BY_KEY } else { CONTENT };
    let content = |column: &MessageColumn, domain: Domain, origin: &str| {
        let field = Arc::new(Field::new(&column.name, column.value_type.arrow(), true));
        let mut made = Column::new(field, column.value_type.to_string(), domain);
        made.comment = Some(origin.to_owned());
        made
    };
    // Only a key that is one text is known byte by byte from the value of its column.
    let of_key = if layout.key.format == Format::Text { key_domain } else { CONTENT };
    let mut columns: Vec<Column> =
        layout.key.columns.iter().map(|column| content(column, of_key, key_origin)).collect();
    columns.extend(layout.value.columns.iter().map(|column| content(column, CONTENT, value_origin)));
    let of_messages = message_columns(key_domain, layout.key.format.shown(), layout.value.format.shown());
    columns.extend(of_messages.map(hide).map(|column| match column.name() {
        KEY | MESSAGE | MESSAGE_TIMESTAMP | HEADERS => column.taking_values(),
        _ => column,
    }));
    let extra = [
        bigint(KEY_LENGTH, CONTENT, true, "the bytes of the key, NULL if there is none"),
        flag(KEY_CORRUPT, "whether the key does not decode as the table says"),
        bigint(MESSAGE_LENGTH, CONTENT, true, "the bytes of the value, NULL for a tombstone"),
        flag(MESSAGE_CORRUPT, "whether the value does not decode as the table says"),
        cut_column(),
    ];
    columns.extend(extra.map(hide));
    if matches!(layout.value.format, Format::Json | Format::JsonSchema) {
        let help = "the fields of the value that are no columns, as a JSON object; NULL if there are none";
        columns.push(hide(made(EXTRA, DataType::Utf8, true, "json", CONTENT, help)));
    }
    if layout.value.envelope {
        let help = "what changed: c (created), u (updated), d (deleted), r (read in a snapshot), t (truncated)";
        columns.push(hide(made(OP, DataType::Utf8, true, "varchar", CONTENT, help)));
        let before = before_type(&layout.value);
        let help = match before {
            ValueType::Row(_) => "the row before the change; NULL if there was none or it was not sent",
            _ => "the row before the change, as a JSON object; NULL if there was none or it was not sent",
        };
        columns.push(hide(made(BEFORE, before.arrow(), true, &before.to_string(), CONTENT, help)));
    }
    columns
}

/// The type of the row before a change: Avro tells its fields, of JSON it is the text.
fn before_type(value: &Part) -> ValueType {
    match value.format {
        Format::Avro(_) => ValueType::Row(
            value.columns.iter().map(|column| (column.name.clone(), column.value_type.clone())).collect(),
        ),
        _ => ValueType::Json,
    }
}

/// The columns of `"topic$errors"`: all are visible.
pub(crate) fn error_columns() -> Vec<Column> {
    let [partition, offset, time, kind, key, message, headers] =
        message_columns(CONTENT, ByteFormat::Binary, ByteFormat::Binary);
    let reason = made(REASON, DataType::Utf8, false, "varchar", CONTENT, "why the message does not decode");
    let columns = [partition, offset, time, kind, reason, key, message, headers].map(|(mut column, help)| {
        column.comment = Some(help.to_owned());
        column
    });
    let mut columns = Vec::from(columns);
    columns.push(hide(cut_column()));
    columns
}

/// A column and what it holds, in one line.
type Described = (Column, &'static str);

/// What every message has.
fn message_columns(key_domain: Domain, key: ByteFormat, message: ByteFormat) -> [Described; 7] {
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    let headers = DataType::List(Arc::new(header_item()));
    [
        bigint(PARTITION_ID, PARTITION, false, "the partition's number"),
        bigint(PARTITION_OFFSET, OFFSET, false, "the message's offset within its partition"),
        made(
            MESSAGE_TIMESTAMP,
            time,
            true,
            "timestamp(3)",
            TIMESTAMP,
            "when the message was made, or appended where the topic says so, in UTC",
        ),
        made(
            TIMESTAMP_TYPE,
            DataType::Utf8,
            true,
            "varchar",
            CONTENT,
            "CreateTime or LogAppendTime; NULL if there is no time",
        ),
        made(KEY, key.arrow(), true, key.sql(), key_domain, "the message's key, NULL if it has none"),
        made(
            MESSAGE,
            message.arrow(),
            true,
            message.sql(),
            CONTENT,
            "the message's value as sent, NULL for a tombstone",
        ),
        made(
            HEADERS,
            headers,
            false,
            "array(row(key varchar, value varbinary))",
            CONTENT,
            "the message's headers in order",
        ),
    ]
}

/// The column with the cut of the query.
pub(crate) fn cut_column() -> (Column, &'static str) {
    made(CUT, DataType::Utf8, false, "varchar", CONTENT, "the offsets that the query reads, for FOR VERSION AS OF")
}

/// Makes a column one that `*` leaves out.
pub(crate) fn hide((column, help): Described) -> Column {
    column.hidden(help)
}

fn made(
    name: &str,
    data_type: DataType,
    nullable: bool,
    source_type: &str,
    domain: Domain,
    help: &'static str,
) -> Described {
    (Column::new(Arc::new(Field::new(name, data_type, nullable)), source_type, domain), help)
}

fn bigint(name: &str, domain: Domain, nullable: bool, help: &'static str) -> Described {
    made(name, DataType::Int64, nullable, "bigint", domain, help)
}

fn flag(name: &str, help: &'static str) -> Described {
    made(name, DataType::Boolean, false, "boolean", CONTENT, help)
}
