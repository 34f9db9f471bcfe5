//! The full name of a table.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `catalog.schema.table`, each part spelled as the source spells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    /// The catalog: the name of one configured source.
    pub catalog: String,
    /// The schema within the catalog.
    pub schema: String,
    /// The table within the schema.
    pub table: String,
}

impl TableName {
    /// Joins the three parts.
    pub fn new(catalog: impl Into<String>, schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { catalog: catalog.into(), schema: schema.into(), table: table.into() }
    }
}

/// Writes the name as SQL, quoting a part only where SQL needs it.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in [&self.catalog, &self.schema, &self.table].into_iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            if is_plain(part) {
                f.write_str(part)?;
            } else {
                write!(f, "\"{}\"", part.replace('"', "\"\""))?;
            }
        }
        Ok(())
    }
}

/// Whether an identifier survives unquoted: lower case, digits and underscores, not starting with a digit.
fn is_plain(part: &str) -> bool {
    part.chars().next().is_some_and(|first| first == '_' || first.is_ascii_lowercase())
        && part.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_only_what_needs_it() {
        assert_eq!(TableName::new("pg", "public", "customer").to_string(), "pg.public.customer");
        assert_eq!(TableName::new("pg", "My Schema", "a\"b").to_string(), "pg.\"My Schema\".\"a\"\"b\"");
        assert_eq!(TableName::new("pg", "", "1st").to_string(), "pg.\"\".\"1st\"");
    }
}
