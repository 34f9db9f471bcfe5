//! Lines of text as they are.

use std::io::Write;

use arrow::array::RecordBatch;

use super::value::write_text;
use super::{OutputError, ResultWriter};

/// Prints the first column, a value on each line, without header or border.
#[derive(Debug)]
pub(super) struct LinesWriter;

impl ResultWriter for LinesWriter {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<(), OutputError> {
        let Some(column) = batch.columns().first() else { return Ok(()) };
        for row in 0..batch.num_rows() {
            let mut line = String::new();
            write_text(column.as_ref(), row, &mut line)?;
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut dyn Write) -> Result<(), OutputError> {
        Ok(())
    }
}
