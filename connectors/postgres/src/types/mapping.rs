//! From a column's type in PostgreSQL to its wire format, its domain, and the type of literals compared with it.

use super::numeric::{Decimal, declaration};
use super::wire::UTC;
use super::{NumericMapping, Wire, domains};
use arrow::datatypes::{DataType, TimeUnit};
use portolan_connector::Domain;

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
    /// An array of an element.
    Array(Box<PostgresType>),
    /// A composite, a range, a pseudo-type.
    Other(&'static str),
}

/// What else has a say in the mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// Of the catalog's property.
    pub(crate) numeric: NumericMapping,
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
}

impl Mapped {
    fn new(wire: Wire, domain: Domain) -> Self {
        Self { wire, domain, literal_type: None, labels: None }
    }

    fn literals(mut self, literal_type: impl Into<String>) -> Self {
        self.literal_type = Some(literal_type.into());
        self
    }
}

/// Maps a column's type; the error is the reason why the column cannot be read.
pub(crate) fn map(of: &PostgresType, circumstances: Circumstances) -> Result<Mapped, String> {
    match &of.kind {
        TypeKind::Array(element) => {
            let element = map(element, circumstances)?;
            if matches!(element.wire, Wire::List(_)) {
                return Err("an array of arrays has no type in the engine".to_owned());
            }
            Ok(Mapped::new(Wire::List(Box::new(element.wire)), domains::ARRAY))
        }
        TypeKind::Enum(labels) => {
            let literal_type = format!("{}.{}", quoted(&of.schema), quoted(&of.name));
            let mapped = Mapped::new(Wire::Text, domains::ENUM).literals(literal_type);
            Ok(Mapped { labels: Some(labels.clone()), ..mapped })
        }
        TypeKind::Other(what) => Err(format!("{what} has no type in the engine")),
        TypeKind::Base if of.name == "citext" && of.schema != "pg_catalog" => {
            Ok(Mapped::new(Wire::Text, domains::CITEXT))
        }
        TypeKind::Base if of.schema == "pg_catalog" => base(of, circumstances),
        TypeKind::Base => Err("a type that an extension defines".to_owned()),
    }
}

fn base(of: &PostgresType, circumstances: Circumstances) -> Result<Mapped, String> {
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
    Ok(match of.name.as_str() {
        "bool" => Mapped::new(Wire::Bool, domains::BOOLEAN),
        "int2" => Mapped::new(Wire::Int2, domains::INTEGER).literals("int2"),
        "int4" => Mapped::new(Wire::Int4, domains::INTEGER).literals("int4"),
        "int8" => Mapped::new(Wire::Int8, domains::INTEGER).literals("int8"),
        "float4" => Mapped::new(Wire::Float4, domains::FLOAT).literals("float4"),
        "float8" => Mapped::new(Wire::Float8, domains::FLOAT).literals("float8"),
        "numeric" => numeric(of.typmod, circumstances.numeric),
        // A literal of type name would lose what is beyond its 63rd byte.
        "text" | "varchar" | "name" => text().literals("text"),
        "bpchar" => Mapped::new(Wire::PaddedText, domains::CHAR),
        "bytea" => Mapped::new(Wire::Bytea, domains::BYTEA).literals("bytea"),
        "date" => Mapped::new(Wire::Date, domains::DATE).literals("date"),
        "time" => Mapped::new(Wire::Time, domains::TIME).literals("time"),
        "timestamp" => Mapped::new(Wire::Timestamp, domains::TIMESTAMP).literals("timestamp"),
        "timestamptz" => Mapped::new(Wire::Timestamptz, domains::TIMESTAMPTZ).literals("timestamptz"),
        "interval" => Mapped::new(Wire::Interval, domains::INTERVAL),
        "uuid" => Mapped::new(Wire::Uuid, domains::UUID).literals("uuid"),
        "json" => Mapped::new(Wire::Text, domains::JSON),
        "jsonb" => Mapped::new(Wire::Jsonb, domains::JSON),
        "money" => {
            return Err("how money reads depends on the server's lc_monetary; cast it to numeric in a view".into());
        }
        "timetz" => return Err("the engine has no time of day with a zone".to_owned()),
        _ => return Err("the engine has no such type".to_owned()),
    })
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
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if **zone == *UTC => {
            Mapped::new(Wire::Timestamptz, domains::TIMESTAMPTZ).literals("timestamptz")
        }
        _ => return None,
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
