//! Slows down who guesses passwords.
//!
//! Failed logins are counted for each user and for each address that they come from. After a few, the next login has to
//! wait, twice as long each time. A right password is no faster than a wrong one, so waiting tells nothing.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures of one user before logins wait.
const USER_FREE_FAILURES: u32 = 3;

/// Failures from one address before logins wait. Many users may share an address.
const ADDRESS_FREE_FAILURES: u32 = 20;

/// The first wait. Each further failure doubles it.
const DELAY_MIN: Duration = Duration::from_millis(250);

/// The longest wait of a user.
const USER_DELAY_MAX: Duration = Duration::from_secs(8);

/// The longest wait of an address. It may be a proxy's, and others than the one who guesses wait for it.
const ADDRESS_DELAY_MAX: Duration = Duration::from_secs(1);

/// Logins of one user, and from one address, that wait at the same time. Further ones are refused, so that who guesses
/// leaves room for the logins of others.
const USER_WAITING_MAX: u32 = 4;
const ADDRESS_WAITING_MAX: u32 = 32;

/// After this long without a failure, all is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);

/// Users and addresses that are remembered at the same time. The one whose last failure is the oldest makes room.
const ENTRIES_MAX: usize = 10_000;

/// Who has to wait.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    User(Box<str>),
    Address(IpAddr),
}

impl Key {
    fn free_failures(&self) -> u32 {
        match self {
            Self::User(_) => USER_FREE_FAILURES,
            Self::Address(_) => ADDRESS_FREE_FAILURES,
        }
    }

    fn waiting_max(&self) -> u32 {
        match self {
            Self::User(_) => USER_WAITING_MAX,
            Self::Address(_) => ADDRESS_WAITING_MAX,
        }
    }

    fn delay_max(&self) -> Duration {
        match self {
            Self::User(_) => USER_DELAY_MAX,
            Self::Address(_) => ADDRESS_DELAY_MAX,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    failures: u32,
    failed: Instant,
    /// When the next login may begin.
    next: Instant,
    /// Logins that wait for that.
    waiting: u32,
}

/// A login that waits, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    throttle: &'a Throttle,
    keys: Vec<Key>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut entries = self.throttle.entries();
        for key in &self.keys {
            if let Some(entry) = entries.get_mut(key) {
                entry.waiting = entry.waiting.saturating_sub(1);
            }
        }
    }
}

/// Failed logins, and when the next may be tried.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<Key, Entry>>);

impl Throttle {
    /// Begins a login, or says how long it has to wait before it asks again.
    pub(super) fn begin(&self, user: &str, address: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        let mut entries = self.entries();
        let keys = keys(user, address);
        let wait = keys.iter().filter_map(|key| entries.get(key)).map(|entry| entry.next - now).max();
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        // Taken now and not when the login has failed, so that logins side by side gain nothing.
        for key in &keys {
            if let Some(entry) = entries.get_mut(key) {
                entry.next = now + delay(key, entry.failures);
            }
        }
        Ok(())
    }

    /// A place to wait in, if there is one.
    pub(super) fn wait(&self, user: &str, address: Option<IpAddr>) -> Option<Waiting<'_>> {
        let mut entries = self.entries();
        let keys = keys(user, address);
        let is_full = |key: &Key| entries.get(key).is_some_and(|entry| entry.waiting >= key.waiting_max());
        if keys.iter().any(is_full) {
            return None;
        }
        for key in &keys {
            if let Some(entry) = entries.get_mut(key) {
                entry.waiting += 1;
            }
        }
        Some(Waiting { throttle: self, keys })
    }

    /// Counts a failure.
    pub(super) fn failed(&self, user: &str, address: Option<IpAddr>, now: Instant) {
        let mut entries = self.entries();
        for key in keys(user, address) {
            if !entries.contains_key(&key) {
                make_room(&mut entries, now);
            }
            let entry = entries.entry(key.clone()).or_insert(Entry { failures: 0, failed: now, next: now, waiting: 0 });
            if now.duration_since(entry.failed) > FORGET_AFTER {
                entry.failures = 0;
            }
            entry.failures = entry.failures.saturating_add(1);
            entry.failed = now;
            entry.next = now + delay(&key, entry.failures);
        }
    }

    /// Forgets a user's failures. Those of the address stay: who knows one password may be guessing others.
    pub(super) fn succeeded(&self, user: &str) {
        self.entries().remove(&Key::User(user.into()));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        // A poisoned lock means that another thread panicked; the map itself is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keys(user: &str, address: Option<IpAddr>) -> Vec<Key> {
    let address = address.map(|address| Key::Address(network(address)));
    std::iter::once(Key::User(user.into())).chain(address).collect()
}

