//! JSON arrays and objects as values of nested columns.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::cell::{Cell, read};
use crate::temporal::Temporal;
use crate::types::ValueType;

/// The most elements of one array or map.
const MAX_ELEMENTS: usize = 1_000_000;

/// The elements of an array, whose times are written as `temporal` says.
pub(crate) fn array<'a>(raw: &'a str, item: &ValueType, temporal: &Temporal) -> Result<Cell<'a>, String> {
    let elements = deserialize(raw, |deserializer| deserializer.deserialize_seq(Elements))?;
    let cells = elements
        .into_iter()
        .enumerate()
        .map(|(index, text)| read(text, item, temporal).map_err(|error| format!("element {}: {error}", index + 1)));
    cells.collect::<Result<_, _>>().map(Cell::List)
}

/// The entries of an object; of equal names the last one counts.
pub(crate) fn map<'a>(raw: &'a str, value: &ValueType, temporal: &Temporal) -> Result<Cell<'a>, String> {
    let mut entries = Vec::<(Cow<'a, str>, Cell<'a>)>::new();
    for (name, text) in pairs(raw)? {
        let cell = read(text, value, temporal).map_err(|error| format!("entry {name}: {error}"))?;
        match entries.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = cell,
            None => entries.push((name, cell)),
        }
    }
    Ok(Cell::Entries(entries))
}

/// The fields of an object; NULL for those that it does not have, and of equal names the last one.
pub(crate) fn row<'a>(raw: &'a str, fields: &[(String, ValueType)], temporal: &Temporal) -> Result<Cell<'a>, String> {
    let mut cells = vec![Cell::Null; fields.len()];
    for (name, text) in pairs(raw)? {
        let place = fields.iter().position(|(field, _)| *field == name);
        if let Some((place, (_, value_type))) = place.and_then(|place| Some((place, fields.get(place)?)))
            && let Some(cell) = cells.get_mut(place)
        {
            *cell =
                read(text, value_type, temporal.of_field(place)).map_err(|error| format!("field {name}: {error}"))?;
        }
    }
    Ok(Cell::Fields(cells))
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
        read(raw, &value_type.parse().unwrap(), &Temporal::Iso)
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
