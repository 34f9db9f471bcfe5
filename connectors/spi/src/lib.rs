//! The contract between Portolan's engine and its connectors.
//!
//! A *connector* knows one kind of source (`postgres`, `hive`, `kafka`). A *catalog* is one configured source.
//! The engine owns SQL: it parses, plans, joins and aggregates. A connector owns its source: it lists what is
//! there, says of every part of a filter what it can do with it ([`Verdict`]), and turns a [`ScanRequest`] into
//! rows.
//!
//! # The life of a scan
//!
//! 1. [`Connector::table`] finds the table; its [`Column`]s become the engine's schema.
//! 2. [`ConnectorTable::judge`] is asked about each conjunct of the filter. *Exact*: the engine drops it.
//!    *Pruning*: the source skips what cannot match and the engine evaluates the conjunct again. *Refused*: the
//!    engine evaluates it alone, and EXPLAIN shows the reason.
//! 3. [`ConnectorTable::fold`] is asked whether the source takes over a limit, and [`Relation::fold`], where the source
//!    computes more than scans, whether it takes over the operators above, one by one.
//! 4. [`Connector::begin`] freezes the source's position for the query, once per query and catalog.
//! 5. [`ConnectorTable::plan`] turns the request into a [`SourcePlan`]: splits that [`Connector::read`] can read
//!    anywhere, or a native DataFusion leaf, together with what EXPLAIN has to know.
//! 6. [`SourceExec`] is the leaf that runs either of them.
//!
//! # The life of a write
//!
//! A connector whose source can be changed has a [`WritableCatalog`]. The engine plans the rows, gives them to a
//! [`TableWriter`] and commits it: all rows are visible from then on, or none ever is.
//!
//! # Procedures
//!
//! What is neither a read nor a write of rows is a procedure of the catalog, declared as a [`ProcedureSpec`] and run by
//! [`Connector::call`]: `CALL lake.system.flush_cache()`.
//!
//! # Deny by default
//!
//! A source gets a predicate only when a declared [`Rule`] says that its meaning there equals the engine's for
//! those operands. Rules are data: `SHOW CAPABILITIES` prints them, [`ConnectorTable::judge`] consults them, and
//! [`testkit`] walks them against the real source.
//!
//! # Why splits and not live readers
//!
//! A [`Split`] is plain serialisable data, and a leaf finds its connector through an extension of the session's
//! configuration ([`Connectors`]). So a plan can be moved to another process without carrying connections or
//! credentials along.

mod capability;
mod column;
mod connector;
mod error;
mod float;
mod leaf;
mod name;
mod procedure;
pub mod properties;
mod relation;
mod report;
mod request;
mod snapshot;
mod statistics;
mod system;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
mod verdict;
mod write;

pub use capability::{Capabilities, Domain, Operation, Rule};
pub use column::{Column, HiddenColumn, UnsupportedColumn};
pub use connector::{
    Connector, ConnectorFactory, ConnectorTable, Connectors, PlanContext, QueryContext, ReadContext, TableEntry,
    TableKind,
};
pub use error::{ConnectorError, Detail, ErrorClass, ErrorKind, Result};
pub use float::{canonical_float_array, canonical_floats, has_floats, schema_has_floats};
pub use leaf::{DynamicFilter, KeyFilter, Narrowed, ScanLimit, ScanLimits, SourceExec, SourceMetrics, key_filters};
pub use name::TableName;
pub use procedure::{ArgumentKind, ArgumentSpec, ArgumentValue, Arguments, ProcedureSpec};
pub use properties::{CatalogEntry, Properties, PropertyKind, PropertySpec};
pub use relation::{Costs, Expense, Operand, Operator, Relation};
pub use report::{Charge, Estimate, FilterReport, FoldCost, RequestCount, SourceReport, Unfolded, Units};
pub use request::{Fold, PushedFilter, Scan, ScanRequest, SourcePlan, Split};
pub use snapshot::{Snapshot, Snapshots};
pub use statistics::{ColumnStatistics, TableStatistics};
pub use system::{SYSTEM_SCHEMA, SystemColumn, SystemKind, SystemTableSpec};
pub use verdict::{Reason, Verdict};
pub use write::{
    Begun, InsertMode, NewTable, OnExisting, RowAction, RowChange, RowOrder, TableValue, TableWriter, WritableCatalog,
    WriteContext, WriteToken,
};
