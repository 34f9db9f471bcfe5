//! One moment for all scans of a query: a transaction whose snapshot other sessions import.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, OnceLock, PoisonError, Weak};

use futures::FutureExt;
use futures::future::BoxFuture;
use portolan_connector::{ConnectorError, Result, Snapshot};
use portolan_remote_sql::RemoteQuery;
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::{Error, SimpleQueryMessage};

use crate::config::Config;
use crate::error;
use crate::metadata::Planned;
use crate::net::{Lease, Session, server_error};

/// Exports what the transaction sees.
const EXPORT: &str = "SELECT pg_export_snapshot()";

/// What servers say that export no snapshot: insufficient_privilege, feature_not_supported, object_not_in_prerequisite_state,
/// undefined_function, active_sql_transaction.
const REFUSALS: [&str; 5] = ["42501", "0A000", "55000", "42883", "25001"];

/// The answer to the statements that open the transaction.
type Opening = BoxFuture<'static, Result<Option<String>, Error>>;

/// Who else can see what the transaction sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Who imports the snapshot of this name.
    Exported(String),
    /// Nobody: the server said why. All rows come over the transaction's own connection.
    Refused(String),
}

/// A transaction that stays open as long as what it sees can be needed.
pub(crate) struct Moment {
    /// By which readers in this process find it.
    number: u64,
    sharing: OnceLock<Sharing>,
    /// Present until the drop.
    session: Option<Arc<Lease>>,
    /// Who holds it uses the session. The statements that open the transaction, until somebody has waited for them.
    turn: Mutex<Option<Opening>>,
    /// Whether an answer is not complete.
    asking: AtomicBool,
}

impl Moment {
    /// Waits until nobody else uses the session. Who uses it calls [`Turn::end`] when the last answer is complete.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, ConnectorError> {
        let opening = self.turn.lock().await;
        let session = self.session.as_ref().filter(|_| !self.asking.swap(true, Ordering::Relaxed));
        let session = session.ok_or_else(|| ConnectorError::internal("the query's connection was given up"))?;
        Ok(Turn { session, opening, asking: &self.asking })
    }
}

/// The use of a moment's session for some statements.
pub(crate) struct Turn<'a> {
    pub(crate) session: &'a Session,
    opening: MutexGuard<'a, Option<Opening>>,
    asking: &'a AtomicBool,
}

impl Turn<'_> {
    /// All answers are complete. Without this the session is not used again.
    pub(crate) fn end(self) {
        self.asking.store(false, Ordering::Relaxed);
    }
}

/// The query's hold on its moment.
#[derive(Debug)]
pub(crate) struct PostgresSnapshot {
    moment: Arc<Moment>,
    /// What was asked about queries, by their texts.
    planned: SyncMutex<HashMap<String, (RemoteQuery, Planned)>>,
}

impl PostgresSnapshot {
    /// Opens a transaction on a session, which it keeps, and exports its snapshot. What the server says is not waited for
    /// before the first question, which travels with it.
    pub(crate) fn export(session: Lease, moments: &Moments) -> Self {
        let session = Arc::new(session);
        let opens = Arc::clone(&session);
        let mut opening: Opening =
            async move { opens.execute(&format!("{}; {EXPORT}", opens.opening())).await }.boxed();
        // The first poll sends the statements.
        if let Some(answered) = (&mut opening).now_or_never() {
            opening = futures::future::ready(answered).boxed();
        }
        let moment = moments.add(|number| Moment {
            number,
            sharing: OnceLock::new(),
            session: Some(session),
            turn: Mutex::new(Some(opening)),
            asking: AtomicBool::new(false),
        });
        Self { moment, planned: SyncMutex::default() }
    }

