//! Where a catalog's files are: a local directory or a prefix of an S3 bucket.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use portolan_connector::{ConnectorError, Properties, Result};
use secrecy::{ExposeSecret, SecretString};

use crate::error::store_error;

/// How often a failed request to S3 is tried again.
const S3_RETRIES: usize = 3;
/// How long a request to S3 is tried again.
const S3_RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// How to reach the bucket.
#[derive(Clone, Debug)]
struct S3 {
    bucket: String,
    endpoint: Option<String>,
    region: String,
    access_key_id: Option<SecretString>,
    secret_access_key: Option<SecretString>,
    session_token: Option<SecretString>,
    anonymous: bool,
    allow_http: bool,
    path_style: bool,
    connect_timeout: Duration,
    request_timeout: Duration,
}

#[derive(Clone, Debug)]
enum Place {
    Local,
    S3(Box<S3>),
}

/// The files of one catalog. The object store is made when it is first needed, and belongs to this catalog alone:
/// the engine finds it under a URL that no other catalog has, so credentials are never shared.
pub(crate) struct Store {
    place: Place,
    root: Path,
    url: ObjectStoreUrl,
    opened: OnceLock<Arc<dyn ObjectStore>>,
    footers: Arc<FileMetadataCache>,
    /// Where the store is registered, to take it out again with the catalog.
    registered: Mutex<Vec<Weak<RuntimeEnv>>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("root", &self.display(&self.root)).finish_non_exhaustive()
    }
}

impl Store {
    /// Reads `location` and the S3 settings, without any input or output.
    pub(crate) fn new(properties: &Properties) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let location = properties.text("location").unwrap_or_default();
        let (place, root) = match location.split_once("://") {
            Some(("s3" | "s3a", rest)) => s3(rest, properties)?,
            Some(("file", path)) => (Place::Local, local_root(path)?),
            Some((scheme, _)) => {
                return Err(ConnectorError::user(format!("location has the unknown scheme `{scheme}://`"))
                    .hint("use a local path or s3://bucket/prefix"));
            }
            None => (Place::Local, local_root(location)?),
        };
        let url = format!("portolan-hive://catalog-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let url = ObjectStoreUrl::parse(url).map_err(|error| ConnectorError::internal("bad store URL").said(error))?;
        let megabytes = properties.integer("footer_cache_mb").and_then(|mb| usize::try_from(mb).ok()).unwrap_or(0);
        let footers = DefaultCache::new(megabytes.saturating_mul(1024 * 1024)).with_name("portolan-hive footers");
        Ok(Self { place, root, url, opened: OnceLock::new(), footers: Arc::new(footers), registered: Mutex::default() })
    }

