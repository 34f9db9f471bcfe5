//! A text of several statements, cut at its semicolons.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};

/// One statement of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptPart<'a> {
    /// The statement without its semicolon.
    pub sql: &'a str,
    /// Whether a semicolon ended it.
    pub complete: bool,
}

/// Cuts texts into statements, knowing strings, quoted names and comments.
#[derive(Debug)]
pub struct Script;

impl Script {
    /// The statements of a text that are not empty. A text that cannot be cut (an open string) is one statement.
    pub fn split(text: &str) -> Vec<ScriptPart<'_>> {
        let Ok(tokens) = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location() else {
            return vec![ScriptPart { sql: text.trim(), complete: false }];
        };
        let lines = LineStarts::of(text);
        let mut parts = Vec::new();
        let mut start = 0;
        let mut empty = true;
        for token in &tokens {
            match &token.token {
                Token::SemiColon => {
                    let end = lines.offset(text, token.span.start);
                    if !empty {
                        parts.push(ScriptPart { sql: text.get(start..end).unwrap_or_default().trim(), complete: true });
                    }
                    start = end + 1;
                    empty = true;
                }
                Token::Whitespace(_) | Token::EOF => {}
                _ => empty = false,
            }
        }
        if !empty {
            parts.push(ScriptPart { sql: text.get(start..).unwrap_or_default().trim(), complete: false });
        }
        parts
    }

    /// Whether a text ends inside a statement, so that a person will go on typing.
    pub fn is_open(text: &str) -> bool {
        if Tokenizer::new(&GenericDialect {}, text).tokenize().is_err() {
            return true;
        }
        Self::split(text).last().is_some_and(|part| !part.complete)
    }

    /// Whether a word is one that SQL knows, for highlighting.
    pub fn is_keyword(word: &str) -> bool {
        matches!(Token::make_word(word, None), Token::Word(word) if word.keyword != Keyword::NoKeyword)
    }
}

/// Byte offsets at which lines start.
struct LineStarts(Vec<usize>);

impl LineStarts {
    fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(breaks).collect())
    }

    /// The byte offset of a location, which counts lines and characters from 1.
    fn offset(&self, text: &str, location: Location) -> usize {
        let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
        let start = self.0.get(index(location.line)).copied().unwrap_or(text.len());
        let line = text.get(start..).unwrap_or_default();
        start + line.char_indices().nth(index(location.column)).map_or(line.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<(&str, bool)> {
        Script::split(text).into_iter().map(|part| (part.sql, part.complete)).collect()
    }

    #[test]
    fn semicolons_end_statements_except_in_strings_names_and_comments() {
        assert_eq!(split("select 1; select 2"), [("select 1", true), ("select 2", false)]);
        assert_eq!(split("select ';', \"a;b\" -- ; no\n/* ; */;"), [("select ';', \"a;b\" -- ; no\n/* ; */", true)]);
        assert_eq!(split(";; -- nothing\n ;"), []);
        assert_eq!(split("select 'é;'\n , 'ü' ; select 2;"), [("select 'é;'\n , 'ü'", true), ("select 2", true)]);
        assert_eq!(split("select 'open; "), [("select 'open;", false)]);
    }

    #[test]
    fn an_open_statement_wants_more() {
        assert!(Script::is_open("select 1"));
        assert!(Script::is_open("select 'a;"));
        assert!(!Script::is_open("select 1;"));
        assert!(!Script::is_open("-- only a comment"));
        assert!(!Script::is_open(""));
    }
}