    /// How a query of this text is best written, and what PostgreSQL's planner makes of it, if that was asked.
    pub(crate) fn known(&self, text: &str) -> Option<(RemoteQuery, Planned)> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).get(text).cloned()
    }

    /// Keeps the answer for the rest of the query.
    pub(crate) fn learn(&self, text: String, planned: (RemoteQuery, Planned)) {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).insert(text, planned);
    }

    /// Asks within the transaction. What is asked locks the tables that it names, until the query ends: nobody changes,
    /// rewrites or empties them meanwhile.
    pub(crate) async fn ask(&self, sql: &str, config: &Config) -> Result<Vec<SimpleQueryMessage>, AskError> {
        let mut turn = self.moment.turn().await.map_err(|error| error.in_catalog(&config.catalog))?;
        let client = turn.session.client();
        let Some(opening) = turn.opening.take() else {
            let answer = client.simple_query(sql).await;
            turn.end();
            return answer.map_err(AskError::Said);
        };
        let (opened, answer) = futures::join!(opening, client.simple_query(sql));
        let unopened = |cause: &Error| error::statement(config, "cannot freeze a moment to read in", cause);
        let (sharing, answer) = match opened {
            Ok(id) => (Sharing::Exported(id.unwrap_or_default()), answer),
            Err(cause) => {
                let said = server_error(&cause).filter(|said| REFUSALS.contains(&said.code.as_str()));
                let said = said.ok_or_else(|| unopened(&cause))?;
                let again = format!("ROLLBACK; {}", turn.session.opening());
                client.batch_execute(&again).await.map_err(|cause| unopened(&cause))?;
                (Sharing::Refused(said.message), client.simple_query(sql).await)
            }
        };
        turn.end();
        self.moment.sharing.get_or_init(|| sharing);
        answer.map_err(AskError::Said)
    }

    /// Who else can see what the transaction sees. A question was answered before.
    pub(crate) fn sharing(&self) -> Sharing {
        self.moment.sharing.get().cloned().unwrap_or_else(|| Sharing::Refused(String::new()))
    }

    /// By which readers in this process find the transaction's own connection.
    pub(crate) fn number(&self) -> u64 {
        self.moment.number
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum AskError {
    /// There is no transaction to ask in.
    Open(ConnectorError),
    /// PostgreSQL does not answer the question.
    Said(Error),
}

impl From<ConnectorError> for AskError {
    fn from(error: ConnectorError) -> Self {
        Self::Open(error)
    }
}

impl Snapshot for PostgresSnapshot {
    fn describe(&self) -> Option<String> {
        self.moment.sharing.get().map(|sharing| match sharing {
            Sharing::Exported(id) => id.clone(),
            Sharing::Refused(why) => format!("of one connection, which reads everything: {why}"),
        })
    }
}

impl std::fmt::Debug for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Moment").field("number", &self.number).field("sharing", &self.sharing).finish_non_exhaustive()
    }
}

/// Ends the transaction and frees the session; where that cannot be done, closes the session, which ends it too. A question
/// that nobody waits for any more is cancelled: it may wait for a lock.
impl Drop for Moment {
    fn drop(&mut self) {
        *self.turn.get_mut() = None;
        let Some(session) = self.session.take().and_then(Arc::into_inner) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let asking = self.asking.load(Ordering::Relaxed);
        runtime.spawn(async move {
            if asking {
                if let Err(error) = session.canceller().cancel().await {
                    tracing::debug!(?error, "a question could not be cancelled");
                }
            } else if session.execute("ROLLBACK").await.is_ok() {
                session.release();
            }
        });
    }
}

/// The moments of the queries that run.
#[derive(Debug, Default)]
pub(crate) struct Moments {
    last: AtomicU64,
    by_number: SyncMutex<HashMap<u64, Weak<Moment>>>,
}

impl Moments {
    fn add(&self, make: impl FnOnce(u64) -> Moment) -> Arc<Moment> {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let moment = Arc::new(make(number));
        let mut moments = self.by_number.lock().unwrap_or_else(PoisonError::into_inner);
        // There are never many more than connections.
        moments.retain(|_, moment| moment.strong_count() > 0);
        moments.insert(number, Arc::downgrade(&moment));
        moment
    }

    /// A query's moment, as long as the query lives.
    pub(crate) fn find(&self, number: u64) -> Option<Arc<Moment>> {
        self.by_number.lock().unwrap_or_else(PoisonError::into_inner).get(&number)?.upgrade()
    }
}
