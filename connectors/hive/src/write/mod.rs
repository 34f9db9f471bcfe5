//! Writing tables: Parquet files that are staged, one record that commits them, and bringing them into their places.
//! docs/lake-writes.md says why it is done so.
//!
//! * `options`: `WITH (...)`; `definition`: what a table is; `target`: where rows go; `types`, `values`: what is written of
//!   which type, and as which directory.
//! * `writer`: the rows of a statement; `split`: their partitions; `files`: the files that are open.
//! * `log` and `record`: what a table's log holds; `commit`: the next record; `token`: a write that is tried again;
//!   `existing`: what a write finds.
//! * `publish`: files into their places; `registry`, `registered` and `tally`: what a metastore is told; `columns` and `distinct`: what it is told
//!   of columns; `view`: what readers see of all this.
//! * `catalog`: the statements; `define`: schemas and tables made and dropped; `clean`: what dead writes leave.

mod catalog;
mod clean;
mod columns;
mod commit;
mod define;
mod definition;
mod distinct;
mod existing;
mod files;
mod log;
mod options;
mod publish;
mod record;
mod registered;
mod registry;
mod split;
mod tally;
mod target;
mod token;
mod types;
mod values;
mod view;
mod writer;

use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path;
use portolan_connector::Result;

pub(crate) use clean::{STAGED_KEPT, Scope};
pub(crate) use definition::Definition;
pub(crate) use log::{LOG, Log};
pub(crate) use options::TABLE_PROPERTIES;
pub(crate) use view::{LogState, Settled, View, busy, is_ours};

/// What several requests come to, of which so many are made at the same time.
async fn at_once<T>(count: usize, requests: Vec<impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
    stream::iter(requests).buffered(count).try_collect().await
}

/// Where a file of ours was before it came into its place: its directory, or the one that its partition's directories are
/// in, is the table's. `None` for files of others.
pub(crate) fn staged_place(path: &Path) -> Option<Path> {
    let (mut directory, name) = view::split(path)?;
    let (write, number) = record::parse_file_name(&name)?;
    while directory.filename().is_some_and(|part| part.contains('=')) {
        directory = view::split(&directory)?.0;
    }
    crate::store::child(&directory, &format!("{LOG}/{}/{write}/{number:05}", log::STAGED)).ok()
}
