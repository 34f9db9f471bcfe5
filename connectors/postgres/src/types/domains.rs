//! The kinds of columns that rules speak of.

use portolan_connector::Domain;

/// `boolean`
pub(crate) const BOOLEAN: Domain = Domain("boolean");
/// `smallint`, `integer`, `bigint`
pub(crate) const INTEGER: Domain = Domain("integer");
/// `real`, `double precision`
pub(crate) const FLOAT: Domain = Domain("float");
/// `numeric`, as a decimal
pub(crate) const NUMERIC: Domain = Domain("numeric");
/// `numeric` without a declared precision, as the decimal that the catalog says
pub(crate) const NUMERIC_UNDECLARED: Domain = Domain("numeric (no declared precision)");
/// `numeric` that the engine sees as text or as a float, by the catalog's property
pub(crate) const NUMERIC_CONVERTED: Domain = Domain("numeric as varchar or double");
/// `text`, `varchar`, `name`, and `char(n)` without the blanks at its end, under a deterministic collation
pub(crate) const TEXT: Domain = Domain("text");
/// The same under a collation by which different texts can be equal
pub(crate) const TEXT_NONDETERMINISTIC: Domain = Domain("text (nondeterministic collation)");
/// The same in a database that does not store UTF-8
pub(crate) const TEXT_NOT_UTF8: Domain = Domain("text (database not in UTF8)");
/// The extension's text without case
pub(crate) const CITEXT: Domain = Domain("citext");
/// `bytea`
pub(crate) const BYTEA: Domain = Domain("bytea");
/// `date`
pub(crate) const DATE: Domain = Domain("date");
/// `time`
pub(crate) const TIME: Domain = Domain("time");
/// `timestamp`
pub(crate) const TIMESTAMP: Domain = Domain("timestamp");
/// `timestamptz`
pub(crate) const TIMESTAMPTZ: Domain = Domain("timestamptz");
/// `interval`
pub(crate) const INTERVAL: Domain = Domain("interval");
/// `uuid`
pub(crate) const UUID: Domain = Domain("uuid");
/// `json`, `jsonb`
pub(crate) const JSON: Domain = Domain("json");
/// An enumeration
pub(crate) const ENUM: Domain = Domain("enum");
/// An array of any of these
pub(crate) const ARRAY: Domain = Domain("array");
/// `date`, `time`, `timestamp` and `timestamptz` in a catalog that reads those out of range as the first or the last
pub(crate) const TEMPORAL_CLAMPED: Domain = Domain("date or time (clamped)");
/// `oid`
pub(crate) const OID: Domain = Domain("oid");
/// `money`, as a decimal
pub(crate) const MONEY: Domain = Domain("money");
/// `inet`, `cidr`
pub(crate) const INET: Domain = Domain("inet");
/// `hstore`, as a map
pub(crate) const HSTORE: Domain = Domain("hstore");
/// A type of PostgreSQL's own, a range or a composite type that the engine reads as text
pub(crate) const AS_TEXT: Domain = Domain("another type, as text");
/// The same in a database that does not store UTF-8
pub(crate) const AS_TEXT_NOT_UTF8: Domain = Domain("another type, as text (database not in UTF8)");
/// A base type that PostgreSQL does not bring itself
pub(crate) const UNKNOWN: Domain = Domain("type of an extension, as text");
