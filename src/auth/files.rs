//! Files with secrets, keys and users: read whole, and read again when they change.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// How often files are looked at, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The bytes of a file. The error names it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= FILE_BYTES_MAX => Ok(bytes),
        _ => Err(format!("{} is longer than {FILE_BYTES_MAX} bytes", path.display())),
    }
}

type Load<T> = Box<dyn Fn() -> Result<T, String> + Send + Sync>;

/// A value made from files, made anew when they change. Files that cannot be used leave the value as it was.
pub(crate) struct Watched<T> {
    paths: Vec<PathBuf>,
    load: Load<T>,
    interval: Duration,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    seen: Vec<Option<Stamp>>,
    looked: Instant,
}

/// What tells one content of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl<T> Watched<T> {
    /// Loads the value, which depends on the files.
    pub(crate) fn open(
        paths: Vec<PathBuf>,
        load: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        Self::with_interval(paths, LOOK_INTERVAL, load)
    }

    fn with_interval(
        paths: Vec<PathBuf>,
        interval: Duration,
        load: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        // What changes between the two is loaded again.
        let seen = stamps(&paths);
        let state = State { value: Arc::new(load()?), seen, looked: Instant::now() };
        Ok(Self { paths, load: Box::new(load), interval, state: Mutex::new(state) })
    }

    /// The value as the files have it now.
    pub(crate) fn current(&self) -> Arc<T> {
        // A poisoned lock means that another thread panicked; the value itself is still whole.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= self.interval {
            state.looked = Instant::now();
            let stamps = stamps(&self.paths);
            if stamps != state.seen {
                state.seen = stamps;
                self.reload(&mut state);
            }
        }
        Arc::clone(&state.value)
    }

    fn reload(&self, state: &mut State<T>) {
        let files = self.paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        match (self.load)() {
            Ok(value) => {
                tracing::info!(files, "read again");
                state.value = Arc::new(value);
            }
            Err(error) => tracing::error!(files, error, "cannot be used: what was read before stays"),
        }
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("paths", &self.paths).finish_non_exhaustive()
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Stamp {
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    };
    paths.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("number");
        std::fs::write(&file, "1").unwrap();
        let path = file.clone();
        let watched = Watched::with_interval(vec![file.clone()], Duration::ZERO, move || {
            let bytes = read(&path)?;
            String::from_utf8_lossy(&bytes).parse::<u32>().map_err(|error| error.to_string())
        })
        .unwrap();
        assert_eq!(*watched.current(), 1);
        std::fs::write(&file, "22").unwrap();
        assert_eq!(*watched.current(), 22);
        std::fs::write(&file, "not a number").unwrap();
        assert_eq!(*watched.current(), 22);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(*watched.current(), 22);
        std::fs::write(&file, "333").unwrap();
        assert_eq!(*watched.current(), 333);
    }

    #[test]
    fn a_file_is_not_looked_at_all_the_time() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("text");
        std::fs::write(&file, "old").unwrap();
        let path = file.clone();
        let watched =
            Watched::with_interval(vec![file.clone()], Duration::from_secs(3600), move || read(&path)).unwrap();
        std::fs::write(&file, "new").unwrap();
        assert_eq!(*watched.current(), b"old");
    }

    #[test]
    fn a_missing_or_endless_file_is_an_error_that_names_it() {
        assert!(read(Path::new("/no/such/file")).unwrap_err().contains("/no/such/file"));
        assert!(read(Path::new("/dev/zero")).unwrap_err().contains("longer than"));
    }
}
