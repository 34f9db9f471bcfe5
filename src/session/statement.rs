//! Statements: queries as DataFusion parses them, and those that are our own.

use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::call::Call;
use super::change::Change;
use super::follow;
use super::materialized;
use super::precedence;
use super::version;
use super::words::Words;
use crate::error::{Error, Position, Result, syntax_error};

/// The deepest nesting of parentheses and subqueries that is parsed: deeper ones would overflow the stack.
const NESTING_MAX: usize = 100;

/// The longest statement, in bytes.
const STATEMENT_BYTES_MAX: usize = 1 << 20;

/// How EXPLAIN prints its report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExplainFormat {
    /// A tree for a person.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// A graph in the DOT language.
    Graphviz,
}

/// An EXPLAIN statement.
#[derive(Clone, Debug)]
pub struct ExplainRequest {
    /// Run the query and add what was measured.
    pub analyze: bool,
    /// Add DataFusion's own plans.
    pub verbose: bool,
    /// How to print.
    pub format: ExplainFormat,
    /// Only check that the statement can be planned.
    pub validate: bool,
    /// Show how the work is divided between threads.
    pub distributed: bool,
    /// The explained query.
    pub query: Box<SqlStatement>,
    /// The explained query as it was typed.
    pub sql: String,
}

/// One statement.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the variants are SQL's own words")]
pub enum Statement {
    Query(Box<SqlStatement>),
    Explain(ExplainRequest),
    DescribeTable(TableReference),
    DescribeQuery(Box<SqlStatement>),
    ShowCatalogs { like: Option<String> },
    ShowSchemas { catalog: Option<String>, like: Option<String> },
    ShowTables { place: Vec<String>, like: Option<String> },
    ShowColumns { table: TableReference, like: Option<String> },
    ShowCreateTable(TableReference),
    ShowStats(TableReference),
    ShowCut(TableReference),
    ShowCapabilities { catalog: Option<String>, like: Option<String> },
    ShowFunctions { like: Option<String> },
    ShowProcedures { catalog: Option<String>, like: Option<String> },
    ShowSession { like: Option<String> },
    ShowSetting(String),
    Use { catalog: Option<String>, schema: String },
    Set { name: String, value: String },
    Reset { name: Option<String> },
    Call(Call),
    Change(Box<Change>),
}

impl Statement {
    /// Whether it changes where a session stands, rather than asks something from there.
    pub(crate) fn changes_session(&self) -> bool {
        matches!(self, Self::Use { .. } | Self::Set { .. } | Self::Reset { .. })
    }

    /// Whether it changes a source, so that running it twice is not the same as running it once.
    pub(crate) fn changes_source(&self) -> bool {
        matches!(self, Self::Change(_))
    }

    /// Parses one statement, with or without a final semicolon.
    pub fn parse(sql: &str) -> Result<Self> {
        if sql.len() > STATEMENT_BYTES_MAX {
            return Err(Error::resource_exhausted(format!(
                "the statement has {} bytes; at most {STATEMENT_BYTES_MAX} are parsed",
                sql.len()
            )));
        }
        let tokens = Tokenizer::new(&GenericDialect {}, sql)
            .tokenize_with_location()
            .map_err(|error| syntax_error(&error.to_string()))?;
        let tokens: Vec<TokenWithSpan> =
            tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)).collect();
        let mut words = Words::new(&tokens, sql);
        let first = words.peek_word().unwrap_or_default();
        match first.as_str() {
            "EXPLAIN" => explain(words),
            "DESCRIBE" | "DESC" => describe(words),
            "SHOW" => show(words),
            "USE" => use_place(words),
            "SET" => set(words),
            "RESET" => reset(words),
            "CALL" => Ok(Self::Call(Call::parse(words)?)),
            "" if tokens.is_empty() => Err(Error::user("the statement is empty")),
            _ => match *parsed(sql)? {
                query @ SqlStatement::Query(_) => Ok(Self::Query(Box::new(query))),
                other => Ok(Self::Change(Box::new(Change::of(other)?))),
            },
        }
    }
}

/// Parses a query and refuses every other statement.
fn query(sql: &str) -> Result<Box<SqlStatement>> {
    let statement = parsed(sql)?;
    match *statement {
        SqlStatement::Query(_) => Ok(statement),
        _ => Err(Error::unsupported("only queries are explained and described")
            .hint("write the query from which the statement takes its rows")),
    }
}

