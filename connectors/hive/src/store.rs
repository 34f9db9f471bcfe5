//! Where a catalog's files are: a local directory, a prefix of a bucket in an object store, or wherever a metastore says.

mod azure;
mod bucket;
mod durable;
mod gcs;
mod limited;
#[cfg(target_os = "linux")]
mod local;
mod pinned;
mod remote;
mod requests;
mod router;
mod s3;
mod staged;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
#[cfg(not(target_os = "linux"))]
use object_store::local::LocalFileSystem as Local;
use object_store::path::Path;
use object_store::{OBJECT_STORE_COALESCE_DEFAULT, ObjectStore};
use portolan_connector::{ConnectorError, Properties, Result};

use crate::cache::Caches;
use crate::error::store_error;

use self::bucket::{Bucket, SCHEMES};
use self::limited::Limited;
#[cfg(target_os = "linux")]
use self::local::Local;
pub(crate) use self::pinned::{CHANGED, Pinned, Tail};
use self::remote::{Remotes, check_settings, credentials};
pub(crate) use self::requests::{Counted, Requests};
use self::router::{LOCAL, Router};
use self::staged::Staged;

#[derive(Clone, Debug)]
enum Place {
    Local,
    Remote {
        bucket: Bucket,
        settings: Box<Remotes>,
    },
    /// Any local file and any bucket; paths are those of [`Router`].
    Anywhere(Box<Remotes>),
}

/// The files of one catalog. The object store is made when it is first needed, and belongs to this catalog alone:
/// the engine finds it under a URL that no other catalog has, so credentials are never shared.
pub(crate) struct Store {
    place: Place,
    root: Path,
    url: ObjectStoreUrl,
    opened: OnceLock<Arc<dyn ObjectStore>>,
    footers: Arc<FileMetadataCache>,
    caches: Caches,
    /// How many requests there may be at the same time.
    requests_max: usize,
    /// Where the store is registered, to take it out again with the catalog.
    registered: Mutex<Vec<Weak<RuntimeEnv>>>,
    /// Whether a store that the caller brought takes the place of the local files.
    borrowed: bool,
}

/// Where files are, as far as it matters for how they are read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Locality {
    /// In this machine's file system.
    Here,
    /// Behind a network.
    Elsewhere,
    /// As each path says.
    ByPath,
}

impl Locality {
    fn is_local(self, path: &Path) -> bool {
        match self {
            Self::Here => true,
            Self::Elsewhere => false,
            Self::ByPath => path.parts().next().is_some_and(|part| part.as_ref() == LOCAL),
        }
    }

    /// How many bytes between two ranges of a file are read along, so that they are one request. On a disk they would only
    /// be read for nothing.
    pub(crate) fn gap(self, path: &Path) -> u64 {
        if self.is_local(path) { 0 } else { OBJECT_STORE_COALESCE_DEFAULT }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("root", &self.display(&self.root)).finish_non_exhaustive()
    }
}

impl Store {
    /// Reads `location` and the settings of stores, without any input or output. Without `location` the files are anywhere.
    pub(crate) fn new(properties: &Properties) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let location = properties.text("location").unwrap_or_default();
        let (place, root) = match location.split_once("://") {
            _ if !properties.contains("location") => {
                (Place::Anywhere(Box::new(Remotes::read(properties)?)), Path::ROOT)
            }
            Some(("file", path)) => (Place::Local, local_root(path)?),
            Some((scheme, rest)) => remote(scheme, rest, properties)?,
            None => (Place::Local, local_root(location)?),
        };
        match &place {
            Place::Local => check_settings(None, properties)?,
            Place::Remote { bucket, .. } => check_settings(Some(bucket), properties)?,
            Place::Anywhere(_) => {}
        }
        let url = format!("portolan-hive://catalog-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let url = ObjectStoreUrl::parse(url).map_err(|error| ConnectorError::internal("bad store URL").said(error))?;
        let megabytes = properties.integer("footer_cache_mb").and_then(|mb| usize::try_from(mb).ok()).unwrap_or(0);
        let footers = DefaultCache::new(megabytes.saturating_mul(1024 * 1024)).with_name("portolan-hive footers");
        Ok(Self {
            place,
            root,
            url,
            opened: OnceLock::new(),
            footers: Arc::new(footers),
            caches: Caches::new(properties),
            requests_max: requests_max(properties),
            registered: Mutex::default(),
            borrowed: false,
        })
    }

