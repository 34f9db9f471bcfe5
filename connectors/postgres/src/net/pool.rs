//! The sessions of one catalog, opened when first needed.

use std::ops::Deref;
use std::sync::Arc;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use portolan_connector::{ConnectorError, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Session, Tls};
use crate::config::Config;
use crate::error;

/// Sessions that ask the system catalogs at the same time.
const METADATA_SESSIONS: usize = 4;

/// What a session is needed for. Each purpose has its own limit: a query that holds a snapshot waits for sessions to
/// read rows, so those that read rows must never wait for those that hold snapshots.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Reading rows.
    Scan,
    /// Holding a query's snapshot.
    Snapshot,
    /// A short question.
    Metadata,
}

/// All sessions, and who may have how many.
#[derive(Debug)]
pub(crate) struct Pools {
    config: Arc<Config>,
    sessions: Pool<Opener>,
    scans: Arc<Semaphore>,
    snapshots: Arc<Semaphore>,
    metadata: Arc<Semaphore>,
}

impl Pools {
    /// Opens nothing yet.
    pub(crate) fn new(config: Arc<Config>) -> Result<Self> {
        let tls = Arc::new(Tls::new(config.tls_mode, config.verification, config.tls_root_certificate.clone()));
        let each = config.connections_max;
        let sessions = Pool::builder(Opener { config: Arc::clone(&config), tls })
            .max_size(2 * each + METADATA_SESSIONS)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| ConnectorError::internal("cannot make a pool of connections").said(error))?;
        let limit = |count| Arc::new(Semaphore::new(count));
        Ok(Self { config, sessions, scans: limit(each), snapshots: limit(each), metadata: limit(METADATA_SESSIONS) })
    }

    /// A session, as soon as there is one for the purpose.
    pub(crate) async fn get(&self, purpose: Purpose) -> Result<Pooled> {
        let limit = match purpose {
            Purpose::Scan => &self.scans,
            Purpose::Snapshot => &self.snapshots,
            Purpose::Metadata => &self.metadata,
        };
        let permit = tokio::time::timeout(self.config.wait_timeout, Arc::clone(limit).acquire_owned())
            .await
            .map_err(|_| self.all_in_use(purpose))?
            .map_err(|error| self.internal(error))?;
        let session = self.sessions.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            other => self.internal(other),
        })?;
        Ok(Pooled { session, _permit: permit })
    }

    fn all_in_use(&self, purpose: Purpose) -> ConnectorError {
        let (count, what) = match purpose {
            Purpose::Scan => (self.config.connections_max, "for reading rows"),
            Purpose::Snapshot => (self.config.connections_max, "for queries"),
            Purpose::Metadata => (METADATA_SESSIONS, "for the system catalogs"),
        };
        ConnectorError::resource_exhausted(format!(
            "all {count} connections {what} to {} were in use for {} ms",
            self.config.address,
            self.config.wait_timeout.as_millis()
        ))
        .hint("raise connections_max of the catalog, or connections_wait_ms to wait longer")
        .in_catalog(&self.config.catalog)
    }

    fn internal(&self, error: impl std::fmt::Display) -> ConnectorError {
        ConnectorError::internal("cannot get a connection").said(error).in_catalog(&self.config.catalog)
    }
}

/// A session that returns to the pool when it is dropped. One that is not idle has to be taken out first.
pub(crate) struct Pooled {
    session: Object<Opener>,
    _permit: OwnedSemaphorePermit,
}

impl Pooled {
    /// The session itself, which does not return; dropping it closes it.
    pub(crate) fn discard(self) -> Session {
        Object::take(self.session)
    }
}

impl Deref for Pooled {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl std::fmt::Debug for Pooled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pooled").field(&*self.session).finish()
    }
}

/// Opens sessions for the pool.
#[derive(Debug)]
pub(crate) struct Opener {
    config: Arc<Config>,
    tls: Arc<Tls>,
}

impl managed::Manager for Opener {
    type Type = Session;
    type Error = ConnectorError;

    async fn create(&self) -> Result<Session> {
        Session::open(&self.config, &self.tls).await.map_err(|error| error::open(&self.config, &error))
    }

    async fn recycle(&self, session: &mut Session, _metrics: &Metrics) -> RecycleResult<ConnectorError> {
        if session.client().is_closed() { Err(RecycleError::message("the server closed it")) } else { Ok(()) }
    }
}
