//! No output: a query runs to its end, and its rows are thrown away.

use std::io::Write;

use arrow::array::RecordBatch;

use super::{OutputError, ResultWriter};

/// Writes nothing.
#[derive(Debug)]
pub(super) struct NullWriter;

impl ResultWriter for NullWriter {
    fn batch(&mut self, _batch: &RecordBatch, _out: &mut dyn Write) -> Result<(), OutputError> {
        Ok(())
    }

    fn finish(&mut self, _out: &mut dyn Write) -> Result<(), OutputError> {
        Ok(())
    }
}