    /// The same place, read through an object store that the caller brings; where the files are anywhere, it stands for
    /// the local ones.
    pub(crate) fn over(properties: &Properties, store: Arc<dyn ObjectStore>) -> Result<Self> {
        let mut this = Self::new(properties)?;
        this.borrowed = true;
        let store = match &this.place {
            Place::Anywhere(remotes) => Arc::new(Router::new(store, remotes.as_ref().clone())),
            _ => store,
        };
        let store: Arc<dyn ObjectStore> = Arc::new(Staged::new(store));
        // The cell is new, so it takes the value.
        let _ = this.opened.set(Arc::new(Limited::new(store, this.requests_max)));
        Ok(this)
    }

    /// The directory that `location` names.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The object store.
    pub(crate) fn open(&self) -> Result<&Arc<dyn ObjectStore>> {
        if let Some(store) = self.opened.get() {
            return Ok(store);
        }
        let store: Arc<dyn ObjectStore> = match &self.place {
            Place::Local => Arc::new(Local::new()),
            Place::Remote { bucket, settings } => settings.build(bucket)?,
            Place::Anywhere(remotes) => Arc::new(Router::new(Arc::new(Local::new()), remotes.as_ref().clone())),
        };
        Ok(self.opened.get_or_init(|| Arc::new(Limited::new(Arc::new(Staged::new(store)), self.requests_max))))
    }

    /// What is remembered of directories and of the metastore.
    pub(crate) fn caches(&self) -> &Caches {
        &self.caches
    }

    /// Footers of files of this catalog. Readers see them through [`crate::footers::FootersOf`].
    pub(crate) fn footers(&self) -> &Arc<FileMetadataCache> {
        &self.footers
    }

    /// Forgets the footers. Returns how many there were.
    pub(crate) fn forget(&self) -> usize {
        let known = self.footers.len();
        self.footers.clear();
        known
    }

