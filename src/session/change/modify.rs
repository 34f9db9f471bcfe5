//! UPDATE and DELETE as the parser has them: the rows and the new values as a query of one table, so that names, types and
//! parameters mean in them what they mean in queries.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    AssignmentTarget, Delete, Expr, FromTable, GroupByExpr, Ident, Query, Select, SelectFlavor, SelectItem, SetExpr,
    Statement as SqlStatement, TableFactor, TableWithJoins, Update, Value,
};

use super::parse::{column_name, named};
use super::{Modify, Named};
use crate::error::{Error, Result};

/// UPDATE table SET column = value, ... WHERE condition.
pub(super) fn update(update: Update) -> Result<Modify> {
    // What the statement would be if it had no clause that is not read here.
    let plain = Update {
        update_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        table: update.table.clone(),
        assignments: update.assignments.clone(),
        from: None,
        selection: update.selection.clone(),
        returning: None,
        output: None,
        or: None,
        order_by: Vec::new(),
        limit: None,
    };
    let table = table_of(std::slice::from_ref(&update.table)).filter(|_| plain == update);
    let Some(table) = table else {
        return Err(Error::unsupported(
            "of UPDATE there is only UPDATE table SET column = value, ... [WHERE condition]",
        ));
    };
    let mut columns = Vec::with_capacity(update.assignments.len());
    let mut values = Vec::with_capacity(update.assignments.len());
    for assignment in update.assignments {
        match &assignment.target {
            AssignmentTarget::ColumnName(name) => columns.push(column_name(name)?),
            other => return Err(Error::unsupported(format!("{other} is no column: set one after the other"))),
        }
        values.push(assignment.value);
    }
    Ok(Modify { table, columns: Some(columns), query: query(values, update.table, update.selection) })
}

/// DELETE FROM table WHERE condition.
pub(super) fn delete(delete: Delete) -> Result<Modify> {
    let plain = Delete {
        delete_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        tables: Vec::new(),
        from: delete.from.clone(),
        using: None,
        selection: delete.selection.clone(),
        returning: None,
        output: None,
        order_by: Vec::new(),
        limit: None,
    };
    let is_plain = plain == delete;
    let FromTable::WithFromKeyword(mut from) = delete.from else {
        return Err(Error::unsupported("DELETE without FROM is not supported"));
    };
    let table = table_of(&from).filter(|_| is_plain);
    let (Some(table), Some(relation)) = (table, from.pop()) else {
        return Err(Error::unsupported("of DELETE there is only DELETE FROM table [WHERE condition]"));
    };
    let one = Expr::Value(Value::Number("1".to_owned(), false).with_empty_span());
    Ok(Modify { table, columns: None, query: query(vec![one], relation, delete.selection) })
}

/// The one table that a statement is about.
fn table_of(from: &[TableWithJoins]) -> Option<Named> {
    let [TableWithJoins { relation: TableFactor::Table { name, args: None, .. }, joins }] = from else { return None };
    joins.is_empty().then(|| named(name))
}

/// `SELECT values FROM table WHERE condition`, each value under a name that no other has.
fn query(values: Vec<Expr>, from: TableWithJoins, selection: Option<Expr>) -> Box<SqlStatement> {
    let value = |(at, expr): (usize, Expr)| SelectItem::ExprWithAlias {
        expr,
        alias: Ident::with_quote('"', format!("value {at}")),
    };
    let select = Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection: values.into_iter().enumerate().map(value).collect(),
        exclude: None,
        into: None,
        from: vec![from],
        lateral_views: Vec::new(),
        prewhere: None,
        selection,
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    };
    Box::new(SqlStatement::Query(Box::new(Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    })))
}
