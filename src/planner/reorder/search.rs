//! The best order: all orders are compared of a few relations, and of more the cheapest join is taken again and again.
//!
//! A set of relations may be joined at the source that has them all, or here. What is joined at a source is fetched when it
//! meets a relation of another.

use std::collections::HashMap;
use std::sync::Arc;

use portolan_connector::Costs;

use super::super::estimate::{Estimated, alone, pairs, partnered};
use super::super::fold::{ENGINE, Folding, join_micros, narrowed, transfer};
use super::graph::{Between, Graph, Role, Set, Tree, bit};

/// The most relations of which all orders are compared: three to the power of this many pairs of sets.
const EXHAUSTIVE_MAX: usize = 10;

/// How a set of relations comes to be here.
struct Way<'a> {
    /// Microseconds until it is joined.
    micros: f64,
    /// Microseconds until its source has sent it.
    sending: f64,
    tree: &'a Arc<Tree>,
}

impl Way<'_> {
    fn total(&self) -> f64 {
        self.micros + self.sending
    }
}

/// The best way to join a set of relations, as far as it is known.
struct Best {
    rows: Arc<Estimated>,
    /// By the source that has them all.
    source: Option<(f64, Arc<Tree>, Costs, Arc<str>)>,
    /// By the engine.
    engine: Option<(f64, Arc<Tree>)>,
}

impl Best {
    fn leaf(graph: &Graph, at: usize) -> Option<Self> {
        let member = graph.members.get(at)?;
        let tree = Arc::new(Tree::Leaf(at));
        let (source, engine) = match &member.place.source {
            Some(source) => (Some((member.place.micros, tree, source.costs, Arc::clone(&source.catalog))), None),
            None => (None, Some((member.place.micros, tree))),
        };
        Some(Self { rows: Arc::clone(&member.rows), source, engine })
    }

    /// The faster way to have the rows here.
    fn here(&self, folding: Folding) -> Option<Way<'_>> {
        let source = self.source.as_ref();
        let source =
            source.map(|(micros, tree, costs, _)| Way { micros: *micros, sending: transfer(costs, &self.rows), tree });
        let engine = self.engine.as_ref().map(|(micros, tree)| Way { micros: *micros, sending: 0.0, tree });
        match (source, engine) {
            (Some(source), Some(engine)) if folding == Folding::Cost && engine.micros < source.total() => Some(engine),
            (Some(source), _) => Some(source),
            (None, engine) => engine,
        }
    }

    /// Takes the better one of two ways.
    fn improve(&mut self, other: Self) {
        if let Some(new) = other.source
            && self.source.as_ref().is_none_or(|known| new.0 < known.0)
        {
            self.source = Some(new);
        }
        if let Some(new) = other.engine
            && self.engine.as_ref().is_none_or(|known| new.0 < known.0)
        {
            self.engine = Some(new);
        }
    }
}

/// The order that is expected to take the least time.
pub(super) fn search(graph: &Graph, folding: Folding) -> Option<Tree> {
    let best = match graph.members.len() <= EXHAUSTIVE_MAX {
        true => exhaustive(graph, folding)?,
        false => greedy(graph, folding)?,
    };
    best.here(folding).map(|way| Tree::clone(way.tree))
}

fn exhaustive(graph: &Graph, folding: Folding) -> Option<Best> {
    let all = graph.all();
    let mut best: HashMap<Set, Best> = HashMap::new();
    for at in 0..graph.members.len() {
        best.insert(bit(at), Best::leaf(graph, at)?);
    }
    // A set comes after all of its parts.
    for set in 1..=all {
        if set.count_ones() < 2 {
            continue;
        }
        // Products are made only where nothing else joins.
        let found = splits(graph, &best, set, folding, true).or_else(|| splits(graph, &best, set, folding, false));
        if let Some(found) = found {
            best.insert(set, found);
        }
    }
    best.remove(&all)
}

/// The best way to join a set by a join of two of its parts.
fn splits(graph: &Graph, best: &HashMap<Set, Best>, set: Set, folding: Folding, connected: bool) -> Option<Best> {
    let mut found: Option<Best> = None;
    let mut left = (set - 1) & set;
    while left != 0 {
        let right = set & !left;
        if let (Some(one), Some(other)) = (best.get(&left), best.get(&right))
            && let Some(between) = graph.between(left, right)
            && (!connected || graph.semi(right).is_some() || !between.on.is_empty() || !between.others.is_empty())
        {
            let rows = found.as_ref().map(|found| &found.rows);
            let joined = join(graph, one, other, right, &between, rows, folding);
            match (&mut found, joined) {
                (Some(found), Some(joined)) => found.improve(joined),
                (None, joined) => found = joined,
                _ => {}
            }
        }
        left = (left - 1) & set;
    }
    found
}

