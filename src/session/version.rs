//! `FOR VERSION AS OF 'version'` behind a table's name, which the parser (sqlparser 0.62) does not read: it is taken out of
//! the text before the statement is parsed, and put where the parser would have put it.

use std::borrow::Cow;

use datafusion::sql::sqlparser::ast::{Expr, Statement, TableFactor, TableVersion, Value};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::words::{offset, without};
use crate::error::{Error, Position, Result, syntax_error};
use crate::syntax::{self, Rewriter};

/// The words of the clause; the version follows.
const CLAUSE: [&str; 4] = ["FOR", "VERSION", "AS", "OF"];

/// A clause that was taken out.
#[derive(Debug)]
pub(super) struct Version {
    /// Where the last part of the table's name begins.
    name: Location,
    text: String,
    position: Position,
}

/// The statement with blanks in place of the clauses, so that all places in it stay, and the clauses.
pub(super) fn take(sql: &str) -> Result<(Cow<'_, str>, Vec<Version>)> {
    // Most statements have none.
    if !sql.as_bytes().windows(7).any(|word| word.eq_ignore_ascii_case(b"version")) {
        return Ok((Cow::Borrowed(sql), Vec::new()));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| syntax_error(&error.to_string()))?;
    let tokens: Vec<&TokenWithSpan> =
        tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)).collect();
    let (mut parts, mut versions) = (Vec::new(), Vec::new());
    for window in tokens.windows(CLAUSE.len() + 2) {
        let [name, first @ .., version] = window else { continue };
        if !first.iter().zip(CLAUSE).all(|(token, word)| is_word(token, word)) {
            continue;
        }
        let Some(clause) = first.first() else { continue };
        let start = clause.span.start;
        let position = Position { line: start.line, column: start.column };
        let Token::SingleQuotedString(said) = &version.token else {
            return Err(Error::user("FOR VERSION AS OF takes a version in single quotes").at(Some(position)));
        };
        parts.push(offset(sql, start)..offset(sql, version.span.end));
        versions.push(Version { name: name.span.start, text: said.clone(), position });
    }
    Ok((Cow::Owned(without(sql, &parts)), versions))
}

/// Gives the tables of a statement the versions that were taken out of its text.
pub(super) fn put(statement: &mut Statement, versions: Vec<Version>) -> Result<()> {
    if versions.is_empty() {
        return Ok(());
    }
    let mut putting = Putting { versions };
    syntax::rewrite(statement, &mut putting);
    match putting.versions.first() {
        None => Ok(()),
        Some(left) => Err(Error::user("FOR VERSION AS OF must follow the name of a table").at(Some(left.position))),
    }
}

struct Putting {
    versions: Vec<Version>,
}

impl Rewriter for Putting {
    fn table_factor(&mut self, factor: &mut TableFactor) {
        let TableFactor::Table { name, version, args: None, .. } = factor else { return };
        let Some(last) = name.0.last().and_then(|part| part.as_ident()) else { return };
        let start = last.span.start;
        if let Some(place) = self.versions.iter().position(|version| version.name == start) {
            let text = self.versions.swap_remove(place).text;
            *version = Some(TableVersion::VersionAsOf(Expr::value(Value::SingleQuotedString(text))));
        }
    }
}

fn is_word(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn parse(sql: &str) -> Result<String> {
        let (text, versions) = take(sql)?;
        assert_eq!(text.chars().count(), sql.chars().count(), "places stay");
        let mut statement = Parser::parse_sql(&GenericDialect {}, &text).unwrap().remove(0);
        put(&mut statement, versions).map(|()| statement.to_string())
    }

    #[test]
    fn versions_go_to_the_tables_that_they_follow() {
        for (sql, expected) in [
            ("SELECT a FROM t FOR VERSION AS OF 'x'", "SELECT a FROM t VERSION AS OF 'x'"),
            (
                "select a from k.d.\"t\" for version as of 'é''x' as c join t on true",
                // The parser prints the alias first.
                "SELECT a FROM k.d.\"t\" AS c VERSION AS OF 'é''x' JOIN t ON true",
            ),
            (
                "SELECT 'é', (SELECT max(b) FROM u\nFOR VERSION\nAS OF 'y') FROM t FOR VERSION AS OF 'x', u",
                "SELECT 'é', (SELECT max(b) FROM u VERSION AS OF 'y') FROM t VERSION AS OF 'x', u",
            ),
            (
                "SELECT a FROM t FOR VERSION AS OF 'é', u FOR VERSION AS OF 'é'",
                "SELECT a FROM t VERSION AS OF 'é', u VERSION AS OF 'é'",
            ),
            (
                "SELECT version FROM t WHERE a = 'FOR VERSION AS OF ''x'''",
                "SELECT version FROM t WHERE a = 'FOR VERSION AS OF ''x'''",
            ),
        ] {
            assert_eq!(parse(sql).unwrap(), expected);
        }
    }

    #[test]
    fn anywhere_else_they_are_refused() {
        for (sql, part) in [
            ("SELECT a FROM (SELECT 1 AS a) x FOR VERSION AS OF '1'", "must follow the name of a table"),
            ("SELECT a FROM t FOR VERSION AS OF 3", "takes a version in single quotes"),
        ] {
            let error = parse(sql).unwrap_err().to_string();
            assert!(error.contains(part), "{sql}: {error}");
        }
    }
}
