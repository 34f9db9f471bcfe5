//! Local files and any number of buckets as one object store: a metastore's tables and partitions may lie anywhere.
//!
//! A path begins with where it leads: `file/lake/orders/part-0` is the local file `/lake/orders/part-0`, and
//! `s3/company/orders/part-0` is in the bucket `company` ([`Bucket::prefix`]). Two tables at the same place have the same paths.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::bucket::Bucket;
use super::remote::Remotes;

/// What the paths of local files begin with.
pub(super) const LOCAL: &str = "file";

/// The stores of a catalog, each made when it is first needed.
#[derive(Clone)]
pub(super) struct Router {
    local: Arc<dyn ObjectStore>,
    remotes: Remotes,
    buckets: Arc<Mutex<HashMap<Bucket, Arc<dyn ObjectStore>>>>,
}

/// Where a path leads: a store, the path within it, and what stands before that.
struct Route {
    store: Arc<dyn ObjectStore>,
    inner: Path,
    prefix: String,
}

impl Route {
    /// The path as the router's users know it.
    fn outer(&self, inner: &Path) -> Path {
        outer(&self.prefix, inner)
    }
}

fn outer(prefix: &str, inner: &Path) -> Path {
    // Both parts are paths already; parsing leaves them as they are.
    Path::parse(format!("{prefix}/{inner}")).unwrap_or_else(|_| inner.clone())
}

impl Router {
    pub(super) fn new(local: Arc<dyn ObjectStore>, remotes: Remotes) -> Self {
        Self { local, remotes, buckets: Arc::default() }
    }

    fn route(&self, path: &Path) -> Result<Route> {
        let nowhere = || Error::NotFound { path: path.to_string(), source: "it is in no store of the catalog".into() };
        let parse = |inner: &str| Path::parse(inner).map_err(|_| nowhere());
        let (place, rest) = path.as_ref().split_once('/').unwrap_or((path.as_ref(), ""));
        if place == LOCAL {
            return Ok(Route { store: Arc::clone(&self.local), inner: parse(rest)?, prefix: LOCAL.to_owned() });
        }
        let (bucket, inner) = Bucket::of_path(path).ok_or_else(nowhere)?;
        let prefix = bucket.prefix();
        Ok(Route { store: self.bucket(bucket)?, inner: parse(&inner)?, prefix })
    }

    fn bucket(&self, bucket: Bucket) -> Result<Arc<dyn ObjectStore>> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = buckets.get(&bucket) {
            return Ok(Arc::clone(known));
        }
        let made = self.remotes.build(&bucket);
        let made = made.map_err(|error| Error::Generic { store: "lake", source: Box::new(error) })?;
        buckets.insert(bucket, Arc::clone(&made));
        Ok(made)
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").finish_non_exhaustive()
    }
}

impl fmt::Display for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Router({})", self.local)
    }
}

#[async_trait]
impl ObjectStore for Router {
    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let route = self.route(path)?;
        let mut result = route.store.get_opts(&route.inner, options).await?;
        result.meta.location = path.clone();
        Ok(result)
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let route = self.route(path)?;
        route.store.get_ranges(&route.inner, ranges).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let route = match self.route(prefix.unwrap_or(&Path::ROOT)) {
            Ok(route) => route,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let Route { store, inner, prefix } = route;
        store
            .list(Some(&inner))
            .map(move |meta| meta.map(|meta| ObjectMeta { location: outer(&prefix, &meta.location), ..meta }))
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let route = self.route(prefix.unwrap_or(&Path::ROOT))?;
        let mut result = route.store.list_with_delimiter(Some(&route.inner)).await?;
        for directory in &mut result.common_prefixes {
            *directory = route.outer(directory);
        }
        for object in &mut result.objects {
            object.location = route.outer(&object.location);
        }
        Ok(result)
    }

    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let route = self.route(path)?;
        route.store.put_opts(&route.inner, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let route = self.route(path)?;
        route.store.put_multipart_opts(&route.inner, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let router = self.clone();
        paths
            .then(move |path| {
                let router = router.clone();
                async move {
                    let path = path?;
                    let route = router.route(&path)?;
                    route.store.delete(&route.inner).await?;
                    Ok(path)
                }
            })
            .boxed()
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (from, to) = (self.route(from)?, self.route(to)?);
        if from.prefix != to.prefix {
            return Err(Error::NotSupported { source: "a copy from one store into another".into() });
        }
        from.store.copy_opts(&from.inner, &to.inner, options).await
    }
}
