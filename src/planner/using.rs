//! Columns of `USING` and `NATURAL JOIN` in `WHERE`: there DataFusion calls a column ambiguous that two tables have joined by it.
//!
//! It gets the table in whose row it stands: the left one of the join, whose value a row has in an inner or left join (a right
//! or full one with `USING` is refused, `semantics::refuse`).

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, JoinConstraint, JoinOperator, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    TableWithJoins, VisitMut, VisitorMut,
};

use super::hidden::{normalized, qualifier};
use crate::syntax::{self, Flow, ON, Rewriter};

/// Writes `t.id` for `id` in WHERE, where a join with `USING (id)`, or a natural one, says that it is one column. `has` says
/// whether a table has a column, for those whose columns are known.
pub(super) fn qualify_joined_columns(statement: &mut Statement, has: Has<'_>) {
    struct Selects<'a>(Has<'a>);
    impl Rewriter for Selects<'_> {
        fn select(&mut self, select: &mut Select) {
            let ([tables], Some(condition)) = (select.from.as_slice(), &mut select.selection) else { return };
            if tables.joins.iter().any(|join| constraint(join).is_some()) {
                // The walk goes on to the end.
                let _ = condition.visit(&mut Qualify { tables, has: self.0, subqueries: 0 });
            }
        }
    }
    syntax::rewrite(statement, &mut Selects(has));
}

/// Whether a table has a column, as far as that is known.
type Has<'a> = &'a dyn Fn(&TableFactor, &str) -> Option<bool>;

/// The name of the table whose value a column has by which these tables are joined; `None` where they are not joined by it, and
/// where another table may have one of its name as well: that is ambiguous.
fn owner(tables: &TableWithJoins, column: &str, has: Has<'_>) -> Option<Ident> {
    let known = |factor: &TableFactor| has(factor, column).or_else(|| selects(factor, column));
    let mut owner = Some(&tables.relation).filter(|factor| known(factor).unwrap_or(true));
    let mut is_joined_by = false;
    for join in &tables.joins {
        let merged = match (constraint(join), owner) {
            (Some(JoinConstraint::Using(columns)), _) => columns
                .iter()
                .filter_map(|joined| joined.0.last()?.as_ident())
                .any(|joined| normalized(joined) == column),
            // All columns that both have, which must be known.
            (Some(JoinConstraint::Natural), Some(owner)) => known(&join.relation)? && known(owner)?,
            _ => false,
        };
        is_joined_by |= merged;
        match (merged, owner, known(&join.relation).unwrap_or(true)) {
            (true, Some(_), _) | (false, _, false) => {}
            (false, None, true) => owner = Some(&join.relation),
            (true, None, _) | (false, Some(_), true) => return None,
        }
    }
    owner.filter(|_| is_joined_by).and_then(qualifier)
}

/// Whether a subquery that says what its columns are has one of this name.
fn selects(factor: &TableFactor, column: &str) -> Option<bool> {
    let TableFactor::Derived { subquery, alias, .. } = factor else { return None };
    let renamed = alias.iter().flat_map(|alias| &alias.columns).map(|renamed| &renamed.name);
    let renamed: Vec<&Ident> = renamed.collect();
    if !renamed.is_empty() {
        return Some(renamed.into_iter().any(|name| normalized(name) == column));
    }
    let SetExpr::Select(select) = subquery.body.as_ref() else { return None };
    let names = select.projection.iter().map(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(normalized(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(normalized(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(normalized),
        _ => None,
    });
    names.collect::<Option<Vec<String>>>().map(|names| names.iter().any(|name| name == column))
}

/// What an inner or left join is by, where that is a list of columns.
fn constraint(join: &Join) -> Option<&JoinConstraint> {
    match &join.join_operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint) => {
            Some(constraint).filter(|by| matches!(by, JoinConstraint::Using(_) | JoinConstraint::Natural))
        }
        _ => None,
    }
}

/// Puts the tables' names before the columns of a condition, and leaves its subqueries alone: they have tables of their own.
struct Qualify<'a> {
    tables: &'a TableWithJoins,
    has: Has<'a>,
    subqueries: usize,
}

impl VisitorMut for Qualify<'_> {
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
            && let Some(owner) = owner(self.tables, &normalized(column), self.has)
        {
            *expr = Expr::CompoundIdentifier(vec![owner, column.clone()]);
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
            ("SELECT id FROM id_a NATURAL JOIN id_b WHERE id = 1 AND x = 2", "id_a.id = 1 AND x = 2"),
            (
                "SELECT id FROM k_a NATURAL JOIN id_b NATURAL LEFT JOIN id_c WHERE id = 1 AND k = 2",
                "id_b.id = 1 AND k = 2",
            ),
            ("SELECT 1 FROM (SELECT 1 AS id) s NATURAL JOIN id_b WHERE id = 1", "s.id = 1"),
            ("SELECT 1 FROM (SELECT 1 AS k) s (id) NATURAL JOIN id_b WHERE id = 1", "s.id = 1"),
            ("SELECT 1 FROM (SELECT * FROM x) s NATURAL JOIN id_b WHERE id = 1", "id = 1"),
            // Others have it too.
            ("SELECT 1 FROM id_a, id_b JOIN id_c USING (id) WHERE id = 1", "id = 1"),
            ("SELECT 1 FROM id_a JOIN id_b USING (id) JOIN id_c ON true WHERE id = 1", "id = 1"),
            ("SELECT 1 FROM id_a JOIN id_b USING (id) JOIN (VALUES (1)) s ON true WHERE id = 1", "id = 1"),
            ("SELECT 1 FROM id_a JOIN id_b USING (id) JOIN (SELECT k FROM x) s ON true WHERE id = 1", "id_a.id = 1"),
            ("SELECT 1 FROM id_a JOIN id_b USING (id) JOIN (SELECT x.id FROM x) s ON true WHERE id = 1", "id = 1"),
            ("SELECT 1 FROM id_a JOIN id_b USING (id) JOIN k_c ON true WHERE id = 1", "id_a.id = 1"),
        ] {
            let qualified = qualified(sql);
            assert_eq!(qualified.split_once("WHERE ").unwrap().1, expected, "{sql}");
        }
    }
}
