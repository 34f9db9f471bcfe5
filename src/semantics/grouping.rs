//! Forms of GROUP BY and ORDER BY that DataFusion does not know, or reads in another way.
//!
//! * `GROUP BY ()` is one group, `GROUPING SETS (())`.
//! * `ROLLUP ((a, b), c)` takes away a and b together, and `CUBE` likewise (SQL:2016, 7.13): written as the sets that they are.
//! * In `SELECT -x AS x FROM t ORDER BY -x` the name within the expression is that of the column of `t` (PostgreSQL's manual, 7.5); DataFusion
//!   takes that of the result.

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor,
};

use crate::syntax::{self, Flow, ON, Reader, Rewriter, STOP};

/// The most parts of a CUBE that are written as sets: there are two to the power of it.
const CUBE_PARTS_MAX: usize = 10;

/// Writes the groups of a SELECT as DataFusion knows them.
pub(super) fn respell_groups(select: &mut Select) {
    let GroupByExpr::Expressions(groups, _) = &mut select.group_by else { return };
    for group in groups {
        match group {
            Expr::Tuple(parts) if parts.is_empty() => *group = Expr::GroupingSets(vec![Vec::new()]),
            Expr::Rollup(parts) if are_composite(parts) => {
                let sets = (0..=parts.len()).rev().map(|count| parts.iter().take(count).flatten().cloned().collect());
                *group = Expr::GroupingSets(sets.collect());
            }
            Expr::Cube(parts) if are_composite(parts) && parts.len() <= CUBE_PARTS_MAX => {
                let sets = (0..1_usize << parts.len()).rev().map(|chosen| {
                    let is_chosen = |place: usize| chosen >> (parts.len() - 1 - place) & 1 == 1;
                    let parts = parts.iter().enumerate().filter(|(place, _)| is_chosen(*place));
                    parts.flat_map(|(_, part)| part).cloned().collect()
                });
                *group = Expr::GroupingSets(sets.collect());
            }
            _ => {}
        }
    }
}

fn are_composite(parts: &[Vec<Expr>]) -> bool {
    parts.iter().any(|part| part.len() > 1)
}

/// Names the table of columns within expressions that a query is ordered by, where a result computed of the column has its name.
pub(super) fn qualify_keys(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = &mut query.order_by else { return };
    let is_grouped = !matches!(&select.group_by, GroupByExpr::Expressions(groups, _) if groups.is_empty());
    if is_grouped || select.distinct.is_some() || keys.iter().all(|key| is_name(&key.expr)) {
        return;
    }
    let Some(table) = only_table(select) else { return };
    let columns: Vec<&Ident> = select.projection.iter().filter_map(hidden_column).collect();
    if columns.is_empty() {
        return;
    }
    for key in keys.iter_mut().filter(|key| !is_name(&key.expr)) {
        syntax::rewrite(&mut key.expr, &mut Qualify { table: &table, columns: &columns });
    }
}

fn is_name(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_))
}

/// By what the columns of the one table of a SELECT are called.
fn only_table(select: &Select) -> Option<Ident> {
    let [from] = select.from.as_slice() else { return None };
    match (&from.relation, from.joins.as_slice()) {
        (TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. }, []) => {
            Some(alias.name.clone())
        }
        (TableFactor::Table { alias: None, args: None, name, .. }, []) => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

/// The name of an item that is computed of a column with that name.
fn hidden_column(item: &SelectItem) -> Option<&Ident> {
    struct Names<'a>(&'a Ident, bool);
    impl Reader for Names<'_> {
        fn expr(&mut self, expr: &Expr) -> Flow {
            match expr {
                Expr::Identifier(ident) if same(ident, self.0) => {
                    self.1 = true;
                    STOP
                }
                // Its columns may be those of other tables.
                Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => STOP,
                _ => ON,
            }
        }
    }
    let SelectItem::ExprWithAlias { expr, alias } = item else { return None };
    if is_name(expr) {
        return None;
    }
    let mut names = Names(alias, false);
    syntax::read(expr, &mut names);
    names.1.then_some(alias)
}

fn same(one: &Ident, other: &Ident) -> bool {
    let name =
        |ident: &Ident| if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() };
    name(one) == name(other)
}

struct Qualify<'a> {
    table: &'a Ident,
    columns: &'a [&'a Ident],
}

impl Rewriter for Qualify<'_> {
    fn expr(&mut self, expr: &mut Expr) {
        if let Expr::Identifier(ident) = expr
            && self.columns.iter().any(|column| same(column, ident))
        {
            *expr = Expr::CompoundIdentifier(vec![self.table.clone(), ident.clone()]);
        }
    }
}