/// Parses one statement with DataFusion's parser.
fn parsed(sql: &str) -> Result<Box<SqlStatement>> {
    let (text, versions) = version::take(sql)?;
    let (text, followed) = follow::take(text)?;
    let text = materialized::take(text)?;
    let mut parser = DFParserBuilder::new(&*text)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(NESTING_MAX)
        .build()
        .map_err(|error| parse_failure(error, sql))?;
    let mut statements = parser.parse_statements().map_err(|error| parse_failure(error, sql))?;
    let statement = match (statements.pop_front(), statements.pop_front()) {
        (Some(statement), None) => statement,
        (None, _) => return Err(Error::user("the statement is empty")),
        (Some(_), Some(_)) => return Err(Error::user("only one statement is run at a time")),
    };
    match statement {
        DfStatement::Statement(mut statement) => {
            version::put(&mut statement, versions)?;
            follow::put(&mut statement, followed)?;
            precedence::restore(&mut statement);
            Ok(statement)
        }
        other => {
            let text = other.to_string();
            let verb: Vec<&str> = text.split_whitespace().take(2).collect();
            Err(Error::unsupported(format!("{} is not supported", verb.join(" "))))
        }
    }
}

fn parse_failure(error: DataFusionError, sql: &str) -> Error {
    match error.find_root() {
        DataFusionError::SQL(inner, _) if inner.to_string().contains("recursion limit") => {
            Error::user(format!("the statement nests deeper than {NESTING_MAX} levels"))
        }
        // The parser gives no place for what is missing at the end.
        DataFusionError::SQL(inner, _) if inner.to_string().contains("found: EOF") => {
            Error::from(error).at(Some(end_of(sql)))
        }
        _ => Error::from(error),
    }
}

/// The place behind the last character that is not blank.
fn end_of(sql: &str) -> Position {
    let text = sql.trim_end();
    let last = text.rsplit('\n').next().unwrap_or_default();
    Position { line: text.matches('\n').count() as u64 + 1, column: last.chars().count() as u64 + 1 }
}

fn explain(mut words: Words<'_>) -> Result<Statement> {
    words.take_word("EXPLAIN");
    let mut request = ExplainRequest {
        analyze: false,
        verbose: false,
        format: ExplainFormat::Text,
        validate: false,
        distributed: false,
        query: Box::new(SqlStatement::Commit { chain: false, end: false, modifier: None }),
        sql: String::new(),
    };
    if words.tokens.peek().is_some_and(|token| token.token == Token::LParen) && is_option_list(&words) {
        explain_options(&mut words, &mut request)?;
    }
    loop {
        if words.take_word("ANALYZE") {
            request.analyze = true;
        } else if words.take_word("VERBOSE") {
            request.verbose = true;
        } else {
            break;
        }
    }
    let sql = words.rest()?;
    request.query = query(sql).map_err(|error| shift(error, words.sql, sql))?;
    request.sql = sql.trim().trim_end_matches(';').trim_end().to_owned();
    Ok(Statement::Explain(request))
}

/// An error's position in the inner statement as a position in the whole one.
fn shift(error: Error, whole: &str, inner: &str) -> Error {
    let Some(position) = error.message().position else { return error };
    let before = whole.strip_suffix(inner).unwrap_or_default();
    let lines = before.matches('\n').count() as u64;
    let columns = match position.line {
        1 => before.rsplit('\n').next().unwrap_or_default().chars().count() as u64,
        _ => 0,
    };
    error.at(Some(Position { line: position.line + lines, column: position.column + columns }))
}

/// Whether a parenthesis opens options rather than a query.
fn is_option_list(words: &Words<'_>) -> bool {
    let mut ahead = words.tokens.clone();
    ahead.next();
    let word = ahead.next().and_then(|token| match &token.token {
        Token::Word(word) => Some(word.value.to_uppercase()),
        _ => None,
    });
    !matches!(word.as_deref(), None | Some("SELECT" | "WITH" | "VALUES" | "FROM" | "TABLE"))
}

fn explain_options(words: &mut Words<'_>, request: &mut ExplainRequest) -> Result<()> {
    words.take_token(&Token::LParen);
    loop {
        let option = words.ident("an option: FORMAT, TYPE, ANALYZE or VERBOSE")?;
        match option.as_str() {
            "analyze" => request.analyze = switch(words)?,
            "verbose" => request.verbose = switch(words)?,
            "format" => {
                request.format = match words.ident("TEXT, JSON or GRAPHVIZ")?.as_str() {
                    "text" => ExplainFormat::Text,
                    "json" => ExplainFormat::Json,
                    "graphviz" => ExplainFormat::Graphviz,
                    other => {
                        return Err(Error::user(format!(
                            "EXPLAIN has no format {other}: it is TEXT, JSON or GRAPHVIZ"
                        )));
                    }
                }
            }
            "type" => match words.ident("LOGICAL, DISTRIBUTED or VALIDATE")?.as_str() {
                "validate" => request.validate = true,
                "distributed" => request.distributed = true,
                "logical" => {}
                other => {
                    return Err(Error::user(format!(
                        "EXPLAIN has no type {other}: it is LOGICAL, DISTRIBUTED or VALIDATE"
                    )));
                }
            },
            other => return Err(Error::user(format!("EXPLAIN has no option {other}"))),
        }
        if words.take_token(&Token::RParen) {
            return Ok(());
        }
        if !words.take_token(&Token::Comma) {
            return Err(words.unexpected("a comma or a closing parenthesis"));
        }
    }
}

