//! At most so many requests to a catalog's store at the same time.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A store that lets some requests wait for others. A request has its turn until it is answered, not until the last byte of
/// a file was taken: whoever takes them slowly may itself wait for another file.
#[derive(Debug)]
pub(crate) struct Limited {
    inner: Arc<dyn ObjectStore>,
    turns: Arc<Semaphore>,
}

impl Limited {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, most: usize) -> Self {
        Self { inner, turns: Arc::new(Semaphore::new(most)) }
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>> {
        // It is never closed.
        self.turns.acquire().await.map_err(|error| Error::Generic { store: "limited", source: Box::new(error) })
    }
}

/// A stream that has its turn until its first answer is there.
fn answered<T: Send + 'static>(
    turns: Arc<Semaphore>,
    request: impl FnOnce() -> BoxStream<'static, T> + Send + 'static,
) -> BoxStream<'static, T> {
    let begun = async move {
        let turn = turns.acquire_owned().await;
        let mut answers = request();
        let first = answers.next().await;
        drop(turn);
        stream::iter(first).chain(answers)
    };
    stream::once(begun).flatten().boxed()
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Limited({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Limited {
    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let _turn = self.turn().await?;
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let _turn = self.turn().await?;
        self.inner.get_ranges(path, ranges).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, turns, prefix) = (Arc::clone(&self.inner), Arc::clone(&self.turns), prefix.cloned());
        answered(turns, move || inner.list(prefix.as_ref()))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let _turn = self.turn().await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let _turn = self.turn().await?;
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let _turn = self.turn().await?;
        self.inner.put_multipart_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let inner = Arc::clone(&self.inner);
        answered(Arc::clone(&self.turns), move || inner.delete_stream(paths))
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let _turn = self.turn().await?;
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::poll;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use tokio::sync::Notify;

    use super::*;

    /// Answers no request before it is told to.
    #[derive(Debug, Default)]
    struct Slow {
        asked: AtomicUsize,
        go: Arc<Notify>,
        inner: InMemory,
    }

    impl fmt::Display for Slow {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Slow")
        }
    }

    #[async_trait]
    impl ObjectStore for Slow {
        async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            self.go.notified().await;
            self.inner.get_opts(path, options).await
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let (go, listed) = (Arc::clone(&self.go), self.inner.list(prefix));
            stream::once(async move {
                go.notified().await;
                listed
            })
            .flatten()
            .boxed()
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.inner.list_with_delimiter(prefix).await
        }

        async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
            self.inner.put_opts(path, payload, options).await
        }

        async fn put_multipart_opts(
            &self,
            path: &Path,
            options: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            self.inner.put_multipart_opts(path, options).await
        }

        fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            self.inner.delete_stream(paths)
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.inner.copy_opts(from, to, options).await
        }
    }

    #[tokio::test]
    async fn the_third_waits_until_one_of_two_is_answered() {
        let slow = Arc::new(Slow::default());
        let path = Path::from("f");
        slow.put(&path, PutPayload::from_static(b"x")).await.unwrap();
        let limited = Limited::new(Arc::clone(&slow) as _, 2);
        let asked = || slow.asked.load(Ordering::Relaxed);
        let mut first = Box::pin(limited.get(&path));
        let mut second = Box::pin(limited.get(&path));
        let mut third = Box::pin(limited.get(&path));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        assert_eq!(asked(), 2);
        slow.go.notify_one();
        // Its bytes are not taken, and yet the next one has its turn.
        let answered = first.await.unwrap();
        assert!(poll!(&mut third).is_pending());
        assert_eq!(asked(), 3);
        slow.go.notify_one();
        slow.go.notify_one();
        assert!(second.await.is_ok() && answered.bytes().await.is_ok());
    }

    #[tokio::test]
    async fn listings_wait_as_well() {
        let inner = Arc::new(InMemory::new());
        inner.put(&Path::from("d/f"), PutPayload::default()).await.unwrap();
        let limited = Limited::new(inner, 1);
        let turn = limited.turn().await.unwrap();
        let mut listing = limited.list(None);
        assert!(poll!(listing.next()).is_pending());
        drop(turn);
        assert_eq!(listing.next().await.unwrap().unwrap().location.as_ref(), "d/f");
        assert!(listing.next().await.is_none());
    }

    #[tokio::test]
    async fn a_listing_has_its_turn_until_its_first_page_is_there() {
        let slow = Arc::new(Slow::default());
        slow.put(&Path::from("d/f"), PutPayload::default()).await.unwrap();
        let limited = Limited::new(Arc::clone(&slow) as _, 1);
        let (mut first, mut second) = (limited.list(None), limited.list(None));
        assert!(poll!(first.next()).is_pending() && poll!(second.next()).is_pending());
        assert_eq!(slow.asked.load(Ordering::Relaxed), 1);
        slow.go.notify_one();
        assert!(first.next().await.is_some());
        assert!(poll!(second.next()).is_pending());
        assert_eq!(slow.asked.load(Ordering::Relaxed), 2);
    }
}
