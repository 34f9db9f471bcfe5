//! The columns of a JSON Schema: the properties of its object. What it leaves open is `json`, the text of the value.

use serde_json::Value;

use super::SchemaColumns;
use crate::layout::MessageColumn;
use crate::types::ValueType;

/// The deepest nesting that is looked into; what is below is `json`.
const MAX_DEPTH: usize = 16;

/// The columns of a schema.
pub(crate) fn columns(text: &str) -> Result<SchemaColumns, String> {
    let root: Value = serde_json::from_str(text).map_err(|error| format!("the JSON Schema is no JSON: {error}"))?;
    let schema = resolved(&root, &root, 0);
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Err("the JSON Schema has no properties".to_owned());
    };
    let columns =
        properties.iter().map(|(name, schema)| MessageColumn::new(name, value_type(schema, &root, 1))).collect();
    Ok(SchemaColumns { columns, unsupported: Vec::new() })
}

/// The schema that a `$ref` within the document stands for.
fn resolved<'a>(schema: &'a Value, root: &'a Value, depth: usize) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    match reference.and_then(|pointer| root.pointer(pointer)) {
        Some(found) if depth < MAX_DEPTH => resolved(found, root, depth + 1),
        _ => schema,
    }
}

fn value_type(schema: &Value, root: &Value, depth: usize) -> ValueType {
    if depth > MAX_DEPTH {
        return ValueType::Json;
    }
    let schema = resolved(schema, root, depth);
    // One type or null.
    for choice in ["oneOf", "anyOf"] {
        if let Some(branches) = schema.get(choice).and_then(Value::as_array) {
            let is_null = |branch: &&Value| branch.get("type").and_then(Value::as_str) == Some("null");
            let others: Vec<&Value> = branches.iter().filter(|branch| !is_null(branch)).collect();
            return match others.as_slice() {
                [only] => value_type(only, root, depth + 1),
                _ => ValueType::Json,
            };
        }
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        _ => Vec::new(),
    };
    match types.as_slice() {
        ["boolean"] => ValueType::Boolean,
        ["integer"] => ValueType::BigInt,
        ["number"] => ValueType::Double,
        ["string"] => match schema.get("format").and_then(Value::as_str) {
            Some("date") => ValueType::Date,
            Some("date-time") => ValueType::Timestamp { precision: 6, zone: true },
            _ => ValueType::Varchar,
        },
        ["array"] => match schema.get("items") {
            Some(items @ Value::Object(_)) => ValueType::Array(Box::new(value_type(items, root, depth + 1))),
            _ => ValueType::Json,
        },
        ["object"] => object(schema, root, depth),
        _ => ValueType::Json,
    }
}

fn object(schema: &Value, root: &Value, depth: usize) -> ValueType {
    let properties = schema.get("properties").and_then(Value::as_object).filter(|properties| !properties.is_empty());
    match (properties, schema.get("additionalProperties")) {
        (Some(properties), _) => {
            let fields = properties.iter().map(|(name, field)| (name.clone(), value_type(field, root, depth + 1)));
            ValueType::Row(fields.collect())
        }
        (None, Some(values @ Value::Object(_))) => ValueType::Map(Box::new(value_type(values, root, depth + 1))),
        _ => ValueType::Json,
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
        let found: Vec<String> = columns(text)
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
        assert!(columns("[").unwrap_err().contains("no JSON"));
        assert!(columns(r#"{"type":"string"}"#).unwrap_err().contains("no properties"));
    }
}
