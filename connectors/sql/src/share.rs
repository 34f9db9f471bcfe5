//! Another way to write the same: groups that are read in several places, computed once.
//!
//! The engine puts the query of a common table expression, or of a view, wherever it is named, since that way each place can be
//! optimized on its own. A source that is sent the result would compute the groups as often.

use std::collections::{HashMap, HashSet};

use crate::query::From;
use crate::statement::collect;
use crate::{Dialect, RemoteExpr, RemoteQuery, SourceId};

/// At most so many queries are shared in one statement.
const SHARED_MAX: usize = 8;

/// A subquery of groups.
struct Groups {
    source: SourceId,
    query: RemoteQuery,
    /// Its columns, as they are printed.
    columns: Vec<String>,
}

impl RemoteQuery {
    /// The query with what is computed more than once as queries with a name; `None` where nothing is.
    pub fn with_shared(&self, dialect: &dyn Dialect) -> Option<Self> {
        let mut query = self.clone();
        while query.shared.len() < SHARED_MAX && query.share_one(dialect) {}
        (query.shared.len() > self.shared.len()).then_some(query)
    }

    /// Whether there was something to share.
    fn share_one(&mut self, dialect: &dyn Dialect) -> bool {
        let mut alike: HashMap<String, Vec<Groups>> = HashMap::new();
        self.relations_mut(&mut |from| {
            let From::Queries { source, queries } = from else { return };
            let [query] = queries.as_slice() else { return };
            if is_groups(query) && reads_its_own(query) {
                let columns = query.outputs.iter().map(|output| query.render_part(&output.value.expr, dialect));
                let rows = RemoteQuery { outputs: Vec::new(), ..query.clone() }.render(dialect);
                let groups = Groups { source: *source, query: query.clone(), columns: columns.collect() };
                alike.entry(rows).or_default().push(groups);
            }
        });
        // What is inside of a longer one is shared with it.
        let longest =
            alike.into_iter().filter_map(|(rows, groups)| Some((rows.len(), rows, readers(groups, dialect)?)));
        let Some((_, _, (groups, mut readers))) =
            longest.max_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)))
        else {
            return false;
        };
        // A name that nobody gives to a table.
        let name = format!("shared by the query {}", self.shared.len());
        self.relations_mut(&mut |from| {
            if let From::Queries { source, .. } = from
                && let Some(columns) = readers.remove(source)
            {
                *from = From::Shared { source: *source, name: name.clone(), columns };
            }
        });
        self.shared.push((name, groups));
        true
    }
}

/// The query of most columns, and whoever reads nothing but those: by its relation, what it calls them. `None` where that is
/// one alone.
fn readers(groups: Vec<Groups>, dialect: &dyn Dialect) -> Option<(RemoteQuery, HashMap<SourceId, Vec<String>>)> {
    let widest = groups.iter().max_by_key(|groups| groups.columns.len())?;
    let named = groups.iter().filter_map(|reader| Some((reader.source, names(reader, &widest.columns, dialect)?)));
    let readers: HashMap<_, _> = named.collect();
    (readers.len() > 1).then(|| (widest.query.clone(), readers))
}

/// What a reader calls these columns; `None` where it has others, or one of them twice.
fn names(reader: &Groups, columns: &[String], dialect: &dyn Dialect) -> Option<Vec<String>> {
    let own = reader.query.output_names(dialect);
    let all_once = reader.columns.iter().enumerate().all(|(at, column)| {
        columns.contains(column) && !reader.columns.iter().skip(at + 1).any(|other| other == column)
    });
    let mut unread = (0..).map(|number| format!("unread{number}")).filter(|name| !own.contains(name));
    let name = |column: &String| {
        let at = reader.columns.iter().position(|other| other == column);
        at.and_then(|at| own.get(at).cloned()).or_else(|| unread.next())
    };
    if all_once { columns.iter().map(name).collect() } else { None }
}

/// Whether it has groups, and all of them.
fn is_groups(query: &RemoteQuery) -> bool {
    query.group.as_ref().is_some_and(|keys| !keys.is_empty())
        && query.order.is_empty()
        && !query.distinct
        && query.limit.is_none()
        && query.offset == 0
}

/// Whether it names no relations around it.
fn reads_its_own(query: &RemoteQuery) -> bool {
    let mut relations = Vec::new();
    collect(query, &mut relations);
    let relations: HashSet<_> = relations.into_iter().collect();
    let mut all = true;
    query.clone().walk_mut(&mut |part| {
        if let RemoteExpr::Column { source, .. } = part {
            all &= relations.contains(source);
        }
        false
    });
    all
}
