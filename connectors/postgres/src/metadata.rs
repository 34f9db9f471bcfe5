//! The questions to the system catalogs.

mod listing;
mod relation;
mod statistics;

pub(crate) use listing::{list_schemas, list_tables};
pub(crate) use relation::{Attribute, Relation, RelationKind, describe, describe_query};
pub(crate) use statistics::{Planned, heap_blocks, planned, statistics};
