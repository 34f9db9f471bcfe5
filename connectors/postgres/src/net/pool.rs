//! The sessions of one catalog, opened when first needed.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use portolan_connector::{ConnectorError, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Session, Tls};
use crate::config::Config;
use crate::error;

/// Sessions that ask the system catalogs at the same time.
const METADATA_SESSIONS: usize = 4;

/// What a session is needed for. Each purpose has its own limit: a query that holds a snapshot waits for sessions to
/// write and to read rows, and one that writes for sessions to read the rows that it writes. So those that read rows never
/// wait for those that write, and neither for those that hold snapshots.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Reading rows.
    Scan,
    /// Holding a query's snapshot.
    Snapshot,
    /// Writing, from its first row to its commit.
    Write,
    /// A short question.
    Metadata,
}

/// All sessions, and who may have how many.
#[derive(Debug)]
pub(crate) struct Pool {
    config: Arc<Config>,
    tls: Arc<Tls>,
    /// Logged in, between statements and outside of any transaction. Never more than all purposes may have together.
    idle: Arc<Mutex<Vec<Session>>>,
    scans: Arc<Semaphore>,
    snapshots: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    metadata: Arc<Semaphore>,
}

impl Pool {
    /// Opens nothing yet.
    pub(crate) fn new(config: Arc<Config>) -> Self {
        let tls = Arc::new(Tls::new(config.tls_mode, config.verification, config.tls_root_certificate.clone()));
        let limit = |count| Arc::new(Semaphore::new(count));
        let [scans, snapshots, writes] = [config.connections_max; 3].map(limit);
        Self { config, tls, idle: Arc::default(), scans, snapshots, writes, metadata: limit(METADATA_SESSIONS) }
    }

    /// A session, as soon as there may be one for the purpose.
    pub(crate) async fn get(&self, purpose: Purpose) -> Result<Lease> {
        let limit = match purpose {
            Purpose::Scan => &self.scans,
            Purpose::Snapshot => &self.snapshots,
            Purpose::Write => &self.writes,
            Purpose::Metadata => &self.metadata,
        };
        let permit = tokio::time::timeout(self.config.wait_timeout, Arc::clone(limit).acquire_owned())
            .await
            .map_err(|_| self.all_in_use(purpose))?
            .map_err(|error| ConnectorError::internal("cannot get a connection").said(error))?;
        let session = match self.idle_session() {
            Some(session) => session,
            None => Session::open(&self.config, &self.tls).await.map_err(|cause| error::open(&self.config, &cause))?,
        };
        Ok(Lease { session, idle: Arc::clone(&self.idle), _permit: permit })
    }

    /// The session that was used last, unless the server has closed it meanwhile.
    fn idle_session(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|session| !session.client().is_closed())
    }

    fn all_in_use(&self, purpose: Purpose) -> ConnectorError {
        let (count, what) = match purpose {
            Purpose::Scan => (self.config.connections_max, "for reading rows"),
            Purpose::Snapshot => (self.config.connections_max, "for queries"),
            Purpose::Write => (self.config.connections_max, "for writing"),
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
}

/// A session in use. It is used again only if it is released: a lease that is dropped, because of an error or because
/// nobody waits for the answer any more, closes its session, whatever the server was about to send on it.
pub(crate) struct Lease {
    session: Session,
    idle: Arc<Mutex<Vec<Session>>>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// Gives the session back, between statements and outside of any transaction.
    pub(crate) fn release(self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.session);
    }

    /// Gives the session back if the question on it was answered in full.
    pub(crate) fn release_after<T, E>(self, answer: Result<T, E>) -> Result<T, E> {
        if answer.is_ok() {
            self.release();
        }
        answer
    }
}

impl Deref for Lease {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lease").field(&self.session).finish()
    }
}
