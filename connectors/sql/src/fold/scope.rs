//! Columns of the engine's as columns of queries.

use datafusion::common::{Column, DFSchema};

use crate::query::Output;
use crate::{RemoteQuery, Scope, Typed};

/// The columns of a query, or of two side by side.
pub(super) struct Columns<'a> {
    sides: Vec<(Vec<Output>, &'a DFSchema)>,
}

impl<'a> Columns<'a> {
    /// The columns of one query, which the engine knows by this schema.
    pub(super) fn of(query: &RemoteQuery, schema: &'a DFSchema) -> Self {
        Self { sides: vec![(query.outputs.clone(), schema)] }
    }

    /// And those of another.
    pub(super) fn beside(mut self, query: &RemoteQuery, schema: &'a DFSchema) -> Self {
        self.sides.push((query.outputs.clone(), schema));
        self
    }
}

impl Scope for Columns<'_> {
    fn resolve(&self, column: &Column) -> Option<Typed> {
        self.sides.iter().find_map(|(outputs, schema)| {
            let index = schema.maybe_index_of_column(column)?;
            let never_null = !schema.field(index).is_nullable();
            outputs.get(index).map(|output| Typed { never_null, ..output.value.clone() })
        })
    }
}
