//! The engine's values as PostgreSQL's, refused where PostgreSQL cannot hold exactly the same.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use portolan_connector::Reason;

use crate::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::{RemoteColumn, RemoteLiteral, RemoteValue};

/// 4714-11-24 BC, the first day of PostgreSQL's `date` and `timestamp`, in days since 1970-01-01.
const FIRST_DAY: i32 = -2_440_588;
/// 5874897-12-31, the last day of PostgreSQL's `date`, in days since 1970-01-01.
const LAST_DAY: i32 = 2_145_042_905;
/// The first moment of PostgreSQL's `timestamp`, in microseconds since 1970-01-01.
const FIRST_MICROSECOND: i64 = FIRST_DAY as i64 * MICROS_PER_DAY;
/// Nanoseconds in a microsecond.
const NANOS_PER_MICRO: i64 = 1_000;
/// Microseconds in a millisecond.
const MICROS_PER_MILLI: i64 = 1_000;

/// The names of PostgreSQL's own text types, as a column's cast may spell them. Without `char` and `character`, which
/// as the type of a literal mean one character and cut off the rest.
const TEXT_TYPES: &[&str] = &["text", "varchar", "character varying", "bpchar", NAME];
/// The type of names in the system catalogs. A literal of it is cut off after 63 bytes; comparisons with `text` exist.
const NAME: &str = "name";
const UUID: &str = "uuid";
const INET: &str = "inet";
const CIDR: &str = "cidr";
/// Unsigned, of 4 bytes.
const OID: &str = "oid";

/// Whether PostgreSQL itself holds the column as text.
pub(super) fn is_text(column: &RemoteColumn) -> bool {
    is_string(&column.arrow_type)
        && column.labels.is_none()
        && column.cast.as_deref().is_none_or(|cast| TEXT_TYPES.contains(&cast))
}

/// See [`crate::Dialect::literal`].
pub(super) fn literal(value: &ScalarValue, column: &RemoteColumn) -> Result<RemoteLiteral, Reason> {
    let value = plain(value);
    let own_type = if value.is_null() { type_of(&column.arrow_type) } else { type_of(&value.data_type()) };
    let type_name = match (column.cast.as_deref(), own_type) {
        (Some(NAME), _) => "text".to_owned(),
        (Some(cast), _) if cast.contains('(') && !cast.contains('"') => {
            return Err(Reason::new(format!("a literal of the type {cast} may be rounded or cut off")));
        }
        (Some(cast), _) => cast.to_owned(),
        (None, Some(own_type)) => own_type.to_owned(),
        (None, None) => {
            return Err(Reason::new(format!("PostgreSQL has no literal of the type {}", column.arrow_type)));
        }
    };
    let value = if value.is_null() { RemoteValue::Null } else { convert(value, column)? };
    Ok(RemoteLiteral { value, type_name })
}

/// See [`crate::Dialect::like_pattern`].
pub(super) fn like_pattern(pattern: &ScalarValue) -> Result<RemoteLiteral, Reason> {
    let value = match plain(pattern) {
        value if value.is_null() => RemoteValue::Null,
        value => match value.try_as_str().flatten() {
            Some(text) => RemoteValue::Text(without_nul(text)?),
            None => return Err("the pattern of LIKE is not a text".into()),
        },
    };
    Ok(RemoteLiteral { value, type_name: "text".to_owned() })
}

/// The value without the dictionary that it may be wrapped in.
fn plain(value: &ScalarValue) -> &ScalarValue {
    match value {
        ScalarValue::Dictionary(_, inner) => plain(inner),
        value => value,
    }
}

fn is_string(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_string(values),
        _ => false,
    }
}

/// The type that can hold every value of an Arrow type, for columns that do not name their own.
fn type_of(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "int2",
        DataType::Int32 | DataType::UInt16 => "int4",
        DataType::Int64 | DataType::UInt32 => "int8",
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => "numeric",
        DataType::Float32 => "float4",
        DataType::Float64 => "float8",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "bytea",
        DataType::Date32 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "timestamptz",
        DataType::Dictionary(_, values) => return type_of(values),
        _ => return None,
    })
}

