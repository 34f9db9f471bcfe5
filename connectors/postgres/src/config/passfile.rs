//! The password file that libpq reads (PostgreSQL's documentation, section "The Password File").

use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// The most bytes that a password file may have.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// For whom a password is looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) database: &'a str,
    pub(crate) user: &'a str,
}

/// Where the file is: as the environment says, else `.pgpass` in the home directory.
pub(crate) fn default_path() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("PGPASSFILE").or_else(|| set("HOME").map(|home| home.join(".pgpass")))
}

/// The password of the first line that fits. A file that is not there has none; one that others may read is ignored with a
/// warning.
pub(crate) fn password(path: &Path, login: Login<'_>) -> Option<SecretString> {
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() {
        tracing::warn!(path = %path.display(), "the password file is not a plain file and is ignored");
        return None;
    }
    if is_readable_by_others(&metadata) {
        tracing::warn!(path = %path.display(), "the password file may be read by others and is ignored: make its permissions 0600");
        return None;
    }
    if metadata.len() > FILE_BYTES_MAX {
        tracing::warn!(path = %path.display(), bytes = metadata.len(), "the password file is too long and is ignored");
        return None;
    }
    match std::fs::read_to_string(path) {
        Ok(text) => find(&text, login).map(SecretString::from),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the password file cannot be read");
            None
        }
    }
}

/// Whether the group or anyone may read or write a file.
#[cfg(unix)]
pub(crate) fn is_readable_by_others(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
pub(crate) fn is_readable_by_others(_: &std::fs::Metadata) -> bool {
    false
}

/// `hostname:port:database:username:password`; `*` fits everything, a backslash takes what follows it as it is, a line that
/// begins with `#` is a comment.
fn find(text: &str, login: Login<'_>) -> Option<String> {
    let wanted = [login.host, &login.port.to_string(), login.database, login.user].map(str::to_owned);
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut rest = line;
        for wanted in &wanted {
            let (field, after) = field(rest)?;
            if field != "*" && unescaped(field) != *wanted {
                return None;
            }
            rest = after;
        }
        // Whatever follows a fifth colon is of no field.
        let password = field(rest).map_or(rest, |(password, _)| password);
        Some(unescaped(password)).filter(|password| !password.is_empty())
    })
}

/// What stands before the next colon that no backslash precedes, and what follows it.
fn field(text: &str) -> Option<(&str, &str)> {
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                letters.next();
            }
            ':' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# a comment\n\nlocalhost:5432:shop:reader:first\n*:*:shop:reader:sec\\:ond\n\
                        h\\:1:*:*:*:third\n*:*:*:nobody:\n*:*:*:*:last\\\\\nbroken";

    fn found(host: &str, port: u16, database: &str, user: &str) -> Option<String> {
        find(FILE, Login { host, port, database, user })
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        assert_eq!(found("localhost", 5432, "shop", "reader").as_deref(), Some("first"));
        assert_eq!(found("localhost", 5433, "shop", "reader").as_deref(), Some("sec:ond"));
        assert_eq!(found("h:1", 1, "a", "b").as_deref(), Some("third"));
        assert_eq!(found("other", 1, "a", "b").as_deref(), Some("last\\"));
        assert_eq!(find("a:1:b:c", Login { host: "a", port: 1, database: "b", user: "c" }), None);
    }
}
