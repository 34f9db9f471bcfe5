//! `USING` and `NATURAL JOIN` are written as `ON`, with the columns that they join by put where the statement names them.
//!
//! DataFusion takes the table whose name sorts first for the owner of such a column: the one without a row, maybe. By the
//! standard (SQL:2016-2, 7.10) it is one column, `coalesce(l.k, r.k)`, which is that of the left table in inner and left joins
//! and that of the right one in right joins; `*` shows it once, before the others.

mod columns;
mod joined;

use std::collections::HashMap;

use datafusion::sql::sqlparser::ast::{
    Expr, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

pub(super) use self::columns::Known;
use self::columns::{Relations, left_out};
use self::joined::{Joined, all_joins, keeps_rows, merges};
use super::hidden::normalized;
use crate::error::{Error, Result};
use crate::syntax::{self, Flow, ON, Rewriter};

/// Writes all joins of a statement with `ON`. `known` tells the columns of the catalogs' tables. Where the columns of a table are
/// not known, the planner's own way is left, or the statement is refused if that would not be right.
pub(super) fn write_joins_with_on(statement: &mut Statement, known: Known<'_>) -> Result<()> {
    struct Queries<'a> {
        relations: Relations<'a>,
        refused: Option<&'static str>,
    }
    impl Rewriter for Queries<'_> {
        fn query(&mut self, query: &mut Query) {
            self.refused = self.refused.or(rewrite_query(query, &self.relations).err());
        }
    }
    let mut queries = Queries { relations: Relations::of(statement, known), refused: None };
    syntax::rewrite(statement, &mut queries);
    match queries.refused {
        None => Ok(()),
        Some(what) => Err(Error::unsupported(format!(
            "{what} in parentheses, of tables whose columns are not known beforehand, or with * REPLACE and its like is not supported; write ON, and coalesce(l.key, r.key) for the key"
        ))),
    }
}

/// The error says what was to be written otherwise and cannot be.
fn rewrite_query(query: &mut Query, relations: &Relations<'_>) -> Result<(), &'static str> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return rewrite_branches(&mut query.body, relations);
    };
    let Some(mut merged) = rewrite_select(select, relations)? else { return Ok(()) };
    let Some(order) = &mut query.order_by else { return Ok(()) };
    let OrderByKind::Expressions(keys) = &mut order.kind else { return Ok(()) };
    for key in keys {
        // A name alone is that of an output column, if there is one.
        match &key.expr {
            Expr::Identifier(name) if is_output(select, &normalized(name)) => {}
            _ => merged.put_into(&mut key.expr),
        }
    }
    Ok(())
}

/// The SELECTs of UNION and its like: ORDER BY knows their output only.
fn rewrite_branches(body: &mut SetExpr, relations: &Relations<'_>) -> Result<(), &'static str> {
    match body {
        SetExpr::Select(select) => rewrite_select(select, relations).map(drop),
        SetExpr::SetOperation { left, right, .. } => {
            rewrite_branches(left, relations)?;
            rewrite_branches(right, relations)
        }
        // A query of its own is visited as such.
        _ => Ok(()),
    }
}

/// `None`: there was nothing to write otherwise.
fn rewrite_select(select: &mut Select, relations: &Relations<'_>) -> Result<Option<Merged>, &'static str> {
    let mut joins = Vec::new();
    let mut is_nested = false;
    for tables in &select.from {
        is_nested |= all_joins(tables, &mut joins);
    }
    let lost = joins.into_iter().filter(|join| merges(join)).map(|join| keeps_rows(&join.join_operator)).max();
    let Some(lost) = lost else { return Ok(None) };
    let joined: Option<Vec<Joined>> = select.from.iter().map(|tables| Joined::of(tables, relations)).collect();
    let stars: Vec<&WildcardAdditionalOptions> = select.projection.iter().filter_map(star).collect();
    let Some(joined) = joined.filter(|joined| !is_nested && stars.iter().all(|options| are_expanded(options, joined)))
    else {
        return match lost {
            keeps if keeps.right => Err("RIGHT or FULL JOIN with USING or NATURAL"),
            keeps if keeps.left && !stars.is_empty() => Err("SELECT * from LEFT JOIN with USING or NATURAL"),
            _ => Ok(None),
        };
    };
    let mut items = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        match item {
            SelectItem::Wildcard(options) => items.extend(joined.iter().flat_map(|joined| joined.items(&options))),
            other => items.push(other),
        }
    }
    let mut merged = Merged::of(&joined);
    select.projection = items.into_iter().map(|item| merged.named(item)).collect();
    let mut from = std::mem::take(&mut select.from);
    // The walk goes on to the end.
    let _ = select.visit(&mut merged);
    for (tables, joined) in from.iter_mut().zip(joined) {
        joined.write_on(tables);
    }
    select.from = from;
    Ok(Some(merged))
}

fn star(item: &SelectItem) -> Option<&WildcardAdditionalOptions> {
    match item {
        SelectItem::Wildcard(options) => Some(options),
        _ => None,
    }
}

/// Whether a wildcard can be written as columns: all tables have names, and what it leaves out is known.
fn are_expanded(options: &WildcardAdditionalOptions, joined: &[Joined]) -> bool {
    let is_known = |name: &String| joined.iter().any(|joined| joined.count(name) > 0);
    joined.iter().all(Joined::has_names) && left_out(options).is_some_and(|names| names.iter().all(is_known))
}

/// Whether a column of the result may have this name.
fn is_output(select: &Select, name: &str) -> bool {
    select.projection.iter().any(|item| match item {
        SelectItem::QualifiedWildcard(..) => true,
        SelectItem::ExprWithAlias { alias, .. } => normalized(alias) == name,
        SelectItem::UnnamedExpr(Expr::Identifier(column)) => normalized(column) == name,
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
            parts.last().is_some_and(|column| normalized(column) == name)
        }
        _ => false,
    })
}

/// Puts the columns that were joined by in the places of their names. Subqueries are left alone: they have tables of their own.
struct Merged {
    columns: HashMap<String, Expr>,
    subqueries: usize,
}

impl Merged {
    fn of(joined: &[Joined]) -> Self {
        let merged = joined.iter().flat_map(Joined::merged);
        let alone = |name: &str| joined.iter().map(|joined| joined.count(name)).sum::<usize>() == 1;
        let columns = merged.filter(|(name, _)| alone(name)).map(|(name, expr)| (name.to_owned(), expr.clone()));
        Self { columns: columns.collect(), subqueries: 0 }
    }

    fn put_into(&mut self, expr: &mut Expr) {
        // The walk goes on to the end.
        let _ = expr.visit(self);
    }

    /// A column that is computed keeps its name.
    fn named(&self, item: SelectItem) -> SelectItem {
        match &item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => match self.columns.get(&normalized(name)) {
                Some(expr @ Expr::Function(_)) => SelectItem::ExprWithAlias { expr: expr.clone(), alias: name.clone() },
                _ => item,
            },
            _ => item,
        }
    }
}

impl VisitorMut for Merged {
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
        if let Expr::Identifier(name) = expr
            && self.subqueries == 0
            && let Some(column) = self.columns.get(&normalized(name))
        {
            *expr = column.clone();
        }
        ON
    }
}

#[cfg(test)]
mod tests;
