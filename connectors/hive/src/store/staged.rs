//! An object store in which the files of a committed write are found before they are in their places: a file that is not
//! there is read from where it was staged. Only files whose names are those of our writes are looked for twice.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::write::staged_place;

/// See the module's comment.
#[derive(Debug)]
pub(super) struct Staged {
    inner: Arc<dyn ObjectStore>,
}

impl Staged {
    pub(super) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner }
    }
}

impl fmt::Display for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Where else to look for a file after this error.
fn elsewhere(path: &Path, error: &Error) -> Option<Path> {
    matches!(error, Error::NotFound { .. }).then(|| staged_place(path)).flatten()
}

#[async_trait]
impl ObjectStore for Staged {
    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let error = match self.inner.get_opts(path, options.clone()).await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let Some(staged) = elsewhere(path, &error) else { return Err(error) };
        let found = match self.inner.get_opts(&staged, options.clone()).await {
            // It may have come into its place between the two requests.
            Err(Error::NotFound { .. }) => self.inner.get_opts(path, options).await,
            found => found,
        };
        found.map(|mut found| {
            found.meta.location = path.clone();
            found
        })
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let error = match self.inner.get_ranges(path, ranges).await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let Some(staged) = elsewhere(path, &error) else { return Err(error) };
        match self.inner.get_ranges(&staged, ranges).await {
            Err(Error::NotFound { .. }) => self.inner.get_ranges(path, ranges).await,
            found => found,
        }
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
