//! Printing expressions.

use std::collections::HashMap;

use crate::{Dialect, RemoteExpr, RemoteLiteral, SourceId};

/// Prints the parts of one statement.
pub(crate) struct Printer<'a> {
    pub(crate) dialect: &'a dyn Dialect,
    /// What the relations are called. Columns of others are printed without a qualifier.
    pub(crate) aliases: HashMap<SourceId, String>,
}

impl RemoteExpr {
    /// The expression as SQL, as it stands alone, its columns without qualifiers.
    pub fn render(&self, dialect: &dyn Dialect) -> String {
        Printer { dialect, aliases: HashMap::new() }.expression(self)
    }
}

impl Printer<'_> {
    /// The expression as it stands alone.
    pub(crate) fn expression(&self, expression: &RemoteExpr) -> String {
        match expression {
            RemoteExpr::Column { source, name } => self.column(*source, name),
            RemoteExpr::Literal(literal) => self.dialect.write_literal(literal),
            RemoteExpr::Constant(value) => self.dialect.write_constant(*value),
            RemoteExpr::Compare { op, left, right, collation } => {
                let left = self.collated(self.operand(left), collation.as_deref());
                format!("{left} {} {}", op.symbol(), self.operand(right))
            }
            RemoteExpr::And(parts) => self.joined(parts, " AND "),
            RemoteExpr::Or(parts) => self.joined(parts, " OR "),
            RemoteExpr::Not(part) => format!("NOT ({})", self.expression(part)),
            RemoteExpr::IsNull(operand) => format!("{} IS NULL", self.operand(operand)),
            RemoteExpr::IsNotNull(operand) => format!("{} IS NOT NULL", self.operand(operand)),
            RemoteExpr::In { operand, values, negated } => {
                self.dialect.write_in(&self.operand(operand), values, *negated)
            }
            RemoteExpr::Between { operand, low, high, negated, collation } => {
                let operand = self.collated(self.operand(operand), collation.as_deref());
                let [low, high] = [low, high].map(|bound: &RemoteLiteral| self.dialect.write_literal(bound));
                format!("{operand} {}BETWEEN {low} AND {high}", not(*negated))
            }
            RemoteExpr::Like { operand, pattern, escape, negated } => format!(
                "{} {}LIKE {} ESCAPE {}",
                self.operand(operand),
                not(*negated),
                self.dialect.write_literal(pattern),
                self.dialect.write_text(escape.encode_utf8(&mut [0; 4])),
            ),
            RemoteExpr::Truth { operand, value, negated } => {
                format!("{} IS {}{}", self.operand(operand), not(*negated), value.symbol())
            }
            RemoteExpr::Arithmetic { op, left, right } => {
                format!("{} {} {}", self.operand(left), op.symbol(), self.operand(right))
            }
            RemoteExpr::Quotient { dividend, divisor, places } => {
                self.dialect.write_quotient(&self.operand(dividend), &self.expression(divisor), *places)
            }
            RemoteExpr::Cast { operand, type_name } => self.dialect.cast(&self.operand(operand), type_name),
            RemoteExpr::Collate { operand, collation } => self.collated(self.operand(operand), Some(collation)),
            RemoteExpr::Case { branches, otherwise } => {
                let mut text = String::from("CASE");
                for (condition, value) in branches {
                    text.push_str(&format!(" WHEN {} THEN {}", self.expression(condition), self.expression(value)));
                }
                if let Some(value) = otherwise {
                    text.push_str(&format!(" ELSE {}", self.expression(value)));
                }
                text.push_str(" END");
                text
            }
            RemoteExpr::Coalesce(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.expression(part)).collect();
                format!("coalesce({})", parts.join(", "))
            }
            RemoteExpr::Extreme { greatest, values } => {
                let values: Vec<_> = values.iter().map(|value| self.expression(value)).collect();
                format!("{}({})", if *greatest { "greatest" } else { "least" }, values.join(", "))
            }
            RemoteExpr::NullIf(value, other) => {
                format!("nullif({}, {})", self.expression(value), self.expression(other))
            }
            RemoteExpr::Concat { parts, skip_nulls: true } => {
                let parts: Vec<_> = parts.iter().map(|part| self.expression(part)).collect();
                format!("concat({})", parts.join(", "))
            }
            RemoteExpr::Concat { parts, skip_nulls: false } => {
                parts.iter().map(|part| self.operand(part)).collect::<Vec<_>>().join(" || ")
            }
            RemoteExpr::ArrayHas { operand, values, element_type, all } => {
                self.dialect.write_array_has(&self.operand(operand), values, element_type, *all)
            }
            RemoteExpr::Function { function, argument } => {
                self.dialect.write_function(function, &self.operand(argument))
            }
            RemoteExpr::Aggregate { function, argument, distinct, filter, collation } => {
                let argument = argument.as_ref().map(|argument| {
                    let operand = self.expression(argument);
                    match collation {
                        Some(collation) => self.collated(self.operand(argument), Some(collation)),
                        None => operand,
                    }
                });
                let argument = argument.as_deref().unwrap_or("*");
                let each = if *distinct { "DISTINCT " } else { "" };
                let call = format!("{}({each}{argument})", self.dialect.aggregate_name(*function));
                match filter {
                    Some(filter) => format!("{call} FILTER (WHERE {})", self.expression(filter)),
                    None => call,
                }
            }
            RemoteExpr::Scalar(query) => format!("({})", self.query(query, false)),
            RemoteExpr::Exists { query, negated } => {
                format!("{}EXISTS ({})", not(*negated), self.query(query, false))
            }
        }
    }

    /// The expression as a part of a larger condition: in parentheses where its operators bind less tightly than
    /// `AND`, and everywhere else where a reader could doubt it.
    pub(crate) fn part(&self, expression: &RemoteExpr) -> String {
        let text = self.expression(expression);
        match expression {
            RemoteExpr::And(_) | RemoteExpr::Or(_) | RemoteExpr::Between { .. } => format!("({text})"),
            _ => text,
        }
    }

    /// The expression as an operand: in parentheses unless it is one word, one call or one literal.
    fn operand(&self, expression: &RemoteExpr) -> String {
        let text = self.expression(expression);
        match expression {
            RemoteExpr::Column { .. }
            | RemoteExpr::Literal(_)
            | RemoteExpr::Constant(_)
            | RemoteExpr::Cast { .. }
            | RemoteExpr::Coalesce(_)
            | RemoteExpr::NullIf(..)
            | RemoteExpr::Extreme { .. }
            | RemoteExpr::Scalar(_)
            | RemoteExpr::Concat { skip_nulls: true, .. }
            | RemoteExpr::Aggregate { filter: None, .. } => text,
            _ => format!("({text})"),
        }
    }

    fn column(&self, source: SourceId, name: &str) -> String {
        let name = self.dialect.quote_identifier(name);
        match self.aliases.get(&source) {
            Some(alias) => format!("{alias}.{name}"),
            None => name,
        }
    }

    pub(crate) fn collated(&self, operand: String, collation: Option<&str>) -> String {
        match collation {
            Some(collation) => self.dialect.collate(&operand, collation),
            None => operand,
        }
    }

    fn joined(&self, parts: &[RemoteExpr], separator: &str) -> String {
        parts.iter().map(|part| self.part(part)).collect::<Vec<_>>().join(separator)
    }

    /// An operand that is to be sorted by.
    pub(crate) fn sort_operand(&self, expression: &RemoteExpr, collation: Option<&str>) -> String {
        self.collated(self.operand(expression), collation)
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}
