//! Avro schemas, read of their JSON (Avro specification 1.12, "Schema Declaration").

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::extent::Extents;
use crate::registry::Reference;

/// The deepest nesting of a schema.
const MAX_DEPTH: usize = 64;

/// The most named types of a schema.
const MAX_NAMED: usize = 10_000;

/// A schema.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Schema {
    Null,
    Boolean,
    Int(Logical),
    Long(Logical),
    Float,
    Double,
    Bytes(Logical),
    String,
    Fixed {
        name: String,
        aliases: Vec<String>,
        size: usize,
        logical: Logical,
    },
    Enum {
        name: String,
        aliases: Vec<String>,
        symbols: Vec<String>,
        default: Option<String>,
    },
    Array(Arc<Schema>),
    Map(Arc<Schema>),
    Union(Vec<Schema>),
    Record {
        name: String,
        fields: Arc<Vec<Field>>,
    },
    /// The record of this name, within itself.
    Within(String),
}

/// The records that contain themselves, by name.
pub(crate) type Recursive = HashMap<String, Schema>;

/// A field of a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Other names that a writer may have called it.
    pub(crate) aliases: Vec<String>,
    pub(crate) schema: Schema,
    pub(crate) default: Option<Value>,
    /// Whether its values are asked for: the name of one whose are not is still no older name of another field.
    pub(crate) is_read: bool,
}

/// What the values of a type mean, where it is more than the type says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Logical {
    #[default]
    None,
    Date,
    TimeMillis,
    TimeMicros,
    /// Digits of a second's fraction, and whether it is an instant.
    Timestamp {
        precision: u8,
        zone: bool,
    },
    Decimal {
        precision: u8,
        scale: u8,
    },
    /// A decimal of more digits than SQL's have, which stays bytes.
    WideDecimal {
        scale: u64,
    },
}

impl Schema {
    /// Reads a schema. `references` are schemas whose named types it may use, each after those that it uses itself.
    pub(crate) fn parse(text: &str, references: &[Reference]) -> Result<Self, String> {
        Self::parse_all(text, references).map(|(schema, _)| schema)
    }

    /// The same, and its records that contain themselves.
    pub(crate) fn parse_all(text: &str, references: &[Reference]) -> Result<(Self, Recursive), String> {
        let mut parser = Parser::default();
        for text in references.iter().map(|reference| reference.text.as_str()).chain([text]) {
            // A primitive type may be written without being JSON.
            let value: Value =
                serde_json::from_str(text).map_err(|error| format!("the Avro schema is no JSON: {error}"))?;
            let schema = parser.schema(&value, "", 0)?;
            parser.extents.check(&schema)?;
            parser.last = Some(schema);
        }
        let schema = parser.last.ok_or_else(|| "the Avro schema is empty".to_owned())?;
        let Parser { mut named, recursive, .. } = parser;
        named.retain(|name, _| recursive.contains(name));
        Ok((schema, named))
    }

    /// What the specification calls the type.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int(_) => "int",
            Self::Long(_) => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes(_) => "bytes",
            Self::String => "string",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Fixed { name, .. } | Self::Enum { name, .. } | Self::Record { name, .. } | Self::Within(name) => name,
        }
    }

    /// Whether a value may be null.
    pub(crate) fn takes_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Union(branches) => branches.contains(&Self::Null),
            _ => false,
        }
    }

    /// The other branch of a union with null.
    pub(crate) fn nullable(&self) -> Option<&Schema> {
        match self {
            Self::Union(branches) => match branches.as_slice() {
                [Self::Null, other] | [other, Self::Null] => Some(other),
                _ => None,
            },
            _ => None,
        }
    }
}

#[derive(Default)]
struct Parser {
    named: HashMap<String, Schema>,
    /// The records whose fields are being read, the innermost last.
    open: Vec<String>,
    /// Those that were found within themselves.
    recursive: HashSet<String>,
    extents: Extents,
    last: Option<Schema>,
}

