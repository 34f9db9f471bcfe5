//! `FOLLOW` behind a table's name, or at the end of a query of one table, and `FOLLOW SINCE 'place'`. The parser does not know
//! them: they are taken out of the text before the statement is parsed, and put where the planner looks for them.

use std::borrow::Cow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, SetExpr, Statement, TableFactor, TableVersion, Value};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};

use super::words::{offset, without};
use crate::error::{Error, Position, Result, syntax_error};
use crate::planner::FOLLOW;
use crate::syntax::{self, Rewriter};

/// The word before a place.
const SINCE: &str = "SINCE";

/// Words that begin a part of a query.
const CLAUSES: [&str; 20] = [
    "SELECT",
    "FROM",
    "JOIN",
    "ON",
    "USING",
    "WHERE",
    "GROUP",
    "HAVING",
    "WINDOW",
    "QUALIFY",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "VALUES",
    "SET",
    "WITH",
];

/// Words behind which an operand or a name comes, so that `follow` is one.
const OPEN: [&str; 36] = [
    "SELECT", "DISTINCT", "ALL", "FROM", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "OUTER", "CROSS", "NATURAL",
    "LATERAL", "AS", "ON", "WHERE", "HAVING", "BY", "LIMIT", "OFFSET", "AND", "OR", "NOT", "IS", "IN", "LIKE", "ILIKE",
    "BETWEEN", "ESCAPE", "CASE", "WHEN", "THEN", "ELSE", "RLIKE", "REGEXP", "COLLATE",
];

/// The same of two words, the second of which may be a name by itself.
const OPEN_PAIRS: [(&str, &str); 2] = [("SIMILAR", "TO"), ("TIME", "ZONE")];

/// A clause that was taken out.
#[derive(Debug)]
pub(super) struct Follow {
    /// Where the name or the alias begins that it stands behind; `None` where it stands at the end.
    behind: Option<Location>,
    since: Option<String>,
    position: Position,
}

/// The statement with blanks in place of the clauses, so that all places in it stay, and the clauses.
pub(super) fn take(sql: Cow<'_, str>) -> Result<(Cow<'_, str>, Vec<Follow>)> {
    // Most statements have none.
    if !sql.as_bytes().windows(FOLLOW.len()).any(|word| word.eq_ignore_ascii_case(FOLLOW.as_bytes())) {
        return Ok((sql, Vec::new()));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, &sql)
        .tokenize_with_location()
        .map_err(|error| syntax_error(&error.to_string()))?;
    let tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)).collect();
    let (mut ranges, mut found) = (Vec::new(), Vec::new());
    // The part of the query in which each open parenthesis stands.
    let mut parts = vec![String::new()];
    let mut before: Option<&TokenWithSpan> = None;
    for (index, token) in tokens.iter().enumerate() {
        let rest = tokens.get(index + 1..).unwrap_or_default();
        match &token.token {
            Token::LParen => parts.push(String::new()),
            Token::RParen => drop(parts.pop()),
            Token::Word(word) if is(word, FOLLOW) => {
                let place = place(tokens.get(..index).unwrap_or_default(), parts.last(), rest);
                if let Some(behind) = place {
                    let (since, last) = since(token, rest)?;
                    let start = token.span.start;
                    ranges.push(offset(&sql, start)..offset(&sql, last.span.end));
                    let position = Position { line: start.line, column: start.column };
                    found.push(Follow { behind, since, position });
                }
            }
            Token::Word(word) if word.quote_style.is_none() => {
                let word = word.value.to_uppercase();
                // `IS DISTINCT FROM` begins no part.
                let is_operator = word == "FROM" && before.is_some_and(|before| is_word(before, "DISTINCT"));
                if let Some(part) = parts.last_mut().filter(|_| CLAUSES.contains(&&*word) && !is_operator) {
                    *part = word;
                }
            }
            _ => {}
        }
        before = Some(token);
    }
    Ok((Cow::Owned(without(&sql, &ranges)), found))
}

