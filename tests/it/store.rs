//! An object store that counts what is asked of it, and that stops answering when it is told to.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_RANGE, ETAG, LAST_MODIFIED, RANGE};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tokio::runtime::Runtime;

/// How long the store takes for an object, while it answers.
const SLOWNESS: Duration = Duration::from_millis(20);

/// The little of S3 that a lake needs, over a directory. Signatures are not looked at. It ends when it is dropped.
pub(crate) struct Store {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

struct Shared {
    directory: PathBuf,
    is_silent: AtomicBool,
    asked: AtomicUsize,
    open: AtomicUsize,
}

/// Counts a request for as long as its client waits for the answer.
struct Open<'a>(&'a AtomicUsize);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Store {
    /// A store whose only bucket, of any name, is this directory.
    pub(crate) fn start(directory: &Path) -> Self {
        let runtime = Runtime::new().unwrap();
        let shared = Arc::new(Shared {
            directory: directory.to_owned(),
            is_silent: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, shared, _runtime: runtime }
    }

    /// From now on objects are asked for and never come.
    pub(crate) fn fall_silent(&self) {
        self.shared.is_silent.store(true, Ordering::SeqCst);
    }

    /// How often an object was asked for.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// How many clients wait for an object.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

async fn answer(State(store): State<Arc<Shared>>, request: Request) -> Response {
    let key = request.uri().path().trim_start_matches('/').split_once('/').map_or("", |(_, key)| key);
    let key = decoded(key);
    if request.method() != Method::GET {
        return status(StatusCode::NOT_IMPLEMENTED);
    }
    if key.is_empty() {
        let query = request.uri().query().unwrap_or_default();
        let prefix = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "prefix");
        return list(&store.directory, &prefix.map(|(_, prefix)| prefix.into_owned()).unwrap_or_default());
    }
    store.asked.fetch_add(1, Ordering::SeqCst);
    store.open.fetch_add(1, Ordering::SeqCst);
    let _open = Open(&store.open);
    tokio::time::sleep(SLOWNESS).await;
    if store.is_silent.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    let range = request.headers().get(RANGE).and_then(|range| range.to_str().ok()).map(str::to_owned);
    object(&store.directory.join(key), range.as_deref())
}

fn decoded(key: &str) -> String {
    // A pair whose name is the key: the same encoding, and no other crate for it.
    let key = key.replace('+', "%2B").replace('=', "%3D").replace('&', "%26");
    url::form_urlencoded::parse(key.as_bytes()).next().map(|(key, _)| key.into_owned()).unwrap_or_default()
}

fn status(code: StatusCode) -> Response {
    Response::builder().status(code).body(Body::empty()).unwrap()
}

/// ListObjectsV2 with the delimiter `/`.
fn list(directory: &Path, prefix: &str) -> Response {
    let mut names = BTreeSet::new();
    if let Ok(entries) = std::fs::read_dir(directory.join(prefix)) {
        names.extend(entries.map(|entry| entry.unwrap().path()));
    }
    let mut xml = String::from("<ListBucketResult><IsTruncated>false</IsTruncated>");
    for path in names {
        let key = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        let _ = match path.is_dir() {
            true => write!(xml, "<CommonPrefixes><Prefix>{key}/</Prefix></CommonPrefixes>"),
            false => write!(
                xml,
                "<Contents><Key>{key}</Key><LastModified>2026-10-31T00:00:00.000Z</LastModified>\
                 <ETag>\"1\"</ETag><Size>{}</Size></Contents>",
                path.metadata().unwrap().len()
            ),
        };
    }
    xml.push_str("</ListBucketResult>");
    Response::new(xml.into())
}

/// An object, or the part of it that `bytes=FIRST-LAST` or `bytes=-COUNT` names.
fn object(path: &Path, range: Option<&str>) -> Response {
    let Ok(bytes) = std::fs::read(path) else { return status(StatusCode::NOT_FOUND) };
    let whole = bytes.len();
    let response = Response::builder().header(ETAG, "\"1\"").header(LAST_MODIFIED, "Sat, 31 Oct 2026 00:00:00 GMT");
    let Some((first, last)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return response.body(bytes.into()).unwrap();
    };
    let last_index = last.parse().map_or(whole, |last: usize| last + 1).min(whole);
    let (start, end) = match first.parse() {
        Ok(first) => (first, last_index),
        Err(_) => (whole - last.parse::<usize>().unwrap(), whole),
    };
    let response = response.status(StatusCode::PARTIAL_CONTENT);
    let response = response.header(CONTENT_RANGE, format!("bytes {start}-{}/{whole}", end - 1));
    response.body(bytes[start..end].to_vec().into()).unwrap()
}
