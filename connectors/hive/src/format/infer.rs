//! The type of a column by the values of a sample.
//!
//! It is the narrowest of boolean, bigint, double, date, timestamp and varchar that all values have. A number with
//! leading zeros is text, as an identifier would be, and so is a whole number beyond bigint. Values that come later
//! and do not fit are an error when they are read.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

use super::values::{is_date, timestamp_micros};

/// What is known of a column's type.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Inferred {
    /// No value was seen, or only NULL.
    #[default]
    Unknown,
    Boolean,
    Integer,
    Double,
    Date,
    Timestamp,
    Text,
    List(Box<Inferred>),
    Struct(Vec<(String, Inferred)>),
}

impl Inferred {
    /// The type of a value that is written as text.
    pub(crate) fn of_text(text: &str) -> Self {
        if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
            return Self::Boolean;
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        let starts_like_number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        if !starts_like_number {
            return if text == "NaN" { Self::Double } else { Self::Text };
        }
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let padded = digits.len() > 1 && digits.starts_with('0');
            return if padded || text.parse::<i64>().is_err() { Self::Text } else { Self::Integer };
        }
        let number = digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
        if number && text.parse::<f64>().is_ok_and(f64::is_finite) {
            return Self::Double;
        }
        if is_date(text) {
            Self::Date
        } else if timestamp_micros(text).is_some() {
            Self::Timestamp
        } else {
            Self::Text
        }
    }

    /// The type of a number of JSON.
    pub(crate) fn of_number(text: &str) -> Self {
        if text.contains(['.', 'e', 'E']) {
            Self::Double
        } else if text.parse::<i64>().is_ok() {
            Self::Integer
        } else {
            Self::Text
        }
    }

    /// Takes in what another value is.
    pub(crate) fn unite(&mut self, other: Self) {
        let united = match (std::mem::take(self), other) {
            (one, Self::Unknown) => one,
            (Self::Unknown, other) => other,
            (Self::Integer, Self::Double) | (Self::Double, Self::Integer) => Self::Double,
            (Self::Date, Self::Timestamp) | (Self::Timestamp, Self::Date) => Self::Timestamp,
            (Self::List(mut one), Self::List(other)) => {
                one.unite(*other);
                Self::List(one)
            }
            (Self::Struct(mut one), Self::Struct(other)) => {
                for (name, inferred) in other {
                    unite_member(&mut one, name, inferred);
                }
                Self::Struct(one)
            }
            (one, other) if one == other => one,
            _ => Self::Text,
        };
        *self = united;
    }

    /// The type of the column.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Unknown | Self::Text => DataType::Utf8View,
            Self::List(item) => DataType::List(Arc::new(Field::new("item", item.data_type(), true))),
            // A struct needs fields.
            Self::Struct(members) if members.is_empty() => DataType::Utf8View,
            Self::Struct(members) => DataType::Struct(
                members.iter().map(|(name, inferred)| Field::new(name, inferred.data_type(), true)).collect::<Fields>(),
            ),
        }
    }
}

/// Takes in a member of an object: names that differ only in case are one column, as in the tables of Hive.
pub(crate) fn unite_member(members: &mut Vec<(String, Inferred)>, name: String, inferred: Inferred) {
    let exact = members.iter().position(|(known, _)| *known == name);
    let place = exact.or_else(|| {
        let lower = name.to_lowercase();
        members.iter().position(|(known, _)| known.to_lowercase() == lower)
    });
    match place.and_then(|place| members.get_mut(place)) {
        Some((_, known)) => known.unite(inferred),
        None => members.push((name, inferred)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_values() {
        for (text, inferred) in [
            ("true", Inferred::Boolean),
            ("FALSE", Inferred::Boolean),
            ("0", Inferred::Integer),
            ("-5", Inferred::Integer),
            ("9223372036854775807", Inferred::Integer),
            ("9223372036854775808", Inferred::Text),
            ("007", Inferred::Text),
            ("+1", Inferred::Text),
            ("1.5", Inferred::Double),
            (".5", Inferred::Double),
            ("-1e3", Inferred::Double),
            ("1e999", Inferred::Text),
            ("NaN", Inferred::Double),
            ("nan", Inferred::Text),
            ("1-2", Inferred::Text),
            ("2026-10-01", Inferred::Date),
            ("2026-02-30", Inferred::Text),
            ("2026-10-01 12:30:00", Inferred::Timestamp),
            ("2026-10-01T12:30:00.5", Inferred::Timestamp),
            ("2026-10-01T12:30:00Z", Inferred::Text),
            ("", Inferred::Text),
            (" 1", Inferred::Text),
            ("1 ", Inferred::Text),
        ] {
            assert_eq!(Inferred::of_text(text), inferred, "{text}");
        }
    }

    #[test]
    fn several_values() {
        let united = |texts: &[&str]| {
            let mut all = Inferred::Unknown;
            texts.iter().for_each(|text| all.unite(Inferred::of_text(text)));
            all
        };
        assert_eq!(united(&["1", "2"]), Inferred::Integer);
        assert_eq!(united(&["1", "2.5", "3"]), Inferred::Double);
        assert_eq!(united(&["1", "x", "2"]), Inferred::Text);
        assert_eq!(united(&["1.5", "true"]), Inferred::Text);
        assert_eq!(united(&["2026-01-01", "2026-01-01 10:00:00"]), Inferred::Timestamp);
        assert_eq!(united(&["2026-01-01", "1"]), Inferred::Text);
        assert_eq!(united(&[]), Inferred::Unknown);
    }

    #[test]
    fn members_of_objects() {
        let member = |name: &str, inferred| vec![(name.to_owned(), inferred)];
        let mut one = Inferred::Struct(member("a", Inferred::Integer));
        one.unite(Inferred::Struct(member("A", Inferred::Double)));
        one.unite(Inferred::Struct(member("b", Inferred::List(Box::new(Inferred::Unknown)))));
        assert_eq!(one.data_type().to_string(), {
            let list = Inferred::List(Box::new(Inferred::Text)).data_type();
            let fields = vec![Field::new("a", DataType::Float64, true), Field::new("b", list, true)];
            DataType::Struct(Fields::from(fields)).to_string()
        });
        one.unite(Inferred::Integer);
        assert_eq!(one, Inferred::Text);
    }
}
