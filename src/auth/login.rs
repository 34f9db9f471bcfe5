//! Logging in with a name and a password.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::Refusal;
use super::files::{self, Watched};
use super::remembered::Remembered;
use super::throttle::Throttle;
use super::users_file::{User, Users};
use crate::error::{Error, Result};

/// Passwords that are checked at the same time. Each takes a processor and tens of megabytes.
const CHECKS_MAX: usize = 2;

/// Logins that wait at the same time, be it for their turn or for what failed before.
const WAITING_MAX: usize = 256;

/// How long a login waits. One that had to wait longer is refused.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The users of a users file, and what is known of their logins.
#[derive(Debug)]
pub(super) struct PasswordLogin {
    users: Watched<Users>,
    remembered: Arc<Remembered>,
    throttle: Arc<Throttle>,
    checks: Arc<Semaphore>,
    waiting: Semaphore,
}

impl PasswordLogin {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = path.to_owned();
        let load = move || {
            let users = files::read(&file)?;
            Users::parse(&users).map_err(|error| format!("{}: {error}", file.display()))
        };
        let users = Watched::open(vec![path.to_owned()], load)
            .map_err(|message| Error::user(format!("the users file: {message}")))?;
        Ok(Self {
            users,
            remembered: Arc::new(Remembered::new()?),
            throttle: Arc::default(),
            checks: Arc::new(Semaphore::new(CHECKS_MAX)),
            waiting: Semaphore::new(WAITING_MAX),
        })
    }

    /// A user as the file has it now.
    pub(super) fn user(&self, name: &str) -> Option<User> {
        self.users.current().get(name).cloned()
    }

    /// The user of this name, if this is the password. Takes as long for a name that is not there.
    pub(super) async fn check(
        &self,
        name: &str,
        password: &SecretString,
        address: Option<IpAddr>,
    ) -> Result<User, Refusal> {
        let users = self.users.current();
        let known = users.get(name);
        if let Some(user) = known
            && self.remembered.knows(name, password.expose_secret(), &user.encoded, Instant::now())
        {
            return Ok(user.clone());
        }
        let check = Check {
            user: known.unwrap_or(users.nobody()).clone(),
            is_known: known.is_some(),
            name: name.to_owned(),
            password: password.clone(),
            address,
            remembered: Arc::clone(&self.remembered),
            throttle: Arc::clone(&self.throttle),
        };
        let _queued = self.waiting.try_acquire().map_err(|_| Refusal::Busy)?;
        let patience = Instant::now() + WAIT_MAX;
        loop {
            // The semaphore is never closed.
            let turn = Arc::clone(&self.checks).acquire_owned().await.map_err(|_| Refusal::Busy)?;
            match self.throttle.begin(name, address, Instant::now()) {
                Ok(()) => {
                    // The turn and the result belong to the check: a client that leaves early gains nothing.
                    let checked = tokio::task::spawn_blocking(move || {
                        let checked = check.run();
                        drop(turn);
                        checked
                    });
                    return checked.await.map_err(|_| Refusal::Busy)?.ok_or(Refusal::Wrong);
                }
                Err(wait) => {
                    drop(turn);
                    let refused = Refusal::TooManyFailures { wait };
                    if Instant::now() + wait > patience {
                        return Err(refused);
                    }
                    let _waiting = self.throttle.wait(name, address).ok_or(refused)?;
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }
}

/// One check of a password.
struct Check {
    user: User,
    is_known: bool,
    name: String,
    password: SecretString,
    address: Option<IpAddr>,
    remembered: Arc<Remembered>,
    throttle: Arc<Throttle>,
}

impl Check {
    /// Takes long.
    fn run(self) -> Option<User> {
        let is_right = self.user.has_password(self.password.expose_secret());
        if is_right && self.is_known {
            let encoded = Arc::clone(&self.user.encoded);
            self.remembered.add(&self.name, self.password.expose_secret(), encoded, Instant::now());
            self.throttle.succeeded(&self.name);
            return Some(self.user);
        }
        self.throttle.failed(&self.name, self.address, Instant::now());
        let address = self.address.map(|address| address.to_string());
        tracing::warn!(user = self.name.escape_debug().to_string(), address, "a login failed");
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::users_file::password_entry;

    fn login(text: &str) -> (tempfile::TempDir, PasswordLogin) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("users");
        std::fs::write(&file, text).unwrap();
        let login = PasswordLogin::open(&file).unwrap();
        (directory, login)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn a_wrong_password_and_an_unknown_user_are_told_the_same() {
        let entry = password_entry("alice", "right", false).unwrap();
        let (_directory, login) = login(&entry);
        block_on(async {
            let check = async |name: &str, password: &str| {
                login.check(name, &SecretString::from(password), None).await.map(|user| user.is_admin)
            };
            assert_eq!(check("alice", "right").await, Ok(false));
            assert_eq!(check("alice", "wrong").await, Err(Refusal::Wrong));
            assert_eq!(check("nobody", "right").await, Err(Refusal::Wrong));
            assert_eq!(check("nobody", "").await, Err(Refusal::Wrong));
            assert_eq!(check("", "").await, Err(Refusal::Wrong));
        });
    }

    #[test]
    fn who_guesses_is_refused_before_the_password_is_checked() {
        let entry = password_entry("alice", "right", false).unwrap();
        let (_directory, login) = login(&entry);
        let now = Instant::now();
        for _ in 0..100 {
            // As if many had failed a moment from now, so that no login can wait long enough.
            login.throttle.failed("alice", None, now + Duration::from_secs(60));
        }
        block_on(async {
            let refused = login.check("alice", &SecretString::from("right"), None).await.map(|_| ());
            assert!(matches!(refused, Err(Refusal::TooManyFailures { wait }) if wait > WAIT_MAX), "{refused:?}");
            // What is remembered does not wait.
            let user = login.user("alice").unwrap();
            login.remembered.add("alice", "right", user.encoded, Instant::now());
            assert!(login.check("alice", &SecretString::from("right"), None).await.is_ok());
        });
    }
}
