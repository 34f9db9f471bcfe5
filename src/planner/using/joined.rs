//! The columns of joined tables: those that `USING` and `NATURAL` make one of.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, SelectItem,
    SelectItemQualifiedWildcardKind, TableFactor, TableWithJoins, Value, VisitMut, WildcardAdditionalOptions,
};

use super::Merged;
use super::columns::{Relations, left_out};
use crate::planner::hidden::{normalized, relations, without};
use crate::syntax::call;

/// Whose rows a join keeps that have no partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Keeps {
    pub(super) right: bool,
    pub(super) left: bool,
}

/// All joins of an item of a FROM clause, those in parentheses first. Returns whether one in parentheses merges columns.
pub(super) fn all_joins<'a>(tables: &'a TableWithJoins, found: &mut Vec<&'a Join>) -> bool {
    let mut is_merged = false;
    for factor in relations(tables) {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            is_merged |= all_joins(table_with_joins, found) || table_with_joins.joins.iter().any(merges);
        }
    }
    found.extend(&tables.joins);
    is_merged
}

/// Whose rows a join keeps that have no partner.
pub(super) fn keeps_rows(operator: &JoinOperator) -> Keeps {
    let (left, right) = match operator {
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => (true, false),
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (false, true),
        JoinOperator::FullOuter(_) => (true, true),
        _ => (false, false),
    };
    Keeps { left, right }
}

/// Whether a join makes one of columns of both its sides.
pub(super) fn merges(join: &Join) -> bool {
    constraint(&join.join_operator).is_some_and(|by| matches!(by, JoinConstraint::Using(_) | JoinConstraint::Natural))
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(by)
        | JoinOperator::Inner(by)
        | JoinOperator::Left(by)
        | JoinOperator::LeftOuter(by)
        | JoinOperator::Right(by)
        | JoinOperator::RightOuter(by)
        | JoinOperator::FullOuter(by) => Some(by),
        _ => None,
    }
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(by)
        | JoinOperator::Inner(by)
        | JoinOperator::Left(by)
        | JoinOperator::LeftOuter(by)
        | JoinOperator::Right(by)
        | JoinOperator::RightOuter(by)
        | JoinOperator::FullOuter(by) => Some(by),
        _ => None,
    }
}

/// A column of joined tables.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    expr: Expr,
    /// Whether several columns became this one.
    is_merged: bool,
}

/// A table among those that are joined.
#[derive(Clone, Debug)]
struct Table {
    /// What its columns are qualified with.
    qualifier: Option<Vec<Ident>>,
    /// Its columns that are a part of others.
    merged: Vec<String>,
    columns: Vec<String>,
}

/// What a join is by.
#[derive(Clone, Debug)]
enum By {
    /// Columns of both sides that are equal.
    Columns(Vec<(Expr, Expr)>),
    /// Whatever it says, with the columns that were merged before in it.
    Itself(Vec<(String, Expr)>),
}

/// One item of a FROM clause.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    tables: Vec<Table>,
    columns: Vec<Column>,
    joins: Vec<By>,
}

impl Joined {
    /// `None` where columns that are joined by are not known, or where there are no such columns.
    pub(super) fn of(tables: &TableWithJoins, relations: &Relations<'_>) -> Option<Self> {
        // Tables that are joined by conditions may have any columns.
        let by_conditions = !tables.joins.iter().any(merges);
        Self::within(tables, &|factor| match relations.columns(factor) {
            None if by_conditions => Some(Vec::new()),
            columns => columns,
        })
    }

    /// `None` where columns of a table are not known, too.
    pub(super) fn within(
        tables: &TableWithJoins,
        columns_of: &dyn Fn(&TableFactor) -> Option<Vec<String>>,
    ) -> Option<Self> {
        let first = Table::of(&tables.relation, columns_of(&tables.relation)?);
        let mut joined = Self { columns: first.visible(), tables: vec![first], joins: Vec::new() };
        for join in &tables.joins {
            let table = Table::of(&join.relation, columns_of(&join.relation)?);
            joined.join(&join.join_operator, table)?;
        }
        Some(joined)
    }

    fn join(&mut self, operator: &JoinOperator, mut table: Table) -> Option<()> {
        let names = match constraint(operator) {
            Some(JoinConstraint::Using(names)) => {
                names.iter().map(|name| name.0.last()?.as_ident().map(normalized)).collect::<Option<Vec<_>>>()?
            }
            Some(JoinConstraint::Natural) => {
                let common = self.columns.iter().filter(|column| table.columns.contains(&column.name));
                common.map(|column| column.name.clone()).collect()
            }
            _ => {
                let is_alone = |name: &str| self.count(name) == 1 && !table.columns.iter().any(|column| column == name);
                let before = self.merged().filter(|(name, _)| is_alone(name));
                let before = before.map(|(name, expr)| (name.to_owned(), expr.clone())).collect();
                self.joins.push(By::Itself(before));
                if !is_semi(operator)? {
                    self.columns.extend(table.visible());
                    self.tables.push(table);
                }
                return Some(());
            }
        };
        let mut merged = Vec::new();
        let mut by = Vec::new();
        for name in &names {
            let count = table.columns.iter().filter(|column| *column == name).count();
            if count != 1 || self.count(name) != 1 {
                return None;
            }
            let left = self.columns.iter().find(|column| column.name == *name)?.expr.clone();
            let right = table.column(name)?;
            let keeps = keeps_rows(operator);
            let expr = match (keeps.left, keeps.right) {
                (true, true) => call("coalesce", [left.clone(), right.clone()]),
                (false, true) => right.clone(),
                (_, false) => left.clone(),
            };
            by.push((left, right));
            merged.push(Column { name: name.clone(), expr, is_merged: true });
        }
        for left in &mut self.tables {
            let names = names.iter().filter(|name| left.columns.contains(name) && !left.merged.contains(name));
            let names: Vec<String> = names.cloned().collect();
            left.merged.extend(names);
        }
        table.merged.clone_from(&names);
        let rest = std::mem::take(&mut self.columns).into_iter().chain(table.visible());
        let rest = rest.filter(|column| !names.contains(&column.name));
        self.columns = merged.into_iter().chain(rest).collect();
        self.tables.push(table);
        self.joins.push(By::Columns(by));
        Some(())
    }

