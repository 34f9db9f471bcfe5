//! Where a part of a plan would be computed, for who orders joins before they are folded.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use portolan_connector::Costs;

use super::choice::Expected;
use super::{Folding, Node, below, catalog};

/// Where a part of a plan is computed when nothing stands above it.
pub(in crate::planner) struct Place {
    /// The source that computes it, if one does.
    pub(in crate::planner) source: Option<Home>,
    /// Microseconds that this is expected to take, without sending the rows.
    pub(in crate::planner) micros: f64,
}

/// A source that computes a part of a plan.
pub(in crate::planner) struct Home {
    pub(in crate::planner) catalog: Arc<str>,
    pub(in crate::planner) costs: Costs,
}

/// Where a part of a plan is computed.
pub(in crate::planner) fn place(plan: &LogicalPlan, folding: Folding) -> Result<Place> {
    let nowhere = Place { source: None, micros: 0.0 };
    if folding == Folding::Never {
        return Ok(nowhere);
    }
    let Node::Source(source) = below(plan.clone(), folding)? else { return Ok(nowhere) };
    let (fetched, micros) = source.expected.as_ref().map_or((false, 0.0), Expected::here);
    let home = catalog(&source).filter(|_| !fetched);
    let home = home.map(|catalog| Home { catalog: catalog.into(), costs: source.relation.costs() });
    Ok(Place { source: home, micros })
}
