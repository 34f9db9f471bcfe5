//! From the command line to an engine with its catalogs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{CatalogArguments, ProcessArguments};
use super::shell::Console;
use crate::catalog::{CatalogFile, CatalogSet};
use crate::error::Result;
use crate::{Engine, EngineOptions};

/// The catalog file that is read when none is named.
const DEFAULT_FILE: &str = "catalogs.toml";

/// The catalog file: the one that is named, or the one that lies here.
pub(super) fn catalogs_file(arguments: &CatalogArguments) -> Option<PathBuf> {
    let default = || Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.is_file());
    arguments.catalogs.clone().or_else(default)
}

/// Starts an engine with the catalogs of a file, or without any. A catalog that is broken is warned about and does not
/// stop the others.
pub(super) fn start_engine(
    process: &ProcessArguments,
    file: Option<&Path>,
    console: &mut Console,
) -> Result<Arc<Engine>> {
    start_engine_with(EngineOptions::default(), process, file, console)
}

/// Starts an engine with options that the command line of all subcommands does not have.
pub(super) fn start_engine_with(
    options: EngineOptions,
    process: &ProcessArguments,
    file: Option<&Path>,
    console: &mut Console,
) -> Result<Arc<Engine>> {
    let catalogs = match file {
        Some(file) => CatalogSet::open(CatalogFile::read(file)?),
        None => CatalogSet::default(),
    };
    for catalog in catalogs.iter() {
        if let Err(error) = catalog.connector() {
            console.warning(&error.message().text);
        }
    }
    Engine::start(EngineOptions {
        catalogs,
        catalogs_file: file.map(Path::to_path_buf),
        memory_limit_bytes: process.memory_limit.map(|bytes| bytes.0),
        spill_directory: process.spill_directory.clone(),
        ..options
    })
}
