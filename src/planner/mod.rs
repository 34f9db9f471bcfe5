//! From a statement to a physical plan whose leaves are sources.
//!
//! The negotiation: [`table::FederatedTable`] hands each conjunct to the source's table and passes its verdict on to
//! DataFusion; [`refusals`] then notes on each scan what was refused, so that the leaf can tell its whole story; and
//! [`fold`] offers the operators above to the sources.

mod ahead;
mod assign;
mod builds;
mod built_once;
mod conjunction;
mod estimate;
mod fold;
mod follow;
mod gathered;
mod guard;
mod held_conditions;
mod hidden;
mod keyset;
mod naming;
mod native;
mod null_equality;
#[cfg(test)]
mod numbers;
mod once;
mod one_input;
mod only_subqueries;
mod outer_constants;
mod parameters;
mod patience;
mod plan;
mod refusals;
mod remembered;
mod reorder;
mod row_change;
mod rules;
mod same_names;
mod session_values;
mod shared_sums;
mod sides;
mod single_distinct;
mod spelling;
mod stopwatch;
mod table;
mod using;
mod version;

pub(crate) use ahead::AheadExec;
pub(crate) use assign::{Assignment, assignable, new_columns};
pub(crate) use built_once::BuiltOnceExec;
pub(crate) use conjunction::{AllOf, KnownExec};
pub use fold::Folding;
pub(crate) use follow::never_ends;
pub(crate) use guard::guard;
pub(crate) use hidden::normalized;
pub(crate) use keyset::{KeyCollectorExec, KeyFilterExec};
pub(crate) use once::OnceExec;
pub(crate) use outer_constants::InconstantExec;
pub use parameters::Parameter;
pub use plan::{Plan, Planner, Prepared};
pub(crate) use plan::{reads_only, reference_of};
pub(crate) use row_change::give_types;
pub(crate) use rules::keep_answers;
pub use session_values::SessionValues;
pub use table::FederatedTable;
pub(crate) use version::FOLLOW;
