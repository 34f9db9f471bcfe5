//! A whole remote query: one SELECT over tables, joins and other queries.

use portolan_connector::Reason;

use crate::{Dialect, RemoteExpr, SourceId, Typed};

/// How two relations are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// The pairs for which the condition holds.
    Inner,
    /// And the rows of the left side that have no partner.
    Left,
    /// And the rows of the right side that have no partner.
    Right,
    /// And the rows of either side that have no partner.
    Full,
}

/// Where the rows come from.
#[derive(Clone, Debug, PartialEq)]
pub enum From {
    /// A table.
    Table {
        /// What its columns refer to it by.
        source: SourceId,
        /// The schema. Empty for a source that has none.
        schema: String,
        /// The table.
        table: String,
    },
    /// The rows of a query that somebody wrote in the source's own language.
    Native {
        /// What its columns refer to it by.
        source: SourceId,
        /// The query, of which the source has said that it is one.
        text: String,
    },
    /// The rows of other queries, one after the other. At least one.
    Queries {
        /// What columns refer to them by.
        source: SourceId,
        /// The queries. All have as many columns, of the same types.
        queries: Vec<RemoteQuery>,
    },
    /// What [`RemoteQuery::shared`] computes, once for all that read it.
    Shared {
        /// What columns refer to it by.
        source: SourceId,
        /// Its name there.
        name: String,
        /// What its columns are called here, in their order.
        columns: Vec<String>,
    },
    /// Two relations side by side.
    Join {
        /// How.
        kind: JoinKind,
        /// One.
        left: Box<From>,
        /// The other.
        right: Box<From>,
        /// AND-ed together; empty for all pairs.
        on: Vec<RemoteExpr>,
    },
}

/// A column of the result.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The name that the engine has for it. The source may be told another.
    pub name: String,
    /// What it is.
    pub value: Typed,
}

/// A key of the order.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// By what.
    pub value: RemoteExpr,
    /// The collation that orders texts by their bytes, where the source's own does not.
    pub collation: Option<String>,
    /// The greatest first.
    pub descending: bool,
    /// NULL before everything else.
    pub nulls_first: bool,
}

/// One SELECT.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteQuery {
    /// Where the rows come from.
    pub from: From,
    /// AND-ed together.
    pub filter: Vec<RemoteExpr>,
    /// The keys of the groups, where rows are grouped; none for one group of all rows.
    pub group: Option<Vec<RemoteExpr>>,
    /// Conditions on groups, AND-ed together.
    pub having: Vec<RemoteExpr>,
    /// Each row of the result once.
    pub distinct: bool,
    /// The columns to return, in order. Empty when only the number of rows matters.
    pub outputs: Vec<Output>,
    /// The order.
    pub order: Vec<SortKey>,
    /// How many rows to leave out first.
    pub offset: usize,
    /// At most this many rows.
    pub limit: Option<usize>,
    /// Queries with a name that this one and its subqueries read. Those of a subquery do not count.
    pub shared: Vec<(String, RemoteQuery)>,
}

impl RemoteQuery {
    /// All rows of a relation and none of its columns.
    pub fn over(from: From) -> Self {
        Self {
            from,
            filter: Vec::new(),
            group: None,
            having: Vec::new(),
            distinct: false,
            outputs: Vec::new(),
            order: Vec::new(),
            offset: 0,
            limit: None,
            shared: Vec::new(),
        }
    }

    /// All rows of a table and none of its columns.
    pub fn table(source: SourceId, schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self::over(From::Table { source, schema: schema.into(), table: table.into() })
    }

    /// Adds a column to the result.
    pub fn push(&mut self, value: Typed) {
        self.outputs.push(Output { name: value.column.name.clone(), value });
    }

    /// The query as SQL, without a semicolon.
    pub fn render(&self, dialect: &dyn Dialect) -> String {
        let printer = self.printer(dialect);
        let query = printer.query(self, true);
        let shared = self.shared.iter();
        let shared =
            shared.map(|(name, it)| format!("{} AS ({})", dialect.quote_identifier(name), printer.query(it, true)));
        match shared.collect::<Vec<_>>().as_slice() {
            [] => query,
            shared => format!("WITH {} {query}", shared.join(", ")),
        }
    }

    /// The query, and other queries with the same rows that a source may be faster with. Only its own planner can tell; of
    /// those that it thinks as good as each other, the first is to be taken.
    pub fn ways_to_write(&self, dialect: &dyn Dialect) -> Vec<Self> {
        let values = self.with_scalars();
        let tidy = values.as_ref().unwrap_or(self);
        let ways = [tidy.with_shared(dialect), values.clone(), Some(self.clone()), tidy.correlated()];
        ways.into_iter().flatten().collect()
    }

    /// Whether the source can have such names at all. Names that came from the source's own catalog always pass.
    pub fn check(&self, dialect: &dyn Dialect) -> Result<(), Reason> {
        let From::Table { schema, table, .. } = &self.from else { return Ok(()) };
        let columns = self.outputs.iter().filter_map(|output| match &output.value.expr {
            RemoteExpr::Column { name, .. } => Some(name),
            _ => None,
        });
        [schema, table].into_iter().chain(columns).try_for_each(|name| dialect.check_identifier(name))
    }
}
