//! Which differences between the type of a file's column and the type of the table's column lose nothing.

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

/// Whether every value of `file` is a value of `table`: the column can be read as the table's type.
pub(crate) fn widens(file: &DataType, table: &DataType) -> bool {
    use DataType::{
        Date32, Date64, Decimal32, Decimal64, Decimal128, Decimal256, Dictionary, FixedSizeBinary, FixedSizeList,
        Float16, Float32, Float64, LargeList, List, Null, Struct, Time32, Time64, Timestamp,
    };
    if file == table {
        return true;
    }
    match (file, table) {
        (Null, _) => true,
        (Dictionary(_, value), _) => widens(value, table),
        _ if is_text(file) && is_text(table) => true,
        // Text that a writer did not mark as such. Bytes that are no UTF-8 are an error when they are read.
        _ if is_binary(file) && (is_binary(table) || is_text(table)) => true,
        (FixedSizeBinary(_), _) if is_binary(table) => true,
        (Float16, Float32 | Float64) | (Float32, Float64) => true,
        (Timestamp(from, None), Timestamp(to, None)) | (Timestamp(from, Some(_)), Timestamp(to, Some(_))) => {
            is_finer(*from, *to)
        }
        (Time32(from) | Time64(from), Time32(to) | Time64(to)) => is_finer(*from, *to),
        (Date32, Date64) | (Date64, Date32) => true,
        (List(from) | LargeList(from) | FixedSizeList(from, _), List(to) | LargeList(to)) => {
            widens(from.data_type(), to.data_type())
        }
        (Struct(from), Struct(to)) => to.iter().all(|to| {
            from.iter()
                .find(|from| from.name() == to.name())
                .is_none_or(|from| widens(from.data_type(), to.data_type()))
        }),
        (
            Decimal32(p1, s1) | Decimal64(p1, s1) | Decimal128(p1, s1) | Decimal256(p1, s1),
            Decimal32(p2, s2) | Decimal64(p2, s2) | Decimal128(p2, s2) | Decimal256(p2, s2),
        ) => s2 >= s1 && integer_digits(*p2, *s2) >= integer_digits(*p1, *s1),
        (_, Decimal32(p, s) | Decimal64(p, s) | Decimal128(p, s) | Decimal256(p, s)) => {
            integer(file).is_some_and(|integer| integer_digits(*p, *s) >= integer.digits)
        }
        (_, Float64) => integer(file).is_some_and(|integer| integer.bits <= 32),
        (_, Float32) => integer(file).is_some_and(|integer| integer.bits <= 16),
        _ => match (integer(file), integer(table)) {
            (Some(from), Some(to)) => to.bits > from.bits && (to.signed || !from.signed),
            _ => false,
        },
    }
}

/// The narrower of two types that holds the values of both. Structs get the fields of both.
pub(crate) fn common(one: &DataType, other: &DataType) -> Option<DataType> {
    if let (DataType::Struct(one), DataType::Struct(other)) = (one, other) {
        return common_struct(one, other);
    }
    if widens(one, other) {
        Some(other.clone())
    } else if widens(other, one) {
        Some(one.clone())
    } else {
        None
    }
}

fn common_struct(one: &Fields, other: &Fields) -> Option<DataType> {
    let named = |fields: &Fields, name: &str| fields.iter().find(|field| field.name() == name).cloned();
    let mut fields = Vec::with_capacity(other.len());
    for field in other {
        let data_type = match named(one, field.name()) {
            Some(field_of_one) => common(field_of_one.data_type(), field.data_type())?,
            None => field.data_type().clone(),
        };
        fields.push(Field::new(field.name(), data_type, true));
    }
    let added = one.iter().filter(|field| named(other, field.name()).is_none());
    fields.extend(added.map(|field| field.as_ref().clone().with_nullable(true)));
    Some(DataType::Struct(Fields::from(fields)))
}

struct Integer {
    bits: u8,
    signed: bool,
    /// Decimal digits of the largest value.
    digits: i16,
}

fn integer(data_type: &DataType) -> Option<Integer> {
    let (bits, signed, digits) = match data_type {
        DataType::Int8 => (8, true, 3),
        DataType::Int16 => (16, true, 5),
        DataType::Int32 => (32, true, 10),
        DataType::Int64 => (64, true, 19),
        DataType::UInt8 => (8, false, 3),
        DataType::UInt16 => (16, false, 5),
        DataType::UInt32 => (32, false, 10),
        DataType::UInt64 => (64, false, 20),
        _ => return None,
    };
    Some(Integer { bits, signed, digits })
}

fn integer_digits(precision: u8, scale: i8) -> i16 {
    i16::from(precision) - i16::from(scale)
}

fn is_finer(from: TimeUnit, to: TimeUnit) -> bool {
    let rank = |unit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    };
    rank(to) >= rank(from)
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loses_nothing() {
        use DataType::*;
        for (file, table) in [
            (Int8, Int16),
            (Int32, Int64),
            (UInt32, Int64),
            (UInt8, UInt64),
            (Int32, Float64),
            (Int16, Float32),
            (Float32, Float64),
            (Int32, Decimal128(10, 0)),
            (Int64, Decimal128(21, 2)),
            (Decimal128(10, 2), Decimal128(12, 3)),
            (Utf8, Utf8View),
            (Dictionary(Box::new(Int32), Box::new(Utf8)), Utf8View),
            (Timestamp(TimeUnit::Millisecond, None), Timestamp(TimeUnit::Microsecond, None)),
            (
                Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            ),
            (Null, Date32),
        ] {
            assert!(widens(&file, &table), "{file} to {table}");
        }
    }

    #[test]
    fn what_may_lose_something() {
        use DataType::*;
        for (file, table) in [
            (Int64, Int32),
            (UInt64, Int64),
            (Int32, UInt64),
            (Int64, Float64),
            (Int32, Float32),
            (Float64, Float32),
            (Float64, Int64),
            (Int64, Decimal128(20, 2)),
            (Decimal128(10, 2), Decimal128(10, 3)),
            (Decimal128(12, 3), Decimal128(12, 2)),
            (Utf8, Int32),
            (Int32, Utf8View),
            (Utf8, BinaryView),
            (Timestamp(TimeUnit::Nanosecond, None), Timestamp(TimeUnit::Microsecond, None)),
            (Timestamp(TimeUnit::Microsecond, None), Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            (Date32, Timestamp(TimeUnit::Microsecond, None)),
            (Boolean, Int32),
        ] {
            assert!(!widens(&file, &table), "{file} to {table}");
        }
    }

    #[test]
    fn a_struct_may_gain_fields() {
        let one = DataType::Struct(Fields::from(vec![Field::new("a", DataType::Int32, true)]));
        let two = DataType::Struct(Fields::from(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("b", DataType::Utf8, true),
        ]));
        let both = Some(DataType::Struct(Fields::from(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("b", DataType::Utf8, true),
        ])));
        assert!(widens(&one, &two));
        assert!(!widens(&two, &one));
        assert_eq!(common(&two, &one), both);
        assert_eq!(common(&one, &two), both);
    }
}
