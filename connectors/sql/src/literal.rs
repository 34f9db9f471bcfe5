//! Values that a source can be sent. A dialect makes them from the engine's values and refuses what it cannot say
//! exactly, so that printing one cannot fail.

/// A value together with the type that it has in the source.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteLiteral {
    /// The value.
    pub value: RemoteValue,
    /// The type's name as the source writes it, quoted where it needs to be.
    pub type_name: String,
}

/// A value in the terms of a source.
#[derive(Clone, Debug, PartialEq)]
pub enum RemoteValue {
    /// NULL. Typed all the same.
    Null,
    /// A truth value.
    Boolean(bool),
    /// A whole number.
    Integer(i128),
    /// A floating-point number of 4 bytes.
    Float32(f32),
    /// A floating-point number of 8 bytes.
    Float64(f64),
    /// A decimal number: an optional `-`, digits, and optionally a point and digits.
    Decimal(String),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A UUID, most significant byte first.
    Uuid([u8; 16]),
    /// A day, in days since 1970-01-01 in the proleptic Gregorian calendar.
    Date(i32),
    /// A time of day, in microseconds since midnight.
    Time(i64),
    /// A date and time without a zone, in microseconds since 1970-01-01 00:00:00.
    Timestamp(i64),
    /// A point in time, in microseconds since 1970-01-01 00:00:00 UTC.
    Instant(i64),
}
