//! What a split carries to whoever reads it: a statement, and how to decode its rows. Never credentials.

use portolan_connector::{ConnectorError, Result, Split};
use serde::{Deserialize, Serialize};

use crate::metadata::Version;
use crate::types::Wire;

/// One `COPY` in one snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CopySplit {
    /// For messages.
    pub(crate) schema: String,
    /// For messages.
    pub(crate) table: String,
    /// The query whose rows are copied.
    pub(crate) sql: String,
    /// Where the query is one of several for parts of a table.
    pub(crate) part: Option<Part>,
    /// The exported snapshot to see them in; none where the server lets nobody else see it.
    pub(crate) snapshot: Option<String>,
    /// Which of this process's queries holds it.
    pub(crate) moment: u64,
    /// The tables as they were when the query was planned.
    pub(crate) versions: Vec<Version>,
    /// The columns of the result.
    pub(crate) columns: Vec<CopyColumn>,
}

/// A part of a table's blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// The first of all parts is 0.
    pub(crate) number: usize,
    /// The query for the whole table.
    pub(crate) whole: String,
}

/// A column of the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CopyColumn {
    pub(crate) name: String,
    /// PostgreSQL's name of the type.
    pub(crate) source_type: String,
    pub(crate) wire: Wire,
    /// What a condition on the column has to know; none where there is no rule for one.
    pub(crate) key: Option<Key>,
}

/// A column of the result as one that a condition speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    /// What the query calls the column.
    pub(crate) name: String,
    /// The kind of column whose rules apply.
    pub(crate) domain: String,
    /// The type of literals.
    pub(crate) literal_type: Option<String>,
    /// The values of an enumeration.
    pub(crate) labels: Option<Vec<String>>,
}

impl CopySplit {
    /// Writes the split down.
    pub(crate) fn write(&self, rows: Option<u64>) -> Result<Split> {
        let payload = serde_json::to_value(self)
            .map_err(|error| ConnectorError::internal("cannot write a split down").said(error))?;
        let part = self.part.as_ref().map(|part| format!(", part {}", part.number)).unwrap_or_default();
        Ok(Split { payload, label: format!("{}.{}{part}", self.schema, self.table), rows })
    }

    /// Reads it back.
    pub(crate) fn read(split: &Split) -> Result<Self> {
        Self::deserialize(&split.payload)
            .map_err(|error| ConnectorError::internal("cannot read a split of this catalog").said(error))
    }

    /// The statements of the whole read, each with an answer of its own. The first asks, outside of the snapshot, whether
    /// the tables are still what they were. The transaction ends with the last, so that the session is free afterwards; it is
    /// rolled back, and with it what a function of a view or of a native query has set in the session.
    pub(crate) fn statements(&self, opening: &str) -> Vec<String> {
        let Self { sql, snapshot, versions, .. } = self;
        let snapshot = snapshot.as_deref().unwrap_or_default().replace('\'', "''");
        vec![
            versions.iter().map(Version::question).collect::<Vec<_>>().join("; "),
            format!("{opening}; SET TRANSACTION SNAPSHOT '{snapshot}'"),
            format!("COPY ({sql}) TO STDOUT (FORMAT binary)"),
            "ROLLBACK".to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_survives_being_written_down() {
        let split = CopySplit {
            schema: "public".to_owned(),
            table: "t".to_owned(),
            sql: "SELECT \"a\" FROM \"public\".\"t\"".to_owned(),
            part: Some(Part { number: 1, whole: "SELECT".to_owned() }),
            snapshot: Some("00000003-0000001B-1".to_owned()),
            moment: 7,
            versions: Vec::new(),
            columns: vec![CopyColumn {
                name: "a".to_owned(),
                source_type: "numeric(12,2)[]".to_owned(),
                wire: Wire::List(Box::new(Wire::Decimal { precision: 12, scale: 2 })),
                key: None,
            }],
        };
        let text = serde_json::to_string(&split.write(Some(7)).unwrap()).unwrap();
        assert_eq!(CopySplit::read(&serde_json::from_str(&text).unwrap()).unwrap(), split);
    }
}
