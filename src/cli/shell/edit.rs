//! A statement in the person's own editor.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The editor when neither `$VISUAL` nor `$EDITOR` names one.
const EDITOR: &str = "vi";

/// Opens an editor on a text and returns what it was changed to.
pub(super) fn edit(text: &str) -> io::Result<String> {
    let file = Scratch::with(text)?;
    edit_file(&file.0)
}

/// Opens an editor on a file and returns what it holds then.
pub(super) fn edit_file(path: &Path) -> io::Result<String> {
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok().filter(|it| !it.is_empty()));
    let editor = editor.unwrap_or_else(|| EDITOR.to_owned());
    // A shell reads the variable, because it may hold arguments; the file's name is never part of its text.
    let status = Command::new("/bin/sh").args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(path).status()?;
    if !status.success() {
        return Err(io::Error::other(format!("the editor {editor} ended with {status}")));
    }
    fs::read_to_string(path)
}

/// A file that only this person can read and that goes away by itself.
struct Scratch(PathBuf);

impl Scratch {
    fn with(text: &str) -> io::Result<Self> {
        let name = format!("portolan-{}.sql", uuid::Uuid::new_v4().simple());
        let path = std::env::temp_dir().join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let scratch = Self(path);
        file.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left otherwise is a file in the temporary directory.
        let _ = fs::remove_file(&self.0);
    }
}
