//! Where a session looks names up, and whose it is.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Client, Failure, ask};

/// Where a session stands. What is not chosen is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) catalog: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) user: Option<String>,
}

/// Asks where the session stands.
pub(crate) async fn standing(client: &dyn Client) -> Result<Standing, Failure> {
    let rows = ask(client, "SELECT current_catalog, current_schema, current_user").await?;
    let mut values = rows.into_iter().next().unwrap_or_default().into_iter();
    let mut next = || values.next().flatten();
    Ok(Standing { catalog: next(), schema: next(), user: next() })
}

/// Where the session stood when it was last looked at, for those who must not wait: the prompt and completion.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastStanding(Arc<Mutex<Standing>>);

impl LastStanding {
    pub(crate) fn get(&self) -> Standing {
        // A poisoned lock means that another thread panicked; the names themselves are still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, standing: Standing) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }
}
