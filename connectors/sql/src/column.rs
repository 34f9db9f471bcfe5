//! A column of the source, as the translator knows it.

use std::sync::Arc;

use arrow::datatypes::DataType;
use portolan_connector::Domain;

/// What has to be known of a column to translate predicates on it.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteColumn {
    /// The name, the same in the engine and in the source.
    pub name: String,
    /// Which of the connector's rules apply.
    pub domain: Domain,
    /// The type that the engine sees.
    pub arrow_type: DataType,
    /// The type of a literal that is compared with the column, as the source writes it: `int8`, `numeric`,
    /// `"my schema"."mood"`. Printed as it stands, so names in it are quoted already. `None` leaves the choice to
    /// the dialect, by the Arrow type.
    pub cast: Option<String>,
    /// For an enumeration: every value that the source's type has. The source rejects any other literal with an
    /// error where the engine merely finds no row, so a literal outside of it is refused.
    pub labels: Option<Arc<[String]>>,
    /// Whether the engine sees values beyond its range as the first or the last of the type. Only comparisons with literals
    /// between those mean the same in the source.
    pub clamped: bool,
    /// Where the value is the conversion to text of one that ends in blanks that do not count: the type of a literal that
    /// the value itself is compared with, so that an index serves. Only for equality with texts that do not end in blanks.
    pub padded: Option<String>,
    /// The collation of a column's texts, whatever the source knows it by. Two columns of the same compare under it.
    pub collation: Option<Arc<str>>,
    /// For an array of one dimension: an element of it, as if it were a column.
    pub element: Option<Arc<RemoteColumn>>,
    /// How values of the column travel, in the connector's own words. What is computed without a change of type keeps
    /// it; nobody else looks at it.
    pub encoding: Option<Arc<str>>,
    /// What messages call the type of the column, where it is a column of a table.
    pub source_type: Option<Arc<str>>,
}

impl RemoteColumn {
    /// A column whose literals are written in the dialect's own type for the Arrow type.
    pub fn new(name: impl Into<String>, domain: Domain, arrow_type: DataType) -> Self {
        Self {
            name: name.into(),
            domain,
            arrow_type,
            cast: None,
            labels: None,
            clamped: false,
            padded: None,
            collation: None,
            element: None,
            encoding: None,
            source_type: None,
        }
    }

    /// Sets the type of literals; see [`RemoteColumn::cast`].
    #[must_use]
    pub fn with_cast(mut self, cast: impl Into<String>) -> Self {
        self.cast = Some(cast.into());
        self
    }

    /// Makes it an enumeration of these values.
    #[must_use]
    pub fn with_labels(mut self, labels: impl IntoIterator<Item = String>) -> Self {
        self.labels = Some(labels.into_iter().collect());
        self
    }
}
