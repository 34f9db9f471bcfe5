//! Where a query is in its life.

use std::fmt;

/// The states of a query, in the order in which it passes through them; it ends in one of the last three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueryState {
    /// Waits until fewer queries run.
    Queued,
    /// Its tables are looked up and its plan is made.
    Planning,
    /// Its sources are read.
    Running,
    /// Its last rows are made, and wait for the client to take them.
    Finishing,
    /// The client has all rows.
    Finished,
    /// An error ended it.
    Failed,
    /// Somebody asked it to end, the client left, or its time was over.
    Cancelled,
}

impl QueryState {
    /// All states.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Planning, Self::Running, Self::Finishing, Self::Finished, Self::Failed, Self::Cancelled];

    /// The state as tables and metrics show it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Planning => "planning",
            Self::Running => "running",
            Self::Finishing => "finishing",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens to the query.
    pub fn is_final(self) -> bool {
        self >= Self::Finished
    }
}

impl fmt::Display for QueryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
