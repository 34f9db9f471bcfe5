//! Where PostgreSQL's programs are.

use std::fs;
use std::path::{Path, PathBuf};

use crate::ServerError;
use crate::command::{find_in_path, path_variable};

/// Where Debian and its relatives keep a directory for each major version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// A directory to use in place of all others.
const VARIABLE: &str = "PORTOLAN_POSTGRES_BIN";

const INSTALL: &str = "apt-get install postgresql";

/// The programs of one installation.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    pub(super) initdb: PathBuf,
    pub(super) postgres: PathBuf,
    pub(super) psql: PathBuf,
    pub(super) pg_basebackup: PathBuf,
}

impl Programs {
    /// The programs in the directory that `PORTOLAN_POSTGRES_BIN` names, else of the newest version in
    /// `/usr/lib/postgresql`, else on PATH.
    pub(super) fn find() -> Result<Self, ServerError> {
        if let Some(directory) = path_variable(VARIABLE) {
            return Self::in_directory(&directory)
                .ok_or_else(|| missing("initdb, postgres and psql", format!("{} ({VARIABLE})", directory.display())));
        }
        if let Some(programs) = newest_first(Path::new(VERSIONS)).iter().find_map(|bin| Self::in_directory(bin)) {
            return Ok(programs);
        }
        let on_path = |program| {
            find_in_path(program)
                .ok_or_else(|| missing(program, format!("{VERSIONS}/*/bin and the directories of PATH")))
        };
        Ok(Self {
            initdb: on_path("initdb")?,
            postgres: on_path("postgres")?,
            psql: on_path("psql")?,
            pg_basebackup: on_path("pg_basebackup")?,
        })
    }

    fn in_directory(directory: &Path) -> Option<Self> {
        let program = |name| Some(directory.join(name)).filter(|path| path.is_file());
        Some(Self {
            initdb: program("initdb")?,
            postgres: program("postgres")?,
            psql: program("psql").or_else(|| find_in_path("psql"))?,
            pg_basebackup: program("pg_basebackup").or_else(|| find_in_path("pg_basebackup"))?,
        })
    }
}

fn missing(program: &str, looked_in: String) -> ServerError {
    ServerError::Missing { program: program.to_owned(), looked_in, install: INSTALL.to_owned() }
}

/// The `bin` directories of the versions in a directory, the highest number first.
fn newest_first(versions: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(versions) else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, bin)| bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_not_text() {
        let directory = tempfile::tempdir().unwrap();
        for version in ["9", "15", "17", "common"] {
            fs::create_dir_all(directory.path().join(version).join("bin")).unwrap();
        }
        let found = newest_first(directory.path());
        let found: Vec<_> =
            found.iter().map(|bin| bin.strip_prefix(directory.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(found, ["17/bin", "15/bin", "9/bin"]);
    }

    #[test]
    fn a_missing_program_says_how_to_install_it() {
        let message = missing("initdb", "PATH".to_owned()).to_string();
        assert_eq!(message, "cannot find initdb: looked in PATH. To install it: apt-get install postgresql");
    }
}
