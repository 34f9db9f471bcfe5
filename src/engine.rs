//! The engine: catalogs, functions, memory, and the sessions over them.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;

use crate::catalog::{CatalogFile, CatalogSet, Change};
use crate::error::{Error, Result};
use crate::planner::keep_answers;
use crate::query::{HeadroomPool, Queries, QueryLimits, QueryTracer};
use crate::session::Principal;
use crate::{Session, semantics};

/// Memory for queries when nothing else is said and the machine does not tell its own, in bytes.
const MEMORY_LIMIT_DEFAULT_BYTES: usize = 1 << 30;

/// Consumers that an out-of-memory message names.
const MEMORY_CONSUMERS_NAMED: usize = 5;

/// How an engine is set up.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// The catalogs.
    pub catalogs: CatalogSet,
    /// The file from which they came, to read it again.
    pub catalogs_file: Option<PathBuf>,
    /// Memory that all queries together may use, in bytes; half of the machine's when not given.
    pub memory_limit_bytes: Option<usize>,
    /// Where queries spill what does not fit; the system's temporary directory when not given.
    pub spill_directory: Option<PathBuf>,
    /// How many queries run at the same time.
    pub limits: QueryLimits,
    /// Who traces queries, if anybody does.
    pub tracer: Option<Arc<dyn QueryTracer>>,
}

/// The engine. One per process; sessions share it.
#[derive(Debug)]
pub struct Engine {
    catalogs: RwLock<Arc<CatalogSet>>,
    catalogs_file: Option<PathBuf>,
    base: Arc<SessionState>,
    queries: Arc<Queries>,
}

impl Engine {
    /// Starts an engine. Opens no connection.
    pub fn start(options: EngineOptions) -> Result<Arc<Self>> {
        let memory = options.memory_limit_bytes.unwrap_or_else(half_of_memory);
        let pool: Arc<dyn MemoryPool> = Arc::new(TrackConsumersPool::new(
            HeadroomPool::new(memory),
            std::num::NonZeroUsize::new(MEMORY_CONSUMERS_NAMED).unwrap_or(std::num::NonZeroUsize::MIN),
        ));
        let disk = match options.spill_directory {
            Some(directory) => DiskManagerMode::Directories(vec![directory]),
            None => DiskManagerMode::OsTmpDirectory,
        };
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&pool))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(disk))
            .build_arc()
            .map_err(cannot_start)?;
        let builder = SessionStateBuilder::new()
            .with_config(semantics::configure(configuration(memory).map_err(cannot_start)?))
            .with_runtime_env(runtime)
            .with_default_features();
        let queries = Queries::new(options.limits, pool, options.tracer);
        Ok(Arc::new(Self {
            catalogs: RwLock::new(Arc::new(options.catalogs.with_system(&queries))),
            catalogs_file: options.catalogs_file,
            base: Arc::new(keep_answers(semantics::install(builder)).build()),
            queries,
        }))
    }

    /// A new session of the one who runs this process.
    pub fn session(self: &Arc<Self>) -> Session {
        self.session_of(Principal::local())
    }

    /// A new session of a user.
    pub fn session_of(self: &Arc<Self>, principal: Principal) -> Session {
        Session::new(Arc::clone(self), principal)
    }

    /// The catalogs as they are configured now.
    pub fn catalogs(&self) -> Arc<CatalogSet> {
        // A poisoned lock means that another thread panicked; the set itself is still whole.
        Arc::clone(&self.catalogs.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the catalog file again. Queries that run keep the catalogs with which they began. Returns what became of the
    /// catalogs that are not as before. A file that cannot be read changes nothing.
    pub fn reload_catalogs(&self) -> Result<Vec<(String, Change)>> {
        let file = self
            .catalogs_file
            .as_deref()
            .ok_or_else(|| Error::user("the catalogs are from no file that could be read again"))?;
        let file = CatalogFile::read(file).inspect_err(|error| tracing::error!(%error, "catalogs are not reloaded"))?;
        let mut catalogs = self.catalogs.write().unwrap_or_else(PoisonError::into_inner);
        let (reloaded, changes) = catalogs.reload(file);
        *catalogs = Arc::new(reloaded.with_system(&self.queries));
        for (catalog, change) in &changes {
            match change {
                Change::Kept(error) => tracing::warn!(catalog, error, "the catalog goes on as it was"),
                Change::Broken(error) => tracing::warn!(catalog, error, "the new catalog cannot be used"),
                change => tracing::info!(catalog, ?change, "the catalog is reloaded"),
            }
        }
        Ok(changes)
    }

    /// The functions and rules that all sessions share.
    pub fn base_state(&self) -> &Arc<SessionState> {
        &self.base
    }

    /// The queries that run, and the last ones that ended.
    pub fn queries(&self) -> &Arc<Queries> {
        &self.queries
    }
}

fn cannot_start(error: DataFusionError) -> Error {
    Error::internal(format!("cannot start the engine: {error}"))
}

/// What a sort keeps back for merging what it spilled, at most, in bytes: DataFusion's default.
const SORT_RESERVATION_MAX_BYTES: usize = 10 << 20;

/// DataFusion's settings where ours differ, each with its reason. `memory` is the limit for all queries, in bytes.
fn configuration(memory: usize) -> datafusion::error::Result<SessionConfig> {
    let mut config = SessionConfig::new().with_information_schema(false);
    let options = config.options_mut();
    // Under a small limit the default reservation alone would leave a sort nothing to work with.
    options.execution.sort_spill_reservation_bytes = (memory / 64).min(SORT_RESERVATION_MAX_BYTES);
    // Rows that wait between threads are spilled to a file for each batch. With several batches in a file the
    // reader of DataFusion 55.2 may wait for the one while only the other grows, for ever (apache/datafusion#24883).
    options.execution.max_spill_file_size_bytes = ConfigNonZeroUsize::try_new(1)?;
    // Errors point at the place in the statement.
    options.sql_parser.collect_spans = true;
    // The number of values that reach a source as a list, and not as a range, is the planner's choice.
    options.optimizer.hash_join_inlist_pushdown_max_size = 8 << 20;
    // Small build sides are collected once, so that the other side can use what is known of them.
    options.optimizer.hash_join_single_partition_threshold = 64 << 20;
    options.optimizer.hash_join_single_partition_threshold_rows = 1 << 20;
    Ok(config)
}

/// Half of the machine's memory, in bytes.
fn half_of_memory() -> usize {
    std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
            let kibibytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(kibibytes * 1024 / 2)
        })
        .unwrap_or(MEMORY_LIMIT_DEFAULT_BYTES)
}
