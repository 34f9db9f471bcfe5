//! From a column's type in PostgreSQL to its wire format, its domain, and the type of literals compared with it.

use super::numeric::{Decimal, declaration};
use super::wire::UTC;
use super::{NumericMapping, Wire, domains};
use arrow::datatypes::{DataType, TimeUnit};
use portolan_connector::Domain;

/// The digits of a `money`, which is 64 bits of the smallest unit, where that is a hundredth.
const MONEY_DIGITS: u8 = 19;
/// Those behind the point.
const MONEY_SCALE: i8 = 2;

/// A type as the system catalogs describe it, domains resolved to what they are based on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PostgresType {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) typmod: i32,
    pub(crate) kind: TypeKind,
}

/// What `pg_type` says of a type's nature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TypeKind {
    /// A base type.
    Base,
    /// An enumeration and its labels in their order.
    Enum(Vec<String>),
    /// An array of an element, and how many dimensions are declared; at least one.
    Array(Box<PostgresType>, usize),
    /// A composite, a range, a multirange: what PostgreSQL writes down and nothing else understands.
    Composed,
    /// A pseudo-type.
    Pseudo,
}

/// The most dimensions that an array has (PostgreSQL's `MAXDIM`).
const DIMENSIONS_MAX: usize = 6;

/// What else has a say in the mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// Of the catalog's property.
    pub(crate) numeric: NumericMapping,
    /// Whether dates and times out of the engine's range are read as its first or its last.
    pub(crate) clamp: bool,
    /// Whether the database stores UTF-8.
    pub(crate) utf8: bool,
    /// Whether the column's collation tells different texts apart.
    pub(crate) deterministic: bool,
}

/// A type that the engine can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapped {
    pub(crate) wire: Wire,
    pub(crate) domain: Domain,
    /// The type of a literal that is compared with the column, where the engine's type does not already say it.
    pub(crate) literal_type: Option<String>,
    /// The values of an enumeration.
    pub(crate) labels: Option<Vec<String>>,
    /// Of an array of one dimension: its elements.
    pub(crate) element: Option<Box<Mapped>>,
    /// The type that PostgreSQL converts values to wherever they are used; none where they are read as they are.
    pub(crate) conversion: Option<String>,
    /// Whether values end in blanks that the conversion leaves out.
    pub(crate) padded: bool,
}

impl Mapped {
    fn new(wire: Wire, domain: Domain) -> Self {
        Self { wire, domain, literal_type: None, labels: None, element: None, conversion: None, padded: false }
    }

    /// What PostgreSQL turns into a text.
    fn as_text(domain: Domain) -> Self {
        Self { conversion: Some("text".to_owned()), ..Self::new(Wire::Text, domain).literals("text") }
    }

    fn literals(mut self, literal_type: impl Into<String>) -> Self {
        self.literal_type = Some(literal_type.into());
        self
    }
}

/// Maps a column's type; the error is the reason why the column cannot be read.
pub(crate) fn map(of: &PostgresType, circumstances: Circumstances) -> Result<Mapped, String> {
    match &of.kind {
        TypeKind::Array(element, dimensions) => Ok(array(element, map(element, circumstances)?, *dimensions)),
        TypeKind::Enum(labels) => {
            let literal_type = format!("{}.{}", quoted(&of.schema), quoted(&of.name));
            let mapped = Mapped::new(Wire::Text, domains::ENUM).literals(literal_type);
            Ok(Mapped { labels: Some(labels.clone()), ..mapped })
        }
        TypeKind::Composed => Ok(composed(circumstances)),
        TypeKind::Pseudo => Err("a pseudo-type has no type in the engine".to_owned()),
        TypeKind::Base if of.schema == "pg_catalog" => Ok(base(of, circumstances)),
        TypeKind::Base if of.name == "citext" => Ok(Mapped::new(Wire::Text, domains::CITEXT)),
        TypeKind::Base if of.name == "hstore" => Ok(Mapped::new(Wire::Hstore, domains::HSTORE)),
        TypeKind::Base => Ok(Mapped::as_text(domains::UNKNOWN)),
    }
}

/// Lists nested as deep as the column declares dimensions. PostgreSQL converts an array element by element.
fn array(of: &PostgresType, element: Mapped, dimensions: usize) -> Mapped {
    let mut wire = element.wire.clone();
    for _ in 0..dimensions.clamp(1, DIMENSIONS_MAX) {
        wire = Wire::List(Box::new(wire));
    }
    let conversion = element.conversion.as_ref().map(|conversion| format!("{conversion}[]"));
    // PostgreSQL compares arrays of one type only, and a literal of type name would be cut off.
    let literal_type = match of.name.as_str() {
        "varchar" => Some("varchar".to_owned()),
        _ => element.literal_type.clone(),
    };
    let is_plain = dimensions == 1 && conversion.is_none() && of.name != "name";
    let element = is_plain.then(|| Box::new(Mapped { literal_type, ..element }));
    Mapped { conversion, element, ..Mapped::new(wire, domains::ARRAY) }
}

/// A type that has values of others in it, or that the engine has no values for.
fn composed(circumstances: Circumstances) -> Mapped {
    Mapped::as_text(if circumstances.utf8 { domains::AS_TEXT } else { domains::AS_TEXT_NOT_UTF8 })
}

