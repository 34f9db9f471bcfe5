//! PostgreSQL's types, and as what the engine sees them.

mod domains;
mod mapping;
mod numeric;
mod wire;

pub(crate) use domains::*;
pub(crate) use mapping::{Circumstances, Mapped, PostgresType, TypeKind, computed, map};
pub(crate) use numeric::NumericMapping;
pub(crate) use wire::Wire;
