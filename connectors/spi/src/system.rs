//! Tables that tell of a source itself, such as who reads it: what each catalog of a connector has in its schema `system`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

use crate::{Column, Domain};

/// The schema of such tables. Sources may have one of this name, too: only what is declared is meant.
pub const SYSTEM_SCHEMA: &str = "system";

/// The time zone of the instants in system tables.
const UTC: &str = "UTC";

/// A table that each catalog of a connector has, as the connector declares it. Its reference comes from this, and the table
/// `system.connector.name`, which has the rows of all catalogs of the connector.
///
/// [`crate::Connector::table`] finds it in [`SYSTEM_SCHEMA`], with these columns, and asks nothing of the source for that: a source
/// that cannot be reached does not hinder queries that leave it out.
#[derive(Clone, Copy, Debug)]
pub struct SystemTableSpec {
    /// Its name, in lower case.
    pub name: &'static str,
    /// What its rows are.
    pub help: &'static str,
    /// Its columns.
    pub columns: &'static [SystemColumn],
}

/// A column of a system table.
#[derive(Clone, Copy, Debug)]
pub struct SystemColumn {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Its type.
    pub kind: SystemKind,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// What it holds, in one line.
    pub help: &'static str,
}

impl SystemColumn {
    /// A column that is never NULL.
    pub const fn new(name: &'static str, kind: SystemKind, help: &'static str) -> Self {
        Self { name, kind, nullable: false, help }
    }

    /// Lets the column be NULL.
    #[must_use]
    pub const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// The column of a table.
    pub fn column(&self, domain: Domain) -> Column {
        let field = Field::new(self.name, self.kind.data_type(), self.nullable);
        let mut column = Column::new(Arc::new(field), self.kind.sql(), domain);
        column.comment = Some(self.help.to_owned());
        column
    }
}

/// The types that system tables have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemKind {
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// A moment in time.
    Instant,
}

impl SystemKind {
    /// The type as the engine sees it.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Number => DataType::Int64,
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        }
    }

    /// The type as SQL calls it.
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Text => "varchar",
            Self::Number => "bigint",
            Self::Instant => "timestamp with time zone",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_what_was_declared() {
        let made = SystemColumn::new("lag", SystemKind::Number, "how far").nullable().column(Domain("listed"));
        assert_eq!(*made.field, Field::new("lag", DataType::Int64, true));
        assert_eq!((made.source_type.as_str(), made.comment.as_deref()), ("bigint", Some("how far")));
        assert!(!SystemColumn::new("at", SystemKind::Instant, "when").column(Domain("listed")).field.is_nullable());
    }
}
