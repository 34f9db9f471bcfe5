//! Printing a whole query.

use std::collections::HashMap;

use crate::query::{From, JoinKind, Output, SortKey};
use crate::render::Printer;
use crate::{Dialect, RemoteExpr, RemoteQuery, SourceId};

impl RemoteQuery {
    /// What prints the parts of this query. The only table of a query needs no name, unless ORDER BY would find another
    /// column without it; several relations are called t0, t1 and so on, in the order in which they are read.
    pub(crate) fn printer<'a>(&self, dialect: &'a dyn Dialect) -> Printer<'a> {
        let mut relations = Vec::new();
        self.shared.iter().for_each(|(_, query)| collect(query, &mut relations));
        collect(self, &mut relations);
        let aliases = match relations.as_slice() {
            [_] if !self.output_captures_order(dialect) => HashMap::new(),
            all => all.iter().enumerate().map(|(at, source)| (*source, format!("t{at}"))).collect(),
        };
        Printer { dialect, aliases }
    }

    /// Whether a column by which rows are ordered has the name of a result that is something else: ORDER BY looks among the
    /// results first (SQL-92; PostgreSQL's manual, section 7.5).
    fn output_captures_order(&self, dialect: &dyn Dialect) -> bool {
        let names = self.output_names(dialect);
        self.order.iter().any(|key| match &key.value {
            column @ RemoteExpr::Column { name, .. } => names
                .iter()
                .zip(&self.outputs)
                .any(|(output, value)| (output == name || value.name == *name) && value.value.expr != *column),
            _ => false,
        })
    }

    /// A part of this query as it is printed.
    pub fn render_part(&self, part: &RemoteExpr, dialect: &dyn Dialect) -> String {
        self.printer(dialect).expression(part)
    }

    /// The names that the source is told for the columns of the result: those that the engine has, where the source
    /// keeps them apart.
    pub fn output_names(&self, dialect: &dyn Dialect) -> Vec<String> {
        let mut names: Vec<String> = Vec::with_capacity(self.outputs.len());
        for (at, output) in self.outputs.iter().enumerate() {
            // A column's own name is the source's already.
            let own = matches!(&output.value.expr, RemoteExpr::Column { name, .. } if *name == output.name);
            let kept = (own || dialect.keeps_name(&output.name)) && !names.contains(&output.name);
            let numbered = || (at..).map(|n| format!("column{n}")).find(|name| !names.contains(name));
            names.push(if kept { output.name.clone() } else { numbered().unwrap_or_default() });
        }
        names
    }
}

/// The relations of a query, in the order in which they are printed.
pub(crate) fn collect(query: &RemoteQuery, into: &mut Vec<SourceId>) {
    collect_from(&query.from, into);
    let outputs = query.outputs.iter().map(|output| &output.value.expr);
    let expressions = outputs.chain(&query.filter).chain(query.group.iter().flatten()).chain(&query.having);
    expressions.chain(query.order.iter().map(|key| &key.value)).for_each(|part| collect_queries(part, into));
}

fn collect_from(from: &From, into: &mut Vec<SourceId>) {
    match from {
        From::Table { source, .. } | From::Native { source, .. } | From::Shared { source, .. } => into.push(*source),
        From::Queries { source, queries } => {
            into.push(*source);
            queries.iter().for_each(|query| collect(query, into));
        }
        From::Join { left, right, on, .. } => {
            collect_from(left, into);
            collect_from(right, into);
            on.iter().for_each(|condition| collect_queries(condition, into));
        }
    }
}

fn collect_queries(part: &RemoteExpr, into: &mut Vec<SourceId>) {
    match part {
        RemoteExpr::Exists { query, .. } | RemoteExpr::Scalar(query) => collect(query, into),
        other => other.operands().into_iter().for_each(|operand| collect_queries(operand, into)),
    }
}

