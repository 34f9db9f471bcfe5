//! What a catalog's owner allows queries to take from its source: properties that every catalog may have.

use std::sync::Arc;

use portolan_connector::properties::parse_bytes;
use portolan_connector::{CatalogEntry, PropertyKind, PropertySpec, ScanLimit, ScanLimits};

/// The most rows that one scan returns.
pub(crate) const MAX_ROWS: &str = "max_rows_from_source";
/// The most bytes that a source sends for one scan.
pub(crate) const MAX_BYTES: &str = "max_bytes_from_source";
/// The most bytes that all scans of a query are expected to read.
pub(crate) const MAX_SCAN_BYTES: &str = "max_scan_bytes";

/// The properties.
pub(crate) const SPECS: &[PropertySpec] = &[
    PropertySpec::new(
        MAX_ROWS,
        PropertyKind::Integer { min: 1, max: i64::MAX },
        "the most rows that one scan may return: a query that is expected to get more is refused before it starts, and one that does get more ends",
    ),
    PropertySpec::new(
        MAX_BYTES,
        PropertyKind::Bytes,
        "the most bytes that the source may send for one scan, expected or in fact",
    ),
    PropertySpec::new(
        MAX_SCAN_BYTES,
        PropertyKind::Bytes,
        "the most bytes that all scans of a query together may be expected to read; a query of which more is expected does not start",
    ),
];

/// What a query may take, as a catalog or a session says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceLimits {
    /// Of each scan.
    pub(crate) scan: ScanLimits,
    /// Bytes of all scans together.
    pub(crate) scan_bytes: Option<ScanLimit>,
}

impl SourceLimits {
    /// The limits of a catalog.
    pub(crate) fn of_catalog(entry: &CatalogEntry) -> Self {
        let properties = &entry.properties;
        let bytes = |name: &str| parse_bytes(properties.text(name)?).ok()?.try_into().ok();
        Self::of(
            &format!("of catalog {}", entry.name),
            properties.integer(MAX_ROWS).and_then(|rows| u64::try_from(rows).ok()),
            bytes(MAX_BYTES),
            bytes(MAX_SCAN_BYTES),
        )
    }

    /// The limits that somebody set.
    pub(crate) fn of(whose: &str, rows: Option<u64>, bytes: Option<u64>, scan_bytes: Option<u64>) -> Self {
        let limit = |name: &str, max: Option<u64>| {
            max.map(|max| ScanLimit { max, set_by: Arc::from(format!("{name} {whose}")) })
        };
        Self {
            scan: ScanLimits { rows: limit(MAX_ROWS, rows), bytes: limit(MAX_BYTES, bytes) },
            scan_bytes: limit(MAX_SCAN_BYTES, scan_bytes),
        }
    }

    /// The tighter one of each.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let tighter = |one: &Option<ScanLimit>, other: &Option<ScanLimit>| match (one, other) {
            (Some(one), Some(other)) if other.max < one.max => Some(other.clone()),
            (Some(one), _) => Some(one.clone()),
            (None, other) => other.clone(),
        };
        Self {
            scan: ScanLimits {
                rows: tighter(&self.scan.rows, &other.scan.rows),
                bytes: tighter(&self.scan.bytes, &other.scan.bytes),
            },
            scan_bytes: tighter(&self.scan_bytes, &other.scan_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tighter_limit_holds() {
        let catalog = SourceLimits::of("of catalog pg", Some(10), Some(500), None);
        let session = SourceLimits::of("of the session", Some(20), Some(100), Some(7));
        let both = catalog.and(&session);
        assert_eq!(both.scan.rows.unwrap().set_by.as_ref(), "max_rows_from_source of catalog pg");
        assert_eq!(both.scan.bytes.unwrap().set_by.as_ref(), "max_bytes_from_source of the session");
        assert_eq!(both.scan_bytes.unwrap().max, 7);
        assert_eq!(catalog.and(&SourceLimits::default()), catalog);
    }
}
