//! The requests that a query makes to a store, counted.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, coalesce_ranges,
};
use portolan_connector::RequestCount;

/// How many entries S3 lists with one request.
const ENTRIES_PER_LIST: usize = 1000;

/// How many requests of each kind there were, and how many bytes were asked for.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    list: AtomicU64,
    get: AtomicU64,
    get_bytes: AtomicU64,
    head: AtomicU64,
    put: AtomicU64,
    put_bytes: AtomicU64,
    delete: AtomicU64,
    copy: AtomicU64,
}

impl Requests {
    /// The kinds of which there were any.
    pub(crate) fn counts(&self) -> Vec<RequestCount> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("LIST", read(&self.list), 0),
            ("GET", read(&self.get), read(&self.get_bytes)),
            ("HEAD", read(&self.head), 0),
            ("PUT", read(&self.put), read(&self.put_bytes)),
            ("DELETE", read(&self.delete), 0),
            ("COPY", read(&self.copy), 0),
        ]
        .into_iter()
        .filter(|(_, count, _)| *count > 0)
        .map(|(kind, count, bytes)| RequestCount { kind, count, bytes })
        .collect()
    }

    /// Takes over what another has counted, which is then nothing.
    pub(crate) fn absorb(&self, other: &Self) {
        let pairs = [
            (&self.list, &other.list),
            (&self.get, &other.get),
            (&self.get_bytes, &other.get_bytes),
            (&self.head, &other.head),
            (&self.put, &other.put),
            (&self.put_bytes, &other.put_bytes),
            (&self.delete, &other.delete),
            (&self.copy, &other.copy),
        ];
        for (mine, theirs) in pairs {
            mine.fetch_add(theirs.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

/// A store whose requests are counted. Ranges of a file that lie close together are one request.
#[derive(Debug)]
pub(crate) struct Counted {
    inner: Arc<dyn ObjectStore>,
    requests: Arc<Requests>,
}

impl Counted {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, requests: Arc<Requests>) -> Self {
        Self { inner, requests }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counted({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Counted {
    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        add(if head { &self.requests.head } else { &self.requests.get }, 1);
        let found = self.inner.get_opts(path, options).await?;
        if !head {
            let bytes = found.range.end.saturating_sub(found.range.start);
            self.requests.get_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(found)
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        coalesce_ranges(ranges, |range| self.get_range(path, range), OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let requests = Arc::clone(&self.requests);
        // The first entry of each page tells of the request for it.
        add(&requests.list, 1);
        let counted = self.inner.list(prefix).enumerate().map(move |(index, meta)| {
            if index > 0 && index % ENTRIES_PER_LIST == 0 {
                add(&requests.list, 1);
            }
            meta
        });
        counted.boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        add(&self.requests.list, 1);
        let found = self.inner.list_with_delimiter(prefix).await?;
        let entries = found.objects.len() + found.common_prefixes.len();
        add(&self.requests.list, entries.saturating_sub(1) / ENTRIES_PER_LIST);
        Ok(found)
    }

    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        add(&self.requests.put, 1);
        add(&self.requests.put_bytes, payload.content_length());
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        add(&self.requests.put, 1);
        self.inner.put_multipart_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let requests = Arc::clone(&self.requests);
        let counted = paths.inspect(move |_| add(&requests.delete, 1));
        self.inner.delete_stream(counted.boxed())
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        add(&self.requests.copy, 1);
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn requests_by_kind() {
        let requests = Arc::new(Requests::default());
        let store = Counted::new(Arc::new(InMemory::new()), Arc::clone(&requests));
        let path = Path::from("d/f");
        store.put(&path, PutPayload::from(vec![7; 4_000_000])).await.unwrap();
        store.head(&path).await.unwrap();
        store.get_range(&path, 10..30).await.unwrap();
        // Two that are near are one, the third is far away.
        store.get_ranges(&path, &[0..10, 90..100, 3_000_000..3_000_050]).await.unwrap();
        store.list_with_delimiter(None).await.unwrap();
        let counts = |requests: &Requests| -> Vec<(&str, u64, u64)> {
            requests.counts().iter().map(|known| (known.kind, known.count, known.bytes)).collect()
        };
        let expected = [("LIST", 1, 0), ("GET", 3, 20 + 100 + 50), ("HEAD", 1, 0), ("PUT", 1, 4_000_000)];
        assert_eq!(counts(&requests), expected);
        let other = Requests::default();
        other.absorb(&requests);
        assert_eq!(counts(&other), expected);
        assert!(counts(&requests).is_empty());
    }

    #[tokio::test]
    async fn every_page_of_a_listing_is_a_request() {
        let inner = Arc::new(InMemory::new());
        for index in 0..1001 {
            inner.put(&Path::from(format!("d/{index}")), PutPayload::default()).await.unwrap();
        }
        let requests = Arc::new(Requests::default());
        let store = Counted::new(inner, Arc::clone(&requests));
        store.list_with_delimiter(Some(&Path::from("d"))).await.unwrap();
        assert_eq!(requests.counts().first().map(|known| known.count), Some(2));
        store.list(Some(&Path::from("d"))).collect::<Vec<_>>().await;
        assert_eq!(requests.counts().first().map(|known| known.count), Some(4));
    }
}
