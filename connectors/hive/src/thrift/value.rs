//! Values of Thrift's types.

use bytes::Bytes;

/// A value. Numbers of all widths keep their width, since the wire says it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `bool`
    Bool(bool),
    /// `byte`
    Byte(i8),
    /// `i16`
    I16(i16),
    /// `i32`
    I32(i32),
    /// `i64`
    I64(i64),
    /// `double`
    Double(f64),
    /// `string` and `binary`, which the wire does not tell apart.
    Bytes(Bytes),
    /// A struct, a union or an exception.
    Struct(Struct),
    /// `list` and `set`.
    List(Vec<Value>),
    /// `map`
    Map(Vec<(Value, Value)>),
}

/// The fields of a struct, by number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Struct {
    pub(crate) fields: Vec<(i16, Value)>,
}

impl Struct {
    /// A struct without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// The struct with one more field.
    #[must_use]
    pub fn with(mut self, id: i16, value: impl Into<Value>) -> Self {
        self.fields.push((id, value.into()));
        self
    }

    /// The struct with a field that takes the place of the one it has of this number.
    #[must_use]
    pub fn replaced(mut self, id: i16, value: impl Into<Value>) -> Self {
        self.fields.retain(|(known, _)| *known != id);
        self.with(id, value)
    }

    /// The fields that are set, with their numbers.
    pub fn fields(&self) -> impl Iterator<Item = (i16, &Value)> {
        self.fields.iter().map(|(id, value)| (*id, value))
    }

    /// A field; `None` when it is not set.
    pub fn get(&self, id: i16) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| *known == id).map(|(_, value)| value)
    }

    /// A field that is text. What is no UTF-8 in it is replaced.
    pub fn text(&self, id: i16) -> Option<String> {
        self.get(id)?.to_text()
    }

    /// A field that is a whole number of any width.
    pub fn integer(&self, id: i16) -> Option<i64> {
        match self.get(id)? {
            Value::Byte(number) => Some(i64::from(*number)),
            Value::I16(number) => Some(i64::from(*number)),
            Value::I32(number) => Some(i64::from(*number)),
            Value::I64(number) => Some(*number),
            _ => None,
        }
    }

    /// A field that is a floating-point number.
    pub fn double(&self, id: i16) -> Option<f64> {
        match self.get(id)? {
            Value::Double(number) => Some(*number),
            _ => None,
        }
    }

    /// A field that is a sequence of bytes.
    pub fn bytes(&self, id: i16) -> Option<&Bytes> {
        match self.get(id)? {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A field that is a struct.
    pub fn structure(&self, id: i16) -> Option<&Struct> {
        match self.get(id)? {
            Value::Struct(fields) => Some(fields),
            _ => None,
        }
    }

    /// The elements of a field that is a list; none when it is not set.
    pub fn list(&self, id: i16) -> &[Value] {
        match self.get(id) {
            Some(Value::List(values)) => values,
            _ => &[],
        }
    }

    /// The structs in a field that is a list.
    pub fn structures(&self, id: i16) -> impl Iterator<Item = &Struct> {
        self.list(id).iter().filter_map(|value| match value {
            Value::Struct(fields) => Some(fields),
            _ => None,
        })
    }

    /// The texts in a field that is a list.
    pub fn texts(&self, id: i16) -> impl Iterator<Item = String> {
        self.list(id).iter().filter_map(Value::to_text)
    }

    /// The entries of a field that is a map from text to text.
    pub fn text_map(&self, id: i16) -> impl Iterator<Item = (String, String)> {
        let entries: &[(Value, Value)] = match self.get(id) {
            Some(Value::Map(entries)) => entries,
            _ => &[],
        };
        entries.iter().filter_map(|(key, value)| Some((key.to_text()?, value.to_text()?)))
    }
}

impl Value {
    pub(crate) fn to_text(&self) -> Option<String> {
        match self {
            Self::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i16> for Value {
    fn from(value: i16) -> Self {
        Self::I16(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::I32(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::I64(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Bytes(Bytes::copy_from_slice(value.as_bytes()))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Bytes(Bytes::from(value))
    }
}

impl From<Struct> for Value {
    fn from(value: Struct) -> Self {
        Self::Struct(value)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}
