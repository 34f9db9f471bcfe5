//! Protobuf messages, alone or behind the five bytes with the schema's id and the message's place in it that Confluent's
//! serializers write.

mod columns;
mod plan;
mod read;
mod schema;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use self::columns::columns;
use self::plan::MessagePlan;
use self::schema::Compiled;
use super::Fault;
use super::framing::schema_id;
use crate::cell::Cell;
use crate::layout::MessageColumn;
use crate::registry::{Reference, Schemas};

/// The most schemas of one scan.
const MAX_SCHEMAS: usize = 10_000;

/// The deepest place of a message within others.
const MAX_DEPTH: usize = 64;

/// Reads Protobuf messages as the table's schema has them: fields are told by their numbers, and those that it does not know are
/// passed over.
pub(crate) struct ProtoReader {
    plan: MessagePlan,
    /// The full name of the message.
    name: String,
    /// The registry, where messages say by which schema they were written.
    schemas: Option<Arc<dyn Schemas>>,
    /// The schemas that wrote messages, or why they cannot be read.
    writers: HashMap<u32, Result<Compiled, String>>,
}

impl std::fmt::Debug for ProtoReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProtoReader").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ProtoReader {
    /// A reader of columns of a message of this schema, which is the whole of each value.
    pub(super) fn of_text(
        columns: &[MessageColumn],
        text: &str,
        imports: &[Reference],
        message: Option<&str>,
    ) -> Result<Self, Fault> {
        Ok(Self::new(columns, &Compiled::new(text, imports)?, message, None)?)
    }

    /// A reader of columns of a message of the schema of this id; values say by which schema they were written.
    pub(super) fn of_registry(
        columns: &[MessageColumn],
        id: u32,
        message: Option<&str>,
        schemas: &Arc<dyn Schemas>,
    ) -> Result<Self, Fault> {
        let found = schemas.by_id(id)?.ok_or_else(|| format!("the registry has no schema {id}"))?;
        let compiled = Compiled::new(&found.text, &found.references)?;
        let mut reader = Self::new(columns, &compiled, message, Some(Arc::clone(schemas)))?;
        reader.writers.insert(id, Ok(compiled));
        Ok(reader)
    }

    fn new(
        columns: &[MessageColumn],
        compiled: &Compiled,
        message: Option<&str>,
        schemas: Option<Arc<dyn Schemas>>,
    ) -> Result<Self, String> {
        let message = compiled.message(message)?;
        let wanted: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let plan = MessagePlan::new(&message, &wanted)?;
        Ok(Self { plan, name: message.full_name().to_owned(), schemas, writers: HashMap::new() })
    }

    pub(super) fn read<'m>(&mut self, bytes: &'m [u8], cells: &mut Vec<Cell<'m>>) -> Result<(), Fault> {
        let body = if self.schemas.is_some() { self.body(bytes)? } else { bytes };
        Ok(read::message(body, &self.plan, cells)?)
    }

    /// What follows the id of the schema and the place of the message in it, which must be the table's.
    fn body<'m>(&mut self, bytes: &'m [u8]) -> Result<&'m [u8], Fault> {
        let (id, rest) = schema_id(bytes)?;
        let (place, body) = read::place(rest)?;
        if !self.writers.contains_key(&id) {
            let writer = self.writer(id)?;
            if self.writers.len() >= MAX_SCHEMAS {
                self.writers.clear();
            }
            self.writers.insert(id, writer);
        }
        let written = match self.writers.get(&id) {
            Some(Ok(compiled)) => compiled.names_at(&place),
            Some(Err(error)) => return Err(Fault::Message(error.clone())),
            None => Vec::new(),
        };
        match written.first() {
            Some(_) if written.contains(&self.name) => Ok(body),
            Some(name) => Err(Fault::Message(format!("it is a {name}, and the table's messages are {}", self.name))),
            None => Err(Fault::Message(format!("schema {id} has no message at the place {place:?}"))),
        }
    }

    /// The schema of an id, or why it cannot be read.
    fn writer(&self, id: u32) -> Result<Result<Compiled, String>, Fault> {
        let Some(schemas) = &self.schemas else { return Ok(Err("the catalog has no schema registry".to_owned())) };
        let Some(found) = schemas.by_id(id)? else {
            return Ok(Err(format!("the registry has no schema {id}")));
        };
        if found.kind != "PROTOBUF" {
            return Ok(Err(format!("schema {id} is {} and not Protobuf", found.kind)));
        }
        Ok(Compiled::new(&found.text, &found.references).map_err(|error| format!("schema {id}: {error}")))
    }
}

#[cfg(test)]
mod tests;
