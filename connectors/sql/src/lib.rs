//! What all SQL sources share: a typed remote query, the dialects that print it, and the translator from the
//! engine's logical expressions to what a source may be asked.
//!
//! # From a conjunct to SQL
//!
//! 1. [`lower`] translates one conjunct of a filter into a [`RemoteExpr`], or says why it must not be sent. It knows
//!    a closed vocabulary, asks the connector's declared rules for every operation and operand, and refuses what no
//!    rule names. [`judge`] is the same question without the translation.
//!    [`lower_value`] and [`lower_aggregate`] do the same for what a query computes.
//! 2. [`RemoteQuery`] is one SELECT. Operators of the engine's plan are folded into it one by one
//!    ([`RemoteQuery::filter`], [`RemoteQuery::aggregate`], [`RemoteQuery::join`] and so on); where SQL has no place left in
//!    the same SELECT, it becomes a subquery.
//!    [`RemoteChange`] is one UPDATE or DELETE of a table's rows.
//! 3. [`RemoteQuery::render`] prints it once, at the end, through a [`Dialect`]. Identifiers are always quoted and
//!    literals always typed. No text is edited after it was printed, and none comes from the statement unquoted.
//!
//! # Why not a general unparser
//!
//! A printer of arbitrary plans also prints what it does not understand. Here every variant of [`RemoteExpr`] is
//! there because its meaning was compared with the engine's.

mod calendar;
mod change;
mod column;
mod correlate;
mod dialect;
mod expr;
mod fold;
mod function;
mod literal;
mod lower;
mod postgres;
mod query;
mod render;
mod scalar;
mod share;
mod statement;
mod typed;
mod visit;

pub use change::RemoteChange;
pub use column::RemoteColumn;
pub use dialect::Dialect;
pub use expr::{AggregateFunction, ArithmeticOp, CompareOp, RemoteExpr, SourceId, TruthValue};
pub use fold::{JoinOn, JoinSide};
pub use function::{DatePart, DateUnit, RemoteFunction, TrimSide};
pub use literal::{RemoteLiteral, RemoteValue};
pub use lower::limits;
pub use lower::{Predicate, judge, lower, lower_aggregate, lower_value};
pub use postgres::{PostgresDialect, inet_text};
pub use query::{From, JoinKind, Output, RemoteQuery, SortKey};
pub use typed::{Scope, Typed, Vocabulary};
