//! Types of columns that are written: what Parquet and Hive can hold, and values brought into it without loss.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;

/// The most digits of a decimal in Hive, Spark and Trino.
const DECIMAL_DIGITS_MAX: u8 = 38;

/// The type that a column of files gets for values of a type, or why there is none. Without `precise` times are in
/// microseconds, as Hive's and Spark's are.
pub(super) fn stored(data_type: &DataType, precise: bool) -> Result<DataType, String> {
    use DataType::{
        Binary, BinaryView, Boolean, Date32, Date64, Decimal32, Decimal64, Decimal128, Decimal256, Dictionary,
        FixedSizeBinary, FixedSizeList, Float16, Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary, LargeList,
        LargeUtf8, List, Map, Struct, Timestamp, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    let micros = |zone: Option<Arc<str>>| Timestamp(TimeUnit::Microsecond, zone);
    Ok(match data_type {
        Boolean | Int8 | Int16 | Int32 | Int64 | Float32 | Float64 | Date32 => data_type.clone(),
        // Hive has no unsigned integers.
        UInt8 => Int16,
        UInt16 => Int32,
        UInt32 => Int64,
        UInt64 => Decimal128(20, 0),
        Float16 => Float32,
        Date64 => Date32,
        Decimal32(precision, scale)
        | Decimal64(precision, scale)
        | Decimal128(precision, scale)
        | Decimal256(precision, scale) => match (*precision, *scale) {
            (precision, _) if precision > DECIMAL_DIGITS_MAX => {
                return Err(format!("decimals have at most {DECIMAL_DIGITS_MAX} digits in the lake, not {precision}"));
            }
            (_, scale) if scale < 0 => return Err("the lake has no decimals of a negative scale".to_owned()),
            (precision, scale) => Decimal128(precision, scale),
        },
        Utf8 | LargeUtf8 | Utf8View => Utf8View,
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => BinaryView,
        Timestamp(_, Some(_)) if !precise => {
            return Err(
                "tables of a metastore have no timestamps with a time zone: write CAST(... AS timestamp)".to_owned()
            );
        }
        Timestamp(_, None) if !precise => micros(None),
        // In files there are instants, and no zones.
        Timestamp(TimeUnit::Second, zone) => Timestamp(TimeUnit::Millisecond, zone.as_ref().map(|_| "UTC".into())),
        Timestamp(unit, zone) => Timestamp(*unit, zone.as_ref().map(|_| "UTC".into())),
        List(element) | LargeList(element) | FixedSizeList(element, _) => {
            List(Arc::new(Field::new("element", inner(element, precise)?, true)))
        }
        Struct(fields) => {
            let fields = fields.iter().map(|field| Ok(Field::new(field.name(), inner(field, precise)?, true)));
            Struct(fields.collect::<Result<Fields, String>>()?)
        }
        Map(entries, _) => match entries.data_type() {
            Struct(fields) if fields.len() == 2 => {
                let of = |field: &FieldRef, name: &str, nullable| {
                    Ok::<Field, String>(Field::new(name, inner(field, precise)?, nullable))
                };
                let named = |at: usize| fields.get(at).ok_or_else(|| "a map has no values".to_owned());
                let fields = vec![of(named(0)?, "key", false)?, of(named(1)?, "value", true)?];
                Map(Arc::new(Field::new("key_value", Struct(Fields::from(fields)), false)), false)
            }
            _ => return Err("a map has no values".to_owned()),
        },
        Dictionary(_, value) => stored(value, precise)?,
        other => return Err(format!("the lake has no type for {other}")),
    })
}

/// Text and bytes within lists and structs are not views, as they are read.
fn inner(field: &Field, precise: bool) -> Result<DataType, String> {
    Ok(match stored(field.data_type(), precise)? {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other,
    })
}

/// Hive's name of a type that [`stored`] returns. The precision of timestamps and their zone, which Hive's names do not
/// say, are written as SQL writes them.
pub(super) fn type_name(data_type: &DataType) -> Result<String, String> {
    Ok(match data_type {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Utf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Binary | DataType::BinaryView => "binary".to_owned(),
        DataType::Timestamp(unit, zone) => {
            let digits = match unit {
                TimeUnit::Second => 0,
                TimeUnit::Millisecond => 3,
                TimeUnit::Microsecond => 6,
                TimeUnit::Nanosecond => 9,
            };
            match (digits, zone) {
                (6, None) => "timestamp".to_owned(),
                (digits, None) => format!("timestamp({digits})"),
                (digits, Some(_)) => format!("timestamp({digits}) with time zone"),
            }
        }
        DataType::List(element) => format!("array<{}>", type_name(element.data_type())?),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| {
                let name = field.name();
                if name.is_empty() || name.contains([':', ',', '<', '>', '(', ')', '`']) {
                    return Err(format!("a field of a struct cannot be called `{name}` in Hive"));
                }
                Ok(format!("{name}:{}", type_name(field.data_type())?))
            });
            format!("struct<{}>", fields.collect::<Result<Vec<_>, String>>()?.join(","))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                let names: Vec<String> =
                    fields.iter().map(|field| type_name(field.data_type())).collect::<Result<_, _>>()?;
                format!("map<{}>", names.join(","))
            }
            _ => return Err("a map has no values".to_owned()),
        },
        other => return Err(format!("the lake has no type for {other}")),
    })
}