/// The part of an address that one customer cannot choose: of IPv6 the first 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn delay(key: &Key, failures: u32) -> Duration {
    match failures.checked_sub(key.free_failures() + 1) {
        Some(doublings) => {
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            DELAY_MIN.saturating_mul(factor).min(key.delay_max())
        }
        None => Duration::ZERO,
    }
}

fn make_room(entries: &mut HashMap<Key, Entry>, now: Instant) {
    if entries.len() < ENTRIES_MAX {
        return;
    }
    entries.retain(|_, entry| now.duration_since(entry.failed) <= FORGET_AFTER);
    if entries.len() >= ENTRIES_MAX
        && let Some(oldest) = entries.iter().min_by_key(|(_, entry)| entry.failed).map(|(key, _)| key.clone())
    {
        entries.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V6(Ipv6Addr::LOCALHOST));

    fn fail(throttle: &Throttle, user: &str, times: u32, now: Instant) {
        for _ in 0..times {
            throttle.failed(user, HERE, now);
        }
    }

    #[test]
    fn the_wait_doubles_up_to_a_maximum() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        fail(&throttle, "alice", USER_FREE_FAILURES, now);
        assert_eq!(throttle.begin("alice", HERE, now), Ok(()));
        for expected in [250, 500, 1000, 2000, 4000, 8000, 8000] {
            fail(&throttle, "alice", 1, now);
            assert_eq!(throttle.begin("alice", HERE, now), Err(Duration::from_millis(expected)));
            assert_eq!(throttle.begin("bob", HERE, now), Ok(()));
        }
        fail(&throttle, "alice", 100, now);
        assert_eq!(throttle.begin("alice", HERE, now), Err(USER_DELAY_MAX));
        // From elsewhere too.
        assert_eq!(throttle.begin("alice", None, now), Err(USER_DELAY_MAX));
    }

    #[test]
    fn only_one_of_several_logins_at_the_same_time_begins() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        fail(&throttle, "alice", USER_FREE_FAILURES + 1, now);
        let later = now + DELAY_MIN;
        assert_eq!(throttle.begin("alice", HERE, later), Ok(()));
        assert_eq!(throttle.begin("alice", HERE, later), Err(DELAY_MIN));
    }

    #[test]
    fn few_logins_of_one_user_wait_at_the_same_time() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        fail(&throttle, "alice", USER_FREE_FAILURES + 1, now);
        let mut waiting: Vec<Waiting<'_>> =
            (0..USER_WAITING_MAX).map(|_| throttle.wait("alice", HERE).unwrap()).collect();
        assert!(throttle.wait("alice", None).is_none());
        assert!(throttle.wait("bob", HERE).is_some());
        waiting.pop();
        assert!(throttle.wait("alice", HERE).is_some());
        // What is forgotten meanwhile is not counted below zero.
        throttle.succeeded("alice");
        drop(waiting);
        assert!(throttle.wait("alice", HERE).is_some());
    }

    #[test]
    fn a_success_forgives_the_user_and_not_the_address() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        fail(&throttle, "alice", ADDRESS_FREE_FAILURES + 1, now);
        throttle.succeeded("alice");
        assert_eq!(throttle.begin("alice", None, now), Ok(()));
        assert_eq!(throttle.begin("alice", HERE, now), Err(DELAY_MIN));
        // Addresses of one IPv6 network count as one, and a mapped IPv4 address as itself.
        let neighbour = Some("::ffff".parse().unwrap());
        assert!(throttle.begin("bob", neighbour, now).is_err());
        for index in 0..100 {
            fail(&throttle, &format!("user {index}"), 1, now);
        }
        assert_eq!(throttle.begin("bob", HERE, now), Err(ADDRESS_DELAY_MAX));
        assert_eq!(network("::ffff:10.0.0.1".parse().unwrap()), "10.0.0.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn failures_of_long_ago_do_not_count() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        fail(&throttle, "alice", 100, now);
        let later = now + FORGET_AFTER + Duration::from_secs(1);
        fail(&throttle, "alice", 1, later);
        assert_eq!(throttle.begin("alice", HERE, later), Ok(()));
    }

    #[test]
    fn the_table_does_not_grow_for_ever() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        throttle.failed("first", None, now);
        let later = now + Duration::from_secs(1);
        for index in 0..ENTRIES_MAX {
            throttle.failed(&format!("user {index}"), None, later);
        }
        let entries = throttle.entries();
        assert_eq!(entries.len(), ENTRIES_MAX);
        assert!(!entries.contains_key(&Key::User("first".into())));
    }
}