/// An option's optional `TRUE`, `FALSE`, `ON` or `OFF`.
fn switch(words: &mut Words<'_>) -> Result<bool> {
    match words.peek_word().as_deref() {
        Some("TRUE" | "ON") => {
            words.tokens.next();
            Ok(true)
        }
        Some("FALSE" | "OFF") => {
            words.tokens.next();
            Ok(false)
        }
        _ => Ok(true),
    }
}

fn describe(mut words: Words<'_>) -> Result<Statement> {
    words.tokens.next();
    if matches!(words.peek_word().as_deref(), Some("SELECT" | "WITH" | "VALUES")) {
        let sql = words.rest()?;
        let inner = query(sql).map_err(|error| shift(error, words.sql, sql))?;
        return Ok(Statement::DescribeQuery(inner));
    }
    words.take_word("TABLE");
    let table = words.table()?;
    words.end()?;
    Ok(Statement::DescribeTable(table))
}

fn show(mut words: Words<'_>) -> Result<Statement> {
    words.tokens.next();
    let what = words.peek_word().unwrap_or_default();
    let statement = match what.as_str() {
        "CATALOGS" | "DATABASES" => {
            words.tokens.next();
            Statement::ShowCatalogs { like: words.like()? }
        }
        "SCHEMAS" => {
            words.tokens.next();
            let catalog = if words.from() { Some(words.ident("a catalog")?) } else { None };
            Statement::ShowSchemas { catalog, like: words.like()? }
        }
        "TABLES" => {
            words.tokens.next();
            let place = if words.from() { words.name("a schema", 2)? } else { Vec::new() };
            Statement::ShowTables { place, like: words.like()? }
        }
        "COLUMNS" => {
            words.tokens.next();
            if !words.from() {
                return Err(words.unexpected("FROM and a table"));
            }
            Statement::ShowColumns { table: words.table()?, like: words.like()? }
        }
        "CREATE" => {
            words.tokens.next();
            if !words.take_word("TABLE") && !words.take_word("VIEW") {
                return Err(words.unexpected("TABLE"));
            }
            Statement::ShowCreateTable(words.table()?)
        }
        "STATS" => {
            words.tokens.next();
            if !words.take_word("FOR") {
                return Err(words.unexpected("FOR and a table"));
            }
            Statement::ShowStats(words.table()?)
        }
        "CUT" => {
            words.tokens.next();
            if !words.take_word("FOR") {
                return Err(words.unexpected("FOR and a table"));
            }
            Statement::ShowCut(words.table()?)
        }
        "CAPABILITIES" => {
            words.tokens.next();
            let catalog = if words.from() { Some(words.ident("a catalog")?) } else { None };
            Statement::ShowCapabilities { catalog, like: words.like()? }
        }
        "FUNCTIONS" => {
            words.tokens.next();
            Statement::ShowFunctions { like: words.like()? }
        }
        "PROCEDURES" => {
            words.tokens.next();
            let catalog = if words.from() { Some(words.ident("a catalog")?) } else { None };
            Statement::ShowProcedures { catalog, like: words.like()? }
        }
        "SESSION" | "ALL" => {
            words.tokens.next();
            Statement::ShowSession { like: words.like()? }
        }
        _ => Statement::ShowSetting(words.ident(
            "CATALOGS, SCHEMAS, TABLES, COLUMNS, CREATE TABLE, STATS FOR, CUT FOR, CAPABILITIES, FUNCTIONS, PROCEDURES, SESSION or a setting",
        )?),
    };
    words.end()?;
    Ok(statement)
}

fn use_place(mut words: Words<'_>) -> Result<Statement> {
    words.tokens.next();
    let mut parts = words.name("a catalog or a schema", 2)?;
    words.end()?;
    let schema = parts.pop().unwrap_or_default();
    Ok(Statement::Use { catalog: parts.pop(), schema })
}

