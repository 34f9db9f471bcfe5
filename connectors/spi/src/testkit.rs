//! The test kit for connector authors: it breaks rules that are wrong.
//!
//! [`Walk`] takes a real table of a connector and, for each kind of column, probe values: NULL, NaN, infinities,
//! extremes, empty and padded texts, unicode. For every rule that the connector declares and every probe it builds
//! the conjunct, asks the table's judgement, reads the source with the conjunct pushed down, and compares the rows
//! with what DataFusion itself finds among all rows. [`check_contract`] checks what holds for every connector,
//! whatever its rules: projections, empty projections, batch sizes, limits, splits. [`check_writes`] checks those whose
//! source can be changed.
//!
//! All end in a report whose `assert_clean` fails a test with every violation described.
//!
//! ```ignore
//! let subject = Subject::new(connector, table);
//! check_contract(&subject).await?.assert_clean();
//! Walk::new(subject)
//!     .probe(Domain("integer"), ["small", "big"], [0_i64, -1, i64::MAX].map(ScalarValue::from))
//!     .probe(Domain("text"), ["name"], ["", " ", "ą", "a\0", "it's"].map(ScalarValue::from))
//!     .run()
//!     .await?
//!     .assert_clean();
//! ```

mod conjuncts;
mod contract;
mod probe;
mod report;
mod rows;
mod subject;
#[cfg(test)]
mod tests;
mod walk;
mod writes;

pub use contract::{ContractReport, check_contract};
pub use probe::Probe;
pub use report::{RuleReport, Violation, WalkReport};
pub use subject::{MAX_ROWS, Subject};
pub use walk::{MAX_PAIRS, Walk};
pub use writes::check_writes;