fn convert(value: &ScalarValue, column: &RemoteColumn) -> Result<RemoteValue, Reason> {
    use ScalarValue as S;
    if let Some(text) = value.try_as_str().flatten() {
        return text_value(text, column);
    }
    Ok(match value {
        S::Boolean(Some(value)) => RemoteValue::Boolean(*value),
        S::Int8(Some(value)) => RemoteValue::Integer(i128::from(*value)),
        S::Int16(Some(value)) => RemoteValue::Integer(i128::from(*value)),
        S::Int32(Some(value)) => RemoteValue::Integer(i128::from(*value)),
        S::Int64(Some(value)) if column.cast.as_deref() == Some(OID) && u32::try_from(*value).is_err() => {
            return Err("the literal is outside of PostgreSQL's oids, 0 to 4294967295".into());
        }
        S::Int64(Some(value)) => RemoteValue::Integer(i128::from(*value)),
        S::UInt8(Some(value)) => RemoteValue::Integer(i128::from(*value)),
        S::UInt16(Some(value)) => RemoteValue::Integer(i128::from(*value)),
        S::UInt32(Some(value)) => RemoteValue::Integer(i128::from(*value)),
        S::UInt64(Some(value)) => RemoteValue::Integer(i128::from(*value)),
        S::Float32(Some(value)) => RemoteValue::Float32(*value),
        S::Float64(Some(value)) => RemoteValue::Float64(*value),
        S::Decimal32(Some(value), _, scale) => decimal(&value.to_string(), *scale),
        S::Decimal64(Some(value), _, scale) => decimal(&value.to_string(), *scale),
        S::Decimal128(Some(value), _, scale) => decimal(&value.to_string(), *scale),
        S::Decimal256(Some(value), _, scale) => decimal(&value.to_string(), *scale),
        S::Binary(Some(bytes)) | S::LargeBinary(Some(bytes)) | S::BinaryView(Some(bytes)) => {
            RemoteValue::Bytes(bytes.clone())
        }
        S::FixedSizeBinary(_, Some(bytes)) => match (column.cast.as_deref(), <[u8; 16]>::try_from(bytes.as_slice())) {
            (Some(UUID), Ok(bytes)) => RemoteValue::Uuid(bytes),
            (Some(UUID), Err(_)) => return Err("a uuid has 16 bytes".into()),
            _ => RemoteValue::Bytes(bytes.clone()),
        },
        S::Date32(Some(days)) => date(*days)?,
        S::Time32Second(Some(value)) => time(i64::from(*value).checked_mul(MICROS_PER_SECOND))?,
        S::Time32Millisecond(Some(value)) => time(i64::from(*value).checked_mul(MICROS_PER_MILLI))?,
        S::Time64Microsecond(Some(value)) => time(Some(*value))?,
        S::Time64Nanosecond(Some(value)) => time(Some(whole_microseconds(*value)?))?,
        S::TimestampSecond(Some(value), zone) => timestamp(value.checked_mul(MICROS_PER_SECOND), zone.is_some())?,
        S::TimestampMillisecond(Some(value), zone) => timestamp(value.checked_mul(MICROS_PER_MILLI), zone.is_some())?,
        S::TimestampMicrosecond(Some(value), zone) => timestamp(Some(*value), zone.is_some())?,
        S::TimestampNanosecond(Some(value), zone) => timestamp(Some(whole_microseconds(*value)?), zone.is_some())?,
        other => return Err(Reason::new(format!("PostgreSQL has no literal of the type {}", other.data_type()))),
    })
}

/// A text for a column that the engine sees as text, whatever PostgreSQL holds it as.
fn text_value(text: &str, column: &RemoteColumn) -> Result<RemoteValue, Reason> {
    let text = without_nul(text)?;
    if let Some(labels) = &column.labels {
        return match labels.contains(&text) {
            true => Ok(RemoteValue::Text(text)),
            false => Err("the literal is not a value of the enumeration, and PostgreSQL would fail on it".into()),
        };
    }
    match column.cast.as_deref() {
        None => Ok(RemoteValue::Text(text)),
        Some(cast) if TEXT_TYPES.contains(&cast) => Ok(RemoteValue::Text(text)),
        Some(UUID) => uuid(&text),
        Some(cast @ (INET | CIDR)) => match super::inet::is_canonical(&text, cast == CIDR) {
            true => Ok(RemoteValue::Text(text)),
            false => Err("the literal is not an address as PostgreSQL prints it".into()),
        },
        Some(cast) => Err(Reason::new(format!("a text may have no meaning as {cast}"))),
    }
}

fn without_nul(text: &str) -> Result<String, Reason> {
    if text.contains('\0') {
        return Err("PostgreSQL's text cannot hold the literal's NUL character".into());
    }
    Ok(text.to_owned())
}

/// PostgreSQL reads a UUID in many spellings and prints one. Only that one means the same as a text.
fn uuid(text: &str) -> Result<RemoteValue, Reason> {
    let not_canonical = || Reason::from("the literal is not a UUID as PostgreSQL prints it");
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 || digits.bytes().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(not_canonical());
    }
    let value = u128::from_str_radix(&digits, 16).map_err(|_| not_canonical())?;
    let bytes = value.to_be_bytes();
    if super::uuid_text(&bytes) == text { Ok(RemoteValue::Uuid(bytes)) } else { Err(not_canonical()) }
}

/// The unscaled number with the point set, or with zeros appended for a negative scale.
fn decimal(unscaled: &str, scale: i8) -> RemoteValue {
    let (sign, digits) = match unscaled.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", unscaled),
    };
    let places = usize::from(scale.unsigned_abs());
    if scale <= 0 {
        return RemoteValue::Decimal(format!("{sign}{digits}{}", "0".repeat(places)));
    }
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    RemoteValue::Decimal(format!("{sign}{whole}.{fraction}"))
}

fn date(days: i32) -> Result<RemoteValue, Reason> {
    if !(FIRST_DAY..=LAST_DAY).contains(&days) {
        return Err("the literal is outside of PostgreSQL's dates, 4714-11-24 BC to 5874897-12-31".into());
    }
    Ok(RemoteValue::Date(days))
}

fn time(micros: Option<i64>) -> Result<RemoteValue, Reason> {
    match micros {
        Some(micros) if (0..=MICROS_PER_DAY).contains(&micros) => Ok(RemoteValue::Time(micros)),
        _ => Err("the literal is not a time of day".into()),
    }
}

/// PostgreSQL's own end, in the year 294276, lies beyond what 64 bits of microseconds since 1970 reach, so that only
/// the beginning needs a comparison.
fn timestamp(micros: Option<i64>, zoned: bool) -> Result<RemoteValue, Reason> {
    match micros {
        Some(micros) if micros >= FIRST_MICROSECOND => {
            Ok(if zoned { RemoteValue::Instant(micros) } else { RemoteValue::Timestamp(micros) })
        }
        _ => Err("the literal is outside of PostgreSQL's timestamps, 4714-11-24 BC to 294276-12-31".into()),
    }
}

fn whole_microseconds(nanos: i64) -> Result<i64, Reason> {
    if nanos % NANOS_PER_MICRO != 0 {
        return Err("the literal is finer than PostgreSQL's microseconds".into());
    }
    Ok(nanos / NANOS_PER_MICRO)
}