fn base(of: &PostgresType, circumstances: Circumstances) -> Mapped {
    let text = || {
        Mapped::new(
            Wire::Text,
            match circumstances {
                Circumstances { utf8: false, .. } => domains::TEXT_NOT_UTF8,
                Circumstances { deterministic: false, .. } => domains::TEXT_NONDETERMINISTIC,
                _ => domains::TEXT,
            },
        )
    };
    let temporal = |wire: Wire, domain, literal_type: &str| match circumstances.clamp {
        true => Mapped::new(Wire::Clamped(Box::new(wire)), domains::TEMPORAL_CLAMPED).literals(literal_type),
        false => Mapped::new(wire, domain).literals(literal_type),
    };
    match of.name.as_str() {
        "bool" => Mapped::new(Wire::Bool, domains::BOOLEAN),
        "int2" => Mapped::new(Wire::Int2, domains::INTEGER).literals("int2"),
        "int4" => Mapped::new(Wire::Int4, domains::INTEGER).literals("int4"),
        "int8" => Mapped::new(Wire::Int8, domains::INTEGER).literals("int8"),
        "oid" => Mapped::new(Wire::Oid, domains::OID).literals("oid"),
        "float4" => Mapped::new(Wire::Float4, domains::FLOAT).literals("float4"),
        "float8" => Mapped::new(Wire::Float8, domains::FLOAT).literals("float8"),
        "numeric" => numeric(of.typmod, circumstances.numeric),
        "money" => {
            let wire = Wire::Decimal { precision: MONEY_DIGITS, scale: MONEY_SCALE };
            Mapped { conversion: Some("numeric".to_owned()), ..Mapped::new(wire, domains::MONEY).literals("numeric") }
        }
        "text" | "varchar" => text().literals("text"),
        // Its own type: with a text PostgreSQL makes a name of both, and loses what is beyond the 63rd byte.
        "name" => text().literals("name"),
        "bpchar" => Mapped { conversion: Some("text".to_owned()), padded: true, ..text().literals("text") },
        "bytea" => Mapped::new(Wire::Bytea, domains::BYTEA).literals("bytea"),
        "date" => temporal(Wire::Date, domains::DATE, "date"),
        "time" => temporal(Wire::Time, domains::TIME, "time"),
        "timestamp" => temporal(Wire::Timestamp, domains::TIMESTAMP, "timestamp"),
        "timestamptz" => temporal(Wire::Timestamptz, domains::TIMESTAMPTZ, "timestamptz"),
        "interval" => Mapped::new(Wire::Interval, domains::INTERVAL),
        "uuid" => Mapped::new(Wire::Uuid, domains::UUID).literals("uuid"),
        "inet" => Mapped::new(Wire::Inet, domains::INET).literals("inet"),
        "cidr" => Mapped::new(Wire::Inet, domains::INET).literals("cidr"),
        "json" => Mapped::new(Wire::Text, domains::JSON),
        "jsonb" => Mapped::new(Wire::Jsonb, domains::JSON),
        _ => composed(circumstances),
    }
}

fn numeric(typmod: i32, mapping: NumericMapping) -> Mapped {
    let declared = declaration(typmod).and_then(|(precision, scale)| Decimal::of_declaration(precision, scale));
    let (wire, domain) = match (declared, mapping) {
        (Some(decimal), _) => (decimal.wire(), domains::NUMERIC),
        (None, NumericMapping::Decimal(decimal)) => (decimal.wire(), domains::NUMERIC_UNDECLARED),
        (None, NumericMapping::Varchar) => return Mapped::new(Wire::NumericText, domains::NUMERIC_CONVERTED),
        (None, NumericMapping::Double) => return Mapped::new(Wire::NumericDouble, domains::NUMERIC_CONVERTED),
    };
    Mapped::new(wire, domain).literals("numeric")
}

/// What PostgreSQL computes of an Arrow type; `None` where it computes nothing that the engine could read back.
pub(crate) fn computed(data_type: &DataType) -> Option<Mapped> {
    Some(match data_type {
        DataType::Boolean => Mapped::new(Wire::Bool, domains::BOOLEAN),
        DataType::Int16 => Mapped::new(Wire::Int2, domains::INTEGER).literals("int2"),
        DataType::Int32 => Mapped::new(Wire::Int4, domains::INTEGER).literals("int4"),
        DataType::Int64 => Mapped::new(Wire::Int8, domains::INTEGER).literals("int8"),
        DataType::Float32 => Mapped::new(Wire::Float4, domains::FLOAT).literals("float4"),
        DataType::Float64 => Mapped::new(Wire::Float8, domains::FLOAT).literals("float8"),
        DataType::Decimal128(precision, scale) => {
            Mapped::new(Wire::Decimal { precision: *precision, scale: *scale }, domains::NUMERIC).literals("numeric")
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            Mapped::new(Wire::Text, domains::TEXT).literals("text")
        }
        DataType::Binary => Mapped::new(Wire::Bytea, domains::BYTEA).literals("bytea"),
        DataType::Date32 => Mapped::new(Wire::Date, domains::DATE).literals("date"),
        DataType::Time64(TimeUnit::Microsecond) => Mapped::new(Wire::Time, domains::TIME).literals("time"),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            Mapped::new(Wire::Timestamp, domains::TIMESTAMP).literals("timestamp")
        }
        DataType::Timestamp(TimeUnit::Nanosecond, None) => {
            Mapped::new(Wire::TimestampNanos, domains::TIMESTAMP).literals("timestamp")
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if **zone == *UTC => {
            Mapped::new(Wire::Timestamptz, domains::TIMESTAMPTZ).literals("timestamptz")
        }
        _ => return None,
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
