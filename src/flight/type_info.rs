//! `CommandGetXdbcTypeInfo`: the types of the engine in the words of ODBC, whose manual defines the columns under
//! SQLGetTypeInfo.

use arrow_flight::error::Result;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};

/// All types.
pub(super) fn types() -> Result<XdbcTypeInfoData> {
    let mut builder = XdbcTypeInfoDataBuilder::new();
    for info in numbers().into_iter().chain(texts()).chain(times()) {
        builder.append(info);
    }
    builder.build()
}

/// A type of which nothing is known but its name.
fn named(name: &str, data_type: XdbcDataType) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type,
        column_size: None,
        literal_prefix: None,
        literal_suffix: None,
        create_params: None,
        nullable: Nullable::NullabilityNullable,
        case_sensitive: false,
        // All comparisons but LIKE.
        searchable: Searchable::Basic,
        unsigned_attribute: None,
        fixed_prec_scale: false,
        auto_increment: None,
        local_type_name: Some(name.to_owned()),
        minimum_scale: None,
        maximum_scale: None,
        sql_data_type: data_type,
        datetime_subcode: None,
        num_prec_radix: None,
        interval_precision: None,
    }
}

/// Sizes are digits of the base that `num_prec_radix` says.
fn numbers() -> Vec<XdbcTypeInfo> {
    let number = |name: &str, data_type, size: i32, radix: i32| XdbcTypeInfo {
        column_size: Some(size),
        unsigned_attribute: Some(false),
        auto_increment: Some(false),
        num_prec_radix: Some(radix),
        ..named(name, data_type)
    };
    let integer = |name: &str, data_type, size: i32| XdbcTypeInfo {
        minimum_scale: Some(0),
        maximum_scale: Some(0),
        ..number(name, data_type, size, 10)
    };
    vec![
        XdbcTypeInfo { column_size: Some(1), ..named("boolean", XdbcDataType::XdbcBit) },
        integer("tinyint", XdbcDataType::XdbcTinyint, 3),
        integer("smallint", XdbcDataType::XdbcSmallint, 5),
        integer("integer", XdbcDataType::XdbcInteger, 10),
        integer("bigint", XdbcDataType::XdbcBigint, 19),
        number("real", XdbcDataType::XdbcReal, 24, 2),
        number("double", XdbcDataType::XdbcDouble, 53, 2),
        XdbcTypeInfo {
            create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
            minimum_scale: Some(0),
            maximum_scale: Some(38),
            ..number("decimal", XdbcDataType::XdbcDecimal, 38, 10)
        },
    ]
}

fn texts() -> Vec<XdbcTypeInfo> {
    let quoted = |name: &str, data_type, prefix: &str| XdbcTypeInfo {
        column_size: Some(i32::MAX),
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        ..named(name, data_type)
    };
    vec![
        XdbcTypeInfo {
            case_sensitive: true,
            searchable: Searchable::Full,
            ..quoted("varchar", XdbcDataType::XdbcVarchar, "'")
        },
        quoted("varbinary", XdbcDataType::XdbcVarbinary, "X'"),
    ]
}

/// Sizes are characters of the longest text form, with nine digits after the second.
fn times() -> Vec<XdbcTypeInfo> {
    let time = |name: &str, data_type, size: i32, digits: Option<i32>, subcode| XdbcTypeInfo {
        column_size: Some(size),
        literal_prefix: Some(format!("{} '", name.split(' ').next().unwrap_or(name))),
        literal_suffix: Some("'".to_owned()),
        minimum_scale: digits.map(|_| 0),
        maximum_scale: digits,
        sql_data_type: XdbcDataType::XdbcDatetime,
        datetime_subcode: Some(subcode),
        ..named(name, data_type)
    };
    vec![
        // 1 is the code of a date too; the generated enumeration has one name for each number.
        time("date", XdbcDataType::XdbcDate, 10, None, XdbcDatetimeSubcode::XdbcSubcodeYear),
        time("time", XdbcDataType::XdbcTime, 18, Some(9), XdbcDatetimeSubcode::XdbcSubcodeTime),
        time("timestamp", XdbcDataType::XdbcTimestamp, 29, Some(9), XdbcDatetimeSubcode::XdbcSubcodeTimestamp),
        time(
            "timestamp with time zone",
            XdbcDataType::XdbcTimestamp,
            35,
            Some(9),
            XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_their_number() {
        let types = types().unwrap();
        assert_eq!(types.record_batch(None).unwrap().num_rows(), 14);
        assert_eq!(types.record_batch(XdbcDataType::XdbcTimestamp as i32).unwrap().num_rows(), 2);
        assert_eq!(types.record_batch(XdbcDataType::XdbcInterval as i32).unwrap().num_rows(), 0);
    }
}
