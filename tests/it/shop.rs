//! The demo's shop, started once for all tests of the binary.

use std::sync::{Arc, LazyLock};

use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::cli::demo::DemoSources;
use portolan::{Engine, EngineOptions, Session};

/// The shop's servers and files. They end with the process.
pub(crate) static SHOP: LazyLock<DemoSources> =
    LazyLock::new(|| DemoSources::start(&mut std::io::sink()).unwrap_or_else(|error| panic!("{error}")));

/// The shop's catalogs.
pub(crate) fn catalogs() -> CatalogSet {
    CatalogSet::open(CatalogFile::read(SHOP.catalogs_file()).unwrap())
}

/// An engine over the shop.
pub(crate) fn engine() -> Arc<Engine> {
    Engine::start(EngineOptions { catalogs: catalogs(), ..EngineOptions::default() }).unwrap()
}

/// An engine with a catalog in memory, and no other.
pub(crate) fn memory_engine() -> Arc<Engine> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("catalogs.toml");
    std::fs::write(&file, "[mem]\nconnector = 'memory'\n").unwrap();
    let catalogs = CatalogSet::open(CatalogFile::read(&file).unwrap());
    Engine::start(EngineOptions { catalogs, ..EngineOptions::default() }).unwrap()
}

/// A session over the shop.
pub(crate) fn session() -> Session {
    engine().session()
}

/// Runs a future on a runtime with stacks that planning in a debug build fits into.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(16 << 20)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
