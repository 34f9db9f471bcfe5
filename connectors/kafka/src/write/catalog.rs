//! A cluster that statements can change: rows are added to topics, and nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use portolan_connector::{
    Begun, ConnectorError, ConnectorTable, InsertMode, NewTable, Reason, Result, TableName, WritableCatalog,
    WriteContext,
};

use super::Writes;
use super::rows::{RowEncoder, Target};
use super::token::Token;
use super::writer::Writer;
use crate::connector::KafkaConnector;
use crate::error::LogError;
use crate::format::AvroWriter;
use crate::layout::{Format, Part, WriterSchema};
use crate::partitioner::Partitioner;
use crate::registry::FoundSchema;
use crate::table::KafkaTable;

/// Why topics are neither made nor removed.
const NO_TOPICS: &str = "statements add messages to topics, and neither make nor remove them";
/// How topics are made.
const MAKE_TOPICS: &str =
    "make the topic with kafka-topics.sh --create, declare its columns in the catalog file, and INSERT INTO it";

impl KafkaConnector {
    fn refused(&self) -> ConnectorError {
        ConnectorError::user(NO_TOPICS).hint(MAKE_TOPICS).in_catalog(self.catalog())
    }

    async fn begin_rows(
        &self,
        writes: &Writes,
        table: &dyn ConnectorTable,
        columns: &[usize],
        context: WriteContext,
    ) -> Result<Begun> {
        let name = table.name();
        let names: Option<Vec<&str>> =
            columns.iter().map(|index| table.columns().get(*index).map(|column| column.name())).collect();
        let names = names.ok_or_else(|| ConnectorError::internal("the table has fewer columns"))?;
        let found = self.messages(&name.schema, &name.table).await?;
        let Some(found) = found else {
            return Err(ConnectorError::user("rows are written to topics, and this table is no topic's own"));
        };
        check_columns(table, &found, &names)?;
        let offsets = writes.committed.offsets(&found.topic).await?;
        let offsets = offsets.ok_or_else(|| LogError::NoTopic { topic: found.topic.clone() })?;
        let target = Target {
            layout: &found.layout,
            partitioner: found.partitioner.unwrap_or(Partitioner::Murmur2),
            partitions: u32::try_from(offsets.len()).unwrap_or(u32::MAX),
        };
        let schemas = [self.schema(&found.layout.key, &names).await?, self.schema(&found.layout.value, &names).await?];
        let rows = RowEncoder::new(&target, &names, &writes.next, |part, given| {
            let schema = if *part == found.layout.key { &schemas[0] } else { &schemas[1] };
            avro(part, given, schema.as_ref())
        })?;
        if context.token.is_some() && !writes.producers.transactional {
            // A part of the rows may be there, in some partitions with the token and in others not at all.
            return Err(ConnectorError::user("a write_token needs transactions, and this catalog writes without")
                .hint("RESET SESSION write_token, or leave write_transactions out of the catalog file"));
        }
        let token = context.token.as_ref().map(|token| Token::new(token, &found.topic)).transpose()?;
        let mut sender = None;
        if let Some(token) = &token {
            // From here on an earlier try cannot commit any more.
            let (producers, id) = (Arc::clone(&writes.producers), token.id());
            let begun = tokio::task::spawn_blocking(move || producers.sender(Some(&id)));
            sender = Some(begun.await.map_err(|error| ConnectorError::internal("a producer stopped").said(error))??);
            if let Some(rows) = token.committed(writes).await? {
                // Closing takes a while.
                tokio::task::spawn_blocking(move || drop(sender));
                return Ok(Begun::Already(rows));
            }
        }
        let writer = Writer::new(writes, (name.clone(), found.topic), rows, token, sender);
        Ok(Begun::Writer(Box::new(writer)))
    }

    /// The schema by which a part is written, if one of its columns is and it is one of the registry.
    async fn schema(&self, part: &Part, names: &[&str]) -> Result<Option<FoundSchema>> {
        let is_written = part.columns.iter().any(|column| names.contains(&column.name.as_str()));
        let (Format::Avro(WriterSchema::Id(_)), Some((subject, version)), true) =
            (&part.format, &part.subject, is_written)
        else {
            return Ok(None);
        };
        let Some(registry) = self.registry() else { return Ok(None) };
        Ok(registry.of_subject(subject, Some(*version)).await?)
    }
}

/// A writer of Avro for a part.
fn avro(part: &Part, given: &[&str], schema: Option<&FoundSchema>) -> Result<AvroWriter, String> {
    match (&part.format, schema) {
        (Format::Avro(WriterSchema::Text(text)), _) => AvroWriter::new(text, &[], None, given),
        (Format::Avro(WriterSchema::Id(id)), Some(found)) => {
            AvroWriter::new(&found.text, &found.references, Some(*id), given)
        }
        _ => Err("its schema is not known".to_owned()),
    }
}

/// Whether the columns are still what they were when the statement was planned.
fn check_columns(planned: &dyn ConnectorTable, now: &KafkaTable, names: &[&str]) -> Result<()> {
    let of = |columns: &[portolan_connector::Column], name: &str| {
        columns.iter().find(|column| column.name() == name).map(|column| column.field.data_type().clone())
    };
    match names.iter().find(|name| of(planned.columns(), name) != of(&now.columns, name)) {
        Some(name) => Err(ConnectorError::user(format!("column {name} has changed since the statement was planned"))
            .hint("try again")),
        None => Ok(()),
    }
}

#[async_trait]
impl WritableCatalog for KafkaConnector {
    async fn create_schema(&self, _schema: &str) -> Result<bool> {
        Err(self.refused())
    }

    async fn drop_schema(&self, _schema: &str, _cascade: bool) -> Result<bool> {
        Err(self.refused())
    }

    async fn create_table(&self, table: NewTable, _context: WriteContext) -> Result<Begun> {
        Err(self.refused().in_table(&table.name))
    }

    async fn insert(
        &self,
        table: &Arc<dyn ConnectorTable>,
        columns: &[usize],
        mode: InsertMode,
        context: WriteContext,
    ) -> Result<Begun> {
        let begun = async {
            mode.only_append()?;
            let writes = self.writes().ok_or_else(|| ConnectorError::internal("the catalog is read only"))?;
            self.begin_rows(writes, table.as_ref(), columns, context).await
        };
        begun.await.map_err(|error: ConnectorError| error.in_table(table.name()))
    }

    fn refuses_row_changes(&self) -> Option<Reason> {
        Some(
            "messages are not changed where they are: write a newer one with the same key, or one without a value"
                .into(),
        )
    }

    async fn drop_table(&self, table: &TableName) -> Result<bool> {
        Err(self.refused().in_table(table))
    }
}
