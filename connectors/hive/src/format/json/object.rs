//! One object: its members by the columns that they belong to, as the file has them.

use std::collections::HashMap;
use std::fmt;

use arrow::datatypes::FieldRef;
use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::format::fault::Fault;
use crate::format::infer::{Inferred, unite_member};

/// How deep objects and arrays are looked into for their types. What lies deeper is text.
const DEEPEST: usize = 32;

/// Which column a key belongs to: the one of the same name, or else the only one whose name differs in nothing but
/// case.
#[derive(Debug)]
pub(super) struct Lookup {
    exact: HashMap<String, usize>,
    folded: HashMap<String, usize>,
}

impl Lookup {
    pub(super) fn new<'a>(fields: impl Iterator<Item = &'a FieldRef>) -> Self {
        let mut exact = HashMap::new();
        let mut folded: HashMap<String, Option<usize>> = HashMap::new();
        for (place, field) in fields.enumerate() {
            exact.insert(field.name().clone(), place);
            folded.entry(field.name().to_lowercase()).and_modify(|known| *known = None).or_insert(Some(place));
        }
        let folded = folded.into_iter().filter_map(|(name, place)| Some((name, place?))).collect();
        Self { exact, folded }
    }

    /// The place of a key's column, and whether the names are the same.
    fn find(&self, key: &str) -> Option<(usize, bool)> {
        if let Some(place) = self.exact.get(key) {
            return Some((*place, true));
        }
        self.folded.get(&key.to_lowercase()).map(|place| (*place, false))
    }
}

/// The value of a column in an object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot<'de> {
    pub(super) value: Option<&'de RawValue>,
    exact: bool,
}

/// Puts the values of an object's members into the slots of their columns. A column without a slot is passed over.
pub(super) fn read_object<'de>(
    json: &'de [u8],
    lookup: &Lookup,
    slot_of: &[Option<usize>],
    slots: &mut [Slot<'de>],
) -> serde_json::Result<()> {
    slots.fill(Slot::default());
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    deserializer.deserialize_map(Members { lookup, slot_of, slots })?;
    deserializer.end()
}

struct Members<'a, 'de> {
    lookup: &'a Lookup,
    slot_of: &'a [Option<usize>],
    slots: &'a mut [Slot<'de>],
}

impl<'de> Visitor<'de> for Members<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(found) = map.next_key_seed(Key(self.lookup))? {
            let place = found.and_then(|(place, exact)| Some((self.slot_of.get(place).copied().flatten()?, exact)));
            let Some((slot, exact)) = place.and_then(|(place, exact)| Some((self.slots.get_mut(place)?, exact))) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value::<&'de RawValue>()?;
            match (slot.value, slot.exact, exact) {
                (None, _, _) | (Some(_), false, true) => *slot = Slot { value: Some(value), exact },
                (Some(_), true, false) => {}
                (Some(_), true, true) => return Err(A::Error::custom("the object has a key twice")),
                (Some(_), false, false) => {
                    return Err(A::Error::custom("the object has a key several times, differing only in case"));
                }
            }
        }
        Ok(())
    }
}

/// Reads a key without making a text of it.
struct Key<'a>(&'a Lookup);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<(usize, bool)>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<(usize, bool)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.find(key))
    }
}

/// What an object holds whose keys are values.
pub(super) struct Entries<F>(pub(super) F);

impl<'de, F: FnMut(String, &'de RawValue) -> Result<(), String>> Visitor<'de> for Entries<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
            (self.0)(key, value).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// What an array holds.
pub(super) struct Items<F>(pub(super) F);

impl<'de, F: FnMut(&'de RawValue) -> Result<(), String>> Visitor<'de> for Items<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&'de RawValue>()? {
            (self.0)(item).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// The names and types of an object's members.
pub(super) fn infer_object(json: &[u8]) -> serde_json::Result<Vec<(String, Inferred)>> {
    infer_at(json, 0)
}

fn infer_at(json: &[u8], depth: usize) -> serde_json::Result<Vec<(String, Inferred)>> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let members = deserializer.deserialize_map(Inferring { depth })?;
    deserializer.end()?;
    Ok(members)
}

struct Inferring {
    depth: usize,
}

impl<'de> Visitor<'de> for Inferring {
    type Value = Vec<(String, Inferred)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(String, Inferred)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format!("the object has the key `{name}` twice")));
            }
            let value = map.next_value::<&'de RawValue>()?;
            let inferred = infer_value(value, self.depth + 1).map_err(A::Error::custom)?;
            unite_member(&mut members, name, inferred);
        }
        Ok(members)
    }
}

fn infer_value(value: &RawValue, depth: usize) -> serde_json::Result<Inferred> {
    let text = value.get();
    Ok(match text.as_bytes().first() {
        Some(b'{' | b'[') if depth > DEEPEST => Inferred::Text,
        Some(b'n') => Inferred::Unknown,
        Some(b't' | b'f') => Inferred::Boolean,
        Some(b'"') => Inferred::Text,
        Some(b'{') => Inferred::Struct(infer_at(text.as_bytes(), depth)?),
        Some(b'[') => {
            let mut all = Inferred::Unknown;
            let mut deserializer = serde_json::Deserializer::from_str(text);
            deserializer.deserialize_seq(Items(|item: &RawValue| {
                all.unite(infer_value(item, depth + 1).map_err(|error| error.to_string())?);
                Ok(())
            }))?;
            Inferred::List(Box::new(all))
        }
        _ => Inferred::of_number(text),
    })
}

/// The fault of a line that is no object. The reader counts lines in what it was given, which is one.
pub(super) fn located(error: &serde_json::Error, line: u64) -> Fault {
    let text = error.to_string();
    let problem = text.split(" at line ").next().unwrap_or(&text);
    let place = if error.column() > 0 { format!(" (character {} of the line)", error.column()) } else { String::new() };
    Fault::new(format!("{problem}{place}"))
        .at(line)
        .hint("each line of a JSON file holds one object, and the file neither begins nor ends with brackets")
}