fn set(mut words: Words<'_>) -> Result<Statement> {
    words.tokens.next();
    words.take_word("SESSION");
    let name = words.name("a setting", 2)?.join(".");
    if !words.take_token(&Token::Eq) && !words.take_word("TO") {
        return Err(words.unexpected("="));
    }
    let value = match words.tokens.peek().map(|token| &token.token) {
        Some(Token::SingleQuotedString(text)) => text.clone(),
        Some(Token::Number(number, _)) => number.clone(),
        Some(Token::Word(word)) => word.value.clone(),
        _ => return Err(words.unexpected("a value")),
    };
    words.tokens.next();
    words.end()?;
    Ok(Statement::Set { name, value })
}

fn reset(mut words: Words<'_>) -> Result<Statement> {
    words.tokens.next();
    words.take_word("SESSION");
    let name = if words.take_word("ALL") { None } else { Some(words.name("a setting or ALL", 2)?.join(".")) };
    words.end()?;
    Ok(Statement::Reset { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(sql: &str) -> String {
        match Statement::parse(sql) {
            Ok(Statement::Query(query)) => format!("Query({query})"),
            Ok(Statement::Explain(request)) => format!(
                "Explain(analyze {}, verbose {}, {:?}, validate {}, {})",
                request.analyze, request.verbose, request.format, request.validate, request.sql
            ),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.render(sql),
        }
    }

    #[test]
    fn our_own_statements() {
        for (sql, expected) in [
            ("show catalogs;", "ShowCatalogs { like: None }"),
            ("SHOW SCHEMAS FROM pg LIKE 'p%'", "ShowSchemas { catalog: Some(\"pg\"), like: Some(\"p%\") }"),
            ("SHOW TABLES FROM pg.\"My\"", "ShowTables { place: [\"pg\", \"My\"], like: None }"),
            ("SHOW CAPABILITIES FROM pg", "ShowCapabilities { catalog: Some(\"pg\"), like: None }"),
            ("use pg.public", "Use { catalog: Some(\"pg\"), schema: \"public\" }"),
            ("USE lake", "Use { catalog: None, schema: \"lake\" }"),
            ("SET SESSION pushdown = 'none'", "Set { name: \"pushdown\", value: \"none\" }"),
            ("set batch_rows to 100", "Set { name: \"batch_rows\", value: \"100\" }"),
            ("RESET ALL", "Reset { name: None }"),
            ("show cut for k.default.t", "ShowCut(Full { catalog: \"k\", schema: \"default\", table: \"t\" })"),
            ("SHOW pushdown", "ShowSetting(\"pushdown\")"),
            ("SHOW PROCEDURES FROM lake", "ShowProcedures { catalog: Some(\"lake\"), like: None }"),
        ] {
            assert_eq!(described(sql), expected, "{sql}");
        }
    }

    #[test]
    fn explain_takes_words_and_options() {
        for (sql, expected) in [
            ("EXPLAIN SELECT 1;", "Explain(analyze false, verbose false, Text, validate false, SELECT 1)"),
            ("explain analyze verbose select 1", "Explain(analyze true, verbose true, Text, validate false, select 1)"),
            (
                "EXPLAIN (FORMAT JSON, ANALYZE) SELECT 1",
                "Explain(analyze true, verbose false, Json, validate false, SELECT 1)",
            ),
            (
                "EXPLAIN (TYPE VALIDATE) (SELECT 1)",
                "Explain(analyze false, verbose false, Text, validate true, (SELECT 1))",
            ),
            ("EXPLAIN (SELECT 1)", "Explain(analyze false, verbose false, Text, validate false, (SELECT 1))"),
        ] {
            assert_eq!(described(sql), expected, "{sql}");
        }
    }

    #[test]
    fn mistakes_show_their_place() {
        assert_eq!(
            described("SHOW TABLES\n FRMO pg"),
            "syntax error: expected the end of the statement, found FRMO\nLINE 2:  FRMO pg\n         ^"
        );
        assert_eq!(
            described("EXPLAIN (FORMAT XML) SELECT 1"),
            "EXPLAIN has no format xml: it is TEXT, JSON or GRAPHVIZ"
        );
        let place = described("EXPLAIN\nSELECT 1 + )");
        assert!(place.contains("LINE 2: SELECT 1 + )"), "{place}");
        assert_eq!(described(" ; "), "the statement is empty");
    }

    #[test]
    fn what_is_not_a_query_is_refused_by_name() {
        assert!(described("CREATE INDEX i ON t (a)").starts_with("CREATE INDEX is not supported"));
        assert!(described("EXPLAIN INSERT INTO t VALUES (1)").starts_with("only queries are explained"));
        assert_eq!(described("COPY t TO 'f'"), "COPY t is not supported");
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_crash() {
        let sql = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
        assert_eq!(described(&sql), "the statement nests deeper than 100 levels");
    }
}
