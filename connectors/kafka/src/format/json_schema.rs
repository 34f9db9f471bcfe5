//! The columns of a JSON Schema: the properties of its object. What it leaves open is `json`, the text of the value.

use std::cell::Cell;

use serde_json::Value;

use super::SchemaColumns;
use crate::layout::MessageColumn;
use crate::registry::Reference;
use crate::types::ValueType;

/// The deepest nesting that is looked into; what is below is `json`.
const MAX_DEPTH: usize = 16;

/// The most schemas that `allOf` may take together.
const MAX_PARTS: usize = 100;

/// The most schemas that are looked at: a small document can come to any number. What is beyond is `json`.
const MAX_SCHEMAS: usize = 10_000;

/// The columns of a schema, which may refer to others.
pub(crate) fn columns(text: &str, references: &[Reference]) -> Result<SchemaColumns, String> {
    let root: Value = serde_json::from_str(text).map_err(|error| format!("the JSON Schema is no JSON: {error}"))?;
    let others = references.iter().map(|reference| {
        let schema = serde_json::from_str(&reference.text);
        let wrong = |error| format!("the JSON Schema {} is no JSON: {error}", reference.name);
        Ok((reference.name.clone(), schema.map_err(wrong)?))
    });
    let documents = Documents { others: others.collect::<Result<_, String>>()?, left: Cell::new(MAX_SCHEMAS) };
    let properties = documents.properties(&documents.parts(At { schema: &root, root: &root }), &mut Vec::new());
    if properties.is_empty() {
        return Err("the JSON Schema has no properties".to_owned());
    }
    let columns = properties.into_iter().map(|(name, value_type)| MessageColumn::new(name, value_type)).collect();
    Ok(SchemaColumns { columns, unsupported: Vec::new() })
}

/// A schema in its document.
#[derive(Clone, Copy)]
struct At<'a> {
    schema: &'a Value,
    root: &'a Value,
}

impl<'a> At<'a> {
    fn of(self, schema: &'a Value) -> Self {
        Self { schema, ..self }
    }

    fn text(self, key: &str) -> Option<&'a str> {
        self.schema.get(key).and_then(Value::as_str)
    }
}

/// The schemas that others refer to, by the names under which they do.
struct Documents {
    others: Vec<(String, Value)>,
    /// How many schemas may still be looked at.
    left: Cell<usize>,
}

impl Documents {
    /// The schema that a `$ref` stands for: one within the document, or within one that it refers to.
    fn resolved<'a>(&'a self, at: At<'a>, depth: usize) -> At<'a> {
        let Some(reference) = at.text("$ref").filter(|_| depth < MAX_DEPTH) else { return at };
        let (name, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let root = if name.is_empty() { Some(at.root) } else { self.named(name) };
        match root.and_then(|root| Some(At { schema: root.pointer(pointer)?, root })) {
            Some(found) => self.resolved(found, depth + 1),
            None => at,
        }
    }

    /// A document by the name of a reference, or by its own id.
    fn named(&self, name: &str) -> Option<&Value> {
        let is_named = |(of, _): &&(String, Value)| of == name;
        let has_id = |(_, schema): &&(String, Value)| schema.get("$id").and_then(Value::as_str) == Some(name);
        self.others.iter().find(is_named).or_else(|| self.others.iter().find(has_id)).map(|(_, schema)| schema)
    }

    /// The schemas that all hold: one, and those of its `allOf`.
    fn parts<'a>(&'a self, at: At<'a>) -> Vec<At<'a>> {
        let mut parts = vec![self.resolved(at, 0)];
        let mut next = 0;
        while let Some(part) = parts.get(next).copied() {
            let more = part.schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
            parts.extend(more.map(|schema| self.resolved(part.of(schema), 0)));
            // One that contains itself has no end.
            parts.truncate(MAX_PARTS);
            next += 1;
        }
        parts
    }

    /// The properties of an object; one that several parts have differently is `json`.
    fn properties<'a>(&'a self, parts: &[At<'a>], within: &mut Vec<&'a Value>) -> Vec<(String, ValueType)> {
        let mut all = Vec::<(String, ValueType)>::new();
        for part in parts {
            let properties = part.schema.get("properties").and_then(Value::as_object);
            for (name, schema) in properties.into_iter().flatten() {
                let value_type = self.value_type(part.of(schema), within);
                match all.iter_mut().find(|(known, _)| known == name) {
                    Some((_, known)) if *known != value_type => *known = ValueType::Json,
                    Some(_) => {}
                    None => all.push((name.clone(), value_type)),
                }
            }
        }
        all
    }

    /// The type of a schema within others. One that contains itself has none.
    fn value_type<'a>(&'a self, at: At<'a>, within: &mut Vec<&'a Value>) -> ValueType {
        let schema = self.resolved(at, 0).schema;
        let left = self.left.get();
        if left == 0 || within.len() >= MAX_DEPTH || within.iter().any(|seen| std::ptr::eq(*seen, schema)) {
            return ValueType::Json;
        }
        self.left.set(left - 1);
        within.push(schema);
        let value_type = self.of_parts(&self.parts(at), within);
        within.pop();
        value_type
    }

