//! What `CALL catalog.system.procedure(...)` does with a lake.

use portolan_connector::{ArgumentKind, ArgumentSpec, ProcedureSpec};

/// The procedures of a catalog of this kind.
pub(crate) const PROCEDURES: &[ProcedureSpec] = &[CLEAN_STAGING, FLUSH_CACHE];

pub(crate) const SCHEMA_NAME: &str = "schema_name";

pub(crate) const TABLE_NAME: &str = "table_name";

pub(crate) const FLUSH_CACHE: ProcedureSpec = ProcedureSpec {
    name: "flush_cache",
    arguments: &[
        ArgumentSpec::new(SCHEMA_NAME, ArgumentKind::Text, "the schema of the table of which listings are forgotten"),
        ArgumentSpec::new(TABLE_NAME, ArgumentKind::Text, "the table; without it all is forgotten, footers as well"),
    ],
    administrators: false,
    help: "forgets what the catalog remembers of its files and of its metastore; the next query asks again",
};

/// How old the files of a write are that is taken to be dead.
pub(crate) const OLDER_THAN: &str = "older_than";

pub(crate) const CLEAN_STAGING: ProcedureSpec = ProcedureSpec {
    name: "clean_staging",
    arguments: &[
        ArgumentSpec::new(
            OLDER_THAN,
            ArgumentKind::Duration,
            "how old files must be whose write is taken to be dead: '1d' unless it is given; longer than any statement runs",
        ),
        ArgumentSpec::new(
            SCHEMA_NAME,
            ArgumentKind::Text,
            "the schema whose tables are cleaned; without it those of all",
        ),
        ArgumentSpec::new(
            TABLE_NAME,
            ArgumentKind::Text,
            "the table of that schema that is cleaned; without it all of them",
        ),
    ],
    administrators: true,
    help: "brings the files of committed writes into their places where that was interrupted, and removes what dead writes have left",
};

/// A count with its unit, for the sentence that a call answers: `1 footer`, `12 footers`.
pub(crate) fn counted(count: usize, unit: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}
