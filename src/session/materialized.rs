//! `WITH name AS [NOT] MATERIALIZED (query)`: advice, which the engine takes from nobody. The parser knows it in one dialect only, so it
//! is taken out of the statement before it is parsed; all places in it stay.

use std::borrow::Cow;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::follow::is_word;
use super::words::{offset, without};
use crate::error::{Result, syntax_error};

const MATERIALIZED: &str = "MATERIALIZED";

/// The statement with blanks in place of the words.
pub(super) fn take(sql: Cow<'_, str>) -> Result<Cow<'_, str>> {
    // Most statements have none.
    if !sql.as_bytes().windows(MATERIALIZED.len()).any(|word| word.eq_ignore_ascii_case(MATERIALIZED.as_bytes())) {
        return Ok(sql);
    }
    let tokens = Tokenizer::new(&GenericDialect {}, &sql)
        .tokenize_with_location()
        .map_err(|error| syntax_error(&error.to_string()))?;
    let tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)).collect();
    let mut ranges = Vec::new();
    for window in tokens.windows(4) {
        let [first, second, third, fourth] = window else { continue };
        // `AS NOT MATERIALIZED (` and `x AS MATERIALIZED (`.
        let from = match (is_word(first, "AS"), is_word(second, "AS")) {
            (true, _) if is_word(second, "NOT") => second,
            (_, true) => third,
            _ => continue,
        };
        if is_word(third, MATERIALIZED) && fourth.token == Token::LParen {
            ranges.push(offset(&sql, from.span.start)..offset(&sql, third.span.end));
        }
    }
    Ok(Cow::Owned(without(&sql, &ranges)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_taken_out() {
        for (sql, expected) in [
            ("WITH a AS MATERIALIZED (SELECT 1) SELECT * FROM a", "WITH a AS              (SELECT 1) SELECT * FROM a"),
            ("WITH a AS NOT materialized(SELECT 1) SELECT 1", "WITH a AS                 (SELECT 1) SELECT 1"),
            ("SELECT 1 AS materialized", "SELECT 1 AS materialized"),
            ("SELECT 'AS MATERIALIZED ('", "SELECT 'AS MATERIALIZED ('"),
        ] {
            assert_eq!(take(Cow::Borrowed(sql)).unwrap(), expected);
        }
    }
}
