//! The properties of a catalog entry: declared once, from which validation, messages and documentation come.

mod parse;
mod quantity;
mod spec;
mod value;

pub use parse::{PropertyError, Secrets, nearest, parse};
pub use quantity::{parse_bytes, parse_duration};
pub use spec::{PropertyKind, PropertySpec};
pub use value::{CatalogEntry, Properties, PropertyValue};