    /// Makes the store known to an engine's runtime. Returns the URL under which plans find it.
    pub(crate) fn register(&self, runtime: &Arc<RuntimeEnv>) -> Result<ObjectStoreUrl> {
        let store = self.open()?;
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        if !registered.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(runtime))) {
            registered.retain(|known| known.strong_count() > 0);
            registered.push(Arc::downgrade(runtime));
            runtime.register_object_store(self.url.as_ref(), Arc::clone(store));
        }
        Ok(self.url.clone())
    }

    /// A path as people write it: `/lake/orders/part-0` or `s3://bucket/orders/part-0`.
    pub(crate) fn display(&self, path: &Path) -> String {
        match &self.place {
            Place::Local => format!("/{path}"),
            Place::Remote { bucket, .. } => bucket.display(path.as_ref()),
            Place::Anywhere(_) => match (path.as_ref().split_once('/'), Bucket::of_path(path)) {
                (Some((LOCAL, rest)), _) => format!("/{rest}"),
                (_, Some((bucket, inner))) => bucket.display(&inner),
                _ => path.to_string(),
            },
        }
    }

    /// The directory that a table's `location` names: relative to the catalog's, or a full path or URL within the
    /// same store; of a catalog whose files are anywhere, any full path or URL.
    pub(crate) fn resolve(&self, location: &str) -> Result<Path> {
        let elsewhere = |message: String| {
            ConnectorError::user(message).hint("a catalog reads one store: give the other place a catalog of its own")
        };
        match (&self.place, location.split_once("://")) {
            (Place::Anywhere(remotes), _) => anywhere(location, remotes.account()),
            (Place::Remote { bucket: known, settings }, Some((scheme, rest))) => {
                match Bucket::parse(scheme, rest, settings.account()).transpose()? {
                    Some((bucket, prefix)) if bucket == *known => parse_path(prefix),
                    _ => Err(elsewhere(format!("{location} is not in {}", known.display("")))),
                }
            }
            (Place::Local, Some(("file", path))) => local_root(path),
            (_, Some(_)) => Err(elsewhere(format!("{location} is in another store than the catalog"))),
            (Place::Local, None) if location.starts_with('/') => local_root(location),
            (_, None) => child(&self.root, location),
        }
    }

    /// Checks that a local directory exists, which a listing cannot tell: an absent directory lists as empty.
    pub(crate) async fn check_root(&self) -> Result<()> {
        let Some((directory, error)) = self.absent(&self.root).await else { return Ok(()) };
        Err(ConnectorError::source(format!("cannot read the directory {directory}"))
            .said(error)
            .hint("check location of the catalog"))
    }

    /// The name of a local directory that does not exist or cannot be looked at, with what the system says. In S3 there
    /// are no directories, and none is absent.
    pub(crate) async fn absent(&self, directory: &Path) -> Option<(String, String)> {
        if !self.is_local(directory) || self.borrowed {
            return None;
        }
        let directory = self.display(directory);
        let error = match tokio::fs::metadata(&directory).await {
            Ok(found) if found.is_dir() => return None,
            Ok(_) => "it is a file".to_owned(),
            Err(error) => error.to_string(),
        };
        Some((directory, error))
    }

    /// Whether a path is one of this machine's file system.
    fn is_local(&self, path: &Path) -> bool {
        self.locality().is_local(path)
    }

    /// Which paths are of this machine's file system.
    pub(crate) fn locality(&self) -> Locality {
        match &self.place {
            Place::Local => Locality::Here,
            Place::Remote { .. } => Locality::Elsewhere,
            Place::Anywhere(_) => Locality::ByPath,
        }
    }

    /// The error of a request on a path.
    pub(crate) fn error(&self, verb: &str, path: &Path, error: &object_store::Error) -> ConnectorError {
        let said = self.redact(&error.to_string());
        store_error(format!("cannot {verb} {}", self.display(path)), error, said, self.credentials(path))
    }

    /// The settings with which the store of a path is told who asks.
    fn credentials(&self, path: &Path) -> &'static str {
        match &self.place {
            Place::Local => "the rights of this process",
            Place::Remote { bucket, .. } => credentials(bucket),
            Place::Anywhere(_) => {
                Bucket::of_path(path).map_or("the rights of this process", |(bucket, _)| credentials(&bucket))
            }
        }
    }

    /// A text without the catalog's secrets. Stores repeat the key id in their messages.
    pub(crate) fn redact(&self, text: &str) -> String {
        match &self.place {
            Place::Local => text.to_owned(),
            Place::Remote { settings, .. } | Place::Anywhere(settings) => settings.redact(text),
        }
    }
}

/// The store as one query uses it: its requests are counted.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    store: Arc<Store>,
    requests: Arc<Requests>,
}

impl Files {
    pub(crate) fn new(store: Arc<Store>, requests: Arc<Requests>) -> Self {
        Self { store, requests }
    }

    /// The object store.
    pub(crate) fn open(&self) -> Result<Arc<dyn ObjectStore>> {
        let store = Arc::clone(self.store.open()?);
        Ok(Arc::new(Counted::new(store, Arc::clone(&self.requests))))
    }

    /// The store for what belongs to no query.
    pub(crate) fn uncounted(store: &Arc<Store>) -> Self {
        Self::new(Arc::clone(store), Arc::default())
    }

    /// The store itself, whose requests count as nobody's.
    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> &Arc<Requests> {
        &self.requests
    }
}

impl std::ops::Deref for Files {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let registered = self.registered.get_mut().unwrap_or_else(PoisonError::into_inner);
        for runtime in registered.iter().filter_map(Weak::upgrade) {
            // It may have been taken out already.
            let _ = runtime.deregister_object_store(self.url.as_ref());
        }
    }
}

