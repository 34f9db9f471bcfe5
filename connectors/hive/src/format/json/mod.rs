//! JSON lines: one object per line.
//!
//! The engine's own JSON reader cuts the fraction off numbers in integer columns, takes the last of two equal keys and
//! does not find a key whose case differs, so objects are read here. A value is read by the type of its column
//! ([`super::values`]), from the text that the file has for it.

mod decode;
mod object;

use datafusion::error::Result;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use portolan_connector::ConnectorError;

use super::fault::Fault;
use super::infer::{Inferred, unite_member};
use super::input::Input;
use super::records::{Sample, batches, sample, sample_error};
use super::source::{Batches, OpenFile, RowFormat};
use super::{Codec, inferred_columns};
use crate::schema::FileSchema;
use crate::store::Files;

use decode::JsonDecoder;
use object::{infer_object, located};

/// How many rows of a file are looked at to infer its columns.
const SAMPLE_ROWS: u64 = 10_000;

/// How JSON lines are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct JsonFormat {
    /// `None` goes by the extension of each file.
    pub(crate) compression: Option<Codec>,
}

impl RowFormat for JsonFormat {
    fn name(&self) -> &'static str {
        "json"
    }

    fn open(&self, file: OpenFile) -> BoxFuture<'static, Result<Batches>> {
        let compression = self.compression;
        async move {
            let input = Input::open(&file.store, &file.file, compression, file.scanned).await?;
            let decoder = JsonDecoder::new(&file.schema, &file.columns, file.batch_rows, file.null_on_mismatch)?;
            Ok(batches(input, Box::new(decoder), file.batch_rows))
        }
        .boxed()
    }
}

/// Infers the columns from the beginnings of the samples.
pub(super) async fn read_schema(
    format: &JsonFormat,
    store: &Files,
    samples: &[ObjectMeta],
    concurrency: usize,
) -> portolan_connector::Result<FileSchema> {
    let samples: Vec<(ObjectMeta, Sample)> = stream::iter(samples.to_vec())
        .map(|file| async move {
            let sample = sample(store, &file, format.compression).await?;
            Ok::<_, ConnectorError>((file, sample))
        })
        .buffered(concurrency)
        .try_collect()
        .await?;
    let mut schema = FileSchema::default();
    let mut columns = Vec::new();
    for (file, sample) in &samples {
        let (found, rows) = infer(sample).map_err(|fault| sample_error(store, file, &fault))?;
        for (name, inferred) in found {
            unite_member(&mut columns, name, inferred);
        }
        schema.rows += rows;
        schema.file_bytes += sample.consumed;
    }
    if columns.is_empty() {
        return Err(ConnectorError::source("the files that were looked at have no object with a key")
            .hint("declare the columns in the table's section of the catalog file: columns = { name = \"type\" }"));
    }
    schema.columns = inferred_columns(columns);
    Ok(schema)
}

/// The columns of the objects in a sample, and how many objects there are in it.
fn infer(sample: &Sample) -> Result<(Vec<(String, Inferred)>, u64), Fault> {
    let mut columns = Vec::new();
    let mut rows = 0_u64;
    let mut lines = sample.bytes.split(|byte| *byte == b'\n').zip(1..).peekable();
    while let Some((line, number)) = lines.next() {
        // The last line of a sample may go on beyond it.
        let cut = lines.peek().is_none() && !sample.whole;
        if cut || line.trim_ascii().is_empty() {
            continue;
        }
        rows += 1;
        if rows > SAMPLE_ROWS {
            continue;
        }
        let members = infer_object(decode::without_mark(line, number)).map_err(|error| located(&error, number))?;
        for (name, inferred) in members {
            unite_member(&mut columns, name, inferred);
        }
    }
    Ok((columns, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(text: &str, whole: bool) -> Result<Vec<(String, String)>, Fault> {
        let sample = Sample { bytes: text.as_bytes().to_vec(), whole, consumed: text.len() as u64 };
        let (columns, _) = infer(&sample)?;
        Ok(columns.into_iter().map(|(name, inferred)| (name, inferred.data_type().to_string())).collect())
    }

    #[test]
    fn columns_of_all_objects() {
        let found =
            columns("{\"a\": 1, \"b\": null}\n\n{\"A\": 2.5, \"c\": \"2026-01-01\", \"d\": {}}\r\n{\"cut", false);
        let expected = [("a", "Float64"), ("b", "Utf8View"), ("c", "Utf8View"), ("d", "Utf8View")];
        assert_eq!(found.unwrap(), expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
        let found = columns("{\"n\": 12345678901234567890, \"l\": [1, null], \"s\": {\"x\": [true]}}", true).unwrap();
        assert_eq!(found[0].1, "Utf8View", "a whole number beyond bigint keeps its digits");
        assert_eq!(found[1].1, "List(Int64)");
        assert!(found[2].1.starts_with("Struct("), "{}", found[2].1);
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for text in ["[{\"a\": 1}]\n", "{\n\"a\": 1\n}\n", "{\"a\": 1} {\"a\": 2}\n", "5\n", "{\"a\": 1, \"a\": 2}"] {
            let fault = columns(text, true).unwrap_err();
            assert_eq!(fault.line, Some(1), "{text}: {fault}");
        }
    }
}
