//! Session settings: declared once, from which SET, SHOW SESSION and messages come.

use std::collections::BTreeMap;
use std::time::Duration;

use datafusion::arrow::ipc::CompressionType;
use datafusion::prelude::SessionConfig;
use portolan_connector::properties::{self, parse_bytes, parse_duration};
use portolan_connector::{InsertMode, PropertyKind, PropertySpec};

use crate::catalog::SourceLimits;
use crate::catalog::limits::{MAX_BYTES, MAX_ROWS, MAX_SCAN_BYTES};
use crate::error::{Error, Result};
use crate::planner::Folding;

const DYNAMIC_FILTER_WAIT: &str = "dynamic_filter_wait";
const INSERT_EXISTING: &str = "insert_existing_partitions_behavior";
const JOIN_REORDERING: &str = "join_reordering";
const FOLD: &str = "fold";
const PUSHDOWN: &str = "pushdown";
const BATCH_ROWS: &str = "batch_rows";
const QUERY_MAX_MEMORY: &str = "query_max_memory";
const QUERY_MAX_RUN_TIME: &str = "query_max_run_time";
const RESULT_COMPRESSION: &str = "result_compression";
const TARGET_PARTITIONS: &str = "target_partitions";
const WRITE_TOKEN: &str = "write_token";

/// All settings.
pub fn setting_specs() -> &'static [PropertySpec] {
    const SPECS: &[PropertySpec] = &[
        PropertySpec::new(
            BATCH_ROWS,
            PropertyKind::Integer { min: 1, max: 1_048_576 },
            "most rows in one batch that moves through the engine",
        )
        .or("8192"),
        PropertySpec::new(
            DYNAMIC_FILTER_WAIT,
            PropertyKind::Duration,
            "how long a scan waits for a join to know its keys, so that its source sends only rows that have a partner",
        )
        .or("20s"),
        PropertySpec::new(
            FOLD,
            PropertyKind::OneOf(&["always", "cost", "never"]),
            "which aggregates, joins, sorts and other operators a source is given: all that it takes, those that it is expected to do faster \
             than the engine over what it fetches, or none",
        )
        .or("cost"),
        PropertySpec::new(
            INSERT_EXISTING,
            PropertyKind::OneOf(&["append", "overwrite", "error"]),
            "what INSERT INTO does with the rows of a partition of the lake that is there: adds to them, takes their place, or fails",
        )
        .or("append"),
        PropertySpec::new(
            JOIN_REORDERING,
            PropertyKind::OneOf(&["automatic", "none"]),
            "whether joins run in the order that is expected to take the least time, where statistics tell, or in that of the statement",
        )
        .or("automatic"),
        PropertySpec::new(
            MAX_BYTES,
            PropertyKind::Bytes,
            "the most bytes that a source may send for one scan, expected or in fact; a catalog may allow less",
        ),
        PropertySpec::new(
            MAX_ROWS,
            PropertyKind::Integer { min: 1, max: i64::MAX },
            "the most rows that one scan may return: a query that is expected to get more is refused before it starts, and one that does get \
             more ends; a catalog may allow less",
        ),
        PropertySpec::new(
            MAX_SCAN_BYTES,
            PropertyKind::Bytes,
            "the most bytes that all scans of a query together may be expected to read; a catalog may allow less",
        ),
        PropertySpec::new(
            PUSHDOWN,
            PropertyKind::OneOf(&["all", "none"]),
            "what sources are given: all that they declare, or nothing, for comparison",
        )
        .or("all"),
        PropertySpec::new(
            QUERY_MAX_MEMORY,
            PropertyKind::Bytes,
            "the most memory that the operators of one query may have; without a value, what all queries share",
        ),
        PropertySpec::new(
            QUERY_MAX_RUN_TIME,
            PropertyKind::Duration,
            "how long a query may take from when it is asked; without a value, for ever",
        ),
        PropertySpec::new(
            RESULT_COMPRESSION,
            PropertyKind::OneOf(&["none", "lz4", "zstd"]),
            "how a server compresses the rows that it sends",
        )
        .or("none"),
        PropertySpec::new(
            TARGET_PARTITIONS,
            PropertyKind::Integer { min: 1, max: 1024 },
            "parts of a query that run at the same time; without a value, one for each processor",
        ),
        PropertySpec::new(
            WRITE_TOKEN,
            PropertyKind::Text,
            "a name for the next statement that writes: run again under the same name, it writes nothing and says what it wrote",
        ),
    ];
    SPECS
}

