//! What a statement changes: a catalog that can be written, a table in it, and the columns that get values.

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::sql::sqlparser::ast::Ident;
use portolan_connector::{Connector, ConnectorTable, TableName, WritableCatalog, properties};

use super::Named;
use crate::catalog::{Catalog, INFORMATION_SCHEMA, Resolved, Resolver};
use crate::error::{Error, Position, Result};
use crate::planner::normalized;

/// A catalog that can be written.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) catalog: String,
    connector: Arc<dyn Connector>,
}

impl Place {
    fn of(catalog: &Catalog) -> Result<Self> {
        let connector = Arc::clone(catalog.connector()?);
        if connector.writable().is_none() {
            return Err(read_only(&catalog.name, connector.as_ref()));
        }
        Ok(Self { catalog: catalog.name.clone(), connector })
    }

    pub(super) fn writable(&self) -> Result<&dyn WritableCatalog> {
        self.connector.writable().ok_or_else(|| read_only(&self.catalog, self.connector.as_ref()))
    }
}

fn read_only(catalog: &str, connector: &dyn Connector) -> Error {
    match connector.how_to_write() {
        Some(hint) => Error::unsupported(format!("catalog {catalog} is read only")).hint(hint),
        None => {
            let kind = connector.kind();
            Error::unsupported(format!("catalog {catalog} is read only: its connector {kind} writes nothing"))
        }
    }
}

/// The catalog and the name of a schema that may not be there yet.
pub(super) fn schema(resolver: &Resolver, name: &[String]) -> Result<(Place, String)> {
    let (catalog, schema) = match name {
        [catalog, schema] => (Some(catalog.as_str()), schema),
        [schema] => (None, schema),
        _ => return Err(Error::user("the schema has no name")),
    };
    if schema.eq_ignore_ascii_case(INFORMATION_SCHEMA) {
        return Err(Error::user(format!("{INFORMATION_SCHEMA} is the engine's own")));
    }
    Ok((Place::of(resolver.catalog(catalog)?)?, schema.clone()))
}

/// The catalog and the name of a table that may not be there yet. Its schema must be.
pub(super) async fn new_table(resolver: &Resolver, table: &Named) -> Result<(Place, TableName)> {
    let find = async {
        let reference = &table.reference;
        let catalog = resolver.catalog(reference.catalog())?;
        let Some(schema) = reference.schema().or(resolver.current_schema.as_deref()) else {
            return Err(Error::user("no schema is chosen").hint("write catalog.schema.table, or choose with USE"));
        };
        if schema.eq_ignore_ascii_case(INFORMATION_SCHEMA) {
            return Err(Error::user(format!("{INFORMATION_SCHEMA} is the engine's own")));
        }
        let place = Place::of(catalog)?;
        let schema = resolver.schema(catalog, schema).await?;
        let name = TableName::new(&catalog.name, schema, reference.table());
        Ok((place, name))
    };
    find.await.map_err(|error| error.at(table.position))
}

/// A table that is there.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) place: Place,
    pub(super) table: Arc<dyn ConnectorTable>,
}

impl Target {
    /// The table that a statement names.
    pub(super) async fn find(resolver: &Resolver, table: &Named) -> Result<Self> {
        let find = async {
            // Whether the catalog can be written is said before the table is looked for.
            let catalog = resolver.catalog(table.reference.catalog())?;
            let place = Place::of(catalog)?;
            match resolver.resolve(&table.reference).await? {
                Resolved::Source(table) => Ok(Self { place, table }),
                Resolved::Own(_) => Err(Error::user(format!("{} is the engine's own", table.reference))),
            }
        };
        find.await.map_err(|error| error.at(table.position))
    }

    /// The indexes and fields of the columns that get values: those named, or all that are not hidden.
    pub(super) fn columns(&self, named: &[Ident]) -> Result<(Vec<usize>, Vec<FieldRef>)> {
        let mut indexes = Vec::new();
        if named.is_empty() {
            let visible = self.table.columns().iter().enumerate().filter(|(_, column)| column.hidden.is_none());
            indexes.extend(visible.map(|(index, _)| index));
        }
        for ident in named {
            let start = ident.span.start;
            let position = (start.line > 0).then_some(Position { line: start.line, column: start.column });
            let index = self.column(&normalized(ident)).map_err(|error| error.at(position))?;
            if indexes.contains(&index) {
                return Err(Error::user(format!("column {ident} is named twice")).at(position));
            }
            indexes.push(index);
        }
        let fields = indexes.iter().filter_map(|index| self.table.columns().get(*index));
        let fields = fields.map(|column| Arc::clone(&column.field)).collect();
        Ok((indexes, fields))
    }

    /// The index of a column that can get values, by its name, or by the only name that differs in case alone.
    pub(super) fn column(&self, name: &str) -> Result<usize> {
        let columns = self.table.columns();
        let known: Vec<(usize, &str)> = columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.takes_values())
            .map(|(index, column)| (index, column.name()))
            .collect();
        if let Some((index, _)) = known.iter().find(|(_, column)| *column == name) {
            return Ok(*index);
        }
        let folded = name.to_lowercase();
        let mut alike = known.iter().filter(|(_, column)| column.to_lowercase() == folded);
        if let (Some((index, _)), None) = (alike.next(), alike.next()) {
            return Ok(*index);
        }
        let error = Error::not_found(format!("table {} has no column \"{name}\"", self.table.name()));
        Err(match properties::nearest(name, known.iter().map(|(_, column)| *column)) {
            Some(near) => error.hint(format!("did you mean \"{near}\"?")),
            None => error,
        })
    }
}
