//! From the parser's tree to what a statement changes. Of the many dialects' clauses the tree has, those that are not
//! understood here are refused.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use datafusion::sql::sqlparser::ast::{
    ColumnOption, CreateTable as SqlCreateTable, CreateTableOptions, Ident, Insert as SqlInsert, ObjectName,
    ObjectType, SchemaName, Spanned, Statement as SqlStatement, TableObject,
};
use portolan_connector::OnExisting;

use super::{Change, Content, CreateTable, Insert, Named};
use crate::error::{Error, Position, Result};
use crate::planner::{normalized, reference_of};

impl Change {
    /// What a statement that is no query changes.
    pub(in crate::session) fn of(statement: SqlStatement) -> Result<Self> {
        match statement {
            SqlStatement::Insert(insert) => insertion(insert).map(Self::Insert),
            SqlStatement::Update(update) => super::modify::update(update).map(Self::Modify),
            SqlStatement::Delete(delete) => super::modify::delete(delete).map(Self::Modify),
            SqlStatement::CreateTable(create) => creation(create).map(Self::CreateTable),
            SqlStatement::CreateSchema {
                schema_name: SchemaName::Simple(name),
                if_not_exists,
                with: None,
                options: None,
                default_collate_spec: None,
                clone: None,
            } => Ok(Self::CreateSchema { name: schema_name(&name)?, if_not_exists }),
            SqlStatement::Drop {
                object_type,
                if_exists,
                names,
                cascade,
                restrict: _,
                purge: false,
                temporary: false,
                table: None,
            } => removal(object_type, if_exists, &names, cascade),
            other => Err(unsupported(&other)),
        }
    }
}

/// The error for a statement that there is not, by its first words.
fn unsupported(statement: &SqlStatement) -> Error {
    let text = statement.to_string();
    let verb: Vec<&str> = text.split_whitespace().take(2).collect();
    let words = match verb.as_slice() {
        ["MERGE" | "TRUNCATE" | "GRANT" | "REVOKE" | "ALTER", ..] => {
            verb.first().copied().unwrap_or_default().to_owned()
        }
        _ => verb.join(" "),
    };
    Error::unsupported(format!("{words} is not supported"))
        .hint("there are CREATE and DROP of SCHEMA and TABLE, CREATE TABLE AS, INSERT INTO, INSERT OVERWRITE, UPDATE and DELETE FROM")
}

fn insertion(insert: SqlInsert) -> Result<Insert> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(Error::unsupported("INSERT INTO something that is no table is not supported"));
    };
    // What the statement would be if it had no clause that is not read here.
    let plain = SqlInsert {
        insert_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        or: None,
        ignore: false,
        into: !insert.overwrite || insert.into,
        table: insert.table.clone(),
        table_alias: None,
        columns: insert.columns.clone(),
        overwrite: insert.overwrite,
        source: insert.source.clone(),
        assignments: Vec::new(),
        partitioned: None,
        after_columns: Vec::new(),
        has_table_keyword: insert.has_table_keyword,
        on: None,
        returning: None,
        output: None,
        replace_into: false,
        priority: None,
        insert_alias: None,
        settings: None,
        format_clause: None,
        multi_table_insert_type: None,
        multi_table_into_clauses: Vec::new(),
        multi_table_when_clauses: Vec::new(),
        multi_table_else_clause: None,
    };
    if plain != insert {
        return Err(Error::unsupported(
            "of INSERT there is only INSERT INTO or INSERT OVERWRITE table [(columns)] with a query or VALUES",
        ));
    }
    let table = named(name);
    let columns = insert.columns.iter().map(column_name).collect::<Result<_>>()?;
    let Some(source) = insert.source else {
        return Err(Error::unsupported("INSERT without a query or VALUES is not supported"));
    };
    Ok(Insert { table, columns, overwrite: insert.overwrite, query: Box::new(SqlStatement::Query(source)) })
}

pub(super) fn column_name(name: &ObjectName) -> Result<Ident> {
    match name.0.as_slice() {
        [part] => part.as_ident().cloned().ok_or_else(|| Error::user(format!("{name} is no column"))),
        _ => Err(Error::user(format!("{name} is no column: write its name alone"))),
    }
}