impl Printer<'_> {
    /// A query. `named`: whether the names of its columns matter to whoever reads it.
    pub(crate) fn query(&self, query: &RemoteQuery, named: bool) -> String {
        let mut sql = String::from("SELECT ");
        if query.distinct {
            sql.push_str("DISTINCT ");
        }
        let select = self.select(query, named);
        if !select.is_empty() {
            sql.push_str(&select);
            sql.push(' ');
        }
        sql.push_str("FROM ");
        sql.push_str(&self.from(&query.from));
        sql.push_str(&self.conditions(" WHERE ", &query.filter));
        if let Some(keys) = query.group.as_ref().filter(|keys| !keys.is_empty()) {
            let keys: Vec<_> = keys.iter().map(|key| self.group_key(key)).collect();
            sql.push_str(&format!(" GROUP BY {}", keys.join(", ")));
        }
        sql.push_str(&self.conditions(" HAVING ", &query.having));
        if !query.order.is_empty() {
            let keys: Vec<_> = query.order.iter().map(|key| self.sort_key(key)).collect();
            sql.push_str(&format!(" ORDER BY {}", keys.join(", ")));
        }
        if let Some(rows) = query.limit {
            sql.push(' ');
            sql.push_str(&self.dialect.limit(rows));
        }
        if query.offset > 0 {
            sql.push_str(&format!(" OFFSET {}", query.offset));
        }
        sql
    }

    /// A bare constant would be the place of a column, or refused.
    fn group_key(&self, key: &RemoteExpr) -> String {
        match self.expression(key) {
            constant if ["true", "false", "NULL"].contains(&constant.as_str()) => {
                format!("CAST({constant} AS boolean)")
            }
            text => text,
        }
    }

    fn select(&self, query: &RemoteQuery, named: bool) -> String {
        if query.outputs.is_empty() {
            return self.dialect.empty_select_list().to_owned();
        }
        let names = query.output_names(self.dialect);
        let columns = query.outputs.iter().zip(&names).map(|(output, name)| self.output(output, name, named));
        columns.collect::<Vec<_>>().join(", ")
    }

    fn output(&self, output: &Output, name: &str, named: bool) -> String {
        let text = self.expression(&output.value.expr);
        match &output.value.expr {
            _ if !named => text,
            RemoteExpr::Column { name: own, .. } if own == name => text,
            _ => format!("{text} AS {}", self.dialect.quote_identifier(name)),
        }
    }

    fn from(&self, from: &From) -> String {
        match from {
            From::Table { source, schema, table } => {
                let table = self.dialect.quote_identifier(table);
                let table = match schema.is_empty() {
                    true => table,
                    false => format!("{}.{table}", self.dialect.quote_identifier(schema)),
                };
                format!("{table}{}", self.alias(*source))
            }
            From::Shared { source, name, columns } => {
                let columns: Vec<_> = columns.iter().map(|column| self.dialect.quote_identifier(column)).collect();
                let shared = format!("{}{}", self.dialect.quote_identifier(name), self.alias(*source));
                // There may be rows without a column, which have no list of names.
                if columns.is_empty() { shared } else { format!("{shared} ({})", columns.join(", ")) }
            }
            // It may end in a comment.
            From::Native { source, text } => {
                let alias = self.alias(*source);
                format!("({text}\n){}", if alias.is_empty() { " AS q".to_owned() } else { alias })
            }
            From::Queries { source, queries } => {
                let text = match queries.as_slice() {
                    [only] => self.query(only, true),
                    all => {
                        let all: Vec<_> = all.iter().map(|query| format!("({})", self.query(query, true))).collect();
                        all.join(" UNION ALL ")
                    }
                };
                format!("({text}){}", self.alias(*source))
            }
            From::Join { kind, left, right, on } => {
                let right = match right.as_ref() {
                    From::Join { .. } => format!("({})", self.from(right)),
                    _ => self.from(right),
                };
                let word = match (kind, on.is_empty()) {
                    (JoinKind::Inner, true) => "CROSS JOIN",
                    (JoinKind::Inner, false) => "JOIN",
                    (JoinKind::Left, _) => "LEFT JOIN",
                    (JoinKind::Right, _) => "RIGHT JOIN",
                    (JoinKind::Full, _) => "FULL JOIN",
                };
                let on = match (kind, on.is_empty()) {
                    (JoinKind::Inner, true) => String::new(),
                    (_, true) => format!(" ON {}", self.dialect.write_constant(Some(true))),
                    (_, false) => self.conditions(" ON ", on),
                };
                format!("{} {word} {right}{on}", self.from(left))
            }
        }
    }

    fn alias(&self, source: SourceId) -> String {
        self.aliases.get(&source).map(|alias| format!(" AS {alias}")).unwrap_or_default()
    }

    fn conditions(&self, keyword: &str, conditions: &[RemoteExpr]) -> String {
        let parts: Vec<_> = conditions.iter().map(|condition| self.part(condition)).collect();
        if parts.is_empty() { String::new() } else { format!("{keyword}{}", parts.join(" AND ")) }
    }

    fn sort_key(&self, key: &SortKey) -> String {
        let operand = self.sort_operand(&key.value, key.collation.as_deref());
        let direction = if key.descending { "DESC" } else { "ASC" };
        let nulls = if key.nulls_first { "FIRST" } else { "LAST" };
        format!("{operand} {direction} NULLS {nulls}")
    }
}
