//! Session options: the messages of Flight.proto that the flight library does not have, and what they do here.
//!
//! Options are `catalog`, `schema` and the session's settings.

use std::collections::HashMap;

use prost::Message;

use crate::session::{Session, setting_specs};

/// The option for the catalog in which names are looked up.
const CATALOG: &str = "catalog";

/// The option for the schema in which names are looked up.
const SCHEMA: &str = "schema";

/// `SessionOptionValue`: a value, or none, which takes the option back.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OptionValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Boolean(bool),
    #[prost(sfixed64, tag = "3")]
    Integer(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Texts(Texts),
}

/// `SessionOptionValue.StringListValue`.
#[derive(Clone, PartialEq, Message)]
struct Texts {
    #[prost(string, repeated, tag = "1")]
    values: Vec<String>,
}

/// `SetSessionOptionsRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SetRequest {
    #[prost(map = "string, message", tag = "1")]
    options: HashMap<String, OptionValue>,
}

/// `SetSessionOptionsResult`: the options that were not set.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SetResult {
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, OptionError>,
}

/// `SetSessionOptionsResult.Error`.
#[derive(Clone, PartialEq, Message)]
struct OptionError {
    #[prost(enumeration = "Why", tag = "1")]
    value: i32,
}

/// `SetSessionOptionsResult.ErrorValue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum Why {
    Unspecified = 0,
    InvalidName = 1,
    InvalidValue = 2,
    Error = 3,
}

/// `GetSessionOptionsResult`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct GetResult {
    #[prost(map = "string, message", tag = "1")]
    options: HashMap<String, OptionValue>,
}

/// `CloseSessionResult`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CloseResult {
    #[prost(enumeration = "CloseStatus", tag = "1")]
    status: i32,
}

/// `CloseSessionResult.Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum CloseStatus {
    Unspecified = 0,
    Closed = 1,
    Closing = 2,
    NotCloseable = 3,
}

impl CloseResult {
    /// The session is closed.
    pub(super) fn closed() -> Self {
        Self { status: CloseStatus::Closed.into() }
    }
}

/// Sets options, each for itself. The catalog comes first, since the schema is looked up in it.
pub(super) async fn set(session: &Session, request: SetRequest) -> SetResult {
    let mut options: Vec<(String, OptionValue)> = request.options.into_iter().collect();
    options.sort_by_key(|(name, _)| match name.as_str() {
        CATALOG => 0,
        SCHEMA => 1,
        _ => 2,
    });
    let mut errors = HashMap::new();
    for (name, value) in options {
        if let Err(why) = set_one(session, &name, value).await {
            errors.insert(name, OptionError { value: why.into() });
        }
    }
    SetResult { errors }
}

async fn set_one(session: &Session, name: &str, value: OptionValue) -> Result<(), Why> {
    let text = match value.value {
        None => None,
        Some(Value::Text(text)) => Some(text),
        Some(Value::Boolean(value)) => Some(value.to_string()),
        Some(Value::Integer(value)) => Some(value.to_string()),
        Some(Value::Double(value)) => Some(value.to_string()),
        Some(Value::Texts(_)) => return Err(Why::InvalidValue),
    };
    let done = match (name, text) {
        (CATALOG, text) => session.choose_catalog(text.as_deref()),
        (SCHEMA, text) => session.choose_schema(text.as_deref()).await,
        _ if !setting_specs().iter().any(|spec| spec.name.eq_ignore_ascii_case(name)) => return Err(Why::InvalidName),
        (_, Some(text)) => session.change_settings(|settings| settings.set(name, &text)),
        (_, None) => session.change_settings(|settings| settings.reset(name)),
    };
    done.map_err(|error| {
        tracing::debug!(option = name, %error, "a session option was not set");
        Why::InvalidValue
    })
}

/// All options that have a value.
pub(super) fn get(session: &Session) -> GetResult {
    let (catalog, schema) = session.current();
    let settings = session.settings();
    let places = [(CATALOG, catalog), (SCHEMA, schema)].into_iter().filter_map(|(name, value)| Some((name, value?)));
    let values = setting_specs().iter().filter_map(|spec| {
        let value = settings.get(spec.name).ok().filter(|value| !value.is_empty())?;
        Some((spec.name, value.to_owned()))
    });
    let option = |(name, value): (&str, String)| (name.to_owned(), OptionValue { value: Some(Value::Text(value)) });
    GetResult { options: places.chain(values).map(option).collect() }
}
