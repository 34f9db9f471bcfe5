//! The columns of a table that is made: which of PostgreSQL's types holds what the engine's type has.

use arrow::datatypes::{DECIMAL256_MAX_PRECISION, DataType, Field, TimeUnit};

use super::encode::Target;
use crate::types::Wire;

/// PostgreSQL's type for an Arrow type.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    name: String,
    wire: Wire,
    /// PostgreSQL's number of the type (`pg_type.dat`), which never changes.
    oid: u32,
}

fn held(name: impl Into<String>, wire: Wire, oid: u32) -> Held {
    Held { name: name.into(), wire, oid }
}

fn of(data_type: &DataType) -> Option<Held> {
    Some(match data_type {
        DataType::Boolean => held("boolean", Wire::Bool, 16),
        // PostgreSQL has neither integers of one byte nor unsigned ones.
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => held("smallint", Wire::Int2, 21),
        DataType::UInt16 | DataType::Int32 => held("integer", Wire::Int4, 23),
        DataType::UInt32 | DataType::Int64 => held("bigint", Wire::Int8, 20),
        DataType::UInt64 => decimal(20, 0)?,
        DataType::Float16 | DataType::Float32 => held("real", Wire::Float4, 700),
        DataType::Float64 => held("double precision", Wire::Float8, 701),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => decimal(*precision, *scale)?,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => held("text", Wire::Text, 25),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            held("bytea", Wire::Bytea, 17)
        }
        DataType::Date32 | DataType::Date64 => held("date", Wire::Date, 1082),
        DataType::Time32(_) | DataType::Time64(_) => held("time", Wire::Time, 1083),
        DataType::Timestamp(_, None) => held("timestamp", Wire::Timestamp, 1114),
        DataType::Timestamp(_, Some(_)) => held("timestamp with time zone", Wire::Timestamptz, 1184),
        DataType::Interval(_) | DataType::Duration(_) => held("interval", Wire::Interval, 1186),
        _ => return None,
    })
}

/// A negative scale means zeros before the point.
fn decimal(precision: u8, scale: i8) -> Option<Held> {
    let zeros = scale.min(0).unsigned_abs();
    let precision = precision.checked_add(zeros).filter(|precision| *precision <= DECIMAL256_MAX_PRECISION)?;
    let scale = scale.max(0);
    Some(held(format!("numeric({precision},{scale})"), Wire::Decimal { precision, scale }, 1700))
}

/// The column for a field, and its element's type where it is an array; `None` where PostgreSQL has no type for it.
pub(super) fn column(field: &Field) -> Option<Target> {
    let element = match field.data_type() {
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => Some(element),
        _ => None,
    };
    let target = |source_type, wire, element| Target { name: field.name().clone(), source_type, wire, element };
    Some(match element {
        None => {
            let held = of(field.data_type())?;
            target(held.name, held.wire, 0)
        }
        Some(element) => {
            let held = of(element.data_type())?;
            target(format!("{}[]", held.name), Wire::List(Box::new(held.wire)), held.oid)
        }
    })
}

/// What to do about a type that PostgreSQL has not.
pub(super) fn advice(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Struct(_) => "write its fields into columns of their own",
        DataType::Timestamp(TimeUnit::Nanosecond, _) => "write CAST(... AS timestamp(6))",
        _ => "write CAST(... AS varchar), or leave the column out",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn written(data_type: DataType) -> Option<(String, DataType)> {
        let target = column(&Field::new("c", data_type, true))?;
        Some((target.source_type.clone(), target.wire.data_type()))
    }

    #[test]
    fn a_column_holds_every_value_of_its_type() {
        let list = |inner| DataType::List(Arc::new(Field::new_list_field(inner, true)));
        for (data_type, name) in [
            (DataType::UInt8, "smallint"),
            (DataType::UInt16, "integer"),
            (DataType::UInt32, "bigint"),
            (DataType::UInt64, "numeric(20,0)"),
            (DataType::Decimal128(12, 2), "numeric(12,2)"),
            (DataType::Decimal256(60, 10), "numeric(60,10)"),
            (DataType::Decimal128(5, -3), "numeric(8,0)"),
            (DataType::LargeUtf8, "text"),
            (DataType::Timestamp(TimeUnit::Nanosecond, None), "timestamp"),
            (DataType::Timestamp(TimeUnit::Second, Some("Europe/Berlin".into())), "timestamp with time zone"),
            (list(DataType::Int32), "integer[]"),
        ] {
            assert_eq!(written(data_type.clone()).map(|(name, _)| name).as_deref(), Some(name), "{data_type}");
        }
        for none in [
            list(list(DataType::Int32)),
            DataType::Struct(arrow::datatypes::Fields::empty()),
            DataType::Decimal256(76, -1),
        ] {
            assert_eq!(written(none.clone()), None, "{none}");
        }
    }
}
