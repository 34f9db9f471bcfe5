//! Passwords that were right a moment ago. Some clients send one with each call, and checking it takes long on purpose.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::signing::SigningKey;
use crate::error::Result;

/// How long a right password is remembered.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// Passwords that are remembered at the same time.
const ENTRIES_MAX: usize = 10_000;

const PURPOSE: &str = "remembered password";

/// Names and passwords, kept only as a hash whose key dies with the process.
#[derive(Debug)]
pub(super) struct Remembered {
    key: SigningKey,
    entries: Mutex<HashMap<[u8; 32], Entry>>,
}

#[derive(Debug)]
struct Entry {
    /// The hash that the password was right for: a new password ends the old one at once.
    encoded: Arc<str>,
    since: Instant,
}

impl Entry {
    fn is_fresh(&self, now: Instant) -> bool {
        now.duration_since(self.since) < REMEMBERED_FOR
    }
}

impl Remembered {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { key: SigningKey::random()?, entries: Mutex::default() })
    }

    /// Whether this password was right for this hash a moment ago.
    pub(super) fn knows(&self, name: &str, password: &str, encoded: &str, now: Instant) -> bool {
        let digest = self.digest(name, password);
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(&digest).is_some_and(|entry| entry.is_fresh(now) && *entry.encoded == *encoded)
    }

    /// Remembers a password that is right for a hash. When there are too many already, it is not remembered.
    pub(super) fn add(&self, name: &str, password: &str, encoded: Arc<str>, now: Instant) {
        let digest = self.digest(name, password);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, entry| entry.is_fresh(now));
        }
        if entries.len() < ENTRIES_MAX {
            entries.insert(digest, Entry { encoded, since: now });
        }
    }

    fn digest(&self, name: &str, password: &str) -> [u8; 32] {
        // A name that is read from Basic credentials has no colon.
        self.key.digest(PURPOSE, format!("{name}:{password}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_holds_for_one_password_one_hash_and_a_while() {
        let (remembered, now) = (Remembered::new().unwrap(), Instant::now());
        remembered.add("alice", "right", Arc::from("hash"), now);
        assert!(remembered.knows("alice", "right", "hash", now));
        assert!(!remembered.knows("alice", "wrong", "hash", now));
        assert!(!remembered.knows("bob", "right", "hash", now));
        assert!(!remembered.knows("alice", "right", "another hash", now));
        assert!(!remembered.knows("alice", "right", "hash", now + REMEMBERED_FOR));
    }

    #[test]
    fn the_table_does_not_grow_for_ever() {
        let (remembered, now) = (Remembered::new().unwrap(), Instant::now());
        for index in 0..=ENTRIES_MAX {
            remembered.add(&index.to_string(), "x", Arc::from("hash"), now);
        }
        assert!(!remembered.knows(&ENTRIES_MAX.to_string(), "x", "hash", now));
        let later = now + REMEMBERED_FOR;
        remembered.add("late", "x", Arc::from("hash"), later);
        assert!(remembered.knows("late", "x", "hash", later));
        assert_eq!(remembered.entries.lock().unwrap().len(), 1);
    }
}
