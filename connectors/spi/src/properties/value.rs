//! Validated values of properties.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

/// One catalog of the catalog file, validated against its connector's declarations.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogEntry {
    /// The catalog's name.
    pub name: String,
    /// What the file says, secrets filled in and defaults applied.
    pub properties: Properties,
}

/// A value of a property.
#[derive(Clone, Debug)]
pub enum PropertyValue {
    /// Of a text or a choice.
    Text(String),
    /// Of a secret.
    Secret(SecretString),
    /// Of a boolean.
    Boolean(bool),
    /// Of a whole number.
    Integer(i64),
    /// Of a number.
    Number(f64),
    /// Of a list.
    List(Vec<String>),
    /// Of a map, in the file's order.
    Map(Vec<(String, String)>),
    /// Of a table.
    Section(Properties),
    /// Of a table of tables, in the file's order.
    Sections(Vec<(String, Properties)>),
}

impl PartialEq for PropertyValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(left), Self::Text(right)) => left == right,
            (Self::Secret(left), Self::Secret(right)) => left.expose_secret() == right.expose_secret(),
            (Self::Boolean(left), Self::Boolean(right)) => left == right,
            (Self::Integer(left), Self::Integer(right)) => left == right,
            (Self::Number(left), Self::Number(right)) => left == right,
            (Self::List(left), Self::List(right)) => left == right,
            (Self::Map(left), Self::Map(right)) => left == right,
            (Self::Section(left), Self::Section(right)) => left == right,
            (Self::Sections(left), Self::Sections(right)) => left == right,
            _ => false,
        }
    }
}

/// Validated properties, by name. A getter for another kind than was declared finds nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties {
    values: BTreeMap<String, PropertyValue>,
}

impl Properties {
    pub(super) fn insert(&mut self, name: &str, value: PropertyValue) {
        self.values.insert(name.to_owned(), value);
    }

    /// Whether the property is set, by the file or by its default.
    pub fn contains(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A text or a choice.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name)? {
            PropertyValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A secret.
    pub fn secret(&self, name: &str) -> Option<&SecretString> {
        match self.values.get(name)? {
            PropertyValue::Secret(secret) => Some(secret),
            _ => None,
        }
    }

    /// A boolean; false when missing.
    pub fn boolean(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(PropertyValue::Boolean(true)))
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.values.get(name)? {
            PropertyValue::Integer(integer) => Some(*integer),
            _ => None,
        }
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.values.get(name)? {
            PropertyValue::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A list; empty when missing.
    pub fn list(&self, name: &str) -> &[String] {
        match self.values.get(name) {
            Some(PropertyValue::List(list)) => list,
            _ => &[],
        }
    }

    /// A map; empty when missing.
    pub fn map(&self, name: &str) -> &[(String, String)] {
        match self.values.get(name) {
            Some(PropertyValue::Map(map)) => map,
            _ => &[],
        }
    }

    /// A table.
    pub fn section(&self, name: &str) -> Option<&Properties> {
        match self.values.get(name)? {
            PropertyValue::Section(section) => Some(section),
            _ => None,
        }
    }

    /// A table of tables; empty when missing.
    pub fn sections(&self, name: &str) -> &[(String, Properties)] {
        match self.values.get(name) {
            Some(PropertyValue::Sections(sections)) => sections,
            _ => &[],
        }
    }
}