/// The settings of a session: those that were changed.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    changed: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Changes a setting, if it exists and takes the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let spec = find(name)?;
        let accepted = match spec.kind {
            PropertyKind::OneOf(words) => words.contains(&value.to_lowercase().as_str()),
            PropertyKind::Integer { min, max } => value.parse().is_ok_and(|number: i64| (min..=max).contains(&number)),
            PropertyKind::Duration => parse_duration(value).is_ok(),
            PropertyKind::Bytes => parse_bytes(value).is_ok(),
            _ => true,
        };
        if !accepted {
            return Err(Error::user(format!(
                "setting \"{}\" must be {}, not \"{value}\"",
                spec.name,
                spec.kind.describe()
            )));
        }
        let value = if matches!(spec.kind, PropertyKind::Text) { value.to_owned() } else { value.to_lowercase() };
        self.changed.insert(spec.name, value);
        Ok(())
    }

    /// Gives a setting its default again.
    pub fn reset(&mut self, name: &str) -> Result<()> {
        self.changed.remove(find(name)?.name);
        Ok(())
    }

    /// A setting's value; empty when it has none.
    pub fn get(&self, name: &str) -> Result<&str> {
        let spec = find(name)?;
        Ok(self.changed.get(spec.name).map(String::as_str).or(spec.default).unwrap_or_default())
    }

    /// Whether sources get any work at all.
    pub fn pushdown(&self) -> bool {
        self.changed.get(PUSHDOWN).is_none_or(|value| value != "none")
    }

    /// How long a scan waits for a join to know its keys.
    pub(crate) fn dynamic_filter_wait(&self) -> Duration {
        self.get(DYNAMIC_FILTER_WAIT).ok().and_then(|value| parse_duration(value).ok()).unwrap_or_default()
    }

    /// Which of the operators above its scans a source is given.
    pub fn folding(&self) -> Folding {
        match self.changed.get(FOLD).map(String::as_str) {
            Some("always") => Folding::Always,
            Some("never") => Folding::Never,
            _ => Folding::Cost,
        }
    }

    /// Whether joins may run in another order than the statement's.
    pub fn join_reordering(&self) -> bool {
        self.changed.get(JOIN_REORDERING).is_none_or(|value| value != "none")
    }

    /// What a query may take from its sources.
    pub(crate) fn source_limits(&self) -> SourceLimits {
        let text = |name: &str| self.changed.get(name).map(String::as_str);
        let bytes = |name: &str| parse_bytes(text(name)?).ok()?.try_into().ok();
        let rows = text(MAX_ROWS).and_then(|rows| rows.parse().ok());
        SourceLimits::of("of the session", rows, bytes(MAX_BYTES), bytes(MAX_SCAN_BYTES))
    }

    /// How long a query may take.
    pub(crate) fn query_max_run_time(&self) -> Option<Duration> {
        self.changed.get(QUERY_MAX_RUN_TIME).and_then(|value| parse_duration(value).ok())
    }

    /// The most memory that a query may have, in bytes.
    pub(crate) fn query_max_memory(&self) -> Option<usize> {
        self.changed.get(QUERY_MAX_MEMORY).and_then(|value| parse_bytes(value).ok())
    }

    /// How a server compresses rows; `None` for not at all.
    pub(crate) fn result_compression(&self) -> Option<CompressionType> {
        match self.changed.get(RESULT_COMPRESSION).map(String::as_str) {
            Some("lz4") => Some(CompressionType::LZ4_FRAME),
            Some("zstd") => Some(CompressionType::ZSTD),
            _ => None,
        }
    }

    /// What INSERT INTO does with the rows that are there.
    pub(crate) fn insert_mode(&self) -> InsertMode {
        match self.changed.get(INSERT_EXISTING).map(String::as_str) {
            Some("overwrite") => InsertMode::Overwrite,
            Some("error") => InsertMode::NewPartitions,
            _ => InsertMode::Append,
        }
    }

    /// What tells a write that is tried again from a new one.
    pub(crate) fn write_token(&self) -> Option<&str> {
        self.changed.get(WRITE_TOKEN).map(String::as_str).filter(|token| !token.is_empty())
    }

    /// The settings that were changed, with their values.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.changed.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// A configuration with these settings.
    pub(crate) fn apply(&self, mut config: SessionConfig) -> SessionConfig {
        let number = |name: &str| self.changed.get(name).and_then(|value| value.parse::<usize>().ok());
        if let Some(rows) = number(BATCH_ROWS) {
            config = config.with_batch_size(rows);
        }
        if let Some(partitions) = number(TARGET_PARTITIONS) {
            config = config.with_target_partitions(partitions);
        }
        if !self.pushdown() {
            let optimizer = &mut config.options_mut().optimizer;
            optimizer.enable_dynamic_filter_pushdown = false;
            optimizer.enable_join_dynamic_filter_pushdown = false;
            optimizer.enable_topk_dynamic_filter_pushdown = false;
            optimizer.enable_aggregate_dynamic_filter_pushdown = false;
        }
        config
    }
}

fn find(name: &str) -> Result<&'static PropertySpec> {
    let specs = setting_specs();
    specs.iter().find(|spec| spec.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let error = Error::user(format!("setting \"{name}\" does not exist"));
        match properties::nearest(name, specs.iter().map(|spec| spec.name)) {
            Some(near) => error.hint(format!("did you mean \"{near}\"?")),
            None => error.hint("SHOW SESSION lists the settings"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_takes_only_what_it_declares() {
        let mut settings = Settings::default();
        assert!(settings.pushdown());
        settings.set("PUSHDOWN", "NONE").unwrap();
        assert!(!settings.pushdown());
        assert_eq!(settings.get("pushdown").unwrap(), "none");
        settings.reset("pushdown").unwrap();
        assert_eq!(settings.get("pushdown").unwrap(), "all");
        assert_eq!(
            settings.set("pushdown", "some").unwrap_err().to_string(),
            "setting \"pushdown\" must be one of \"all\", \"none\", not \"some\""
        );
        assert_eq!(
            settings.set("pushdwn", "all").unwrap_err().to_string(),
            "setting \"pushdwn\" does not exist\nHint: did you mean \"pushdown\"?"
        );
        assert!(settings.set("batch_rows", "0").is_err());
        settings.set("query_max_run_time", "1.5m").unwrap();
        assert_eq!(settings.query_max_run_time(), Some(Duration::from_secs(90)));
        assert!(settings.set("query_max_run_time", "soon").is_err());
        settings.set("query_max_memory", "1GiB").unwrap();
        assert_eq!(settings.query_max_memory(), Some(1 << 30));
    }
}
