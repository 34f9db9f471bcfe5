use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails and does nothing; those after it succeed.
    Refused,
    /// It is done, and its answer is lost; those after it succeed.
    Lost,
    /// The process ends before its answer: it is done, and all after it do nothing.
    Killed,
}

impl Fault {
    pub(crate) const ALL: [Self; 3] = [Self::Refused, Self::Lost, Self::Killed];
}

/// The local file system, of which one request fails.
#[derive(Debug)]
pub(crate) struct Failing {
    inner: LocalFileSystem,
    fault: Fault,
    /// The number of the request that fails, from 0 on.
    at: usize,
    requests: AtomicUsize,
}

/// What becomes of a request.
struct Fate {
    is_done: bool,
    is_told: bool,
}

impl Failing {
    pub(crate) fn new(fault: Fault, at: usize) -> Arc<Self> {
        Arc::new(Self { inner: LocalFileSystem::new(), fault, at, requests: AtomicUsize::new(0) })
    }

    /// Whether there were so many requests that one failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.requests.load(Ordering::SeqCst) > self.at
    }

    fn fate(&self) -> Fate {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let (is_it, is_later) = (number == self.at, number > self.at);
        match self.fault {
            Fault::Refused => Fate { is_done: !is_it, is_told: !is_it },
            Fault::Lost => Fate { is_done: true, is_told: !is_it },
            Fault::Killed => Fate { is_done: !is_later, is_told: !is_it && !is_later },
        }
    }

    async fn run<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        let fate = self.fate();
        if !fate.is_done {
            return Err(broken());
        }
        let answer = request.await;
        if fate.is_told { answer } else { Err(broken()) }
    }
}

fn broken() -> Error {
    Error::Generic { store: "test", source: "the request was made to fail".into() }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failing({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.run(self.inner.put_opts(path, payload, options)).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.run(self.inner.put_multipart_opts(path, options)).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.run(self.inner.get_opts(path, options)).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.run(self.inner.get_ranges(path, ranges)).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let fate = self.fate();
        if !fate.is_done {
            return paths.map(|_| Err(broken())).boxed();
        }
        let deleted = self.inner.delete_stream(paths);
        if fate.is_told { deleted } else { deleted.map(|_| Err(broken())).boxed() }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.fate() {
            Fate { is_done: true, is_told: true } => self.inner.list(prefix),
            _ => stream::iter([Err(broken())]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.run(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.run(self.inner.copy_opts(from, to, options)).await
    }
}
