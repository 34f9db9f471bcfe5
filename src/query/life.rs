//! One query: who asked what, how far it is, and how it is told to end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use datafusion::arrow::array::RecordBatch;
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::watch;
use tokio::time::Instant;

use super::progress::{self, SourceProgress};
use super::state::QueryState;
use super::trace::QueryTrace;
use super::usage::QueryMemory;
use crate::error::{Error, Result};
use crate::session::Principal;

/// The most of a statement's text that is kept, in bytes.
const SQL_BYTES_MAX: usize = 16 << 10;

/// What a query is at its beginning.
#[derive(Clone, Debug)]
pub(crate) struct Birth {
    /// The query's id.
    pub(crate) id: String,
    /// Whose it is.
    pub(crate) principal: Principal,
    /// The statement as it was written.
    pub(crate) sql: String,
    /// What the client calls it, if it wants to find it again.
    pub(crate) tag: Option<Arc<str>>,
    /// How long it may take from now on.
    pub(crate) run_time_max: Option<Duration>,
    /// Whether it only looks at other queries.
    pub(crate) watches_others: bool,
    /// Its place in a trace, if queries are traced.
    pub(crate) trace: Option<Arc<dyn QueryTrace>>,
}

/// A query.
#[derive(Debug)]
pub struct Query {
    id: String,
    principal: Principal,
    sql: String,
    tag: Option<Arc<str>>,
    created_at: SystemTime,
    created: Instant,
    run_time_max: Option<Duration>,
    memory: Arc<QueryMemory>,
    rows: AtomicU64,
    bytes: AtomicU64,
    watches_others: bool,
    trace: Option<Arc<dyn QueryTrace>>,
    stop: watch::Sender<Option<Error>>,
    course: Mutex<Course>,
}

/// What changes while a query runs.
#[derive(Debug)]
struct Course {
    state: QueryState,
    planning: Option<Instant>,
    running: Option<Instant>,
    ended: Option<Instant>,
    error: Option<Error>,
    /// The plan while it runs, for what its sources count.
    plan: Option<Arc<dyn ExecutionPlan>>,
    /// What the sources had counted when the query ended.
    sources: Vec<SourceProgress>,
}

/// How long the parts of a query's life took, so far or until its end.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Waiting for its turn.
    pub queued: Duration,
    /// Looking up tables and planning.
    pub planning: Duration,
    /// From the end of planning.
    pub running: Duration,
    /// All of it.
    pub total: Duration,
}

impl Query {
    pub(crate) fn new(birth: Birth, memory: Arc<QueryMemory>) -> Self {
        let mut sql = birth.sql;
        if sql.len() > SQL_BYTES_MAX {
            sql.truncate(sql.floor_char_boundary(SQL_BYTES_MAX));
            sql.push('…');
        }
        Self {
            id: birth.id,
            principal: birth.principal,
            sql,
            tag: birth.tag,
            created_at: SystemTime::now(),
            created: Instant::now(),
            run_time_max: birth.run_time_max,
            memory,
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            watches_others: birth.watches_others,
            trace: birth.trace,
            stop: watch::Sender::new(None),
            course: Mutex::new(Course {
                state: QueryState::Queued,
                planning: None,
                running: None,
                ended: None,
                error: None,
                plan: None,
                sources: Vec::new(),
            }),
        }
    }

    /// The query's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whose it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The name of the user whose it is.
    pub fn user(&self) -> &Arc<str> {
        &self.principal.name
    }

    /// The statement, cut if it is very long.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// What the client calls it.
    pub(crate) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// When it was asked.
    pub fn created_at(&self) -> SystemTime {
        self.created_at
    }

    /// When nothing of it was left to do.
    pub fn ended_at(&self) -> Option<SystemTime> {
        let ended = self.course().ended?;
        Some(self.created_at + ended.saturating_duration_since(self.created))
    }

    /// Where it is in its life.
    pub fn state(&self) -> QueryState {
        self.course().state
    }

    /// Why it failed or was cancelled.
    pub fn error(&self) -> Option<Error> {
        self.course().error.clone()
    }

