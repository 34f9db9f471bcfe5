use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

/// The local file system, with a record of every request.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    inner: LocalFileSystem,
    lists: Mutex<Vec<String>>,
    reads: Mutex<Vec<String>>,
}

impl Counting {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { inner: LocalFileSystem::new(), ..Self::default() })
    }

    /// The last parts of the directories listed and of the files read since the last call, sorted; a file is named
    /// once however often it was read.
    pub(crate) fn take(&self) -> (Vec<String>, Vec<String>) {
        let mut lists = std::mem::take(&mut *self.lists.lock().unwrap());
        let mut reads = std::mem::take(&mut *self.reads.lock().unwrap());
        lists.sort();
        reads.sort();
        reads.dedup();
        (lists, reads)
    }

    /// How many directories were listed and how many parts of files were read since the last call.
    pub(crate) fn count(&self) -> (usize, usize) {
        let lists = std::mem::take(&mut *self.lists.lock().unwrap());
        let reads = std::mem::take(&mut *self.reads.lock().unwrap());
        (lists.len(), reads.len())
    }

    fn note(record: &Mutex<Vec<String>>, path: &Path) {
        let text = path.to_string();
        let tail = text.split_once("bucket/lake/").map_or(text.as_str(), |(_, tail)| tail).to_owned();
        record.lock().unwrap().push(tail);
    }
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counting({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        Self::note(&self.reads, path);
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        Self::note(&self.reads, path);
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        Self::note(&self.lists, prefix.unwrap_or(&Path::ROOT));
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        Self::note(&self.lists, prefix.unwrap_or(&Path::ROOT));
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
