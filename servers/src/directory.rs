//! A temporary directory that ends with this process.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::ServerError;
use crate::command::wait;
use crate::supervisor::SUPERVISOR_LIMIT;

/// Waits for the end of its standard input, which only this process holds open, then removes the directory.
const SCRIPT: &str = r#"
trap '' TERM INT QUIT HUP
read -r line
rm -rf "$1"
"#;

/// A temporary directory, readable by its owner only; removed on drop, and when this process ends, killed or not.
#[derive(Debug)]
pub struct ScratchDirectory {
    remover: Child,
    directory: TempDir,
}

impl ScratchDirectory {
    /// Creates the directory. Its name begins with `prefix`.
    pub fn create(prefix: &str) -> Result<Self, ServerError> {
        let directory = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir()
            .map_err(ServerError::io("create a temporary directory"))?;
        let remover = Command::new("sh")
            .args(["-c", SCRIPT, "portolan-scratch"])
            .arg(directory.path())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(ServerError::io("run sh to watch over a temporary directory"))?;
        Ok(Self { remover, directory })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        drop(self.remover.stdin.take());
        // What the script could not remove in time, the directory's own drop removes.
        let _ = wait(&mut self.remover, SUPERVISOR_LIMIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_directory_is_gone() {
        let scratch = ScratchDirectory::create("portolan-scratch-test-").unwrap();
        let path = scratch.path().to_owned();
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::fs::write(path.join("a/b/c"), "x").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