    /// Rows that its client was given.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes of these rows in memory.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes of memory that it has now, and the most that it had at one time.
    pub fn memory_bytes(&self) -> (usize, usize) {
        (self.memory.used(), self.memory.peak())
    }

    /// How long the parts of its life took.
    pub fn times(&self) -> Times {
        let course = self.course();
        let end = course.ended.unwrap_or_else(Instant::now);
        let planning = course.planning.unwrap_or(end);
        let running = course.running.unwrap_or(end);
        Times {
            queued: planning.saturating_duration_since(self.created),
            planning: running.saturating_duration_since(planning),
            running: end.saturating_duration_since(running),
            total: end.saturating_duration_since(self.created),
        }
    }

    /// What was read of each of its sources.
    pub fn sources(&self) -> Vec<SourceProgress> {
        let plan = {
            let course = self.course();
            match &course.plan {
                Some(plan) => Arc::clone(plan),
                None => return course.sources.clone(),
            }
        };
        // Outside the lock: a plan may be large.
        progress::sources(&plan)
    }

    /// Tells the query to end with this error. The first to tell is heard.
    pub(crate) fn stop(&self, why: Error) {
        self.stop.send_if_modified(|asked| {
            let first = asked.is_none();
            if first {
                *asked = Some(why);
            }
            first
        });
    }

    /// Waits until the query has to end, and says why.
    pub(crate) async fn stopped(self: Arc<Self>) -> Error {
        let mut asked = self.stop.subscribe();
        let told = async {
            let why = asked.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
            // The sender is a part of this query, so that there always is an answer.
            why.unwrap_or_else(|| Error::cancelled("the query was cancelled"))
        };
        match self.run_time_max {
            None => told.await,
            Some(limit) => tokio::select! {
                why = told => why,
                () = tokio::time::sleep_until(self.created + limit) => {
                    Error::timed_out(format!("the query took longer than query_max_run_time, which is {limit:?}"))
                }
            },
        }
    }

    /// Does a part of the query's work, unless the query has to end before it is done.
    pub(crate) async fn unless_stopped<T>(self: &Arc<Self>, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            why = Arc::clone(self).stopped() => Err(why),
            result = work => result,
        }
    }

    /// Enters a state that is not final.
    pub(crate) fn enter(&self, state: QueryState) {
        let mut course = self.course();
        if course.state.is_final() {
            return;
        }
        match state {
            QueryState::Planning => course.planning = Some(Instant::now()),
            QueryState::Running => course.running = Some(Instant::now()),
            _ => {}
        }
        course.state = state;
    }

    /// Whether the query only looks at other queries.
    pub(super) fn watches_others(&self) -> bool {
        self.watches_others
    }

    /// The query's place in a trace.
    pub(super) fn trace(&self) -> Option<&dyn QueryTrace> {
        self.trace.as_deref()
    }

    /// Whether the query is worth remembering once it has ended. Programs that watch others ask several times a second,
    /// and what they watch would soon be forgotten for it; only a failure of theirs is of interest.
    pub(super) fn is_memorable(&self) -> bool {
        !self.watches_others || self.state() == QueryState::Failed
    }

    /// Follows the sources of a plan that begins to run.
    pub(crate) fn follow(&self, plan: Arc<dyn ExecutionPlan>) {
        self.course().plan = Some(plan);
    }

    /// Counts rows that the client was given.
    pub(crate) fn gave(&self, batch: &RecordBatch) {
        self.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(batch.get_array_memory_size() as u64, Ordering::Relaxed);
    }

    /// Ends the query. Returns its last state, and `None` if it had ended before.
    pub(crate) fn end(&self, result: Result<()>) -> Option<QueryState> {
        let sources = self.sources();
        let mut course = self.course();
        if course.state.is_final() {
            return None;
        }
        course.state = match &result {
            Ok(()) => QueryState::Finished,
            Err(Error::Cancelled(_)) => QueryState::Cancelled,
            Err(_) => QueryState::Failed,
        };
        course.error = result.err();
        course.ended = Some(Instant::now());
        course.plan = None;
        course.sources = sources;
        Some(course.state)
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        // A poisoned lock means that another thread panicked; the values themselves are still whole.
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