/// A join of two sets. The rows are those that were expected before, if they were: they do not depend on the order.
fn join(
    graph: &Graph,
    left: &Best,
    right: &Best,
    right_set: Set,
    between: &Between<'_>,
    rows: Option<&Arc<Estimated>>,
    folding: Folding,
) -> Option<Best> {
    let semi = graph.semi(right_set).and_then(|at| graph.members.get(at)).map(|member| &member.role);
    let (equal, rows) = match semi {
        Some(Role::Semi { anti, on, filter, .. }) => {
            let rows = rows.cloned().unwrap_or_else(|| {
                let share = partnered(&left.rows, &right.rows, on, filter.as_ref());
                Arc::new(Estimated::clone(&left.rows).share(if *anti { alone(share) } else { share }))
            });
            (!on.is_empty(), rows)
        }
        _ => {
            let product = || {
                let pairs = pairs(&left.rows, &right.rows, &between.keys(), between.filter().as_ref());
                Arc::new(left.rows.product(&right.rows, pairs))
            };
            (!between.on.is_empty(), rows.cloned().unwrap_or_else(product))
        }
    };
    let micros = |costs: &Costs| join_micros(costs, &left.rows, &right.rows, &rows, equal);
    let source = match (&left.source, &right.source) {
        (Some((one, left, costs, catalog)), Some((other, right, _, of))) if catalog == of => {
            let tree = Arc::new(Tree::Join(Arc::clone(left), Arc::clone(right)));
            Some((one + other + micros(costs), tree, *costs, Arc::clone(catalog)))
        }
        _ => None,
    };
    let engine = {
        let (one, other) = (left.here(folding)?, right.here(folding)?);
        // What is found on one side narrows what is sent of the other.
        let (of_one, of_other) = match equal {
            true => (narrowed(&left.rows, &right.rows, &rows), narrowed(&right.rows, &left.rows, &rows)),
            false => (1.0, 1.0),
        };
        let inputs = one.micros + one.sending * of_one + other.micros + other.sending * of_other;
        let (first, second) = (one.tree, other.tree);
        // The side whose rows are put into a table goes first.
        let (first, second) = match semi.is_none() && right.rows.rows < left.rows.rows {
            true => (second, first),
            false => (first, second),
        };
        let tree = Arc::new(Tree::Join(Arc::clone(first), Arc::clone(second)));
        Some((inputs + micros(&ENGINE), tree))
    };
    Some(Best { rows, source, engine })
}

fn greedy(graph: &Graph, folding: Folding) -> Option<Best> {
    let mut parts: Vec<(Set, Best)> =
        (0..graph.members.len()).map(|at| Some((bit(at), Best::leaf(graph, at)?))).collect::<Option<_>>()?;
    while parts.len() > 1 {
        let (left, right, joined) =
            cheapest(graph, &parts, folding, true).or_else(|| cheapest(graph, &parts, folding, false))?;
        let set = parts.get(left)?.0 | parts.get(right)?.0;
        parts.remove(left.max(right));
        parts.remove(left.min(right));
        parts.push((set, joined));
    }
    parts.pop().map(|(_, best)| best)
}

/// The two parts whose join leaves the fewest rows, and among those the fastest.
fn cheapest(graph: &Graph, parts: &[(Set, Best)], folding: Folding, connected: bool) -> Option<(usize, usize, Best)> {
    let mut found: Option<(usize, usize, Best)> = None;
    for (at, (left, one)) in parts.iter().enumerate() {
        for (by, (right, other)) in parts.iter().enumerate().filter(|(by, _)| *by != at) {
            let Some(between) = graph.between(*left, *right) else { continue };
            let semi = graph.semi(*right).is_some();
            if connected && !semi && between.on.is_empty() && between.others.is_empty() {
                continue;
            }
            let Some(joined) = join(graph, one, other, *right, &between, None, folding) else { continue };
            let weight = |best: &Best| (best.rows.rows, best.here(folding).map_or(f64::INFINITY, |way| way.total()));
            if found.as_ref().is_none_or(|(_, _, known)| weight(&joined) < weight(known)) {
                found = Some((at, by, joined));
            }
        }
    }
    found
}
