//! What one write does to a table, as it is kept in the table's log.

use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::registry::Registration;
use crate::metastore::ColumnSummary;

/// The version of records that we write. A later one is not understood.
pub(super) const VERSION: u32 = 1;

/// One write. The record is there, or the write never was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(super) version: u32,
    /// The name of the write, which the names of its files begin with.
    pub(super) write: String,
    /// When it was committed, in milliseconds since 1970, by the clock of the writer.
    pub(super) at_ms: i64,
    pub(super) rows: u64,
    /// Digests of the token that the client gave, and of the statement.
    pub(super) token: Option<Token>,
    pub(super) change: Change,
    /// The table's definition from now on.
    pub(super) definition: Option<Definition>,
    /// How a table that is made is registered in the metastore, where there is one.
    pub(super) registration: Option<Registration>,
    pub(super) added: Vec<Added>,
    /// Files that are no longer the table's, relative to its directory.
    pub(super) removed: Vec<String>,
    /// Partitions of the table before, by which the metastore knew them, where another takes its place.
    #[serde(default)]
    pub(super) replaced_partitions: Vec<String>,
    /// What the rows of each partition are in each column, for the metastore.
    #[serde(default)]
    pub(super) summaries: Vec<Summary>,
}

/// What a write has put into a partition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Summary {
    /// The directory, relative to the table's; empty for the table's own.
    pub(super) directory: String,
    pub(super) columns: Vec<ColumnSummary>,
}

/// Digests in hexadecimal digits.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) token: String,
    pub(super) statement: String,
}

/// What becomes of the table.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// It is made.
    Create,
    /// Another takes its place: nothing of what was there before is the table's.
    Replace,
    /// Files are added, and perhaps removed.
    Rows,
    /// It is removed with all its files.
    Drop,
}

/// A file that belongs to the table from now on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Added {
    /// The directory, relative to the table's; empty for the table's own.
    pub(super) directory: String,
    /// Which of the write's files it is.
    pub(super) number: u32,
    pub(super) bytes: u64,
    pub(super) rows: u64,
    /// Its size before compression, for statistics.
    pub(super) raw_bytes: u64,
}

impl Record {
    /// The name of a file of the write.
    pub(super) fn file_name(&self, number: u32) -> String {
        file_name(&self.write, number)
    }

    /// Whether what was in the table's directory before is the table's no longer.
    pub(super) fn clears(&self) -> bool {
        matches!(self.change, Change::Replace | Change::Drop)
    }
}

/// The name of a file of a write, in the place that it has in the end.
pub(super) fn file_name(write: &str, number: u32) -> String {
    format!("{write}-{number:05}.parquet")
}

/// The write, and the number within it, of a file of ours.
pub(crate) fn parse_file_name(name: &str) -> Option<(&str, u32)> {
    let (write, number) = name.strip_suffix(".parquet")?.rsplit_once('-')?;
    let is_ours = write.starts_with(WRITE_PREFIX) && number.len() >= 5;
    is_ours.then(|| number.parse().ok().map(|number| (write, number))).flatten()
}

/// What the names of writes begin with.
const WRITE_PREFIX: &str = "portolan-";

/// A name that no other write has: when it began, and two random numbers.
pub(super) fn new_write() -> String {
    use std::hash::{BuildHasher, RandomState};
    // Each state is keyed anew from the system's randomness.
    let random = RandomState::new().hash_one(std::process::id());
    let millis = chrono::Utc::now().timestamp_millis();
    format!("{WRITE_PREFIX}{millis:012x}-{random:016x}{:08x}", RandomState::new().hash_one(millis) as u32)
}

/// When a write began, as its name says, in milliseconds since 1970.
pub(super) fn began_ms(write: &str) -> Option<i64> {
    i64::from_str_radix(write.strip_prefix(WRITE_PREFIX)?.split('-').next()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_writes_and_of_their_files() {
        let write = new_write();
        assert_ne!(write, new_write());
        let age = chrono::Utc::now().timestamp_millis() - began_ms(&write).unwrap();
        assert!((0..60_000).contains(&age), "{age}");
        let name = file_name(&write, 7);
        assert_eq!(parse_file_name(&name), Some((write.as_str(), 7)));
        for other in ["part-00000.parquet", "000000_0", "portolan-x-1.parquet", "portolan-a-00001.csv"] {
            assert_eq!(parse_file_name(other), None, "{other}");
        }
    }
}
