//! What all scans of one query share.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::prelude::SessionConfig;
use portolan_connector::{Connector, ConnectorError, Connectors, QueryContext, Snapshot, Snapshots};

/// The query's identity, its connectors, and the frozen positions of its sources. It lives as long as anything of
/// the query runs, because the tasks' configuration holds it; with it end the snapshots.
#[derive(Debug)]
pub struct QueryScope {
    context: QueryContext,
    connectors: Arc<Connectors>,
    snapshots: Snapshots,
}

impl QueryScope {
    /// The scope of a new query over these connectors.
    pub fn new(query_id: impl Into<String>, connectors: Connectors) -> Self {
        Self {
            context: QueryContext { query_id: query_id.into() },
            connectors: Arc::new(connectors),
            snapshots: Snapshots::default(),
        }
    }

    /// The query's id.
    pub fn query_id(&self) -> &str {
        &self.context.query_id
    }

    /// The connectors, for the configuration in which leaves look for theirs.
    pub fn connectors(&self) -> Arc<Connectors> {
        Arc::clone(&self.connectors)
    }

    /// The scope that a configuration carries.
    pub fn of(config: &SessionConfig) -> Result<Arc<Self>> {
        config
            .get_extension::<Self>()
            .ok_or_else(|| ConnectorError::internal("a scan was planned outside a query").into())
    }

    /// The connector of a catalog.
    pub fn connector(&self, catalog: &str) -> Result<Arc<dyn Connector>> {
        let found = self.connectors.get(catalog).cloned();
        found.ok_or_else(|| ConnectorError::internal("the catalog has no connector").in_catalog(catalog).into())
    }

    /// The frozen position of a catalog, taken at the query's first scan of it.
    pub async fn snapshot(&self, catalog: &str, connector: &dyn Connector) -> Result<Arc<dyn Snapshot>> {
        Ok(self.snapshots.of(catalog, connector, &self.context).await?)
    }
}
