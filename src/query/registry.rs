//! All queries of the engine: those that run, and the last ones that ended.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datafusion::execution::memory_pool::MemoryPool;

use super::admission::{Admission, QueryLimits};
use super::life::{Birth, Query};
use super::run::QueryRun;
use super::state::QueryState;
use super::trace::{QueryTracer, TraceHeaders};
use super::usage::QueryMemory;
use crate::error::{Error, Result};
use crate::session::Principal;

/// Queries that are remembered after they ended.
const ENDED_MAX: usize = 1000;

/// What a client asks of a query beside the statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// The query's id, if the client has been told of it already.
    pub(crate) id: Option<String>,
    /// What the client calls the query.
    pub(crate) tag: Option<Arc<str>>,
    /// How long the query may take.
    pub(crate) run_time_max: Option<Duration>,
    /// The most memory that the query may have, in bytes.
    pub(crate) memory_max: Option<usize>,
    /// Whether the query only looks at other queries, and reads no source. Then it does not wait for its turn, and is soon forgotten.
    pub(crate) watches_others: bool,
    /// The client's place in a trace.
    pub(crate) trace: Option<TraceHeaders>,
}

/// What became of the queries that a client calls by one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tagged {
    /// They ran, and were told to end.
    Stopped,
    /// They had ended.
    Ended,
    /// There was none.
    Unknown,
}

/// The queries of one engine.
#[derive(Debug)]
pub struct Queries {
    /// Tells this process's queries from those of others.
    instance: String,
    next: AtomicU64,
    memory: Arc<dyn MemoryPool>,
    pub(super) admission: Arc<Admission>,
    tracer: Option<Arc<dyn QueryTracer>>,
    known: Mutex<Known>,
    totals: Totals,
}

#[derive(Debug, Default)]
struct Known {
    live: HashMap<String, Arc<Query>>,
    ended: VecDeque<Arc<Query>>,
}

/// The upper bounds of the classes in which queries are counted by their time; the last class has none.
pub const TIME_BOUNDS_SECONDS: [f64; 8] = [0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

/// What all queries since the start come to.
#[derive(Debug, Default)]
struct Totals {
    finished: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    rows: AtomicU64,
    milliseconds: AtomicU64,
    times: [AtomicU64; TIME_BOUNDS_SECONDS.len() + 1],
    sources: Mutex<BTreeMap<String, SourceTotals>>,
}

/// What the queries that ended read of one catalog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceTotals {
    /// Rows that the source gave.
    pub rows: u64,
    /// Bytes that the source sent, where they are counted.
    pub bytes: u64,
    /// Rows that were left out because they cannot be read.
    pub skipped: u64,
}

/// What all queries since the start come to, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryTotals {
    /// Queries that wait for their turn.
    pub queued: usize,
    /// Queries that have their turn.
    pub running: usize,
    /// Queries that ended with all their rows.
    pub finished: u64,
    /// Queries that an error ended.
    pub failed: u64,
    /// Queries that were cancelled.
    pub cancelled: u64,
    /// Rows that clients were given.
    pub rows: u64,
    /// Milliseconds that queries which ended took together.
    pub milliseconds: u64,
    /// Queries that ended, by the class of their time: see [`TIME_BOUNDS_SECONDS`].
    pub times: [u64; TIME_BOUNDS_SECONDS.len() + 1],
    /// Memory that queries have now, in bytes.
    pub memory_bytes: usize,
}