    /// The same place, read through an object store that the caller brings.
    pub(crate) fn over(properties: &Properties, store: Arc<dyn ObjectStore>) -> Result<Self> {
        let this = Self::new(properties)?;
        // The cell is new, so it takes the value.
        let _ = this.opened.set(store);
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
            Place::Local => Arc::new(LocalFileSystem::new()),
            Place::S3(s3) => Arc::new(self.build(s3)?),
        };
        Ok(self.opened.get_or_init(|| store))
    }

    fn build(&self, s3: &S3) -> Result<object_store::aws::AmazonS3> {
        // Without keys in the catalog file the usual sources apply: environment variables, web identity, and the
        // metadata service of the machine.
        let mut builder = match s3.access_key_id {
            Some(_) => AmazonS3Builder::new(),
            None => AmazonS3Builder::from_env(),
        };
        builder = builder
            .with_bucket_name(&s3.bucket)
            .with_region(&s3.region)
            .with_virtual_hosted_style_request(!s3.path_style)
            .with_skip_signature(s3.anonymous)
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: S3_RETRIES,
                retry_timeout: S3_RETRY_TIMEOUT,
            })
            .with_client_options(
                ClientOptions::new()
                    .with_allow_http(s3.allow_http)
                    .with_connect_timeout(s3.connect_timeout)
                    .with_timeout(s3.request_timeout),
            );
        if let Some(endpoint) = &s3.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(key) = &s3.access_key_id {
            builder = builder.with_access_key_id(key.expose_secret());
        }
        if let Some(secret) = &s3.secret_access_key {
            builder = builder.with_secret_access_key(secret.expose_secret());
        }
        if let Some(token) = &s3.session_token {
            builder = builder.with_token(token.expose_secret());
        }
        builder.build().map_err(|error| {
            ConnectorError::user(format!("cannot use the bucket {}", s3.bucket)).said(self.redact(&error.to_string()))
        })
    }

    /// Footers of files of this catalog, checked against size and time of modification.
    pub(crate) fn footers(&self) -> &Arc<FileMetadataCache> {
        &self.footers
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
            Place::S3(s3) => format!("s3://{}/{path}", s3.bucket),
        }
    }

    /// The directory that a table's `location` names: relative to the catalog's, or a full path or URL within the
    /// same store.
    pub(crate) fn resolve(&self, location: &str) -> Result<Path> {
        let elsewhere = |message: String| {
            ConnectorError::user(message).hint("a catalog reads one store: give the other place a catalog of its own")
        };
        match (&self.place, location.split_once("://")) {
            (Place::S3(s3), Some(("s3" | "s3a", rest))) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket != s3.bucket {
                    return Err(elsewhere(format!("{location} is not in the bucket {}", s3.bucket)));
                }
                parse_path(prefix)
            }
            (Place::Local, Some(("file", path))) => local_root(path),
            (_, Some(_)) => Err(elsewhere(format!("{location} is in another store than the catalog"))),
            (Place::Local, None) if location.starts_with('/') => local_root(location),
            (_, None) => child(&self.root, location),
        }
    }

    /// Checks that a local directory exists, which a listing cannot tell: an absent directory lists as empty.
    pub(crate) async fn check_root(&self) -> Result<()> {
        if !matches!(self.place, Place::Local) || self.opened.get().is_some_and(|store| !is_local(store)) {
            return Ok(());
        }
        let directory = self.display(&self.root);
        let error = match tokio::fs::metadata(&directory).await {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => "it is a file".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(ConnectorError::source(format!("cannot read the directory {directory}"))
            .said(error)
            .hint("check location of the catalog"))
    }

    /// The error of a request on a path.
    pub(crate) fn error(&self, verb: &str, path: &Path, error: &object_store::Error) -> ConnectorError {
        let said = self.redact(&error.to_string());
        store_error(format!("cannot {verb} {}", self.display(path)), error, said)
    }

    /// A text without the catalog's secrets. Stores repeat the key id in their messages.
    pub(crate) fn redact(&self, text: &str) -> String {
        let Place::S3(s3) = &self.place else {
            return text.to_owned();
        };
        let mut text = text.to_owned();
        for secret in [&s3.access_key_id, &s3.secret_access_key, &s3.session_token].into_iter().flatten() {
            if !secret.expose_secret().is_empty() {
                text = text.replace(secret.expose_secret(), "***");
            }
        }
        text
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

fn is_local(store: &Arc<dyn ObjectStore>) -> bool {
    store.to_string().starts_with("LocalFileSystem")
}

fn s3(rest: &str, properties: &Properties) -> Result<(Place, Path)> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(ConnectorError::user("location names no bucket").hint("write s3://bucket/prefix"));
    }
    let access_key_id = properties.secret("access_key_id").cloned();
    let secret_access_key = properties.secret("secret_access_key").cloned();
    if access_key_id.is_some() != secret_access_key.is_some() {
        return Err(ConnectorError::user("access_key_id and secret_access_key belong together: one is missing"));
    }
    let endpoint = properties.text("endpoint").map(str::to_owned);
    let allow_http = properties.boolean("allow_http");
    if endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://")) && !allow_http {
        return Err(ConnectorError::user("endpoint is not encrypted").hint("use https://, or set allow_http = true"));
    }
    let path_style =
        if properties.contains("path_style") { properties.boolean("path_style") } else { endpoint.is_some() };
    let seconds = |name: &str| {
        Duration::from_secs(properties.integer(name).and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(30))
    };
    let s3 = S3 {
        bucket: bucket.to_owned(),
        endpoint,
        region: properties.text("region").unwrap_or("us-east-1").to_owned(),
        access_key_id,
        secret_access_key,
        session_token: properties.secret("session_token").cloned(),
        anonymous: properties.boolean("anonymous"),
        allow_http,
        path_style,
        connect_timeout: seconds("connect_timeout_seconds"),
        request_timeout: seconds("request_timeout_seconds"),
    };
    Ok((Place::S3(Box::new(s3)), parse_path(prefix)?))
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