/// Where the clause stands, if it is one: behind what, or at the end.
#[allow(clippy::option_option, reason = "no clause, a clause at the end, a clause behind something")]
fn place(tokens: &[TokenWithSpan], part: Option<&String>, rest: &[TokenWithSpan]) -> Option<Option<Location>> {
    let (before, earlier) = tokens.split_last()?;
    let part = part.map_or("", String::as_str);
    let is_pair = |(first, second): &(&str, &str)| {
        is_word(before, second) && earlier.last().is_some_and(|earlier| is_word(earlier, first))
    };
    let is_open = match &before.token {
        Token::Word(word) => OPEN.iter().any(|open| is(word, open)) || OPEN_PAIRS.iter().any(is_pair),
        Token::Number(..) | Token::SingleQuotedString(_) | Token::RParen | Token::RBracket => false,
        _ => true,
    };
    // A column or a table of this name.
    if is_open || matches!(rest.first().map(|next| &next.token), Some(Token::Period | Token::LParen)) {
        return None;
    }
    if matches!(part, "FROM" | "JOIN") && matches!(before.token, Token::Word(_)) {
        return Some(Some(before.span.start));
    }
    let end = if rest.first().is_some_and(|next| is_word(next, SINCE)) { 2 } else { 0 };
    let is_last = rest.iter().skip(end).all(|token| token.token == Token::SemiColon);
    // In a select list it is the name of a column.
    (is_last && !matches!(part, "" | "SELECT" | "VALUES")).then_some(None)
}

/// The place that is named, and the last token of the clause.
fn since<'a>(follow: &'a TokenWithSpan, rest: &'a [TokenWithSpan]) -> Result<(Option<String>, &'a TokenWithSpan)> {
    let Some(since) = rest.first().filter(|since| is_word(since, SINCE)) else { return Ok((None, follow)) };
    match rest.get(1) {
        Some(place @ TokenWithSpan { token: Token::SingleQuotedString(text), .. }) => Ok((Some(text.clone()), place)),
        other => {
            let start = other.unwrap_or(since).span.start;
            Err(Error::user("FOLLOW SINCE takes a place in single quotes")
                .at(Some(Position { line: start.line, column: start.column })))
        }
    }
}

/// Tells the planner which tables of a statement are followed.
pub(super) fn put(statement: &mut Statement, clauses: Vec<Follow>) -> Result<()> {
    if clauses.is_empty() {
        return Ok(());
    }
    let mut putting = Putting { clauses, twice: None };
    syntax::rewrite(statement, &mut putting);
    if let Some(position) = putting.twice {
        return Err(Error::user("a version of a table has an end, and cannot be followed")
            .hint("FOLLOW SINCE 'version' begins behind a version")
            .at(Some(position)));
    }
    for clause in putting.clauses {
        match (clause.behind, only_table(statement)) {
            (None, Some(version @ None)) => *version = Some(marker(clause.since)),
            _ => {
                return Err(Error::user(
                    "FOLLOW must stand behind the name of a table, or at the end of a query of one table",
                )
                .hint("SELECT ... FROM table FOLLOW WHERE ...")
                .at(Some(clause.position)));
            }
        }
    }
    Ok(())
}

/// What says which version is read, of the only table of a query.
fn only_table(statement: &mut Statement) -> Option<&mut Option<TableVersion>> {
    let Statement::Query(query) = statement else { return None };
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let [from] = select.from.as_mut_slice() else { return None };
    match (&mut from.relation, from.joins.is_empty()) {
        (TableFactor::Table { version, args: None, .. }, true) => Some(version),
        _ => None,
    }
}

fn marker(since: Option<String>) -> TableVersion {
    let word = Ident::new(FOLLOW);
    TableVersion::Function(match since {
        None => Expr::Identifier(word),
        Some(place) => Expr::Prefixed { prefix: word, value: Box::new(Expr::value(Value::SingleQuotedString(place))) },
    })
}

struct Putting {
    clauses: Vec<Follow>,
    /// Where a table is a version and followed.
    twice: Option<Position>,
}

impl Rewriter for Putting {
    fn table_factor(&mut self, factor: &mut TableFactor) {
        let TableFactor::Table { name, alias, version, args: None, .. } = factor else { return };
        let last = name.0.last().and_then(|part| part.as_ident());
        let names = last.into_iter().chain(alias.iter().map(|alias| &alias.name));
        let starts: Vec<Location> = names.map(|ident| ident.span.start).collect();
        let is_here = |clause: &Follow| clause.behind.is_some_and(|behind| starts.contains(&behind));
        let Some(place) = self.clauses.iter().position(is_here) else { return };
        let clause = self.clauses.swap_remove(place);
        match version {
            None => *version = Some(marker(clause.since)),
            Some(_) => self.twice = Some(clause.position),
        }
    }
}

fn is(word: &Word, name: &str) -> bool {
    word.quote_style.is_none() && word.value.eq_ignore_ascii_case(name)
}

