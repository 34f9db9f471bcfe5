//! A file's bytes, decompressed, as they come.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::metrics::Count;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::{GetOptions, GetResultPayload, ObjectMeta, ObjectStore};

use super::codec::{Codec, Decompressor};
use super::fault::Fault;
use crate::store::Pinned;

/// How much of a local file is read at once, in bytes.
const READ_BYTES: usize = 256 * 1024;
/// How many compressed bytes are decompressed at once: what comes of them can be a thousand times as long.
const COMPRESSED_BYTES: usize = 32 * 1024;

/// The bytes of a file from its beginning, decompressed.
pub(crate) struct Input {
    chunks: BoxStream<'static, Result<Bytes>>,
    decompressor: Option<Decompressor>,
    /// Compressed bytes that are still to be decompressed.
    waiting: Bytes,
    ended: bool,
    /// Counts the bytes of the file that have been taken.
    consumed: Count,
}

impl Input {
    /// Opens a file that is compressed by `codec`, or by what its extension stands for. `consumed` counts its bytes.
    pub(crate) async fn open(
        store: &Arc<dyn ObjectStore>,
        file: &ObjectMeta,
        codec: Option<Codec>,
        consumed: Count,
    ) -> Result<Self> {
        let codec = match codec {
            Some(codec) => codec,
            None => Codec::of_file(file.location.filename().unwrap_or_default()).map_err(|extension| {
                Fault::new(format!("files compressed as .{extension} are not read"))
                    .hint("files may be compressed by gzip, zstd, deflate or bzip2")
            })?,
        };
        let store = Pinned::over(Arc::clone(store), file.clone());
        let found = store.get_opts(&file.location, GetOptions::default()).await?;
        let chunks = match found.payload {
            GetResultPayload::File(file, _) => stream::iter(chunks_of(file)).boxed(),
            GetResultPayload::Stream(stream) => stream.map(|chunk| chunk.map_err(DataFusionError::from)).boxed(),
        };
        let decompressor = match codec {
            Codec::None => None,
            codec => Some(codec.decompressor()?),
        };
        Ok(Self { chunks, decompressor, waiting: Bytes::new(), ended: false, consumed })
    }

    /// The next bytes, which may be none; `None` at the end of the file.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.ended {
            return Ok(None);
        }
        if self.waiting.is_empty() {
            match self.chunks.next().await.transpose()? {
                Some(chunk) => {
                    self.consumed.add(chunk.len());
                    self.waiting = chunk;
                }
                None => {
                    self.ended = true;
                    let Some(decompressor) = &mut self.decompressor else { return Ok(None) };
                    let mut rest = Vec::new();
                    decompressor.finish(&mut rest)?;
                    return Ok(Some(rest.into()));
                }
            }
        }
        let Some(decompressor) = &mut self.decompressor else {
            return Ok(Some(std::mem::take(&mut self.waiting)));
        };
        let some = self.waiting.split_to(self.waiting.len().min(COMPRESSED_BYTES));
        let mut out = Vec::new();
        decompressor.push(&some, &mut out)?;
        Ok(Some(out.into()))
    }
}

/// A local file in pieces. It is read where the rows are decoded, as the engine reads text files.
fn chunks_of(mut file: File) -> impl Iterator<Item = Result<Bytes>> + Send {
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let mut buffer = vec![0; READ_BYTES];
        match file.read(&mut buffer) {
            Ok(0) => None,
            Ok(read) => {
                buffer.truncate(read);
                Some(Ok(Bytes::from(buffer)))
            }
            Err(error) => {
                failed = true;
                Some(Err(error.into()))
            }
        }
    })
}
