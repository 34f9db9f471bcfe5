//! What `CALL system.reload_catalogs()` answers.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::catalog::Change;
use crate::error::Result;
use crate::session::Answer;
use crate::session::answer::TextRows;

const COLUMNS: [&str; 3] = ["catalog", "change", "reason"];

/// The columns of the answer.
pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(COLUMNS.map(|name| Field::new(name, DataType::Utf8, true)).to_vec()))
}

/// A row for each catalog that is not as before.
pub(super) fn answer(changes: &[(String, Change)]) -> Result<Answer> {
    let mut rows = TextRows::new(&COLUMNS);
    for (catalog, change) in changes {
        let (change, reason) = match change {
            Change::Added => ("added", None),
            Change::Changed => ("changed", None),
            Change::Removed => ("removed", None),
            Change::Kept(why) => ("kept as it was", Some(why.clone())),
            Change::Broken(why) => ("added, and broken", Some(why.clone())),
        };
        rows.push([Some(catalog.clone()), Some(change.to_owned()), reason]);
    }
    rows.answer()
}
