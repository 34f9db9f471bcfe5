//! `CALL`: the engine's own procedures, and those that connectors declare for their catalogs.

mod bind;
mod find;
mod own;
mod parse;
mod reload;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use portolan_connector::{Arguments, ConnectorError};

use self::find::{Found, find};
pub use self::own::own_procedures;
use super::answer::TextRows;
use super::{Answer, Request, Session};
use crate::error::{Error, Result};

/// The column in which a procedure of a catalog says what it did.
const RESULT: &str = "result";

/// A call as it is written.
#[derive(Clone, Debug)]
pub struct Call {
    /// The procedure's name, part by part.
    name: Vec<String>,
    /// The arguments in order.
    arguments: Vec<Given>,
}

/// An argument as it is written.
#[derive(Clone, Debug)]
struct Given {
    /// The name before `=>`.
    name: Option<String>,
    value: Literal,
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Literal {
    Text(String),
    Number(String),
    Boolean(bool),
    Null,
}

impl Session {
    /// Runs a procedure. What a source does is a query of its own, which is listed and can be ended like any other.
    pub(super) async fn call(&self, call: &Call, request: &Request) -> Result<Answer> {
        let resolver = self.resolver();
        let found = find(call, &resolver)?;
        if found.spec().administrators && !self.principal().is_admin {
            return Err(Error::denied(format!("only administrators call {}", call.name.join("."))));
        }
        let (catalog, connector, spec, arguments) = match found {
            Found::Own { procedure, arguments, .. } => return procedure.run(self, &arguments),
            Found::OfCatalog { catalog, connector, spec, arguments } => (catalog, connector, spec, arguments),
        };
        let run = self.begin(false, request);
        let id = run.query().id().to_owned();
        let named = move |error: ConnectorError| Error::from(error.in_catalog(catalog));
        let work = async move { connector.call(spec.name, &arguments).await.map_err(named) };
        let mut rows = TextRows::new(&[RESULT]);
        rows.push([Some(run.complete(Box::pin(work)).await?)]);
        Ok(Answer { query_id: id, ..rows.answer()? })
    }

    /// The columns of a call's answer.
    pub(super) fn schema_of_call(&self, call: &Call) -> Result<SchemaRef> {
        Ok(match find(call, &self.resolver())? {
            Found::Own { procedure, .. } => procedure.schema(),
            Found::OfCatalog { .. } => Arc::new(Schema::new(vec![Field::new(RESULT, DataType::Utf8, true)])),
        })
    }

    /// `SHOW PROCEDURES`: those of one catalog, or all.
    pub(super) fn procedures(&self, catalog: Option<&str>, matches: impl Fn(&str) -> bool) -> Result<Answer> {
        let mut rows = TextRows::new(&["procedure", "meaning"]);
        for (place, spec) in find::procedures(&self.resolver(), catalog)? {
            if matches(spec.name) {
                rows.push([Some(format!("{place}.{spec}")), Some(spec.help.to_owned())]);
            }
        }
        rows.answer()
    }
}

/// A text argument that the declaration requires.
fn required<'a>(arguments: &'a Arguments, name: &str) -> Result<&'a str> {
    arguments.text(name).ok_or_else(|| Error::internal(format!("the argument {name} is missing")))
}
