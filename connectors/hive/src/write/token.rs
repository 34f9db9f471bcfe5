//! What makes a statement that is tried again write once: digests of its token and of its text, in the record of its write
//! and in a file of the log.

use portolan_connector::{ConnectorError, Result, WriteToken};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::log::Log;
use super::record::{Record, Token};
use super::view::{busy, records};

/// How often a log is read again that changes while it is read.
const ATTEMPTS_MAX: usize = 10;

/// What a write with a token wrote.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) statement: String,
    pub(super) rows: u64,
}

impl Token {
    pub(super) fn of(token: &WriteToken) -> Self {
        Self { token: hex(&token.token), statement: hex(&token.statement) }
    }

    /// The rows of the write that had the token, if it was the same statement.
    pub(super) fn settled(&self, statement: &str, rows: u64) -> Result<u64> {
        match self.statement == statement {
            true => Ok(rows),
            false => Err(ConnectorError::user("write_token was used for another statement on this table")
                .hint("choose another token for each write")),
        }
    }

    /// The rows that the record's write wrote, where it had the token.
    pub(super) fn in_record(&self, record: &Record) -> Option<Result<u64>> {
        let known = record.token.as_ref().filter(|known| known.token == self.token)?;
        Some(self.settled(&known.statement, record.rows))
    }

    /// The rows of the write that was committed with the token before.
    pub(super) async fn committed(&self, log: &Log) -> Result<Option<u64>> {
        for _ in 0..ATTEMPTS_MAX {
            // The log first: a record that goes while it is looked for has left its outcome.
            let entries = log.list().await?;
            let found = records(log, &entries.pending()).await?;
            if let Some(outcome) = log.get::<Outcome>(&log.token_path(&self.token)?).await? {
                return self.settled(&outcome.statement, outcome.rows).map(Some);
            }
            let Some(found) = found else { continue };
            return found.iter().find_map(|record| self.in_record(record)).transpose();
        }
        Err(busy(log))
    }
}

fn hex(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
