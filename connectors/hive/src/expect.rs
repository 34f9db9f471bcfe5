//! The requests that reading the files of a scan is expected to take.

use portolan_connector::RequestCount;

use crate::footers::is_known;
use crate::format::{Format, ORC_READ_BYTES};
use crate::scan::ScanFile;
use crate::schema::FOOTER_BYTES;
use crate::store::Store;

/// One request for each file, of ORC files that do not come whole one more, of Parquet files one more for a footer that is not remembered and that the rows do not come
/// along with. `bytes` is what is expected to be read of the columns; without columns the footers say all.
pub(crate) fn expected(
    format: &Format,
    store: &Store,
    files: &[ScanFile],
    has_columns: bool,
    bytes: u64,
) -> Vec<RequestCount> {
    let mut get = RequestCount { kind: "GET", count: 0, bytes: 0 };
    let mut reads_rows = false;
    for file in files {
        let footer = (*format == Format::Parquet && !is_known(store.footers(), &file.meta))
            .then(|| file.meta.size.min(FOOTER_BYTES as u64));
        let comes_along = footer == Some(file.meta.size);
        let rows = (has_columns || *format != Format::Parquet) && !comes_along;
        let stripes = *format == Format::Orc && has_columns && file.meta.size > ORC_READ_BYTES;
        get.count += u64::from(footer.is_some()) + u64::from(rows) + u64::from(stripes);
        get.bytes += footer.unwrap_or_default();
        reads_rows |= rows;
    }
    if reads_rows {
        get.bytes += bytes;
    }
    if get.count > 0 { vec![get] } else { Vec::new() }
}
