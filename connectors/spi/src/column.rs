//! The columns of a table, as the source has them and as the engine sees them.

use arrow::datatypes::FieldRef;

use crate::Domain;

/// A column that queries can name.
#[derive(Clone, Debug)]
pub struct Column {
    /// Name, Arrow type and nullability as the engine sees them.
    pub field: FieldRef,
    /// The source's own name of the type, such as `numeric(12,2)` or `character varying(25)`.
    pub source_type: String,
    /// Which rules apply to the column; see [`crate::Rule::domain`].
    pub domain: Domain,
    /// The source's comment on the column.
    pub comment: Option<String>,
    /// `Some` for a column that `SELECT *` leaves out and that exists only when it is named.
    pub hidden: Option<HiddenColumn>,
}

impl Column {
    /// A visible column without a comment.
    pub fn new(field: FieldRef, source_type: impl Into<String>, domain: Domain) -> Self {
        Self { field, source_type: source_type.into(), domain, comment: None, hidden: None }
    }

    /// Makes the column a hidden one, with a line of help for the documentation.
    #[must_use]
    pub fn hidden(mut self, help: &'static str) -> Self {
        self.hidden = Some(HiddenColumn { help, takes_values: false });
        self
    }

    /// Lets statements that name the hidden column give it values.
    #[must_use]
    pub fn taking_values(mut self) -> Self {
        if let Some(hidden) = &mut self.hidden {
            hidden.takes_values = true;
        }
        self
    }

    /// Whether statements can give it values, if its table can be written at all.
    pub fn takes_values(&self) -> bool {
        self.hidden.is_none_or(|hidden| hidden.takes_values)
    }

    /// The column's name.
    pub fn name(&self) -> &str {
        self.field.name()
    }
}

/// What is known of a hidden column beside its type.
#[derive(Clone, Copy, Debug)]
pub struct HiddenColumn {
    /// What the column holds, in one line.
    pub help: &'static str,
    /// Whether `INSERT INTO table (column)` may name it.
    pub takes_values: bool,
}

/// A column of the source that the engine cannot read. It is left out, and DESCRIBE says why.
#[derive(Clone, Debug)]
pub struct UnsupportedColumn {
    /// The column's name.
    pub name: String,
    /// The source's own name of the type.
    pub source_type: String,
    /// Why it cannot be read.
    pub reason: String,
}
