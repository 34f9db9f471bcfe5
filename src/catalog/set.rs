//! The configured catalogs, each with its connector or with the reason why it has none.

use std::sync::Arc;

use portolan_connector::{CatalogEntry, Connector, Connectors};

use super::system::SystemConnector;
use super::{CatalogFile, SYSTEM_CATALOG, SourceLimits};
use crate::error::{Error, Result, some_of};
use crate::query::Queries;

/// One configured catalog.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The catalog's name.
    pub name: String,
    /// The kind of source, as the file writes it.
    pub connector_name: String,
    /// The connector, or what is wrong with the catalog's entry.
    connector: Result<Arc<dyn Connector>>,
    /// The entry from which the connector was made.
    entry: Option<CatalogEntry>,
    /// Why the file's newer definition is not in use.
    not_reloaded: Option<String>,
}

impl Catalog {
    /// The connector. The error of a broken entry comes up here, when the catalog is used.
    pub fn connector(&self) -> Result<&Arc<dyn Connector>> {
        self.connector.as_ref().map_err(Clone::clone)
    }

    /// What queries may take from the source.
    pub(crate) fn limits(&self) -> SourceLimits {
        self.entry.as_ref().map(SourceLimits::of_catalog).unwrap_or_default()
    }

    /// The catalog's state as listings show it: `ok`, or what is wrong, as far as that is known without asking it.
    pub fn state(&self) -> String {
        match (&self.connector, &self.not_reloaded) {
            (Ok(_), None) => "ok".to_owned(),
            (Ok(_), Some(why)) => format!("as before, not reloaded: {why}"),
            (Err(error), _) => error.message().text.clone(),
        }
    }

    /// Whether another has the same definition.
    pub(super) fn is_defined_as(&self, other: &Self) -> bool {
        self.connector.is_ok() && self.connector_name == other.connector_name && self.entry == other.entry
    }

    /// The same catalog after the file was read again, and why it is still the same although the file says otherwise.
    pub(super) fn reloaded(self, not_reloaded: Option<String>) -> Self {
        Self { not_reloaded, ..self }
    }
}

/// All configured catalogs, in the file's order.
#[derive(Clone, Debug, Default)]
pub struct CatalogSet {
    catalogs: Vec<Catalog>,
}

impl CatalogSet {
    /// Makes the connectors of a file. No connection is opened.
    pub fn open(file: CatalogFile) -> Self {
        let catalogs = file
            .catalogs
            .into_iter()
            .map(|definition| {
                let entry = definition.entry.as_ref().ok().map(|(_, entry)| entry.clone());
                Catalog {
                    connector: definition.entry.and_then(|(factory, entry)| factory.create(entry).map_err(Error::from)),
                    name: definition.name,
                    connector_name: definition.connector,
                    entry,
                    not_reloaded: None,
                }
            })
            .collect();
        Self { catalogs }
    }

    pub(super) fn of(catalogs: Vec<Catalog>) -> Self {
        Self { catalogs }
    }

    pub(super) fn into_catalogs(self) -> Vec<Catalog> {
        self.catalogs
    }

    /// These catalogs, and behind them the one in which the engine shows itself.
    #[must_use]
    pub(crate) fn with_system(mut self, queries: &Arc<Queries>) -> Self {
        self.catalogs.retain(|catalog| catalog.name != SYSTEM_CATALOG);
        let system = SystemConnector::new(Arc::clone(queries), self.catalogs.clone());
        self.catalogs.push(Catalog {
            name: SYSTEM_CATALOG.to_owned(),
            connector_name: SYSTEM_CATALOG.to_owned(),
            connector: Ok(Arc::new(system)),
            entry: None,
            not_reloaded: None,
        });
        self
    }

    /// The catalogs of the file, in its order.
    pub fn configured(&self) -> impl Iterator<Item = &Catalog> {
        self.catalogs.iter().filter(|catalog| catalog.name != SYSTEM_CATALOG)
    }

    /// The catalogs in order.
    pub fn iter(&self) -> impl Iterator<Item = &Catalog> {
        self.catalogs.iter()
    }

    /// A catalog by its exact name, or by the only one that differs in case alone.
    pub fn find(&self, name: &str) -> Option<&Catalog> {
        super::resolve::find_name(name, &self.catalogs, |catalog| &catalog.name)
    }

    /// A catalog by name; the error names the nearest one.
    pub fn get(&self, name: &str) -> Result<&Catalog> {
        self.find(name).ok_or_else(|| {
            let names: Vec<&str> = self.catalogs.iter().map(|catalog| catalog.name.as_str()).collect();
            let error = Error::not_found(format!("catalog \"{name}\" does not exist"));
            match portolan_connector::properties::nearest(name, names.iter().copied()) {
                Some(near) => error.hint(format!("did you mean \"{near}\"?")),
                None if self.configured().next().is_none() => {
                    error.hint("no catalog is configured: start with --catalogs FILE")
                }
                None => error.hint(format!("catalogs are {}", some_of(&names))),
            }
        })
    }

    /// The working connectors, for the leaves of one query.
    pub fn connectors(&self) -> Connectors {
        Connectors::new(
            self.catalogs
                .iter()
                .filter_map(|catalog| Some((catalog.name.clone(), Arc::clone(catalog.connector.as_ref().ok()?)))),
        )
    }
}