impl Parser {
    fn schema(&mut self, value: &Value, namespace: &str, depth: usize) -> Result<Schema, String> {
        if depth > MAX_DEPTH {
            return Err(format!("the Avro schema nests deeper than {MAX_DEPTH} levels"));
        }
        match value {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.schema(branch, namespace, depth + 1));
                Ok(Schema::Union(branches.collect::<Result<_, _>>()?))
            }
            Value::Object(object) => self.object(object, namespace, depth),
            other => Err(format!("{other} is no Avro schema")),
        }
    }

    /// A type by its name.
    fn named(&mut self, name: &str, namespace: &str) -> Result<Schema, String> {
        Ok(match name {
            "null" => Schema::Null,
            "boolean" => Schema::Boolean,
            "int" => Schema::Int(Logical::None),
            "long" => Schema::Long(Logical::None),
            "float" => Schema::Float,
            "double" => Schema::Double,
            "bytes" => Schema::Bytes(Logical::None),
            "string" => Schema::String,
            _ => {
                let full = full_name(name, namespace);
                // The full name first, also that of a record around: a bare one may be another type's.
                match self.known(&full).or_else(|| self.known(name)) {
                    Some(Schema::Within(name)) => {
                        self.recursive.insert(name.clone());
                        Schema::Within(name)
                    }
                    Some(found) => found,
                    None => return Err(format!("the Avro schema has no type {name} before its first use")),
                }
            }
        })
    }

    /// A type that has been read or a record that is being read, by its full name.
    fn known(&self, full: &str) -> Option<Schema> {
        let open = || self.open.iter().any(|open| open == full).then(|| Schema::Within(full.to_owned()));
        self.named.get(full).cloned().or_else(open)
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str, depth: usize) -> Result<Schema, String> {
        let kind = object.get("type").ok_or("an Avro schema has no `type`")?;
        let Some(kind) = kind.as_str() else { return self.schema(kind, namespace, depth + 1) };
        let part = |key: &str| object.get(key).ok_or_else(|| format!("an Avro schema of type {kind} has no `{key}`"));
        match kind {
            "array" => Ok(Schema::Array(Arc::new(self.schema(part("items")?, namespace, depth + 1)?))),
            "map" => Ok(Schema::Map(Arc::new(self.schema(part("values")?, namespace, depth + 1)?))),
            "record" | "error" | "enum" | "fixed" => {
                let name = part("name")?.as_str().ok_or("the name of an Avro type is no text")?;
                let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
                let name = full_name(name, namespace);
                let aliases = aliases(object.get("aliases"));
                let namespace = name.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
                let schema = match kind {
                    "enum" => enumeration(&name, aliases, object)?,
                    "fixed" => {
                        let size = part("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                        let size = size.ok_or_else(|| format!("the size of {name} is no number of bytes"))?;
                        Schema::Fixed { name: name.clone(), aliases, size, logical: decimal(object) }
                    }
                    _ => {
                        let fields = part("fields")?.as_array().ok_or_else(|| format!("{name} has no fields"))?;
                        self.open.push(name.clone());
                        let fields = fields.iter().map(|field| self.field(field, &namespace, depth + 1));
                        let fields = Arc::new(fields.collect::<Result<Vec<_>, _>>()?);
                        self.open.pop();
                        let record = Schema::Record { name: name.clone(), fields };
                        self.extents.add(&name, &record)?;
                        record
                    }
                };
                if self.named.len() >= MAX_NAMED {
                    return Err(format!("the Avro schema has more than {MAX_NAMED} named types"));
                }
                self.named.insert(name, schema.clone());
                Ok(schema)
            }
            name => Ok(with_logical(self.named(name, namespace)?, object)),
        }
    }

    fn field(&mut self, value: &Value, namespace: &str, depth: usize) -> Result<Field, String> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
        let name = text("name").ok_or("a field of an Avro record has no name")?;
        let schema = value.get("type").ok_or_else(|| format!("field {name} has no type"))?;
        Ok(Field {
            aliases: aliases(value.get("aliases")),
            schema: self.schema(schema, namespace, depth)?,
            default: value.get("default").cloned(),
            name,
            is_read: true,
        })
    }
}

/// Other names of a type or a field.
fn aliases(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|alias| alias.as_str().map(ToOwned::to_owned)).collect()
}

fn enumeration(name: &str, aliases: Vec<String>, object: &Map<String, Value>) -> Result<Schema, String> {
    let symbols = object.get("symbols").and_then(Value::as_array);
    let symbols: Option<Vec<String>> =
        symbols.and_then(|symbols| symbols.iter().map(|symbol| symbol.as_str().map(ToOwned::to_owned)).collect());
    let symbols = symbols.ok_or_else(|| format!("the enum {name} has no symbols"))?;
    let default = object.get("default").and_then(Value::as_str).map(ToOwned::to_owned);
    Ok(Schema::Enum { name: name.to_owned(), aliases, symbols, default })
}

/// The name with its namespace, unless it has one.
fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

/// A type with its logical type. One that is not known, or does not fit its type, is ignored, as the specification says.
fn with_logical(schema: Schema, object: &Map<String, Value>) -> Schema {
    let logical = object.get("logicalType").and_then(Value::as_str).unwrap_or_default();
    let timestamp = |precision, zone| Logical::Timestamp { precision, zone };
    match (schema, logical) {
        (Schema::Int(_), "date") => Schema::Int(Logical::Date),
        (Schema::Int(_), "time-millis") => Schema::Int(Logical::TimeMillis),
        (Schema::Long(_), "time-micros") => Schema::Long(Logical::TimeMicros),
        (Schema::Long(_), "timestamp-millis") => Schema::Long(timestamp(3, true)),
        (Schema::Long(_), "timestamp-micros") => Schema::Long(timestamp(6, true)),
        (Schema::Long(_), "timestamp-nanos") => Schema::Long(timestamp(9, true)),
        (Schema::Long(_), "local-timestamp-millis") => Schema::Long(timestamp(3, false)),
        (Schema::Long(_), "local-timestamp-micros") => Schema::Long(timestamp(6, false)),
        (Schema::Long(_), "local-timestamp-nanos") => Schema::Long(timestamp(9, false)),
        (Schema::Bytes(_), "decimal") => Schema::Bytes(decimal(object)),
        (schema, _) => schema,
    }
}

