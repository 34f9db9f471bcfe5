//! What all scans of one query share.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionConfig;
use futures::StreamExt;
use portolan_connector::{Connector, ConnectorError, Connectors, QueryContext, Snapshot, Snapshots};

/// The query's identity, its connectors, and the frozen positions of its sources. It lives as long as rows of the
/// query may come, because their stream holds it; with it end the snapshots.
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

    /// The rows of the query, which keep the scope until they are dropped. A plan's own stream need not hold anything
    /// of the query, and without the snapshots its sources could no longer be read.
    pub fn hold(self: &Arc<Self>, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let scope = Arc::clone(self);
        let schema = rows.schema();
        let rows = rows.inspect(move |_| {
            let _ = &scope;
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }

    /// The frozen positions that were taken, by catalog.
    pub fn snapshots(&self) -> Vec<(String, Arc<dyn Snapshot>)> {
        self.snapshots.taken()
    }

    /// The frozen position of a catalog, taken at the query's first scan of it.
    pub async fn snapshot(&self, catalog: &str, connector: &dyn Connector) -> Result<Arc<dyn Snapshot>> {
        Ok(self.snapshots.of(catalog, connector, &self.context).await?)
    }
}