fn creation(create: SqlCreateTable) -> Result<CreateTable> {
    let plain = CreateTableBuilder::new(create.name.clone())
        .or_replace(create.or_replace)
        .if_not_exists(create.if_not_exists)
        .columns(create.columns.clone())
        .hive_formats(create.hive_formats.clone())
        .table_options(create.table_options.clone())
        .query(create.query.clone())
        .build();
    let no_formats = create.hive_formats.as_ref().is_none_or(|formats| *formats == Default::default());
    if plain != create || !no_formats {
        return Err(Error::unsupported(
            "of CREATE TABLE there is only [OR REPLACE] TABLE [IF NOT EXISTS] name with columns or AS query, and WITH (name = value)",
        ));
    }
    let options = match create.table_options {
        CreateTableOptions::None => Vec::new(),
        CreateTableOptions::With(options) => options,
        other => {
            return Err(Error::unsupported(format!("CREATE TABLE ... {other} is not supported"))
                .hint("write WITH (name = value)"));
        }
    };
    let on_existing = match (create.or_replace, create.if_not_exists) {
        (true, true) => return Err(Error::user("OR REPLACE and IF NOT EXISTS exclude each other")),
        (true, false) => OnExisting::Replace,
        (false, true) => OnExisting::Skip,
        (false, false) => OnExisting::Fail,
    };
    for column in &create.columns {
        let known = |option: &ColumnOption| matches!(option, ColumnOption::Null | ColumnOption::NotNull);
        if let Some(other) = column.options.iter().find(|option| !known(&option.option)) {
            return Err(Error::unsupported(format!("column {}: {other} is not supported", column.name)));
        }
    }
    let content = match (create.columns.is_empty(), create.query) {
        (true, Some(query)) => Content::Query(Box::new(SqlStatement::Query(query))),
        (false, None) => Content::Columns(create.columns),
        (false, Some(_)) => {
            return Err(Error::unsupported("CREATE TABLE AS with a list of columns is not supported")
                .hint("name and CAST the columns in the query"));
        }
        (true, None) => return Err(Error::user("a table has at least one column")),
    };
    Ok(CreateTable { table: named(&create.name), on_existing, options, content })
}

fn removal(kind: ObjectType, if_exists: bool, names: &[ObjectName], cascade: bool) -> Result<Change> {
    let [name] = names else {
        return Err(Error::unsupported(format!("DROP {kind} of several at once is not supported")));
    };
    match kind {
        ObjectType::Table if cascade => Err(Error::unsupported("DROP TABLE ... CASCADE is not supported")),
        ObjectType::Table => Ok(Change::DropTable { table: named(name), if_exists }),
        ObjectType::Schema => Ok(Change::DropSchema { name: schema_name(name)?, if_exists, cascade }),
        other => Err(Error::unsupported(format!("DROP {other} is not supported"))),
    }
}

pub(super) fn named(name: &ObjectName) -> Named {
    let start = name.span().start;
    let position = (start.line > 0).then_some(Position { line: start.line, column: start.column });
    Named { reference: reference_of(name), position }
}

fn schema_name(name: &ObjectName) -> Result<Vec<String>> {
    let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(normalized)).collect();
    parts
        .filter(|parts| parts.len() <= 2)
        .ok_or_else(|| Error::user(format!("{name} is no schema: write schema, or catalog.schema")))
}

#[cfg(test)]
mod tests {
    use crate::session::Statement;

    #[test]
    fn clauses_that_would_be_ignored_are_refused() {
        for (sql, expected) in [
            ("INSERT OVERWRITE t PARTITION (a = 1) SELECT 1", "of INSERT there is only"),
            ("INSERT INTO t SELECT 1 RETURNING a", "of INSERT there is only"),
            ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "of INSERT there is only"),
            ("INSERT INTO t DEFAULT VALUES", "INSERT without a query"),
            ("CREATE TEMPORARY TABLE t (a int)", "of CREATE TABLE there is only"),
            ("CREATE TABLE t (a int) OPTIONS (b = 1)", "OPTIONS"),
            ("CREATE TABLE t (a int, PRIMARY KEY (a))", "of CREATE TABLE there is only"),
            ("CREATE TABLE t (a int) PARTITIONED BY (b int)", "of CREATE TABLE there is only"),
            ("CREATE TABLE t LIKE u", "of CREATE TABLE there is only"),
            ("CREATE TABLE t (a int DEFAULT 1)", "column a: DEFAULT 1 is not supported"),
            ("CREATE TABLE t (a int PRIMARY KEY)", "column a: PRIMARY KEY is not supported"),
            ("CREATE TABLE t (a int) AS SELECT 1", "with a list of columns"),
            ("CREATE OR REPLACE TABLE IF NOT EXISTS t (a int)", "exclude each other"),
            ("CREATE VIEW v AS SELECT 1", "CREATE VIEW is not supported"),
            ("DROP VIEW v", "DROP VIEW is not supported"),
            ("DROP TABLE a, b", "several at once"),
            ("UPDATE t SET a = 1 FROM u", "of UPDATE there is only"),
            ("UPDATE t SET a = 1 RETURNING a", "of UPDATE there is only"),
            ("UPDATE t SET (a, b) = (1, 2)", "is no column"),
            ("UPDATE t SET t.a = 1", "is no column"),
            ("UPDATE t JOIN u ON true SET a = 1", "of UPDATE there is only"),
            ("DELETE FROM t USING u", "of DELETE there is only"),
            ("DELETE FROM t RETURNING a", "of DELETE there is only"),
            ("DELETE FROM t, u", "of DELETE there is only"),
            ("DELETE FROM t LIMIT 1", "of DELETE there is only"),
            ("TRUNCATE TABLE t", "TRUNCATE is not supported"),
        ] {
            let error = Statement::parse(sql).unwrap_err().to_string();
            assert!(error.contains(expected), "{sql}: {error}");
        }
    }
}
