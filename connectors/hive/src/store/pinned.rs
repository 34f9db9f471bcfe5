//! A file as it was listed: an error when another has taken its place.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result, coalesce_ranges,
};

use crate::write::is_ours;

/// What the error says of a file that was written anew.
pub(crate) const CHANGED: &str = "the file is not the one that was listed";

/// A store from which one file is read, as it was listed. A reader takes it in parts, some of which it may have from before:
/// parts of two files together would be rows of neither.
#[derive(Debug)]
pub(crate) struct Pinned {
    inner: Arc<dyn ObjectStore>,
    file: ObjectMeta,
    /// The end of the file, once it was read for the footer: of a small file, all that the rows need.
    tail: Tail,
    /// How many bytes between two ranges are read along.
    gap: u64,
}

/// The end of a file, which all of a scan's readers of the file share.
pub(crate) type Tail = Arc<OnceLock<Bytes>>;

/// The longest end of a file that is kept while it is read, in bytes.
const TAIL_BYTES_MAX: u64 = 512 * 1024;

impl Pinned {
    pub(crate) fn over(inner: Arc<dyn ObjectStore>, file: ObjectMeta) -> Arc<dyn ObjectStore> {
        Self::sharing(inner, file, Tail::default(), OBJECT_STORE_COALESCE_DEFAULT)
    }

    /// The same, with what another reader of the file keeps of its end, and with how many bytes between two ranges are read
    /// along.
    pub(crate) fn sharing(inner: Arc<dyn ObjectStore>, file: ObjectMeta, tail: Tail, gap: u64) -> Arc<dyn ObjectStore> {
        Arc::new(Self { inner, file, tail, gap })
    }

    /// A range of the file from its end, if that was read and reaches so far.
    fn of_tail(&self, options: &GetOptions) -> Option<GetResult> {
        let Some(GetRange::Bounded(range)) = options.range.clone().filter(|_| !options.head) else { return None };
        let tail = self.tail.get()?;
        let begins = self.file.size.checked_sub(tail.len() as u64)?;
        let at = |position: u64| position.checked_sub(begins).and_then(|at| usize::try_from(at).ok());
        let (start, end) = (at(range.start)?, at(range.end)?);
        (start <= end && end <= tail.len()).then(|| self.answer(range, tail.slice(start..end)))
    }

    fn answer(&self, range: Range<u64>, bytes: Bytes) -> GetResult {
        GetResult {
            payload: GetResultPayload::Stream(stream::iter([Ok(bytes)]).boxed()),
            meta: self.file.clone(),
            range,
            attributes: Attributes::default(),
        }
    }

    fn check(&self, found: &ObjectMeta) -> Result<()> {
        let same = match (&self.file.e_tag, &found.e_tag) {
            (Some(listed), Some(found)) => bare(listed) == bare(found),
            // Known from a record of ours, which has the time of the commit. No other file ever gets the name.
            (None, _) if is_ours(&self.file.location) => true,
            // Answers give the time by the second, listings may be finer.
            _ => found.last_modified.timestamp() == self.file.last_modified.timestamp(),
        };
        if same && found.size == self.file.size {
            return Ok(());
        }
        Err(Error::Precondition { path: self.file.location.to_string(), source: CHANGED.into() })
    }
}

/// An entity tag without what some stores add in one place and not in the other.
fn bare(tag: &str) -> &str {
    tag.trim_start_matches("W/").trim_matches('"')
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Pinned {
    async fn get_opts(&self, path: &Path, mut options: GetOptions) -> Result<GetResult> {
        if let Some(known) = self.of_tail(&options) {
            return Ok(known);
        }
        let head = options.head;
        options.if_match.clone_from(&self.file.e_tag);
        let found = match self.inner.get_opts(path, options).await {
            Err(Error::Precondition { path, .. }) => return Err(Error::Precondition { path, source: CHANGED.into() }),
            found => found?,
        };
        // Not every store heeds the condition.
        self.check(&found.meta)?;
        let range = found.range.clone();
        let is_tail = range.end == self.file.size && range.end.saturating_sub(range.start) <= TAIL_BYTES_MAX;
        if head || !is_tail {
            return Ok(found);
        }
        let bytes = found.bytes().await?;
        // Another may have read it in the meantime, which is as good.
        let _ = self.tail.set(bytes.clone());
        Ok(self.answer(range, bytes))
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        coalesce_ranges(ranges, |range| self.get_range(path, range), self.gap).await
    }

    fn list(&self, _prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::iter([Err(only_read())]).boxed()
    }

    async fn list_with_delimiter(&self, _prefix: Option<&Path>) -> Result<ListResult> {
        Err(only_read())
    }

    async fn put_opts(&self, _path: &Path, _payload: PutPayload, _options: PutOptions) -> Result<PutResult> {
        Err(only_read())
    }

    async fn put_multipart_opts(
        &self,
        _path: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(only_read())
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        paths.map(|_| Err(only_read())).boxed()
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(only_read())
    }
}

fn only_read() -> Error {
    Error::NotImplemented { operation: "any but reading".to_owned(), implementer: "a file that is read".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn a_file_that_was_written_anew_is_an_error() {
        let inner = Arc::new(InMemory::new());
        let path = Path::from("f");
        inner.put(&path, PutPayload::from_static(b"before")).await.unwrap();
        let listed = inner.head(&path).await.unwrap();
        let pinned = |file: &ObjectMeta| Pinned::over(Arc::clone(&inner) as _, file.clone());
        assert_eq!(pinned(&listed).get_range(&path, 0..3).await.unwrap(), "bef");
        inner.put(&path, PutPayload::from_static(b"behind")).await.unwrap();
        let error = pinned(&listed).get_ranges(&path, &[0..1, 2..3]).await.unwrap_err();
        assert!(matches!(error, Error::Precondition { .. }) && error.to_string().contains(CHANGED), "{error}");
        // What was read with the end of the file is not asked for again.
        let pinned = pinned(&inner.head(&path).await.unwrap());
        assert_eq!(pinned.get_range(&path, 2..6).await.unwrap(), "hind");
        inner.put(&path, PutPayload::from_static(b"gone")).await.unwrap();
        assert_eq!(pinned.get_ranges(&path, &[3..4, 5..6]).await.unwrap(), ["i", "d"]);
        assert!(pinned.get_range(&path, 1..4).await.is_err());
        inner.put(&path, PutPayload::from_static(b"behind")).await.unwrap();
        let pinned = |file: &ObjectMeta| Pinned::over(Arc::clone(&inner) as _, file.clone());
        // A listing without tags tells by the size and the time.
        let untagged = ObjectMeta { e_tag: None, ..inner.head(&path).await.unwrap() };
        assert!(pinned(&untagged).get(&path).await.is_ok());
        let error = pinned(&ObjectMeta { size: 7, ..untagged }).get(&path).await.unwrap_err();
        assert!(error.to_string().contains(CHANGED), "{error}");
    }
}
