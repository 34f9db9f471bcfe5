//! From a message to the raw JSON texts of its fields.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::flat::Quoted;

/// Finds the fields that are asked for in JSON objects. Names match exactly; a field that appears twice counts as
/// its last appearance.
#[derive(Debug)]
pub(crate) struct ObjectReader {
    slots: HashMap<String, usize>,
    /// The names of the last object in order, with their slots: messages of a topic mostly have theirs in the same
    /// order, so that comparing with these is all that a name costs.
    recent: Vec<Recent>,
    rest: Option<Rest>,
}

/// The name of a field of the last object.
#[derive(Debug)]
struct Recent {
    name: String,
    slot: Option<usize>,
    /// As JSON writes it, if that is as it is.
    quoted: Option<Quoted>,
}

/// The fields that nobody asks for.
#[derive(Debug, Default)]
struct Rest {
    /// Names of fields that are columns, whether they are asked for or not.
    known: HashSet<String>,
    /// The others of the last object, as the inside of a JSON object.
    text: String,
}

/// The most names remembered from one object.
const MAX_RECENT: usize = 256;

/// The longest of them.
const MAX_RECENT_BYTES: usize = 1 << 10;

impl ObjectReader {
    /// A reader for these fields; the texts are returned in their order.
    pub(crate) fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let slots = names.into_iter().enumerate().map(|(slot, name)| (name.to_owned(), slot)).collect();
        Self { slots, recent: Vec::new(), rest: None }
    }

    /// A reader that keeps the fields that have none of these names.
    pub(crate) fn with_rest<'n>(self, known: impl IntoIterator<Item = &'n str>) -> Self {
        let known = known.into_iter().map(ToOwned::to_owned).collect();
        Self { rest: Some(Rest { known, text: String::new() }), ..self }
    }

    /// The fields of the last object that have no known name, as a JSON object; `None` where there are none. A field that
    /// appears twice appears twice.
    pub(crate) fn take_rest(&mut self) -> Option<String> {
        let text = std::mem::take(&mut self.rest.as_mut()?.text);
        (!text.is_empty()).then(|| format!("{{{text}}}"))
    }

    /// Reads a message, which must be one JSON object and nothing else, and puts the text of each field into its slot
    /// of `texts`, `None` where there is no such field. The error says what is wrong with the message.
    pub(crate) fn read<'m>(&mut self, message: &'m [u8], texts: &mut Vec<Option<&'m str>>) -> Result<(), String> {
        let text = std::str::from_utf8(message)
            .map_err(|error| format!("it is not UTF-8 from byte {} on", error.valid_up_to()))?;
        if let Some(rest) = &mut self.rest {
            rest.text.clear();
        }
        texts.clear();
        texts.resize(self.slots.len(), None);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        deserializer
            .deserialize_map(Fields { reader: self, texts })
            .and_then(|()| deserializer.end())
            .map_err(|error| format!("it is not one JSON object: {error}"))
    }

    /// The place of a field among those that are asked for, by its name; `position` is its place in the object.
    #[inline]
    pub(crate) fn slot(&mut self, position: usize, name: &str) -> Option<usize> {
        match self.recent.get(position) {
            Some(recent) if recent.name == name => return recent.slot,
            _ => {}
        }
        let slot = self.slots.get(name).copied();
        let now = || Recent { name: name.to_owned(), slot, quoted: Quoted::new(name) };
        match self.recent.get_mut(position) {
            _ if name.len() > MAX_RECENT_BYTES => {}
            Some(recent) => *recent = now(),
            None if position < MAX_RECENT => self.recent.push(now()),
            None => {}
        }
        slot
    }

    /// The name that the field at this place had in the last object, and its place among those that are asked for; `None` where
    /// JSON would write it in another way.
    #[inline]
    pub(crate) fn expected(&self, position: usize) -> Option<(&Quoted, Option<usize>)> {
        let recent = self.recent.get(position)?;
        Some((recent.quoted.as_ref()?, recent.slot))
    }
}

struct Fields<'a, 'm> {
    reader: &'a mut ObjectReader,
    texts: &'a mut Vec<Option<&'m str>>,
}

impl<'m> Visitor<'m> for Fields<'_, 'm> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'m>>(self, mut map: A) -> Result<(), A::Error> {
        let mut position = 0;
        if self.reader.rest.is_some() {
            return self.with_rest(map);
        }
        while let Some(slot) = map.next_key_seed(Name { reader: self.reader, position })? {
            match slot.and_then(|slot| self.texts.get_mut(slot)) {
                Some(text) => *text = Some(map.next_value::<&'m RawValue>()?.get()),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            position += 1;
        }
        Ok(())
    }
}