/// Values as another type. What the type cannot hold is an error.
pub(super) fn conformed(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    let strict = CastOptions { safe: false, format_options: FormatOptions::default() };
    let cast = cast_with_options(array, wanted, &strict)?;
    if coarser(array.data_type(), wanted) {
        // Parts of a unit are cut by the cast: what does not come back was not whole.
        let back = cast_with_options(&cast, array.data_type(), &strict)?;
        if back.to_data() != array.to_data() {
            return Err(ArrowError::CastError(format!(
                "a time with parts of a {}, which the column cannot hold",
                unit_name(wanted)
            )));
        }
    }
    Ok(cast)
}

fn unit_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => "second",
        DataType::Timestamp(TimeUnit::Millisecond, _) => "millisecond",
        DataType::Timestamp(TimeUnit::Nanosecond, _) => "nanosecond",
        _ => "microsecond",
    }
}

fn coarser(from: &DataType, to: &DataType) -> bool {
    matches!((from, to), (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) if to < from)
}

#[cfg(test)]
mod tests {
    use arrow::array::{TimestampNanosecondArray, UInt64Array};

    use super::*;
    use crate::metastore::arrow_type;

    fn field(name: &str, data_type: DataType) -> FieldRef {
        Arc::new(Field::new(name, data_type, true))
    }

    #[test]
    fn names_say_all_of_a_type() {
        let inner = DataType::Struct(Fields::from(vec![
            field("a", DataType::Timestamp(TimeUnit::Nanosecond, None)),
            field("b", DataType::LargeList(field("item", DataType::Decimal64(12, 2)))),
        ]));
        for data_type in [
            DataType::Int8,
            DataType::UInt32,
            DataType::Utf8,
            DataType::FixedSizeBinary(16),
            DataType::Decimal256(38, 3),
            DataType::Timestamp(TimeUnit::Second, None),
            DataType::Timestamp(TimeUnit::Nanosecond, Some("Europe/Berlin".into())),
            DataType::List(field("item", inner)),
        ] {
            let stored = stored(&data_type, true).unwrap();
            assert_eq!(arrow_type(&type_name(&stored).unwrap()), Ok(stored), "{data_type}");
        }
    }

    #[test]
    fn what_the_lake_cannot_hold() {
        for (data_type, precise) in [
            (DataType::Decimal256(39, 0), true),
            (DataType::Decimal128(5, -2), true),
            (DataType::Time64(TimeUnit::Microsecond), true),
            (DataType::Duration(TimeUnit::Second), true),
            (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        ] {
            assert!(stored(&data_type, precise).is_err(), "{data_type}");
        }
        let odd = DataType::Struct(Fields::from(vec![field("a:b", DataType::Int8)]));
        assert!(type_name(&odd).unwrap_err().contains("`a:b`"));
    }

    #[test]
    fn values_are_not_cut() {
        let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![Some(1_000), None]));
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert!(conformed(&times, &micros).is_ok());
        let finer: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1_001]));
        assert!(conformed(&finer, &micros).unwrap_err().to_string().contains("parts of a microsecond"));
        let large: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
        assert!(conformed(&large, &DataType::Decimal128(20, 0)).is_ok());
    }
}