/// A decimal, if it is a valid one.
fn decimal(object: &Map<String, Value>) -> Logical {
    let number = |key: &str| object.get(key).and_then(Value::as_u64);
    let is_decimal = object.get("logicalType").and_then(Value::as_str) == Some("decimal");
    let scale = if object.contains_key("scale") { number("scale") } else { Some(0) };
    match (number("precision"), scale) {
        (Some(precision @ 1..), Some(scale)) if is_decimal && scale <= precision => {
            match (u8::try_from(precision), u8::try_from(scale)) {
                (Ok(precision @ 1..=38), Ok(scale)) => Logical::Decimal { precision, scale },
                _ => Logical::WideDecimal { scale },
            }
        }
        _ => Logical::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_their_namespaces() {
        let text = r#"{"type":"record","name":"a.b.R","fields":[
            {"name":"one","type":{"type":"enum","name":"E","symbols":["X","Y"]}},
            {"name":"two","type":["null","E"],"default":null},
            {"name":"three","type":{"type":"map","values":"a.b.E"}}]}"#;
        let Schema::Record { name, fields } = Schema::parse(text, &[]).unwrap() else { panic!() };
        assert_eq!(name, "a.b.R");
        assert_eq!(fields[1].schema.nullable(), Some(&fields[0].schema));
        assert_eq!(fields[2].schema, Schema::Map(Arc::new(fields[0].schema.clone())));
        let text = r#"{"type":"fixed","name":"x.Id","size":4}"#.to_owned();
        let reference = Reference { name: "x.Id".to_owned(), text };
        let text = r#"{"type":"array","items":"x.Id"}"#;
        assert!(Schema::parse(text, &[reference]).is_ok());
    }

    #[test]
    fn records_within_themselves() {
        let text = r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"next","type":["null","R"]},
            {"name":"all","type":{"type":"array","items":"n.R"}},
            {"name":"leaf","type":{"type":"record","name":"L","fields":[{"name":"x","type":"int"}]}}]}"#;
        let (schema, recursive) = Schema::parse_all(text, &[]).unwrap();
        let Schema::Record { fields, .. } = &schema else { panic!() };
        assert_eq!(fields[0].schema.nullable(), Some(&Schema::Within("n.R".to_owned())));
        assert_eq!(fields[1].schema, Schema::Array(Arc::new(Schema::Within("n.R".to_owned()))));
        assert_eq!(recursive.into_iter().collect::<Vec<_>>(), [("n.R".to_owned(), schema)]);
    }

    #[test]
    fn a_record_within_itself_is_not_an_earlier_one_without_a_namespace() {
        let text = r#"{"type":"record","name":"Top","fields":[
            {"name":"a","type":{"type":"record","name":"R","fields":[{"name":"x","type":"int"}]}},
            {"name":"b","type":{"type":"record","name":"R","namespace":"n","fields":[
                {"name":"next","type":["null","R"]}]}}]}"#;
        let Schema::Record { fields, .. } = Schema::parse(text, &[]).unwrap() else { panic!() };
        let Schema::Record { fields, .. } = &fields[1].schema else { panic!() };
        assert_eq!(fields[0].schema.nullable(), Some(&Schema::Within("n.R".to_owned())));
    }

    #[test]
    fn logical_types_that_do_not_fit_are_ignored() {
        let of = |text: &str| Schema::parse(text, &[]).unwrap();
        assert_eq!(of(r#"{"type":"int","logicalType":"date"}"#), Schema::Int(Logical::Date));
        assert_eq!(of(r#"{"type":"string","logicalType":"uuid"}"#), Schema::String);
        assert_eq!(of(r#"{"type":"string","logicalType":"date"}"#), Schema::String);
        assert_eq!(
            of(r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#),
            Schema::Bytes(Logical::Decimal { precision: 9, scale: 2 })
        );
        let wide = Schema::Bytes(Logical::WideDecimal { scale: 39 });
        assert_eq!(of(r#"{"type":"bytes","logicalType":"decimal","precision":300,"scale":39}"#), wide);
        let wrong = r#"{"type":"bytes","logicalType":"decimal","precision":2,"scale":3}"#;
        assert_eq!(of(wrong), Schema::Bytes(Logical::None));
    }

    #[test]
    fn what_is_no_schema() {
        let deep = format!("{}\"int\"{}", "{\"type\":\"array\",\"items\":".repeat(100), "}".repeat(100));
        for (text, part) in [
            ("", "no JSON"),
            ("3", "no Avro schema"),
            ("{}", "no `type`"),
            (r#""Missing""#, "no type Missing"),
            (r#"{"type":"array"}"#, "no `items`"),
            (r#"{"type":"fixed","name":"F","size":-1}"#, "no number of bytes"),
            (&deep, "deeper than 64 levels"),
        ] {
            let error = Schema::parse(text, &[]).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
