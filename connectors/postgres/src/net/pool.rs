//! The sessions of one catalog, opened when first needed.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portolan_connector::{ConnectorError, Result};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::{Session, Tls};
use crate::config::{Config, Target, Wanted};
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

/// Sessions that nobody uses, and since when. What stands between may have forgotten a connection that was silent for long.
type Idle = Arc<Mutex<Vec<(Session, Instant)>>>;

/// How long an unused session is kept.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// How long a query that could do without waits for a session.
const SOON: Duration = Duration::from_secs(1);

/// All sessions, and who may have how many.
#[derive(Debug)]
pub(crate) struct Pool {
    config: Arc<Config>,
    /// Known since the first session was opened.
    target: OnceCell<(Target, Arc<Tls>)>,
    /// Which of the target's hosts all sessions are on: a query's moment is known to one server only.
    host: AtomicUsize,
    /// Logged in, between statements and outside of any transaction. Never more than all purposes may have together.
    idle: Idle,
    scans: Arc<Semaphore>,
    snapshots: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    metadata: Arc<Semaphore>,
}

impl Pool {
    /// Opens nothing yet.
    pub(crate) fn new(config: Arc<Config>) -> Self {
        let limit = |count| Arc::new(Semaphore::new(count));
        let [scans, snapshots, writes] = [config.connections_max; 3].map(limit);
        let (target, host) = (OnceCell::new(), AtomicUsize::new(0));
        let metadata = limit(METADATA_SESSIONS);
        Self { config, target, host, idle: Arc::default(), scans, snapshots, writes, metadata }
    }

    /// A session, as soon as there may be one for the purpose.
    pub(crate) async fn get(&self, purpose: Purpose) -> Result<Lease> {
        let lease = self.get_within(purpose, self.config.wait_timeout).await?;
        lease.ok_or_else(|| self.all_in_use(purpose))
    }

    /// A session, unless all are in use and none becomes free soon.
    pub(crate) async fn get_soon(&self, purpose: Purpose) -> Result<Option<Lease>> {
        self.get_within(purpose, self.config.wait_timeout.min(SOON)).await
    }

    async fn get_within(&self, purpose: Purpose, patience: Duration) -> Result<Option<Lease>> {
        let limit = match purpose {
            Purpose::Scan => &self.scans,
            Purpose::Snapshot => &self.snapshots,
            Purpose::Write => &self.writes,
            Purpose::Metadata => &self.metadata,
        };
        let Ok(permit) = tokio::time::timeout(patience, Arc::clone(limit).acquire_owned()).await else {
            return Ok(None);
        };
        let permit = permit.map_err(|error| ConnectorError::internal("cannot get a connection").said(error))?;
        let session = match self.idle_session() {
            Some(session) => session,
            None => self.open().await.map_err(|error| error.in_catalog(&self.config.catalog))?,
        };
        Ok(Some(Lease { session, idle: Arc::clone(&self.idle), _permit: permit }))
    }

    /// A session on the host that was used last, or on the first other one that suits.
    async fn open(&self) -> Result<Session> {
        let target = self.target.get_or_try_init(|| async {
            let target = self.config.target()?;
            let tls = Arc::new(Tls::new(target.tls.clone()));
            Ok::<_, ConnectorError>((target, tls))
        });
        let (target, tls) = target.await?;
        // Where a standby is preferred, anything is the second choice.
        let rounds: &[Wanted] = match target.wanted {
            Wanted::PreferStandby => &[Wanted::PreferStandby, Wanted::Any],
            _ => std::slice::from_ref(&target.wanted),
        };
        let used_last = self.host.load(Ordering::Relaxed);
        let others = (0..target.hosts.len()).filter(|number| *number != used_last);
        let order: Vec<usize> = [used_last].into_iter().chain(others).collect();
        let mut failure = None;
        for wanted in rounds {
            for number in &order {
                let Some(host) = target.hosts.get(*number) else { continue };
                let opened = async {
                    let session = Session::open(target, host, tls, &self.config.opening).await?;
                    session.check(*wanted).await.map(|()| session)
                };
                match opened.await {
                    Ok(session) => {
                        if self.host.swap(*number, Ordering::Relaxed) != *number {
                            self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
                        }
                        return Ok(session);
                    }
                    Err(cause) => {
                        let everywhere = !cause.is_of_the_host();
                        let error = error::open(target, host, &cause);
                        if everywhere {
                            return Err(error);
                        }
                        failure = Some(error);
                    }
                }
            }
        }
        Err(failure.unwrap_or_else(|| ConnectorError::internal("there is no host to connect to")))
    }

    /// The session that was used last. Those that were not used for long, or that the server has closed, go.
    fn idle_session(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(session, since)| since.elapsed() < IDLE_MAX && !session.client().is_closed());
        idle.pop().map(|(session, _)| session)
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
            self.config.server(),
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
    idle: Idle,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// Gives the session back, between statements and outside of any transaction.
    pub(crate) fn release(self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((self.session, Instant::now()));
    }

    /// Cancels the statement that still runs, and closes the session. Its place is free once that is done.
    pub(crate) fn abandon(self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let canceller = self.canceller();
        runtime.spawn(async move {
            if let Err(error) = canceller.cancel().await {
                tracing::debug!(?error, "a statement could not be cancelled");
            }
            drop(self);
        });
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
