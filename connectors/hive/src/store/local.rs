//! The local file system. What it has in memory is read at once: a thread that may wait for the disk, and the switches to
//! it and back, take longer than the copy.

use std::fmt;
use std::fs::File;
use std::io::IoSliceMut;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// The longest range that is copied on the thread that asks, in bytes: others wait for that long, about a millisecond.
const AT_ONCE_BYTES_MAX: u64 = 4 << 20;

/// See the module's comment.
#[derive(Debug)]
pub(super) struct Local {
    inner: LocalFileSystem,
}

impl Local {
    pub(super) fn new() -> Self {
        Self { inner: LocalFileSystem::new() }
    }

    /// A range of a file, if all of it is in memory. `None` leaves whatever is the matter to the one who may wait.
    fn at_once(&self, path: &Path, options: &GetOptions) -> Option<GetResult> {
        let Some(GetRange::Bounded(range)) = options.range.clone().filter(|_| !options.head) else { return None };
        let length = range.end.checked_sub(range.start).filter(|length| *length <= AT_ONCE_BYTES_MAX)?;
        let file = File::open(self.inner.path_to_filesystem(path).ok()?).ok()?;
        let meta = described(&file, path)?;
        if range.end > meta.size || options.check_preconditions(&meta).is_err() {
            return None;
        }
        let bytes = in_memory(&file, range.start, usize::try_from(length).ok()?)?;
        let payload = GetResultPayload::Stream(stream::iter([Ok(Bytes::from(bytes))]).boxed());
        Some(GetResult { payload, meta, range, attributes: Attributes::default() })
    }
}

/// What the file system tells of a file, with the entity tag that `LocalFileSystem` makes of it. With another tag no
/// condition would hold, and nothing would be read here.
fn described(file: &File, path: &Path) -> Option<ObjectMeta> {
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let modified = metadata.modified().ok()?;
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_micros();
    Some(ObjectMeta {
        location: path.clone(),
        last_modified: modified.into(),
        size: metadata.len(),
        e_tag: Some(format!("{:x}-{since:x}-{:x}", metadata.ino(), metadata.len())),
        version: None,
    })
}

/// So many bytes of a file, if the system has them in memory (`RWF_NOWAIT`, preadv2(2)).
fn in_memory(file: &File, start: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match preadv2(file, &mut [IoSliceMut::new(rest)], start + filled as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) => return None,
            Ok(more) => filled += more,
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    Some(bytes)
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Local {
    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        match self.at_once(path, &options) {
            Some(found) => Ok(found),
            None => self.inner.get_opts(path, options).await,
        }
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(path, ranges).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::{Error, ObjectStoreExt};

    #[tokio::test]
    async fn what_is_read_at_once_is_what_the_file_system_reads() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("of öne.parquet");
        let written: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&file, &written).unwrap();
        let (local, path) = (Local::new(), Path::from_absolute_path(&file).unwrap());
        let listed = local.head(&path).await.unwrap();
        let asked = |range: Range<u64>| GetOptions {
            range: Some(GetRange::Bounded(range)),
            if_match: listed.e_tag.clone(),
            ..GetOptions::default()
        };
        // It was just written, so it is in memory, and the tag is the listing's.
        let found = local.at_once(&path, &asked(7..300_007)).unwrap();
        assert_eq!(found.meta, listed);
        assert_eq!(found.bytes().await.unwrap(), written[7..300_007]);
        assert_eq!(local.get_opts(&path, asked(399_999..400_000)).await.unwrap().bytes().await.unwrap(), [0][..]);
        // What is not as asked is left to the file system, which says why.
        assert!(local.at_once(&path, &asked(0..400_001)).is_none());
        assert_eq!(local.get_range(&path, 399_999..400_001).await.unwrap(), [0][..]);
        assert!(local.at_once(&path, &GetOptions::default()).is_none());
        std::fs::write(&file, b"shorter").unwrap();
        assert!(local.at_once(&path, &asked(0..3)).is_none());
        let error = local.get_opts(&path, asked(0..3)).await.unwrap_err();
        assert!(matches!(error, Error::Precondition { .. }), "{error}");
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(local.get_opts(&path, asked(0..3)).await, Err(Error::NotFound { .. })));
        assert!(local.at_once(&Path::from_absolute_path(directory.path()).unwrap(), &asked(0..0)).is_none());
    }
}
