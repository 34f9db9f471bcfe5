//! What the names of time types mean: six digits after the second where a statement says none, as in PostgreSQL. Nanoseconds,
//! which DataFusion takes, end in the year 2262; and few sources have a column for them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, TimezoneInfo};

/// The zone of a timestamp with time zone: an instant is shown in UTC.
pub(super) const UTC: &str = "UTC";

/// Digits after the second that a type has when it does not say.
pub(super) const DIGITS: u64 = 6;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct TimeTypes;

impl TypePlanner for TimeTypes {
    /// `None` for all other types, and for digits that no unit has: DataFusion refuses those.
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let data_type = match sql_type {
            SqlType::Timestamp(digits, zone) => unit(*digits).map(|unit| DataType::Timestamp(unit, zone_of(zone))),
            SqlType::Datetime(digits) => unit(*digits).map(|unit| DataType::Timestamp(unit, None)),
            SqlType::Time(digits, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => unit(*digits).map(time),
            _ => None,
        };
        Ok(data_type.map(|data_type| Arc::new(Field::new("", data_type, true))))
    }
}

fn unit(digits: Option<u64>) -> Option<TimeUnit> {
    match digits.unwrap_or(DIGITS) {
        0 => Some(TimeUnit::Second),
        3 => Some(TimeUnit::Millisecond),
        6 => Some(TimeUnit::Microsecond),
        9 => Some(TimeUnit::Nanosecond),
        _ => None,
    }
}

fn zone_of(zone: &TimezoneInfo) -> Option<Arc<str>> {
    match zone {
        TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => None,
        TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => Some(UTC.into()),
    }
}

fn time(unit: TimeUnit) -> DataType {
    match unit {
        TimeUnit::Second | TimeUnit::Millisecond => DataType::Time32(unit),
        TimeUnit::Microsecond | TimeUnit::Nanosecond => DataType::Time64(unit),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn times_have_six_digits_unless_they_say_otherwise() {
        use TimeUnit::*;
        let utc = || Some(UTC.into());
        for (name, expected) in [
            ("timestamp", Some(DataType::Timestamp(Microsecond, None))),
            ("timestamp(0)", Some(DataType::Timestamp(Second, None))),
            ("timestamp(3) without time zone", Some(DataType::Timestamp(Millisecond, None))),
            ("timestamp with time zone", Some(DataType::Timestamp(Microsecond, utc()))),
            ("timestamp(9) with time zone", Some(DataType::Timestamp(Nanosecond, utc()))),
            ("timestamptz", Some(DataType::Timestamp(Microsecond, utc()))),
            ("timestamp(4)", None),
            ("datetime", Some(DataType::Timestamp(Microsecond, None))),
            ("time", Some(DataType::Time64(Microsecond))),
            ("time(3)", Some(DataType::Time32(Millisecond))),
            ("time with time zone", None),
            ("integer", None),
        ] {
            let sql_type = Parser::new(&GenericDialect {}).try_with_sql(name).unwrap().parse_data_type().unwrap();
            let planned = TimeTypes.plan_type_field(&sql_type).unwrap();
            assert_eq!(planned.map(|field| field.data_type().clone()), expected, "{name}");
        }
    }
}
