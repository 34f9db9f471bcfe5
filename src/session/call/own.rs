//! The engine's own procedures: declared once, from which their calls, messages and reference come.

use datafusion::arrow::datatypes::SchemaRef;
use portolan_connector::{ArgumentKind, ArgumentSpec, Arguments, ProcedureSpec};

use super::{reload, required};
use crate::error::Result;
use crate::session::{Answer, Session};

/// What an own procedure does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    KillQuery,
    ReloadCatalogs,
}

const PROCEDURES: [(Own, ProcedureSpec); 2] = [
    (
        Own::KillQuery,
        ProcedureSpec {
            name: "kill_query",
            arguments: &[
                ArgumentSpec::new("query_id", ArgumentKind::Text, "the query's id in system.runtime.queries")
                    .required(),
                ArgumentSpec::new("message", ArgumentKind::Text, "what its client is told"),
            ],
            administrators: false,
            help: "ends a query: one's own, or anybody's for an administrator",
        },
    ),
    (
        Own::ReloadCatalogs,
        ProcedureSpec {
            name: "reload_catalogs",
            arguments: &[],
            administrators: true,
            help: "reads the catalog file again, for administrators",
        },
    ),
];

/// The declarations of the engine's own procedures, in the catalog `system`.
pub fn own_procedures() -> impl Iterator<Item = &'static ProcedureSpec> {
    PROCEDURES.iter().map(|(_, spec)| spec)
}

/// An own procedure by its name.
pub(super) fn own(name: &str) -> Option<(Own, &'static ProcedureSpec)> {
    PROCEDURES.iter().find(|(_, spec)| spec.name == name).map(|(own, spec)| (*own, spec))
}

impl Own {
    pub(super) fn schema(self) -> SchemaRef {
        match self {
            Self::KillQuery => Answer::empty_schema(),
            Self::ReloadCatalogs => reload::schema(),
        }
    }

    pub(super) fn run(self, session: &Session, arguments: &Arguments) -> Result<Answer> {
        match self {
            Self::KillQuery => {
                let id = required(arguments, "query_id")?;
                session.engine().queries().kill(id, session.principal(), arguments.text("message"))?;
                Answer::done("CALL")
            }
            Self::ReloadCatalogs => reload::answer(&session.engine().reload_catalogs()?),
        }
    }
}
