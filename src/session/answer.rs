//! What a statement answers.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use crate::error::{Error, Result};

/// Whether an answer is rows to show or a change that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// Rows.
    Rows,
    /// A change without rows, with the words that say so: `SET SESSION`.
    Done(&'static str),
    /// Rows were written, so many. The answer's one row says the same.
    Written(u64),
}

/// The entry of a schema's metadata that says how an answer of one number is told to a person: `INSERT 0`, and the number.
pub(crate) const WRITTEN_WORDS: &str = "portolan.written";

/// The answer of one statement.
pub struct Answer {
    /// The query's id; empty for statements that run no query.
    pub query_id: String,
    /// Rows or a change.
    pub kind: AnswerKind,
    /// The columns.
    pub schema: SchemaRef,
    /// The rows. Dropping the stream cancels the query.
    pub rows: SendableRecordBatchStream,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("query_id", &self.query_id)
            .field("kind", &self.kind)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl Answer {
    pub(crate) fn rows(query_id: &str, rows: SendableRecordBatchStream) -> Self {
        Self { query_id: query_id.to_owned(), kind: AnswerKind::Rows, schema: rows.schema(), rows }
    }

    /// One batch that is there already.
    pub(crate) fn batch(batch: RecordBatch) -> Self {
        let schema = batch.schema();
        let stream = futures::stream::once(futures::future::ready(Ok(batch)));
        Self::rows("", Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }

    /// One text column, a row for each line.
    pub(crate) fn text(query_id: &str, schema: SchemaRef, lines: Vec<String>) -> Result<Self> {
        let column: ArrayRef = Arc::new(StringArray::from(lines));
        let batch = RecordBatch::try_new(schema, vec![column])
            .map_err(|error| Error::internal(format!("cannot build the answer: {error}")))?;
        Ok(Self { query_id: query_id.to_owned(), ..Self::batch(batch) })
    }

    pub(crate) fn done(words: &'static str) -> Result<Self> {
        let schema = Self::empty_schema();
        let stream = futures::stream::empty();
        let rows: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), stream));
        Ok(Self { query_id: String::new(), kind: AnswerKind::Done(words), schema, rows })
    }

    /// The answer of a statement that wrote rows, with a schema of [`Answer::written_schema`].
    pub(crate) fn written(query_id: &str, schema: SchemaRef, rows: u64) -> Result<Self> {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![i64::try_from(rows).unwrap_or(i64::MAX)]));
        let batch = RecordBatch::try_new(schema, vec![column])
            .map_err(|error| Error::internal(format!("cannot build the answer: {error}")))?;
        Ok(Self { query_id: query_id.to_owned(), kind: AnswerKind::Written(rows), ..Self::batch(batch) })
    }

    /// One column, the number of written rows, with the words that a person is told before the number.
    pub(crate) fn written_schema(words: &str) -> SchemaRef {
        let metadata = HashMap::from([(WRITTEN_WORDS.to_owned(), words.to_owned())]);
        Arc::new(Schema::new_with_metadata(vec![Field::new("rows", DataType::Int64, false)], metadata))
    }

    pub(crate) fn empty_schema() -> SchemaRef {
        Arc::new(Schema::empty())
    }
}

/// Rows of text, built row by row, for statements that the session answers itself.
#[derive(Debug)]
pub(crate) struct TextRows {
    names: Vec<&'static str>,
    columns: Vec<Vec<Option<String>>>,
}

impl TextRows {
    pub(crate) fn new(names: &[&'static str]) -> Self {
        Self { names: names.to_vec(), columns: vec![Vec::new(); names.len()] }
    }

    pub(crate) fn push<const N: usize>(&mut self, row: [Option<String>; N]) {
        for (column, value) in self.columns.iter_mut().zip(row) {
            column.push(value);
        }
    }

    pub(crate) fn answer(self) -> Result<Answer> {
        let fields: Vec<Field> = self.names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
        let columns = self.columns.into_iter().map(|column| Arc::new(StringArray::from(column)) as ArrayRef).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(|error| Error::internal(format!("cannot build the answer: {error}")))?;
        Ok(Answer::batch(batch))
    }
}
