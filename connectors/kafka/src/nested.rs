//! JSON arrays and objects as values of nested columns.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::cell::{Cell, read};
use crate::room::{Room, last_of_each};
use crate::temporal::Temporal;
use crate::types::ValueType;

/// The most elements of one array or map.
const MAX_ELEMENTS: usize = 1_000_000;

/// The elements of an array, whose times are written as `temporal` says.
pub(crate) fn array<'a>(raw: &'a str, item: &ValueType, temporal: &Temporal, room: &Room) -> Result<Cell<'a>, String> {
    let elements = deserialize(raw, |deserializer| deserializer.deserialize_seq(Elements))?;
    room.take(elements.len())?;
    let cells = elements.into_iter().enumerate().map(|(index, text)| {
        read(text, item, temporal, room).map_err(|error| format!("element {}: {error}", index + 1))
    });
    cells.collect::<Result<_, _>>().map(Cell::List)
}

/// The entries of an object; of equal names the last one counts.
pub(crate) fn map<'a>(raw: &'a str, value: &ValueType, temporal: &Temporal, room: &Room) -> Result<Cell<'a>, String> {
    let mut pairs = pairs(raw)?;
    last_of_each(&mut pairs);
    room.take(pairs.len())?;
    let entries = pairs.into_iter().map(|(name, text)| match read(text, value, temporal, room) {
        Ok(cell) => Ok((name, cell)),
        Err(error) => Err(format!("entry {name}: {error}")),
    });
    entries.collect::<Result<_, _>>().map(Cell::Entries)
}

/// The fields of an object; NULL for those that it does not have, and of equal names the last one.
pub(crate) fn row<'a>(
    raw: &'a str,
    fields: &[(String, ValueType)],
    temporal: &Temporal,
    room: &Room,
) -> Result<Cell<'a>, String> {
    room.take(fields.len())?;
    let mut texts = vec![None; fields.len()];
    for (name, text) in pairs(raw)? {
        let place = fields.iter().position(|(field, _)| *field == name);
        if let Some(last) = place.and_then(|place| texts.get_mut(place)) {
            *last = Some(text);
        }
    }
    let cells = fields.iter().zip(texts).enumerate().map(|(place, ((name, value_type), text))| match text {
        None => Ok(Cell::Null),
        Some(text) => {
            read(text, value_type, temporal.of_field(place), room).map_err(|error| format!("field {name}: {error}"))
        }
    });
    cells.collect::<Result<_, _>>().map(Cell::Fields)
}

/// The names and raw values of an object.
pub(crate) fn pairs(raw: &str) -> Result<Vec<(Cow<'_, str>, &str)>, String> {
    deserialize(raw, |deserializer| deserializer.deserialize_map(Pairs))
}

type Json<'a> = serde_json::Deserializer<serde_json::de::StrRead<'a>>;

fn deserialize<'a, T>(
    raw: &'a str,
    read: impl FnOnce(&mut Json<'a>) -> Result<T, serde_json::Error>,
) -> Result<T, String> {
    let mut deserializer = serde_json::Deserializer::from_str(raw);
    read(&mut deserializer).and_then(|value| deserializer.end().map(|()| value)).map_err(|error| error.to_string())
}

struct Elements;

impl<'a> Visitor<'a> for Elements {
    type Value = Vec<&'a str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element::<&'a RawValue>()? {
            if elements.len() == MAX_ELEMENTS {
                return Err(serde::de::Error::custom(format!("more than {MAX_ELEMENTS} elements")));
            }
            elements.push(element.get());
        }
        Ok(elements)
    }
}

struct Pairs;

impl<'a> Visitor<'a> for Pairs {
    type Value = Vec<(Cow<'a, str>, &'a str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((name, value)) = map.next_entry::<Cow<'a, str>, &'a RawValue>()? {
            if pairs.len() == MAX_ELEMENTS {
                return Err(serde::de::Error::custom(format!("more than {MAX_ELEMENTS} entries")));
            }
            pairs.push((name, value.get()));
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(raw: &'a str, value_type: &str) -> Result<Cell<'a>, String> {
        read(raw, &value_type.parse().unwrap(), &Temporal::Iso, &Room::new())
    }

    #[test]
    fn values_within_values() {
        assert_eq!(
            of("[1, null ,2e0]", "array(bigint)"),
            Ok(Cell::List(vec![Cell::Integer(1), Cell::Null, Cell::Integer(2)]))
        );
        assert_eq!(of("[]", "array(row(a int))"), Ok(Cell::List(Vec::new())));
        assert_eq!(of("null", "array(bigint)"), Ok(Cell::Null));
        assert_eq!(
            of(r#"{"b":"x","c":[],"a":1,"a":2}"#, "row(a int, b varchar, d date)"),
            Ok(Cell::Fields(vec![Cell::Integer(2), Cell::Text("x".into()), Cell::Null]))
        );
        assert_eq!(
            of(r#"{"é\n":[true],"b":null,"b":[]}"#, "map(varchar, array(boolean))"),
            Ok(Cell::Entries(vec![
                ("é\n".into(), Cell::List(vec![Cell::Boolean(true)])),
                ("b".into(), Cell::List(Vec::new())),
            ]))
        );
    }

    #[test]
    fn the_last_of_a_name_counts_whatever_was_before() {
        for (raw, value_type, cell) in [
            (r#"{"a":"x","a":1}"#, "row(a int)", Cell::Fields(vec![Cell::Integer(1)])),
            (r#"{"a":1,"a":null}"#, "row(a int)", Cell::Fields(vec![Cell::Null])),
            (r#"{"a":"x","a":1}"#, "map(varchar, int)", Cell::Entries(vec![("a".into(), Cell::Integer(1))])),
        ] {
            assert_eq!(of(raw, value_type), Ok(cell), "{raw}");
        }
    }

    /// Three of its bytes would be a row of a thousand fields.
    #[test]
    fn a_short_text_does_not_become_a_large_value() {
        let fields: Vec<String> = (0..1000).map(|place| format!("c{place} int")).collect();
        let rows = format!("array(row({}))", fields.join(", "));
        let text = |rows: usize| format!("[{}]", vec!["{}"; rows].join(","));
        assert!(of(&text(999), &rows).is_ok());
        assert!(of(&text(1000), &rows).unwrap_err().contains("more than 1000000 values"));
        let within = format!("[{},{}]", text(600), text(600));
        assert!(of(&within, &format!("array({rows})")).unwrap_err().contains("more than 1000000 values"));
    }

    /// In time that grows with their number, and not with its square.
    #[test]
    fn maps_may_have_many_entries() {
        let entries: Vec<String> = (0..300_000).map(|entry| format!("\"{entry}\":1")).collect();
        let raw = format!("{{{}}}", entries.join(","));
        let Ok(Cell::Entries(entries)) = of(&raw, "map(varchar, int)") else { panic!() };
        assert_eq!(entries.len(), 300_000);
    }

    #[test]
    fn an_error_says_where_it_is() {
        for (raw, value_type, message) in [
            ("[1, 2.5]", "array(int)", "element 2: 2.5 is not a whole number"),
            (r#"{"a":{"b":"x"}}"#, "row(a row(b int))", "field a: field b: \"x\" is a string, not integer"),
            (r#"{"k":1}"#, "map(varchar, boolean)", "entry k: 1 is a number, not boolean"),
            ("{}", "array(int)", "{} is an object, not array(integer)"),
            ("[]", "row(a int)", "[] is an array, not row(a integer)"),
        ] {
            assert_eq!(of(raw, value_type).unwrap_err(), message);
        }
    }
}
