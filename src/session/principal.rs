//! Who a session belongs to.

use std::sync::Arc;

/// The user of a process without a `USER` variable.
const UNKNOWN_USER: &str = "local";

/// A user, as the one who opened the session knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The user's name.
    pub name: Arc<str>,
    /// Whether the user sees and ends the queries of others.
    pub is_admin: bool,
}

impl Principal {
    /// A user without rights over others.
    pub fn user(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), is_admin: false }
    }

    /// A user who may see and end every query.
    pub fn admin(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), is_admin: true }
    }

    /// The one who runs this process, to whom all of its queries belong.
    pub fn local() -> Self {
        Self::admin(std::env::var("USER").unwrap_or_else(|_| UNKNOWN_USER.to_owned()))
    }

    /// Whether this user may see and end what belongs to a user of this name.
    pub fn may_manage(&self, owner: &str) -> bool {
        self.is_admin || *self.name == *owner
    }
}
