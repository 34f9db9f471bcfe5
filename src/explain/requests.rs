//! The requests of a query, by catalog, and what they cost where the catalog file has the source's prices.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_plan::ExecutionPlan;
use portolan_connector::{RequestCount, SourceExec};

use super::model::{Charge, RequestKind, Requests};
use crate::query::QueryScope;

/// What was sent by some moment, by catalog.
pub(super) type Sent = Vec<(String, Vec<RequestCount>)>;

/// What the query has sent by now to those catalogs whose requests are counted.
pub(super) fn sent(scope: &QueryScope) -> Sent {
    let of_all = scope.snapshots().into_iter().map(|(catalog, snapshot)| (catalog, snapshot.requests()));
    of_all.filter(|(_, requests)| !requests.is_empty()).collect()
}

/// What the query was expected to send, of which `planning` was sent to plan it, and if it ran, what it did send.
pub(super) fn requests(
    plan: &Arc<dyn ExecutionPlan>,
    scope: &QueryScope,
    planning: Sent,
    measured: bool,
) -> Vec<Requests> {
    let mut expected = planning;
    // The closure never fails.
    let _ = plan.apply(|node| {
        if let Some(leaf) = node.downcast_ref::<SourceExec>() {
            add(&mut expected, leaf.catalog(), &leaf.report().requests);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    let now = if measured { sent(scope) } else { Vec::new() };
    let report = |(catalog, expected): (String, Vec<RequestCount>)| {
        let connector = scope.connector(&catalog).ok();
        let charge = |requests: &[RequestCount]| {
            let charge = connector.as_ref()?.charge(requests)?;
            Some(Charge { amount: charge.amount, currency: charge.currency })
        };
        let actual = measured.then(|| {
            now.iter().find(|(known, _)| *known == catalog).map(|(_, requests)| requests.clone()).unwrap_or_default()
        });
        Requests {
            expected_cost: charge(&expected),
            actual_cost: actual.as_deref().and_then(charge),
            expected: expected.iter().map(kind).collect(),
            actual: actual.map(|actual| actual.iter().map(kind).collect()),
            catalog,
        }
    };
    expected.into_iter().map(report).collect()
}

fn kind(count: &RequestCount) -> RequestKind {
    RequestKind { kind: count.kind.to_owned(), count: count.count, bytes: count.bytes }
}

fn add(sent: &mut Sent, catalog: &str, more: &[RequestCount]) {
    if more.is_empty() {
        return;
    }
    let at = sent.iter().position(|(known, _)| known == catalog).unwrap_or_else(|| {
        sent.push((catalog.to_owned(), Vec::new()));
        sent.len() - 1
    });
    let Some((_, known)) = sent.get_mut(at) else { return };
    for new in more {
        match known.iter_mut().find(|known| known.kind == new.kind) {
            Some(known) => {
                known.count += new.count;
                known.bytes += new.bytes;
            }
            None => known.push(*new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_several_scans_add_up() {
        let count = |kind, count, bytes| RequestCount { kind, count, bytes };
        let mut sent = vec![("lake".to_owned(), vec![count("LIST", 2, 0)])];
        add(&mut sent, "lake", &[count("GET", 3, 100)]);
        add(&mut sent, "lake", &[count("GET", 4, 10), count("LIST", 1, 0)]);
        add(&mut sent, "ice", &[count("GET", 1, 1)]);
        add(&mut sent, "pg", &[]);
        let lake = vec![count("LIST", 3, 0), count("GET", 7, 110)];
        assert_eq!(sent, [("lake".to_owned(), lake), ("ice".to_owned(), vec![count("GET", 1, 1)])]);
    }
}
