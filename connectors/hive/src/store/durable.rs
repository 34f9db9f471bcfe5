//! What a local file system needs besides the requests of an object store: files that outlive a loss of power, and no empty
//! directories where something was removed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use object_store::path::Path;
use portolan_connector::{ConnectorError, Result};

use super::Store;

impl Store {
    /// Waits until local files, and the names that lead to them from a directory on, are on the disk. Object stores answer
    /// only then.
    pub(crate) async fn persist(&self, files: &[Path], directory: &Path) -> Result<()> {
        if files.is_empty() || !self.is_local(directory) || self.borrowed {
            return Ok(());
        }
        let top = PathBuf::from(self.display(directory));
        let files: Vec<PathBuf> = files.iter().map(|path| PathBuf::from(self.display(path))).collect();
        let synced = tokio::task::spawn_blocking(move || sync(&files, &top)).await;
        let failed = |error: &dyn std::fmt::Display| {
            ConnectorError::source(format!("cannot bring what was written to {} to the disk", self.display(directory)))
                .said(error)
        };
        synced.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }

    /// Removes a local directory with all that is in it, parts of files among it that no listing shows.
    pub(crate) async fn remove_local_directory(&self, directory: &Path) {
        if self.is_local(directory) {
            // What is left is found by the next call.
            let _ = tokio::fs::remove_dir_all(self.display(directory)).await;
        }
    }

    /// Removes local directories below this one, and itself, as far as they are empty.
    pub(crate) async fn remove_empty_directories(&self, directory: &Path) {
        if !self.is_local(directory) {
            return;
        }
        let top = PathBuf::from(self.display(directory));
        // What cannot be removed is in use again, and no harm.
        let _ = tokio::task::spawn_blocking(move || remove_empty(&top)).await;
    }

    /// Removes this local directory and those that it is in, up to but without another, as far as they are empty.
    pub(crate) async fn remove_empty_up_to(&self, directory: &Path, top: &Path) {
        if !self.is_local(directory) {
            return;
        }
        let (mut at, top) = (PathBuf::from(self.display(directory)), PathBuf::from(self.display(top)));
        while at != top && at.starts_with(&top) && tokio::fs::remove_dir(&at).await.is_ok() {
            at.pop();
        }
    }
}

fn sync(files: &[PathBuf], top: &std::path::Path) -> std::io::Result<()> {
    let sync = |path: &PathBuf| {
        let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    };
    let mut directories = BTreeSet::new();
    for file in files {
        sync(file)?;
        directories.extend(file.ancestors().skip(1).take_while(|outer| outer.starts_with(top)).map(PathBuf::from));
    }
    directories.extend(top.parent().map(PathBuf::from));
    directories.iter().try_for_each(sync)
}

/// The depth is that of the directories on the disk, which the length of paths bounds.
fn remove_empty(directory: &std::path::Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        // Links are not followed.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(directory);
}
