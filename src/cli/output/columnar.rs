//! Arrow's streaming format and Parquet.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::{OutputError, ResultWriter};
use crate::error::{Error, Result};

/// Bytes of encoded rows that a Parquet writer holds before it closes a row group.
const ROW_GROUP_BYTES_MAX: usize = 64 << 20;

/// What an Arrow stream ends with when the query failed: the head of a message of 8 bytes that does not follow, so
/// that no reader takes the stream for a whole one. (Readers take a plain end of file for the end of the stream.)
const CUT: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 8, 0, 0, 0];

/// The Arrow IPC streaming format.
pub(super) struct ArrowStreamWriter {
    writer: StreamWriter<Vec<u8>>,
}

impl ArrowStreamWriter {
    pub(super) fn new(schema: &SchemaRef) -> Result<Self> {
        let writer = StreamWriter::try_new(Vec::new(), schema).map_err(|error| cannot("the Arrow stream", &error))?;
        Ok(Self { writer })
    }

    fn drain(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        Ok(out.write_all(&std::mem::take(self.writer.get_mut()))?)
    }
}

impl ResultWriter for ArrowStreamWriter {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), OutputError> {
        self.writer.write(batch).map_err(|error| cannot("the Arrow stream", &error))?;
        self.drain(out)
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        self.writer.finish().map_err(|error| cannot("the Arrow stream", &error))?;
        self.drain(out)
    }

    fn abort(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        self.drain(out)?;
        Ok(out.write_all(&CUT)?)
    }
}

/// A Parquet file. A file that was not finished has no footer, and nothing reads it.
pub(super) struct ParquetWriter {
    writer: Option<ArrowWriter<Vec<u8>>>,
}

impl ParquetWriter {
    pub(super) fn new(schema: &SchemaRef) -> Result<Self> {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = ArrowWriter::try_new(Vec::new(), SchemaRef::clone(schema), Some(properties))
            .map_err(|error| cannot("the Parquet file", &error))?;
        Ok(Self { writer: Some(writer) })
    }
}

impl ResultWriter for ParquetWriter {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), OutputError> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        writer.write(batch).map_err(|error| cannot("the Parquet file", &error))?;
        if writer.in_progress_size() > ROW_GROUP_BYTES_MAX {
            writer.flush().map_err(|error| cannot("the Parquet file", &error))?;
        }
        Ok(out.write_all(&std::mem::take(writer.inner_mut()))?)
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<(), OutputError> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let bytes = writer.into_inner().map_err(|error| cannot("the Parquet file", &error))?;
        Ok(out.write_all(&bytes)?)
    }
}

fn cannot(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::user(format!("cannot write {what}: {error}")).hint("choose another --format")
}
