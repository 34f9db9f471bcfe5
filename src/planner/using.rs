//! Columns of `USING` in `WHERE`: there DataFusion calls a column ambiguous that two tables have joined by it.
//!
//! It gets the table in whose row it stands: the left one of the join, whose value a row has in an inner or left join (a right
//! or full one with `USING` is refused, `semantics::refuse`).

use std::collections::{HashMap, HashSet};

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, Query, Select, Statement, TableFactor, TableWithJoins,
    VisitMut, VisitorMut,
};

use super::hidden::{normalized, qualifier};
use crate::syntax::{self, Flow, ON, Rewriter};

/// Writes `t.id` for `id` in WHERE, where a join with `USING (id)` says that it is one column. `has` says whether a table has a
/// column, for those whose columns are known.
pub(super) fn qualify_joined_columns(statement: &mut Statement, has: Has<'_>) {
    struct Selects<'a>(Has<'a>);
    impl Rewriter for Selects<'_> {
        fn select(&mut self, select: &mut Select) {
            let ([tables], Some(condition)) = (select.from.as_slice(), &mut select.selection) else { return };
            let owners = owners(tables, self.0);
            if !owners.is_empty() {
                // The walk goes on to the end.
                let _ = condition.visit(&mut Qualify { owners, subqueries: 0 });
            }
        }
    }
    syntax::rewrite(statement, &mut Selects(has));
}

/// Whether a table has a column, as far as that is known.
type Has<'a> = &'a dyn Fn(&TableFactor, &str) -> Option<bool>;

/// For each column that joins of these tables are by: the name of the table whose value it has. Columns that another table
/// may have as well are left out: those are ambiguous.
fn owners(tables: &TableWithJoins, has: Has<'_>) -> HashMap<String, Ident> {
    let columns = tables.joins.iter().flat_map(joined_by).filter_map(name_in_using);
    let columns: HashSet<String> = columns.collect();
    let owned = columns.into_iter().filter_map(|column| {
        let may_have = |factor: &TableFactor| has(factor, &column).unwrap_or(true);
        let mut owner = Some(&tables.relation).filter(|factor| may_have(factor));
        for join in &tables.joins {
            let merged = joined_by(join).iter().filter_map(name_in_using).any(|joined| joined == column);
            match (merged, owner, may_have(&join.relation)) {
                (true, Some(_), _) | (false, _, false) => {}
                (false, None, true) => owner = Some(&join.relation),
                (true, None, _) | (false, Some(_), true) => return None,
            }
        }
        Some((column, qualifier(owner?)?))
    });
    owned.collect()
}

fn name_in_using(column: &ObjectName) -> Option<String> {
    column.0.last()?.as_ident().map(normalized)
}

fn joined_by(join: &Join) -> &[ObjectName] {
    match &join.join_operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint) => match constraint {
            JoinConstraint::Using(columns) => columns,
            _ => &[],
        },
        _ => &[],
    }
}

/// Puts the tables' names before the columns of a condition, and leaves its subqueries alone: they have tables of their own.
struct Qualify {
    owners: HashMap<String, Ident>,
    subqueries: usize,
}

impl VisitorMut for Qualify {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> Flow {
        self.subqueries += 1;
        ON
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> Flow {
        self.subqueries -= 1;
        ON
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> Flow {
        if let Expr::Identifier(column) = expr
            && self.subqueries == 0
            && let Some(owner) = self.owners.get(&normalized(column))
        {
            *expr = Expr::CompoundIdentifier(vec![owner.clone(), column.clone()]);
        }
        ON
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    /// Tables are called after the columns that they have; of others nothing is known.
    fn qualified(sql: &str) -> String {
        let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
        qualify_joined_columns(&mut statement, &|factor, column| match factor {
            TableFactor::Table { name, .. } => Some(name.to_string().contains(column)),
            _ => None,
        });
        statement.to_string()
    }

    #[test]
    fn a_column_of_using_is_that_of_the_left_table() {
        for (sql, expected) in [
            ("SELECT id FROM id_a JOIN id_b USING (id) WHERE id = 1", "id_a.id = 1"),
            ("SELECT id FROM c.s.id_a AS l LEFT JOIN id_b USING (ID) WHERE Id > 1 AND x", "l.Id > 1 AND x"),
            ("SELECT id FROM id_a JOIN id_b USING (id) JOIN id_c USING (id) WHERE id = 1", "id_a.id = 1"),
            ("SELECT id FROM id_a JOIN k_b ON true JOIN k_c USING (k) WHERE k = 1", "k_b.k = 1"),
            ("SELECT 1 FROM (SELECT 1 AS id) s JOIN id_b USING (id) WHERE id = 1", "s.id = 1"),
            ("SELECT 1 FROM id_a JOIN id_b USING (id) WHERE id IN (SELECT id FROM x)", "id_a.id IN (SELECT id FROM x)"),
            ("SELECT 1 FROM id_a JOIN id_b ON id_a.id = id_b.id WHERE id = 1", "id = 1"),
            // Others have it too.
            ("SELECT 1 FROM id_a, id_b JOIN id_c USING (id) WHERE id = 1", "id = 1"),
            ("SELECT 1 FROM id_a JOIN id_b USING (id) JOIN id_c ON true WHERE id = 1", "id = 1"),
            ("SELECT 1 FROM id_a JOIN id_b USING (id) JOIN (SELECT 1) s ON true WHERE id = 1", "id = 1"),
            ("SELECT 1 FROM id_a JOIN id_b USING (id) JOIN k_c ON true WHERE id = 1", "id_a.id = 1"),
        ] {
            let qualified = qualified(sql);
            assert_eq!(qualified.split_once("WHERE ").unwrap().1, expected, "{sql}");
        }
    }
}
