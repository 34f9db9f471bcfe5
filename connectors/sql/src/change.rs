//! One UPDATE or DELETE: rows of a table, changed or removed where they are.

use crate::{Dialect, RemoteExpr};

/// One UPDATE, or a DELETE where nothing is set. Its expressions name columns of its table alone.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteChange {
    /// The schema.
    pub schema: String,
    /// The table.
    pub table: String,
    /// Columns and their new values, computed of the old ones.
    pub set: Vec<(String, RemoteExpr)>,
    /// Of which rows; AND-ed together.
    pub filter: Vec<RemoteExpr>,
}

impl RemoteChange {
    /// The statement as SQL, without a semicolon.
    pub fn render(&self, dialect: &dyn Dialect) -> String {
        let quote = |name: &str| dialect.quote_identifier(name);
        let table = format!("{}.{}", quote(&self.schema), quote(&self.table));
        let filter: Vec<String> = self.filter.iter().map(|part| format!("({})", part.render(dialect))).collect();
        let filter = if filter.is_empty() { String::new() } else { format!(" WHERE {}", filter.join(" AND ")) };
        let set: Vec<String> =
            self.set.iter().map(|(name, value)| format!("{} = {}", quote(name), value.render(dialect))).collect();
        match set.is_empty() {
            true => format!("DELETE FROM {table}{filter}"),
            false => format!("UPDATE {table} SET {}{filter}", set.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CompareOp, PostgresDialect, RemoteLiteral, RemoteValue, SourceId};

    #[test]
    fn parts_keep_to_themselves() {
        let column = |name: &str| RemoteExpr::column(SourceId::ALONE, name);
        let is_one = |name: &str| RemoteExpr::Compare {
            op: CompareOp::Eq,
            left: Box::new(column(name)),
            right: Box::new(RemoteExpr::Literal(RemoteLiteral {
                value: RemoteValue::Integer(1),
                type_name: "int4".to_owned(),
            })),
            collation: None,
        };
        let mut change = RemoteChange {
            schema: "s\"".to_owned(),
            table: "t".to_owned(),
            set: vec![("a".to_owned(), column("b")), ("b".to_owned(), column("a"))],
            filter: vec![RemoteExpr::Or(vec![is_one("a"), is_one("b")]), is_one("c")],
        };
        assert_eq!(
            change.render(&PostgresDialect),
            "UPDATE \"s\"\"\".\"t\" SET \"a\" = \"b\", \"b\" = \"a\" \
             WHERE (\"a\" = '1'::int4 OR \"b\" = '1'::int4) AND (\"c\" = '1'::int4)"
        );
        change.set.clear();
        change.filter.clear();
        assert_eq!(change.render(&PostgresDialect), "DELETE FROM \"s\"\"\".\"t\"");
    }
}