pub(super) fn is_word(token: &TokenWithSpan, name: &str) -> bool {
    matches!(&token.token, Token::Word(word) if is(word, name))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn parse(sql: &str) -> Result<String> {
        let (text, clauses) = take(Cow::Borrowed(sql))?;
        assert_eq!(text.chars().count(), sql.chars().count(), "places stay");
        let mut statement = Parser::parse_sql(&GenericDialect {}, &text).unwrap().remove(0);
        put(&mut statement, clauses).map(|()| statement.to_string())
    }

    #[test]
    fn clauses_go_to_the_tables_that_they_follow() {
        for (sql, expected) in [
            ("SELECT a FROM t FOLLOW", "SELECT a FROM t FOLLOW"),
            ("SELECT a FROM k.d.\"t\" follow where a > 1;", "SELECT a FROM k.d.\"t\" FOLLOW WHERE a > 1"),
            ("SELECT a FROM t AS c FOLLOW LIMIT 3", "SELECT a FROM t AS c FOLLOW LIMIT 3"),
            ("SELECT a FROM t FOLLOW c", "SELECT a FROM t c FOLLOW"),
            ("SELECT a FROM t WHERE a > 1 FOLLOW", "SELECT a FROM t FOLLOW WHERE a > 1"),
            ("SELECT a FROM t WHERE f(a) LIMIT 3 FOLLOW ;", "SELECT a FROM t FOLLOW WHERE f(a) LIMIT 3"),
            ("SELECT a FROM t FOLLOW SINCE '5 minutes'", "SELECT a FROM t FOLLOW FOLLOW '5 minutes'"),
            ("SELECT a FROM t WHERE b FOLLOW SINCE 'x'", "SELECT a FROM t FOLLOW FOLLOW 'x' WHERE b"),
            ("SELECT * FROM (SELECT a FROM t FOLLOW) x", "SELECT * FROM (SELECT a FROM t FOLLOW) x"),
            ("SELECT a FROM t JOIN u FOLLOW ON t.a = u.a", "SELECT a FROM t JOIN u FOLLOW ON t.a = u.a"),
            ("SELECT a FROM t WHERE a = zone FOLLOW", "SELECT a FROM t FOLLOW WHERE a = zone"),
        ] {
            let expected = expected.replace("FOLLOW FOLLOW '", "FOLLOW '");
            assert_eq!(parse(sql).unwrap(), expected, "{sql}");
        }
    }

    #[test]
    fn the_word_may_be_a_name() {
        for sql in [
            "SELECT follow FROM follow WHERE follow",
            "SELECT a AS follow FROM t AS follow",
            "SELECT 1 follow",
            "SELECT a FROM t WHERE a = follow",
            "SELECT a FROM t WHERE b AND follow",
            "SELECT a FROM t ORDER BY follow",
            "SELECT a FROM t WHERE a SIMILAR TO follow",
            "SELECT a FROM t WHERE a < b AT TIME ZONE follow",
            "SELECT a FROM t WHERE a RLIKE follow",
            "SELECT a FROM t WHERE a REGEXP follow",
            "SELECT a FROM t ORDER BY a COLLATE follow",
            "SELECT a IS DISTINCT FROM b follow FROM t",
            "SELECT follow.a FROM t AS follow",
            "SELECT 'FOLLOW' FROM \"FOLLOW\"",
        ] {
            let expected = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0).to_string();
            assert_eq!(parse(sql).unwrap(), expected, "{sql}");
        }
    }

    #[test]
    fn anywhere_else_they_are_refused() {
        for (sql, part) in [
            ("SELECT a FROM t JOIN u ON t.a = u.a FOLLOW", "at the end of a query of one table"),
            ("SELECT a FROM (SELECT 1 AS a) x FOLLOW", "must stand behind the name of a table"),
            ("SELECT a FROM t WHERE b IN (SELECT 1 FROM (SELECT 1) x FOLLOW) FOLLOW", "must stand behind the name"),
            ("SELECT a FROM t FOLLOW WHERE b FOLLOW", "must stand behind the name of a table"),
            ("SELECT a FROM t FOLLOW SINCE yesterday", "takes a place in single quotes"),
            ("SELECT a FROM t FOLLOW SINCE", "takes a place in single quotes"),
        ] {
            let error = parse(sql).unwrap_err().to_string();
            assert!(error.contains(part), "{sql}: {error}");
        }
    }
}
