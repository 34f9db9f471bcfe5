//! The columns of the tables of a FROM clause, as far as the catalogs and the statement tell.

use std::cell::RefCell;
use std::collections::HashMap;

use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetQuantifier,
    Statement, TableAlias, TableFactor, WildcardAdditionalOptions,
};

use super::super::hidden::{normalized, qualifier, relations};
use super::joined::Joined;
use crate::syntax::{self, Flow, ON, Reader};

/// The columns of a table of the catalogs, without hidden ones; `None` for other tables.
pub(in super::super) type Known<'a> = &'a dyn Fn(&TableFactor) -> Option<Vec<String>>;

/// How many subqueries within each other are looked into.
const DEPTH_MAX: usize = 32;

/// The most columns of a table that are looked at.
const COLUMNS_MAX: usize = 10_000;

/// What is known of the tables of one statement.
pub(super) struct Relations<'a> {
    known: Known<'a>,
    /// Those of WITH; `None` where two have one name.
    shared: HashMap<String, Option<(TableAlias, Query)>>,
    /// Their columns, once they are known. One that is asked for while it is looked at reads itself.
    found: RefCell<HashMap<String, Option<Vec<String>>>>,
}

impl<'a> Relations<'a> {
    pub(super) fn of(statement: &Statement, known: Known<'a>) -> Self {
        struct Shared(HashMap<String, Option<(TableAlias, Query)>>);
        impl Reader for Shared {
            fn query(&mut self, query: &Query) -> Flow {
                for shared in query.with.iter().flat_map(|with| &with.cte_tables) {
                    let part = (shared.alias.clone(), shared.query.as_ref().clone());
                    let name = normalized(&shared.alias.name);
                    let part = if self.0.contains_key(&name) { None } else { Some(part) };
                    self.0.insert(name, part);
                }
                ON
            }
        }
        let mut shared = Shared(HashMap::new());
        syntax::read(statement, &mut shared);
        Self { known, shared: shared.0, found: RefCell::default() }
    }

    /// The columns of a table in their order; `None` where they are not known. A column whose name is not known has none.
    pub(super) fn columns(&self, factor: &TableFactor) -> Option<Vec<String>> {
        self.within(factor, 0)
    }

    fn within(&self, factor: &TableFactor, depth: usize) -> Option<Vec<String>> {
        if depth > DEPTH_MAX {
            return None;
        }
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let shared = match name.0.as_slice() {
                    [part] => part.as_ident().map(normalized).filter(|name| self.shared.contains_key(name)),
                    _ => None,
                };
                let columns = match ((self.known)(factor), shared) {
                    (Some(columns), None) => columns,
                    (None, Some(name)) => self.shared(&name, depth)?,
                    // A table of a catalog in one place, one of WITH in another.
                    _ => return None,
                };
                Some(renamed(columns, alias.as_ref()))
            }
            TableFactor::Derived { subquery, alias, .. } => {
                Some(renamed(self.query(subquery, depth + 1)?, alias.as_ref()))
            }
            // Functions: the alias names all columns or none.
            TableFactor::Table { alias: Some(alias), .. } if !alias.columns.is_empty() => {
                Some(renamed(Vec::new(), Some(alias)))
            }
            _ => None,
        }
    }

    fn shared(&self, name: &str, depth: usize) -> Option<Vec<String>> {
        if let Some(found) = self.found.borrow().get(name) {
            return found.clone();
        }
        self.found.borrow_mut().insert(name.to_owned(), None);
        let (alias, query) = self.shared.get(name)?.as_ref()?;
        let columns = self.query(query, depth + 1).map(|columns| renamed(columns, Some(alias)));
        self.found.borrow_mut().insert(name.to_owned(), columns.clone());
        columns
    }

    fn query(&self, query: &Query, depth: usize) -> Option<Vec<String>> {
        self.set_expr(&query.body, depth)
    }

    fn set_expr(&self, body: &SetExpr, depth: usize) -> Option<Vec<String>> {
        match body {
            SetExpr::Select(select) => self.select(select, depth),
            SetExpr::Query(query) => self.query(query, depth),
            // BY NAME has columns of both sides.
            SetExpr::SetOperation {
                left,
                set_quantifier: SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None,
                ..
            } => self.set_expr(left, depth),
            SetExpr::Values(values) => {
                let count = values.rows.first()?.content.len();
                Some((1..=count).map(|number| format!("column{number}")).collect())
            }
            _ => None,
        }
    }

    fn select(&self, select: &Select, depth: usize) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for item in &select.projection {
            if names.len() > COLUMNS_MAX {
                return None;
            }
            match item {
                SelectItem::ExprWithAlias { alias, .. } => names.push(normalized(alias)),
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => names.push(normalized(name)),
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => names.push(normalized(parts.last()?)),
                SelectItem::UnnamedExpr(_) => names.push(String::new()),
                SelectItem::Wildcard(options) => {
                    for tables in &select.from {
                        let joined = Joined::within(tables, &|factor| self.within(factor, depth + 1))?;
                        names.extend(without(joined.names(), options)?);
                    }
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    let last = name.0.last().and_then(|part| part.as_ident()).map(normalized)?;
                    let factors = select.from.iter().flat_map(relations);
                    let mut named =
                        factors.filter(|factor| qualifier(factor).is_some_and(|name| normalized(&name) == last));
                    names.extend(without(self.within(named.next()?, depth + 1)?, options)?);
                }
                _ => return None,
            }
        }
        Some(names)
    }
}

/// The columns as an alias names the first of them.
fn renamed(mut columns: Vec<String>, alias: Option<&TableAlias>) -> Vec<String> {
    let given: Vec<String> =
        alias.iter().flat_map(|alias| &alias.columns).map(|column| normalized(&column.name)).collect();
    let rest = columns.split_off(given.len().min(columns.len()));
    given.into_iter().chain(rest).collect()
}

/// The columns that a wildcard does not leave out; `None` where it does more than that.
fn without(mut columns: Vec<String>, options: &WildcardAdditionalOptions) -> Option<Vec<String>> {
    let left_out = left_out(options)?;
    columns.retain(|column| !left_out.contains(column));
    Some(columns)
}

/// The names that a wildcard leaves out; `None` where it does more than that.
pub(super) fn left_out(options: &WildcardAdditionalOptions) -> Option<Vec<String>> {
    let rest = WildcardAdditionalOptions { opt_except: None, opt_exclude: None, ..options.clone() };
    let nothing = WildcardAdditionalOptions { wildcard_token: rest.wildcard_token.clone(), ..Default::default() };
    if rest != nothing {
        return None;
    }
    let except = options.opt_except.iter();
    let except = except.flat_map(|except| std::iter::once(&except.first_element).chain(&except.additional_elements));
    let exclude = options.opt_exclude.iter().flat_map(|exclude| match exclude {
        ExcludeSelectItem::Single(name) => std::slice::from_ref(name),
        ExcludeSelectItem::Multiple(names) => names,
    });
    let exclude = exclude.map(|name| match name.0.as_slice() {
        [part] => part.as_ident().map(normalized),
        _ => None,
    });
    except.map(|name| Some(normalized(name))).chain(exclude).collect()
}
