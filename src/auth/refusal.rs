//! Why a client is not let in, as it is told.

use std::fmt;
use std::time::Duration;

/// Why a client is not let in. It is not told whether it was the name or the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The client did not say who it is.
    Missing,
    /// The name or the password is wrong.
    Wrong,
    /// The token is wrong or has ended.
    BadToken,
    /// What the client sent cannot be read, or is of a kind that the server does not take.
    Unusable,
    /// Too many logins have failed.
    TooManyFailures {
        /// When the next may be tried.
        wait: Duration,
    },
    /// Too many clients log in at the same time.
    Busy,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the server asks who you are: log in"),
            Self::Wrong => f.write_str("the user name or the password is wrong"),
            Self::BadToken => f.write_str("the token is not valid, or has expired: log in again"),
            Self::Unusable => f.write_str("the server cannot use these credentials: ask its operator how users log in"),
            Self::TooManyFailures { wait } => {
                // Rounded up, so that who waits for so long does not come too early.
                let seconds = wait.as_millis().div_ceil(1000);
                write!(f, "too many logins have failed: try again in {seconds} seconds")
            }
            Self::Busy => f.write_str("too many clients log in at the same time: try again later"),
        }
    }
}

impl std::error::Error for Refusal {}
