//! The properties of a catalog in memory, and the connector made from them.

use std::sync::Arc;

use portolan_connector::properties::parse_bytes;
use portolan_connector::{
    CatalogEntry, Connector, ConnectorError, ConnectorFactory, PropertyKind, PropertySpec, Result,
};

use crate::connector::MemoryConnector;

/// Makes catalogs in memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryFactory;

impl ConnectorFactory for MemoryFactory {
    fn name(&self) -> &'static str {
        MemoryConnector::KIND
    }

    fn properties(&self) -> &'static [PropertySpec] {
        PROPERTIES
    }

    fn create(&self, entry: CatalogEntry) -> Result<Arc<dyn Connector>> {
        let size = entry.properties.text("max_size").unwrap_or_default();
        let bytes = parse_bytes(size)
            .map_err(|said| ConnectorError::user(format!("max_size is {size}")).said(said).in_catalog(&entry.name))?;
        Ok(Arc::new(MemoryConnector::new(entry.name, bytes)))
    }
}

const PROPERTIES: &[PropertySpec] = &[PropertySpec::new(
    "max_size",
    PropertyKind::Bytes,
    "the most memory that the tables may have together, beside the memory of queries",
)
.or("256MiB")];
