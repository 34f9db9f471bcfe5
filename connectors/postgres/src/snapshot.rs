//! One exported snapshot for all scans of a query.

use tokio::sync::Mutex;

use portolan_connector::{Result, Snapshot};
use portolan_remote_sql::{Dialect, PostgresDialect};

use crate::config::Config;
use crate::error;
use crate::net::Lease;

/// Opens a transaction and exports what it sees.
const EXPORT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot()";

/// A transaction that stays open as long as its snapshot can be needed.
#[derive(Debug)]
pub(crate) struct PostgresSnapshot {
    id: String,
    /// Present until the drop.
    session: Mutex<Option<Lease>>,
}

impl PostgresSnapshot {
    /// Exports a snapshot on a session, which it keeps.
    pub(crate) async fn export(session: Lease, config: &Config) -> Result<Self> {
        match session.execute(EXPORT).await {
            Ok(id) => Ok(Self { id: id.unwrap_or_default(), session: Mutex::new(Some(session)) }),
            Err(cause) => Err(error::statement(config, "cannot freeze a moment to read in", &cause)),
        }
    }

    /// Keeps a table's rows where they are until the query ends: nobody rewrites or empties the table meanwhile. Whether
    /// that could be done.
    pub(crate) async fn hold(&self, schema: &str, table: &str) -> bool {
        let dialect = PostgresDialect;
        let table = format!("{}.{}", dialect.quote_identifier(schema), dialect.quote_identifier(table));
        let session = self.session.lock().await;
        let Some(session) = session.as_ref() else { return false };
        // Who may read only some of the columns may not lock the table. The snapshot must outlive that.
        let lock = format!("SAVEPOINT hold; LOCK TABLE {table} IN ACCESS SHARE MODE; RELEASE SAVEPOINT hold");
        let held = session.execute(&lock).await.is_ok();
        held || {
            // Where even this fails the connection is gone, which whoever reads finds out.
            let _ = session.execute("ROLLBACK TO SAVEPOINT hold").await;
            false
        }
    }

    /// The name by which other sessions import it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Snapshot for PostgresSnapshot {
    fn describe(&self) -> Option<String> {
        Some(self.id.clone())
    }
}

/// Ends the transaction and frees the session; where that cannot be done, closes the session, which ends it too.
impl Drop for PostgresSnapshot {
    fn drop(&mut self) {
        let session = self.session.get_mut().take();
        let Some(session) = session else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if session.execute("ROLLBACK").await.is_ok() {
                session.release();
            }
        });
    }
}
