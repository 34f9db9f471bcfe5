//! Printing predicates.

use crate::{Dialect, Operand, RemoteExpr, RemoteLiteral};

impl RemoteExpr {
    /// The predicate as SQL, as it stands alone after `WHERE`.
    pub fn render(&self, dialect: &dyn Dialect) -> String {
        match self {
            Self::Column(name) => dialect.quote_identifier(name),
            Self::Constant(value) => dialect.write_constant(*value),
            Self::Compare { op, left, right, collation } => {
                let right_text = operand(right, dialect);
                let left_text = collated(operand(left, dialect), collation.as_deref(), dialect);
                format!("{left_text} {} {right_text}", op.symbol())
            }
            Self::And(parts) => joined(parts, " AND ", dialect),
            Self::Or(parts) => joined(parts, " OR ", dialect),
            Self::Not(part) => format!("NOT ({})", part.render(dialect)),
            Self::IsNull(name) => format!("{} IS NULL", dialect.quote_identifier(name)),
            Self::IsNotNull(name) => format!("{} IS NOT NULL", dialect.quote_identifier(name)),
            Self::In { column, values, negated } => {
                let values: Vec<_> = values.iter().map(|value| dialect.write_literal(value)).collect();
                format!("{} {}IN ({})", dialect.quote_identifier(column), not(*negated), values.join(", "))
            }
            Self::Between { column, low, high, negated, collation } => {
                let column = collated(dialect.quote_identifier(column), collation.as_deref(), dialect);
                let [low, high] = [low, high].map(|bound: &RemoteLiteral| dialect.write_literal(bound));
                format!("{column} {}BETWEEN {low} AND {high}", not(*negated))
            }
            Self::Like { column, pattern, escape, negated } => format!(
                "{} {}LIKE {} ESCAPE {}",
                dialect.quote_identifier(column),
                not(*negated),
                dialect.write_literal(pattern),
                dialect.write_text(escape.encode_utf8(&mut [0; 4])),
            ),
            Self::Truth { column, value, negated } => {
                format!("{} IS {}{}", dialect.quote_identifier(column), not(*negated), value.symbol())
            }
        }
    }

    /// The predicate as a part of a larger one: in parentheses where its operators bind less tightly than `AND`,
    /// and everywhere else where a reader could doubt it.
    pub(crate) fn render_part(&self, dialect: &dyn Dialect) -> String {
        let text = self.render(dialect);
        match self {
            Self::And(_) | Self::Or(_) | Self::Between { .. } => format!("({text})"),
            _ => text,
        }
    }
}

fn operand(operand: &Operand, dialect: &dyn Dialect) -> String {
    match operand {
        Operand::Column(name) => dialect.quote_identifier(name),
        Operand::Literal(literal) => dialect.write_literal(literal),
    }
}

fn collated(operand: String, collation: Option<&str>, dialect: &dyn Dialect) -> String {
    match collation {
        Some(collation) => dialect.collate(&operand, collation),
        None => operand,
    }
}

fn joined(parts: &[RemoteExpr], separator: &str, dialect: &dyn Dialect) -> String {
    parts.iter().map(|part| part.render_part(dialect)).collect::<Vec<_>>().join(separator)
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}