impl<'m> Fields<'_, 'm> {
    /// Reads an object whose unknown fields are kept.
    fn with_rest<A: MapAccess<'m>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<Cow<'m, str>, &'m RawValue>()? {
            if let Some(text) = self.reader.slots.get(&*name).and_then(|slot| self.texts.get_mut(*slot)) {
                *text = Some(value.get());
            }
            if let Some(rest) = self.reader.rest.as_mut().filter(|rest| !rest.known.contains(&*name)) {
                let comma = if rest.text.is_empty() { "" } else { "," };
                let name = serde_json::Value::from(&*name);
                // Writing to a String does not fail.
                let _ = write!(rest.text, "{comma}{name}:{}", value.get());
            }
        }
        Ok(())
    }
}

struct Name<'a> {
    reader: &'a mut ObjectReader,
    position: usize,
}

impl<'m> DeserializeSeed<'m> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'m>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.reader.slot(self.position, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'m>(reader: &mut ObjectReader, message: &'m str) -> Result<Vec<Option<&'m str>>, String> {
        let mut texts = Vec::new();
        reader.read(message.as_bytes(), &mut texts).map(|()| texts)
    }

    #[test]
    fn fields_are_found_in_any_order() {
        let mut reader = ObjectReader::new(["id", "kind"]);
        assert_eq!(read(&mut reader, r#"{"id":1,"kind":"a"}"#).unwrap(), [Some("1"), Some("\"a\"")]);
        assert_eq!(
            read(&mut reader, r#" {"kind" : [1, 2] ,"x":{"id":9},"id":null}"#).unwrap(),
            [Some("null"), Some("[1, 2]")]
        );
        assert_eq!(read(&mut reader, r#"{"ID":1}"#).unwrap(), [None, None]);
        assert_eq!(read(&mut reader, r#"{"i\u0064":1.50}"#).unwrap(), [Some("1.50"), None]);
        assert_eq!(read(&mut reader, "{}").unwrap(), [None, None]);
        assert_eq!(read(&mut reader, r#"{"id":1,"id":2}"#).unwrap(), [Some("2"), None], "the last one counts");
    }

    #[test]
    fn fields_that_are_no_columns_are_kept() {
        let mut reader = ObjectReader::new(["id"]).with_rest(["id", "kind"]);
        let message = r#"{"x": [1, 2],"id":7,"kind":"a","q\"":"\u00e9"}"#;
        assert_eq!(read(&mut reader, message).unwrap(), [Some("7")]);
        assert_eq!(reader.take_rest().as_deref(), Some(r#"{"x":[1, 2],"q\"":"\u00e9"}"#));
        assert_eq!(read(&mut reader, r#"{"id":8}"#).unwrap(), [Some("8")]);
        assert_eq!(reader.take_rest(), None);
        assert!(read(&mut reader, r#"{"x":1"#).is_err());
        assert_eq!(read(&mut reader, "{}").unwrap(), [None]);
        assert_eq!(reader.take_rest(), None, "a poisoned message leaves nothing behind");
    }

    #[test]
    fn anything_but_one_object_is_refused() {
        let mut reader = ObjectReader::new(["id"]);
        for (message, part) in [
            ("", "EOF"),
            ("hello", "expected value"),
            ("42", "expected an object"),
            ("null", "expected an object"),
            ("[1,2]", "expected an object"),
            ("\"x\"", "expected an object"),
            (r#"{"id":2,"kind":"#, "EOF"),
            (r#"{"id":1}{"id":2}"#, "trailing"),
            (r#"{"id":1},"#, "trailing"),
            (r#"{"id":01}"#, "line 1"),
            (r#"{"id":NaN}"#, "line 1"),
            ("{'id':1}", "line 1"),
        ] {
            let error = read(&mut reader, message).unwrap_err();
            assert!(error.contains(part), "{message}: {error}");
        }
        let mut texts = Vec::new();
        let error = reader.read(b"{\"id\":\"\xff\"}", &mut texts).unwrap_err();
        assert_eq!(error, "it is not UTF-8 from byte 7 on");
        // A poisoned message leaves nothing behind.
        assert_eq!(read(&mut reader, r#"{"id":3}"#).unwrap(), [Some("3")]);
    }
}
