//! `times` of a declaration: how the dates and times of columns are written, and of the fields within them.
//!
//! A field is named by its path, `page.at`. Arrays and maps have no part in it: `visits.at` is the field of each visit.

use crate::layout::MessageColumn;
use crate::temporal::Temporal;
use crate::types::ValueType;

/// Tells columns how their times are written, by the paths of a declaration.
pub(crate) fn put(times: &[(String, String)], columns: &mut [MessageColumn]) -> Result<(), String> {
    for (path, text) in times {
        let wrong = |error: String| format!("`times.{path}`: {error}");
        let temporal: Temporal = text.parse().map_err(wrong)?;
        let mut found = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            if let Some(rest) = behind(path, &column.name) {
                let mut places = Vec::new();
                find(rest, &column.value_type, &mut places, &mut |places, leaf| {
                    found.push((index, places.to_vec(), leaf.clone()));
                });
            }
        }
        let (column, places, leaf) = match found.as_slice() {
            [one] => one,
            [] => return Err(wrong(missing(path, columns))),
            _ => {
                return Err(wrong(
                    "several columns or fields have this path, since names have points in them".to_owned(),
                ));
            }
        };
        if matches!(leaf, ValueType::Row(_)) {
            return Err(wrong(format!("it is a {leaf}, of which fields are named: {path}.FIELD")));
        }
        if !temporal.fits(leaf) {
            return Err(wrong(format!("{text} is no way to write values of {leaf}")));
        }
        if let Some(column) = columns.get_mut(*column) {
            set(&mut column.temporal, &column.value_type, places, temporal);
        }
    }
    Ok(())
}

/// What is left of a path behind a name.
fn behind<'p>(path: &'p str, name: &str) -> Option<Option<&'p str>> {
    let rest = path.strip_prefix(name)?;
    if rest.is_empty() { Some(None) } else { rest.strip_prefix('.').map(Some) }
}

/// Visits what a path names within a type: the places of its fields, and its own type.
fn find(
    path: Option<&str>,
    value_type: &ValueType,
    places: &mut Vec<usize>,
    visit: &mut impl FnMut(&[usize], &ValueType),
) {
    match (value_type, path) {
        (ValueType::Array(inner) | ValueType::Map(inner), _) => find(path, inner, places, visit),
        (leaf, None) => visit(places, leaf),
        (ValueType::Row(fields), Some(path)) => {
            for (place, (name, field)) in fields.iter().enumerate() {
                if let Some(rest) = behind(path, name) {
                    places.push(place);
                    find(rest, field, places, visit);
                    places.pop();
                }
            }
        }
        _ => {}
    }
}

fn missing(path: &str, columns: &[MessageColumn]) -> String {
    match columns.iter().find(|column| behind(path, &column.name).is_some()) {
        Some(column) => format!("there is no such field in column `{}`, {}", column.name, column.value_type),
        None => "there is no such column among `columns`".to_owned(),
    }
}

/// Puts a way of writing in its place.
fn set(temporal: &mut Temporal, value_type: &ValueType, places: &[usize], way: Temporal) {
    match (value_type, places) {
        (ValueType::Array(inner) | ValueType::Map(inner), _) => {
            let mut elements = temporal.of_elements().clone();
            set(&mut elements, inner, places, way);
            *temporal = Temporal::Elements(Box::new(elements));
        }
        (ValueType::Row(types), [first, rest @ ..]) => {
            let mut fields: Vec<Temporal> = (0..types.len()).map(|place| temporal.of_field(place).clone()).collect();
            if let (Some(field), Some((_, value_type))) = (fields.get_mut(*first), types.get(*first)) {
                set(field, value_type, rest, way);
            }
            *temporal = Temporal::Fields(fields);
        }
        _ => *temporal = way,
    }
}

/// What a declaration says of a column's times: paths, and how they are written.
pub(crate) fn told(column: &MessageColumn) -> Vec<(String, String)> {
    let mut all = Vec::new();
    tell(&column.name, &column.value_type, &column.temporal, &mut all);
    all
}

fn tell(path: &str, value_type: &ValueType, temporal: &Temporal, all: &mut Vec<(String, String)>) {
    match value_type {
        ValueType::Array(inner) | ValueType::Map(inner) => tell(path, inner, temporal.of_elements(), all),
        ValueType::Row(fields) => {
            for (place, (name, field)) in fields.iter().enumerate() {
                tell(&format!("{path}.{name}"), field, temporal.of_field(place), all);
            }
        }
        _ => all.extend(temporal.name().map(|way| (path.to_owned(), way.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<MessageColumn> {
        let columns = [
            ("at", "timestamp"),
            ("days", "array(date)"),
            ("page", "row(at timestamp(3), url varchar, seen array(row(at timestamp, by map(varchar, timestamp))))"),
            ("a.b", "timestamp"),
            ("c", "row(\"d.e\" timestamp, d row(e timestamp))"),
        ];
        columns.map(|(name, value_type)| MessageColumn::new(name, value_type.parse().unwrap())).into()
    }

    fn declare(times: &[(&str, &str)]) -> Result<Vec<MessageColumn>, String> {
        let times: Vec<(String, String)> =
            times.iter().map(|(path, way)| ((*path).to_owned(), (*way).to_owned())).collect();
        let mut columns = columns();
        put(&times, &mut columns).map(|()| columns)
    }

    #[test]
    fn a_field_is_named_by_its_path() {
        let times = [
            ("at", "epoch-seconds"),
            ("days", "%d.%m.%Y"),
            ("page.at", "epoch-seconds"),
            ("page.seen.at", "epoch-nanoseconds"),
            ("page.seen.by", "rfc2822"),
            ("a.b", "epoch-microseconds"),
        ];
        let columns = declare(&times).unwrap();
        let told: Vec<(String, String)> = columns.iter().flat_map(told).collect();
        let told: Vec<(&str, &str)> = told.iter().map(|(path, way)| (path.as_str(), way.as_str())).collect();
        assert_eq!(told, times);
        let page = columns.iter().find(|column| column.name == "page").unwrap();
        let raw = r#"{"at":7,"url":"/","seen":[{"at":7000000001000,"by":{"x":"1 Jan 1970 00:00:01 +0000"}}]}"#;
        let read = crate::cell::read(raw, &page.value_type, &page.temporal, &crate::room::Room::new()).unwrap();
        let written = format!("{read:?}");
        for part in ["Integer(7000)", "Integer(7000000001)", "Integer(1000000)"] {
            assert!(written.contains(part), "{written}");
        }
    }

    #[test]
    fn what_is_no_time_says_why() {
        for (path, way, part) in [
            ("when", "epoch-seconds", "`times.when`: there is no such column among `columns`"),
            (
                "page.when",
                "epoch-seconds",
                "`times.page.when`: there is no such field in column `page`, row(at timestamp(3)",
            ),
            ("at.x", "epoch-seconds", "there is no such field in column `at`, timestamp"),
            ("page", "epoch-seconds", "of which fields are named: page.FIELD"),
            ("page.url", "epoch-seconds", "epoch-seconds is no way to write values of varchar"),
            ("page.at", "seconds", "`seconds` is not a way to write times"),
            ("c.d.e", "epoch-seconds", "several columns or fields have this path"),
            ("days", "epoch-seconds", "no way to write values of date"),
        ] {
            let error = declare(&[(path, way)]).unwrap_err();
            assert!(error.contains(part), "{path}: {error}");
        }
    }
}