/// How many requests a catalog may have at the same time.
fn requests_max(properties: &Properties) -> usize {
    const OTHERWISE: usize = 256;
    properties.integer("max_concurrent_requests").and_then(|most| usize::try_from(most).ok()).unwrap_or(OTHERWISE)
}

fn remote(scheme: &str, rest: &str, properties: &Properties) -> Result<(Place, Path)> {
    let settings = Box::new(Remotes::read(properties)?);
    let (bucket, prefix) = Bucket::parse(scheme, rest, settings.account()).transpose()?.ok_or_else(|| {
        ConnectorError::user(format!("location has the unknown scheme `{scheme}://`"))
            .hint(format!("use a local path, {SCHEMES}"))
    })?;
    Ok((Place::Remote { bucket, settings }, parse_path(prefix)?))
}

/// Where a location leads that a metastore gives: `file:/lake/orders`, `s3a://bucket/orders`, or a plain path. Such texts
/// are not escaped: `%2F` in one is in the name of a directory.
fn anywhere(location: &str, account: Option<&str>) -> Result<Path> {
    let unknown = || {
        ConnectorError::user(format!("{location} is in a store that is not read"))
            .hint("local directories (file:), S3 (s3:, s3a:, s3n:), Azure (abfs:, abfss:) and Google Cloud Storage (gs:) are read")
    };
    // The path of a URL: doubled slashes are of no meaning.
    let place = |prefix: &str, path: &str| {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        parse_path(&format!("{prefix}/{}", parts.join("/")))
    };
    if location.starts_with('/') {
        return place(LOCAL, location);
    }
    let (scheme, rest) = location.split_once(':').ok_or_else(unknown)?;
    let (host, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => ("", rest),
    };
    match (scheme, host) {
        ("file", "" | "localhost") => place(LOCAL, path),
        (_, "") => Err(unknown()),
        _ => {
            let (bucket, path) =
                Bucket::parse(scheme, rest.trim_start_matches('/'), account).transpose()?.ok_or_else(unknown)?;
            place(&bucket.prefix(), path)
        }
    }
}

/// The path of a local directory, made absolute. Symbolic links are followed when it is read.
fn local_root(location: &str) -> Result<Path> {
    let bad =
        |error: &dyn std::fmt::Display| ConnectorError::user(format!("`{location}` is not a usable path")).said(error);
    let absolute: PathBuf = std::path::absolute(location).map_err(|error| bad(&error))?;
    Path::from_absolute_path(absolute).map_err(|error| bad(&error))
}

/// A path below a directory. Neither `..` nor empty segments are allowed.
pub(crate) fn child(directory: &Path, name: &str) -> Result<Path> {
    match (directory.is_root(), name.is_empty()) {
        (_, true) => Ok(directory.clone()),
        (true, false) => parse_path(name),
        (false, false) => parse_path(&format!("{directory}/{name}")),
    }
}

fn parse_path(path: &str) -> Result<Path> {
    Path::parse(path).map_err(|error| ConnectorError::user(format!("`{path}` is not a usable path")).said(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_of_a_metastore() {
        for (location, path) in [
            ("file:/lake/orders", "file/lake/orders"),
            ("file:///lake//orders/", "file/lake/orders"),
            ("/lake/orders", "file/lake/orders"),
            ("file:/lake/region=a%2Fb c", "file/lake/region=a%2Fb c"),
            ("s3a://bucket/lake/orders", "s3/bucket/lake/orders"),
            ("s3://bucket", "s3/bucket"),
            ("gs://bucket/lake", "gs/bucket/lake"),
            ("abfss://c@a.dfs.core.windows.net/lake//t", "abfs/a.dfs.core.windows.net/c/lake/t"),
        ] {
            assert_eq!(anywhere(location, None).unwrap().as_ref(), path, "{location}");
        }
        for wrong in ["hdfs://name:8020/lake", "file://elsewhere/lake", "lake", "s3:/lake", "file:/lake/../etc"] {
            assert!(anywhere(wrong, None).is_err(), "{wrong}");
        }
    }
}
