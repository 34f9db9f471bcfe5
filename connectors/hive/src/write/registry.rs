//! What a metastore is told of a table that is written.

use portolan_connector::Result;
use serde::{Deserialize, Serialize};

use super::commit::Goal;
use super::log::Log;
use super::record::Record;

/// How a new table is to be registered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Registration {
    /// Where it is, as the metastore writes it.
    pub(super) location: String,
    /// Whether its files outlive it.
    pub(super) external: bool,
}

/// A table of a metastore.
#[derive(Clone, Debug)]
pub(super) enum Registry {}

impl Registry {
    pub(super) fn registration(&self) -> Registration {
        match *self {}
    }
    pub(super) async fn announce(&self, _log: &Log, _goal: Goal) -> Result<()> {
        match *self {}
    }
    pub(super) async fn define(&self, _log: &Log, _record: &Record) -> Result<()> {
        match *self {}
    }
    pub(super) async fn add_partitions(&self, _log: &Log, _record: &Record) -> Result<()> {
        match *self {}
    }
    pub(super) async fn count(&self, _log: &Log, _record: &Record, _number: u64) -> Result<()> {
        match *self {}
    }
    pub(super) async fn forget_table(&self, _log: &Log) -> Result<()> {
        match *self {}
    }
}