    fn of_parts<'a>(&'a self, parts: &[At<'a>], within: &mut Vec<&'a Value>) -> ValueType {
        // One type or null.
        for part in parts {
            for choice in ["oneOf", "anyOf"] {
                if let Some(branches) = part.schema.get(choice).and_then(Value::as_array) {
                    return if parts.len() == 1 { self.one_of(*part, branches, within) } else { ValueType::Json };
                }
            }
        }
        let mut types: Vec<&str> = parts.iter().flat_map(types).collect();
        types.sort_unstable();
        types.dedup();
        match types.as_slice() {
            ["boolean"] => ValueType::Boolean,
            ["integer"] => ValueType::BigInt,
            ["number"] => ValueType::Double,
            ["string"] => match parts.iter().find_map(|part| part.text("format")) {
                Some("date") => ValueType::Date,
                Some("date-time") => ValueType::Timestamp { precision: 6, zone: true },
                _ => ValueType::Varchar,
            },
            ["array"] => match parts.iter().find_map(|part| Some(part.of(part.schema.get("items")?))) {
                Some(items) if items.schema.is_object() => ValueType::Array(Box::new(self.value_type(items, within))),
                _ => ValueType::Json,
            },
            ["object"] => self.object(parts, within),
            _ => ValueType::Json,
        }
    }

    fn one_of<'a>(&'a self, at: At<'a>, branches: &'a [Value], within: &mut Vec<&'a Value>) -> ValueType {
        let is_null = |branch: &&Value| branch.get("type").and_then(Value::as_str) == Some("null");
        let others: Vec<&'a Value> = branches.iter().filter(|branch| !is_null(branch)).collect();
        match others.as_slice() {
            [only] => self.value_type(at.of(only), within),
            _ => ValueType::Json,
        }
    }

    fn object<'a>(&'a self, parts: &[At<'a>], within: &mut Vec<&'a Value>) -> ValueType {
        let properties = self.properties(parts, within);
        if !properties.is_empty() {
            return ValueType::Row(properties);
        }
        match parts.iter().find_map(|part| Some(part.of(part.schema.get("additionalProperties")?))) {
            Some(values) if values.schema.is_object() => ValueType::Map(Box::new(self.value_type(values, within))),
            _ => ValueType::Json,
        }
    }
}

/// The types that a schema names, without null.
fn types<'a>(at: &At<'a>) -> Vec<&'a str> {
    match at.schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_columns() {
        let text = r##"{"$schema":"x","type":"object","required":["id"],"$defs":{"who":{"type":"object","properties":{"name":{"type":"string"}}}},
            "properties":{"id":{"type":"integer"},"price":{"type":["number","null"]},"ok":{"oneOf":[{"type":"null"},{"type":"boolean"}]},
            "day":{"type":"string","format":"date"},"at":{"type":"string","format":"date-time"},"who":{"$ref":"#/$defs/who"},
            "tags":{"type":"array","items":{"type":"string"}},"counts":{"type":"object","additionalProperties":{"type":"integer"}},
            "any":{},"both":{"type":["string","integer"]},"list":{"type":"array"},"open":{"type":"object"},"self":{"$ref":"#/properties/self"}}}"##;
        let found: Vec<String> = columns(text, &[])
            .unwrap()
            .columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.value_type))
            .collect();
        assert_eq!(
            found,
            [
                "id bigint",
                "price double",
                "ok boolean",
                "day date",
                "at timestamp with time zone",
                "who row(name varchar)",
                "tags array(varchar)",
                "counts map(varchar, bigint)",
                "any json",
                "both json",
                "list json",
                "open json",
                "self json",
            ]
        );
        assert!(columns("[", &[]).unwrap_err().contains("no JSON"));
        assert!(columns(r#"{"type":"string"}"#, &[]).unwrap_err().contains("no properties"));
    }

    #[test]
    fn schemas_refer_to_others_and_take_them_together() {
        let of = |name: &str, text: &str| Reference { name: name.to_owned(), text: text.to_owned() };
        let references = [
            of(
                "who.json",
                r##"{"$id":"https://x/who","type":"object","properties":{"name":{"type":"string"},"home":{"$ref":"#/$defs/home"}},
                "$defs":{"home":{"type":"object","properties":{"city":{"type":"string"}}}}}"##,
            ),
            of(
                "event.json",
                r#"{"type":"object","properties":{"id":{"type":"integer"},"at":{"type":"string","format":"date-time"},"x":{"type":"integer"}}}"#,
            ),
        ];
        let text = r##"{"allOf":[{"$ref":"event.json"},{"type":"object","properties":{"who":{"$ref":"who.json"},"x":{"type":"string"}}}],
            "properties":{"again":{"$ref":"https://x/who#/$defs/home"},"missing":{"$ref":"nobody.json"},
            "more":{"allOf":[{"$ref":"who.json#/$defs/home"},{"type":"object","properties":{"street":{"type":"string"}}}]},
            "text":{"allOf":[{"type":"string"},{"maxLength":3}]},"none":{"allOf":[{"type":"string"},{"type":"integer"}]},
            "self":{"allOf":[{"$ref":"#/properties/self"}]}}}"##;
        let found = columns(text, &references).unwrap().columns;
        let found: Vec<String> = found.iter().map(|column| format!("{} {}", column.name, column.value_type)).collect();
        assert_eq!(
            found,
            [
                "again row(city varchar)",
                "missing json",
                "more row(city varchar, street varchar)",
                "text varchar",
                "none json",
                "self json",
                "id bigint",
                "at timestamp with time zone",
                "x json",
                "who row(name varchar, home row(city varchar))",
            ]
        );
        // Each node has two more, sixteen times over: what contains itself is json.
        let tree = r##"{"type":"object","properties":{"left":{"$ref":"#"},"right":{"$ref":"#"},"child":{"$ref":"#/$defs/n"}},
            "$defs":{"n":{"type":"object","properties":{"a":{"$ref":"#/$defs/n"},"b":{"type":"integer"}}}}}"##;
        let found = columns(tree, &[]).unwrap().columns;
        let child = found.last().unwrap().value_type.to_string();
        assert_eq!(child, "row(a json, b bigint)");
        assert!(columns("{}", &[of("a.json", "[")]).unwrap_err().contains("the JSON Schema a.json is no JSON"));
    }
}
