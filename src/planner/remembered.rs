//! Tables that are taken for what they were when they were last asked for, while their sources are asked whether they still are.
//!
//! A look into a source's catalog takes as long as some steps of the planner. Nothing that the planner finds out from what is
//! remembered is used before the source has said that nothing has changed, and it is said before the first scan is planned.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::runtime::SpawnedTask;
use portolan_connector::{Connector, ConnectorTable, TableName};

/// Tables that were remembered, by their catalogs.
#[derive(Debug, Default)]
pub(super) struct Remembered(HashMap<String, OfCatalog>);

/// The connector of a catalog, and tables that it remembered.
type OfCatalog = (Arc<dyn Connector>, Vec<Arc<dyn ConnectorTable>>);

impl Remembered {
    /// Adds a table of a catalog.
    pub(super) fn add(&mut self, connector: Arc<dyn Connector>, table: Arc<dyn ConnectorTable>) {
        let TableName { catalog, .. } = table.name();
        self.0.entry(catalog.clone()).or_insert_with(|| (connector, Vec::new())).1.push(table);
    }

    /// Begins to ask whether the tables are as they were.
    pub(super) fn ask(self) -> Unchanged {
        if self.0.is_empty() {
            return Unchanged(None);
        }
        Unchanged(Some(SpawnedTask::spawn(async move {
            let questions =
                self.0.into_values().map(|(connector, tables)| async move { connector.unchanged(&tables).await });
            futures::future::join_all(questions).await.into_iter().all(|answer| match answer {
                Ok(unchanged) => unchanged,
                Err(error) => {
                    tracing::debug!(%error, "whether tables are as they were is not known");
                    false
                }
            })
        })))
    }
}

/// Whether all tables of a plan are as they were when they were last asked for; so it is where none was remembered. Dropped, nobody
/// is asked any more.
#[derive(Debug, Default)]
pub(super) struct Unchanged(Option<SpawnedTask<bool>>);

impl Unchanged {
    /// Waits for the answers. Where one cannot be had, something may have changed.
    pub(super) async fn holds(self) -> bool {
        match self.0 {
            None => true,
            Some(asked) => asked.join().await.unwrap_or(false),
        }
    }
}
