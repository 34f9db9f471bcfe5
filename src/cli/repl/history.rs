//! Where a person's history is kept.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// Inputs that are remembered.
pub(super) const ENTRIES_MAX: usize = 10_000;

/// Longest input that is remembered, in bytes.
pub(super) const ENTRY_BYTES_MAX: usize = 64 << 10;

/// The history file in the person's state directory, by the XDG Base Directory Specification. The directory is made if
/// it is missing; nothing is remembered where that is not possible.
pub(super) fn file() -> Option<PathBuf> {
    let directory = directory(std::env::var_os("XDG_STATE_HOME").map(PathBuf::from), std::env::home_dir())?;
    DirBuilder::new().recursive(true).mode(0o700).create(&directory).ok()?;
    Some(directory.join("history"))
}

fn directory(state: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    // The specification says that a relative path is to be ignored.
    let state = state.filter(|state| state.is_absolute()).or_else(|| Some(home?.join(".local/state")))?;
    Some(state.join("portolan"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_is_the_one_of_the_specification() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(directory(path("/state"), path("/home/a")), path("/state/portolan"));
        assert_eq!(directory(path("relative"), path("/home/a")), path("/home/a/.local/state/portolan"));
        assert_eq!(directory(path(""), path("/home/a")), path("/home/a/.local/state/portolan"));
        assert_eq!(directory(None, None), None);
    }
}