impl Queries {
    pub(crate) fn new(
        limits: QueryLimits,
        memory: Arc<dyn MemoryPool>,
        tracer: Option<Arc<dyn QueryTracer>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            instance: uuid::Uuid::new_v4().simple().to_string().chars().take(8).collect(),
            next: AtomicU64::new(1),
            admission: Admission::new(limits, Arc::clone(&memory)),
            memory,
            tracer,
            known: Mutex::default(),
            totals: Totals::default(),
        })
    }

    /// An id for a query of this process, or for planning that is no query.
    pub(crate) fn new_id(&self) -> String {
        format!("{}-{}", self.instance, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// A new query, which waits for its turn.
    pub(crate) fn begin(self: &Arc<Self>, principal: &Principal, sql: &str, wishes: Wishes) -> QueryRun {
        let birth = Birth {
            id: wishes.id.unwrap_or_else(|| self.new_id()),
            principal: principal.clone(),
            sql: sql.to_owned(),
            tag: wishes.tag,
            run_time_max: wishes.run_time_max,
            watches_others: wishes.watches_others,
            trace: self.tracer.as_ref().map(|tracer| tracer.begun(wishes.trace.as_ref())),
        };
        let memory = QueryMemory::new(Arc::clone(&self.memory), wishes.memory_max.unwrap_or(usize::MAX));
        let memory = Arc::new(memory);
        let query = Arc::new(Query::new(birth, Arc::clone(&memory)));
        self.known().live.insert(query.id().to_owned(), Arc::clone(&query));
        QueryRun::new(query, memory, Arc::clone(self))
    }

    /// Remembers how a query ended.
    pub(super) fn ended(&self, query: &Arc<Query>, state: QueryState) {
        let total = match state {
            QueryState::Failed => &self.totals.failed,
            QueryState::Cancelled => &self.totals.cancelled,
            _ => &self.totals.finished,
        };
        total.fetch_add(1, Ordering::Relaxed);
        self.totals.rows.fetch_add(query.rows(), Ordering::Relaxed);
        self.count_time(query.times().total);
        self.count_sources(query);
        if query.is_memorable()
            && let Some(trace) = query.trace()
        {
            trace.ended(query);
        }
        let mut known = self.known();
        known.live.remove(query.id());
        if query.is_memorable() {
            known.ended.push_back(Arc::clone(query));
        }
        if known.ended.len() > ENDED_MAX {
            known.ended.pop_front();
        }
    }

    fn count_time(&self, time: Duration) {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.totals.milliseconds.fetch_add(milliseconds, Ordering::Relaxed);
        let class = TIME_BOUNDS_SECONDS.iter().position(|bound| time.as_secs_f64() <= *bound);
        if let Some(count) = self.totals.times.get(class.unwrap_or(TIME_BOUNDS_SECONDS.len())) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count_sources(&self, query: &Query) {
        let mut totals = self.totals.sources.lock().unwrap_or_else(PoisonError::into_inner);
        for source in query.sources() {
            let total = totals.entry(source.catalog).or_default();
            total.rows += source.rows;
            total.skipped += source.skipped;
            total.bytes += source.bytes.unwrap_or(0);
        }
    }

    /// What the queries that ended read of each catalog.
    pub fn source_totals(&self) -> Vec<(String, SourceTotals)> {
        let totals = self.totals.sources.lock().unwrap_or_else(PoisonError::into_inner);
        totals.iter().map(|(catalog, totals)| (catalog.clone(), *totals)).collect()
    }

    /// The queries that a user may see, the newest first.
    pub fn visible_to(&self, principal: &Principal) -> Vec<Arc<Query>> {
        let mut found: Vec<Arc<Query>> = {
            let known = self.known();
            known.live.values().chain(&known.ended).cloned().collect()
        };
        found.retain(|query| principal.may_manage(query.user()));
        found.sort_by_key(|query| std::cmp::Reverse(query.created_at()));
        found
    }

    /// A query by its id.
    pub fn find(&self, id: &str) -> Option<Arc<Query>> {
        let known = self.known();
        known.live.get(id).or_else(|| known.ended.iter().find(|query| query.id() == id)).cloned()
    }

    /// Ends a query for a user. A query of somebody else does not exist for users who do not manage it.
    pub fn kill(&self, id: &str, principal: &Principal, message: Option<&str>) -> Result<()> {
        let query = self.find(id).filter(|query| principal.may_manage(query.user())).ok_or_else(|| {
            Error::not_found(format!("query '{id}' does not exist")).hint("see system.runtime.queries")
        })?;
        if query.state().is_final() {
            return Err(Error::user(format!("query '{id}' has ended: it is {}", query.state())));
        }
        let by = format!("the query was killed by {}", principal.name);
        query.stop(Error::cancelled(match message {
            Some(message) => format!("{by}: {message}"),
            None => by,
        }));
        Ok(())
    }

    /// Ends the queries that a client calls so, of this user.
    pub(crate) fn cancel_tagged(&self, tag: &str, principal: &Principal) -> Tagged {
        let is_meant = |query: &&Arc<Query>| query.tag() == Some(tag) && principal.may_manage(query.user());
        let (live, ended): (Vec<Arc<Query>>, bool) = {
            let known = self.known();
            (known.live.values().filter(is_meant).cloned().collect(), known.ended.iter().any(|query| is_meant(&query)))
        };
        for query in &live {
            query.stop(Error::cancelled("the query was cancelled by its client"));
        }
        match (live.is_empty(), ended) {
            (false, _) => Tagged::Stopped,
            (true, true) => Tagged::Ended,
            (true, false) => Tagged::Unknown,
        }
    }

    /// Ends all queries, because the process does.
    pub(crate) fn stop_all(&self, why: &Error) {
        let live: Vec<Arc<Query>> = self.known().live.values().cloned().collect();
        for query in live {
            query.stop(why.clone());
        }
    }

    /// What all queries since the start come to.
    pub fn totals(&self) -> QueryTotals {
        let (running, queued) = self.admission.counts();
        let read = |total: &AtomicU64| total.load(Ordering::Relaxed);
        QueryTotals {
            queued,
            running,
            finished: read(&self.totals.finished),
            failed: read(&self.totals.failed),
            cancelled: read(&self.totals.cancelled),
            rows: read(&self.totals.rows),
            milliseconds: read(&self.totals.milliseconds),
            times: self.totals.times.each_ref().map(read),
            memory_bytes: self.memory.reserved(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A poisoned lock means that another thread panicked; the lists themselves are still whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