    /// Whether all of its tables can be named.
    pub(super) fn has_names(&self) -> bool {
        self.tables.iter().all(|table| table.qualifier.is_some())
    }

    /// How many columns have a name.
    pub(super) fn count(&self, name: &str) -> usize {
        self.columns.iter().filter(|column| column.name == name).count()
    }

    /// The names of its columns, in the order in which `*` shows them.
    pub(super) fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// The columns that are made of several.
    pub(super) fn merged(&self) -> impl Iterator<Item = (&str, &Expr)> {
        self.columns.iter().filter(|column| column.is_merged).map(|column| (column.name.as_str(), &column.expr))
    }

    /// What `*` stands for: the merged columns, and of each table the others.
    pub(super) fn items(&self, options: &WildcardAdditionalOptions) -> Vec<SelectItem> {
        let left_out = left_out(options).unwrap_or_default();
        let merged = self.merged().filter(|(name, _)| !left_out.iter().any(|left_out| left_out == name));
        let merged = merged.map(|(name, expr)| match expr {
            Expr::Function(_) => SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', name) },
            column => SelectItem::UnnamedExpr(column.clone()),
        });
        let tables = self.tables.iter().filter_map(|table| {
            let kind = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(table.qualifier.clone()?));
            let mut own = options.clone();
            (own.opt_except, own.opt_exclude) = (None, None);
            let is_own = |name: &&String| table.columns.contains(name) && !table.merged.contains(name);
            let left_out = left_out.iter().filter(is_own).chain(&table.merged).cloned().collect();
            Some(SelectItem::QualifiedWildcard(kind, without(own, left_out)))
        });
        merged.chain(tables).collect()
    }

    /// Writes the joins with ON.
    pub(super) fn write_on(self, tables: &mut TableWithJoins) {
        for (join, by) in tables.joins.iter_mut().zip(self.joins) {
            let Some(constraint) = constraint_mut(&mut join.join_operator) else { continue };
            match by {
                By::Columns(pairs) => {
                    let equal = pairs.into_iter().map(|(left, right)| operation(left, BinaryOperator::Eq, right));
                    let all = equal.reduce(|left, right| operation(left, BinaryOperator::And, right));
                    // A natural join of tables that have no column in common joins each row with each.
                    *constraint = JoinConstraint::On(all.unwrap_or_else(|| Expr::value(Value::Boolean(true))));
                }
                By::Itself(columns) => {
                    let mut merged = Merged { columns: columns.into_iter().collect(), subqueries: 0 };
                    // The walk goes on to the end.
                    let _ = constraint.visit(&mut merged);
                }
            }
        }
    }
}

fn operation(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// Whether only the left side's columns go on; `None` for joins that are of another kind.
fn is_semi(operator: &JoinOperator) -> Option<bool> {
    match operator {
        JoinOperator::CrossJoin(_) => Some(false),
        JoinOperator::LeftSemi(_) | JoinOperator::LeftAnti(_) | JoinOperator::Semi(_) | JoinOperator::Anti(_) => {
            Some(true)
        }
        operator => constraint(operator).map(|_| false),
    }
}

impl Table {
    fn of(factor: &TableFactor, columns: Vec<String>) -> Self {
        let qualifier = match factor {
            // A function without an alias has no name by which its columns could be qualified.
            TableFactor::Table { alias: None, args: Some(_), .. } => None,
            TableFactor::Table { name, alias: None, .. } => {
                name.0.iter().map(|part| part.as_ident().cloned()).collect::<Option<Vec<_>>>()
            }
            factor => crate::planner::hidden::qualifier(factor).map(|name| vec![name]),
        };
        Self { qualifier, merged: Vec::new(), columns }
    }

    fn column(&self, name: &str) -> Option<Expr> {
        let qualifier = self.qualifier.clone()?;
        let column = Ident::with_quote('"', name);
        Some(Expr::CompoundIdentifier(qualifier.into_iter().chain([column]).collect()))
    }

    /// Its columns, as they are before it is joined.
    fn visible(&self) -> Vec<Column> {
        let columns = self.columns.iter().map(|name| {
            // A table without a name has columns that are qualified with nothing.
            let expr = self.column(name).unwrap_or_else(|| Expr::Identifier(Ident::with_quote('"', name)));
            Column { name: name.clone(), expr, is_merged: false }
        });
        columns.collect()
    }
}
