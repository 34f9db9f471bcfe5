//! From the name of a call to the procedure that it means.
//!
//! `system.procedure(...)`, or Trino's `system.runtime.procedure(...)`, is one of the engine's own, or else one of a
//! catalog: the one that the first argument names, or the argument `catalog`, or else the one in which the session stands.
//! `catalog.system.procedure(...)` is one of that catalog.

use std::sync::Arc;

use portolan_connector::properties::nearest;
use portolan_connector::{Arguments, Connector, ProcedureSpec};

use super::bind::bind;
use super::own::{Own, own, own_procedures};
use super::{Call, Given, Literal};
use crate::catalog::{Catalog, Resolver, SYSTEM_CATALOG};
use crate::error::{Error, Result, some_of};

/// The schema in which the procedures of every catalog are.
const SYSTEM_SCHEMA: &str = "system";

/// The schema of the engine's own procedures in Trino.
const RUNTIME_SCHEMA: &str = "runtime";

/// The argument that says of which catalog a procedure is.
const CATALOG_ARGUMENT: &str = "catalog";

/// A procedure with its arguments.
#[derive(Debug)]
pub(super) enum Found {
    Own { procedure: Own, spec: &'static ProcedureSpec, arguments: Arguments },
    OfCatalog { catalog: String, connector: Arc<dyn Connector>, spec: &'static ProcedureSpec, arguments: Arguments },
}

impl Found {
    pub(super) fn spec(&self) -> &'static ProcedureSpec {
        match self {
            Self::Own { spec, .. } | Self::OfCatalog { spec, .. } => spec,
        }
    }
}

/// The procedure that a call means, with its arguments.
pub(super) fn find(call: &Call, resolver: &Resolver) -> Result<Found> {
    let parts: Vec<&str> = call.name.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [SYSTEM_CATALOG, name] | [SYSTEM_CATALOG, RUNTIME_SCHEMA, name] if own(name).is_some() => {
            let (procedure, spec) = own(name).ok_or_else(|| unknown(call, resolver))?;
            Ok(Found::Own { procedure, spec, arguments: bind(SYSTEM_CATALOG, spec, &call.arguments)? })
        }
        [SYSTEM_SCHEMA, name] if is_of_a_catalog(name, resolver) => {
            let (catalog, arguments) = catalog_of(call, resolver)?;
            of_catalog(call, resolver, catalog, name, &arguments)
        }
        [catalog, SYSTEM_SCHEMA, name] => {
            let catalog = resolver.catalog(Some(catalog))?;
            of_catalog(call, resolver, catalog, name, &call.arguments)
        }
        _ => Err(unknown(call, resolver)),
    }
}

/// Whether some catalog has a procedure of this name.
fn is_of_a_catalog(name: &str, resolver: &Resolver) -> bool {
    let connectors = resolver.catalogs.configured().filter_map(|catalog| catalog.connector().ok());
    connectors.flat_map(|connector| connector.procedures()).any(|spec| spec.name == name)
}

/// Of which catalog a procedure is whose name does not say it, and the other arguments.
fn catalog_of<'a>(call: &Call, resolver: &'a Resolver) -> Result<(&'a Catalog, Vec<Given>)> {
    let mut arguments = call.arguments.clone();
    let says = |given: &Given| given.name.as_deref().is_none_or(|name| name == CATALOG_ARGUMENT);
    let named = arguments.iter().position(says).map(|at| arguments.remove(at));
    let catalog = match &named {
        Some(Given { value: Literal::Text(name), .. }) => resolver.catalog(Some(name))?,
        None if resolver.current_catalog.is_some() => resolver.catalog(None)?,
        _ => return Err(unknown(call, resolver)),
    };
    Ok((catalog, arguments))
}

fn of_catalog(call: &Call, resolver: &Resolver, catalog: &Catalog, name: &str, arguments: &[Given]) -> Result<Found> {
    let connector = catalog.connector()?;
    let spec = connector.procedures().iter().find(|spec| spec.name == name).ok_or_else(|| unknown(call, resolver))?;
    let arguments = bind(&format!("{}.{SYSTEM_SCHEMA}", catalog.name), spec, arguments)?;
    Ok(Found::OfCatalog { catalog: catalog.name.clone(), connector: Arc::clone(connector), spec, arguments })
}

/// What stands before the name of a procedure, and its declaration: of one catalog, or all there are.
pub(super) fn procedures(resolver: &Resolver, catalog: Option<&str>) -> Result<Vec<(String, &'static ProcedureSpec)>> {
    let wanted = catalog.map(|name| resolver.catalog(Some(name))).transpose()?;
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| wanted.name == name);
    let mut found = Vec::new();
    if is_wanted(SYSTEM_CATALOG) {
        found.extend(own_procedures().map(|spec| (SYSTEM_CATALOG.to_owned(), spec)));
    }
    for catalog in resolver.catalogs.configured().filter(|catalog| is_wanted(&catalog.name)) {
        // A catalog that cannot be used has none.
        let Ok(connector) = catalog.connector() else { continue };
        let place = format!("{}.{SYSTEM_SCHEMA}", catalog.name);
        found.extend(connector.procedures().iter().map(|spec| (place.clone(), spec)));
    }
    Ok(found)
}

/// The error of a call that means no procedure. It names those that there are.
fn unknown(call: &Call, resolver: &Resolver) -> Error {
    let error = Error::not_found(format!("procedure {} does not exist", call.name.join(".")));
    let Ok(known) = procedures(resolver, None) else { return error };
    let called = call.name.last().map(String::as_str).unwrap_or_default();
    let alike = |name: &str| known.iter().filter(|(_, spec)| spec.name == name).map(signature).collect::<Vec<_>>();
    if let Some(near) = nearest(called, known.iter().map(|(_, spec)| spec.name)) {
        let near = alike(near);
        return error.hint(format!("there is {}", some_of(&near.iter().map(String::as_str).collect::<Vec<_>>())));
    }
    let all: Vec<String> = known.iter().map(signature).collect();
    error.hint(format!("procedures are {}", some_of(&all.iter().map(String::as_str).collect::<Vec<_>>())))
}

fn signature((place, spec): &(String, &'static ProcedureSpec)) -> String {
    format!("{place}.{spec}")
}
