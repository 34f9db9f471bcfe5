//! Avro records, alone or behind the five bytes with the schema's id that Confluent's serializers write.

mod columns;
mod event;
mod extent;
mod read;
mod resolve;
mod schema;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use self::columns::columns;
use self::event::Events;
use self::resolve::Plan;
use self::schema::{Field, Recursive, Schema};
pub(crate) use self::write::AvroWriter;
use super::Fault;
use super::framing::schema_id;
use crate::cell::Cell;
use crate::layout::MessageColumn;
use crate::registry::Schemas;

/// The most schemas of one scan.
const MAX_SCHEMAS: usize = 10_000;

/// Reads Avro records as the table's schema has them.
pub(crate) struct AvroReader {
    reader: Schema,
    wanted: Vec<String>,
    writer: Writer,
    /// How change events become rows, where messages are such.
    events: Option<Events>,
    /// What is to be done for each schema, or why it cannot be read.
    plans: HashMap<u32, Result<Plan, String>>,
}

/// Where the writer's schema comes from.
enum Writer {
    /// This one, with its records that contain themselves.
    Own(Box<(Schema, Recursive)>),
    /// Its id is in the message.
    Registry(Arc<dyn Schemas>),
}

impl std::fmt::Debug for AvroReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AvroReader").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

impl AvroReader {
    /// A reader of columns of this schema, by which all messages were written.
    pub(super) fn of_text(columns: &[MessageColumn], text: &str) -> Result<Self, Fault> {
        let (schema, recursive) = Schema::parse_all(text, &[])?;
        let schema = in_record(schema);
        Ok(Self::new(columns, schema.clone(), Writer::Own(Box::new((schema, recursive)))))
    }

    /// A reader of columns of the schema of this id; messages have the ids of those by which they were written.
    pub(super) fn of_registry(columns: &[MessageColumn], id: u32, schemas: &Arc<dyn Schemas>) -> Result<Self, Fault> {
        let found = schemas.by_id(id)?.ok_or_else(|| format!("the registry has no schema {id}"))?;
        let schema = in_record(Schema::parse(&found.text, &found.references)?);
        Ok(Self::new(columns, schema, Writer::Registry(Arc::clone(schemas))))
    }

    fn new(columns: &[MessageColumn], reader: Schema, writer: Writer) -> Self {
        let wanted = columns.iter().map(|column| column.name.clone()).collect();
        Self { reader, wanted, writer, events: None, plans: HashMap::new() }
    }

    /// The same for change events, of whose rows the columns are. With `all`, the columns of the part, the whole row before a
    /// change comes behind them.
    pub(super) fn of_events(self, all: Option<&[MessageColumn]>) -> Result<Self, Fault> {
        let all = all.map(|columns| columns.iter().map(|column| column.name.clone()).collect());
        let (events, reader) = Events::new(&self.reader, &self.wanted, all)?;
        Ok(Self { reader, wanted: event::FIELDS.map(str::to_owned).to_vec(), events: Some(events), ..self })
    }

    pub(super) fn read<'m>(&mut self, bytes: &'m [u8], cells: &mut Vec<Cell<'m>>) -> Result<(), Fault> {
        let (id, body) = match &self.writer {
            Writer::Own(_) => (0, bytes),
            Writer::Registry(_) => schema_id(bytes)?,
        };
        self.learn(id)?;
        match self.plans.get(&id) {
            Some(Ok(plan)) => match &self.events {
                None => Ok(read::record(body, plan, cells)?),
                Some(events) => {
                    let mut fields = Vec::with_capacity(event::FIELDS.len());
                    read::record(body, plan, &mut fields)?;
                    Ok(events.row(fields, cells)?)
                }
            },
            Some(Err(error)) => Err(Fault::Message(error.clone())),
            None => Err(Fault::Message(format!("schema {id} is not known"))),
        }
    }

    /// Whether the columns are those of the messages themselves.
    pub(super) fn is_simple(&self) -> bool {
        self.events.is_none()
    }

    /// Hands the values of a message to `visit` with the places of their columns, each of which has one at most: what is not
    /// visited is NULL. `None` where `visit` says so, and where the message does not decode.
    #[inline]
    pub(super) fn visit<'m>(
        &mut self,
        bytes: &'m [u8],
        visit: impl FnMut(usize, Cell<'m>) -> Option<()>,
    ) -> Option<()> {
        let (id, body) = match &self.writer {
            Writer::Own(_) => (0, bytes),
            Writer::Registry(_) => schema_id(bytes).ok()?,
        };
        // A schema that is met for the first time is left to who tells why it cannot be had.
        read::visit_record(body, self.plans.get(&id)?.as_ref().ok()?, visit)
    }

    /// Finds out what is to be done for messages of a schema.
    fn learn(&mut self, id: u32) -> Result<(), Fault> {
        if !self.plans.contains_key(&id) {
            let plan = self.plan(id)?;
            if self.plans.len() >= MAX_SCHEMAS {
                self.plans.clear();
            }
            self.plans.insert(id, plan);
        }
        Ok(())
    }

    /// What is to be done for messages of a schema.
    fn plan(&self, id: u32) -> Result<Result<Plan, String>, Fault> {
        let schemas = match &self.writer {
            Writer::Own(own) => return Ok(resolve::record(&own.0, &own.1, &self.reader, &self.wanted)),
            Writer::Registry(schemas) => schemas,
        };
        let Some(found) = schemas.by_id(id)? else {
            return Ok(Err(format!("the registry has no schema {id}")));
        };
        if found.kind != "AVRO" {
            return Ok(Err(format!("schema {id} is {} and not Avro", found.kind)));
        }
        let plan = Schema::parse_all(&found.text, &found.references).and_then(|(writer, recursive)| {
            resolve::record(&in_record(writer), &recursive, &self.reader, &self.wanted)
        });
        Ok(plan.map_err(|error| format!("schema {id}: {error}")))
    }
}

/// The field that stands for a value that is no record.
const WHOLE: &str = "value";

/// A schema as that of a record: its fields are written one after the other, so that a record of one field is that field.
fn in_record(schema: Schema) -> Schema {
    match schema {
        record @ Schema::Record { .. } => record,
        schema => {
            let field = Field { name: WHOLE.to_owned(), aliases: Vec::new(), schema, default: None, is_read: true };
            Schema::Record { name: WHOLE.to_owned(), fields: Arc::new(vec![field]) }
        }
    }
}

#[cfg(test)]
mod tests;
