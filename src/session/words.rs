//! Reading a statement of our own, word by word.

use std::iter::Peekable;
use std::ops::Range;
use std::slice::Iter;

use datafusion::common::TableReference;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use crate::error::{Error, Position, Result};

/// The tokens of a statement of our own, read from the left.
pub(super) struct Words<'a> {
    pub(super) tokens: Peekable<Iter<'a, TokenWithSpan>>,
    pub(super) sql: &'a str,
}

impl<'a> Words<'a> {
    /// The tokens of this statement.
    pub(super) fn new(tokens: &'a [TokenWithSpan], sql: &'a str) -> Self {
        Self { tokens: tokens.iter().peekable(), sql }
    }

    /// The next unquoted word in upper case.
    pub(super) fn peek_word(&mut self) -> Option<String> {
        match &self.tokens.peek()?.token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
            _ => None,
        }
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek_word().as_deref() == Some(word);
        if found {
            self.tokens.next();
        }
        found
    }

    pub(super) fn take_token(&mut self, token: &Token) -> bool {
        let found = self.tokens.peek().is_some_and(|next| next.token == *token);
        if found {
            self.tokens.next();
        }
        found
    }

    /// The statement from the next token on.
    pub(super) fn rest(&mut self) -> Result<&'a str> {
        match self.tokens.peek() {
            Some(token) => Ok(from_location(self.sql, token.span.start)),
            None => Err(self.unexpected("a query")),
        }
    }

    pub(super) fn unexpected(&mut self, wanted: &str) -> Error {
        match self.tokens.peek() {
            Some(token) => {
                let start = token.span.start;
                Error::user(format!("syntax error: expected {wanted}, found {}", token.token))
                    .at(Some(Position { line: start.line, column: start.column }))
            }
            None => Error::user(format!("syntax error: expected {wanted}, found the end of the statement")),
        }
    }

    /// An identifier: unquoted ones in lower case.
    pub(super) fn ident(&mut self, wanted: &str) -> Result<String> {
        if let Some(TokenWithSpan { token: Token::Word(word), .. }) = self.tokens.peek() {
            self.tokens.next();
            return Ok(match word.quote_style {
                Some(_) => word.value.clone(),
                None => word.value.to_lowercase(),
            });
        }
        Err(self.unexpected(wanted))
    }

    /// One to `most` identifiers with dots between.
    pub(super) fn name(&mut self, wanted: &str, most: usize) -> Result<Vec<String>> {
        let mut parts = vec![self.ident(wanted)?];
        while parts.len() < most && self.take_token(&Token::Period) {
            parts.push(self.ident(wanted)?);
        }
        Ok(parts)
    }

    pub(super) fn table(&mut self) -> Result<TableReference> {
        let mut parts = self.name("a table name", 3)?.into_iter();
        Ok(match (parts.next(), parts.next(), parts.next()) {
            (Some(catalog), Some(schema), Some(table)) => TableReference::full(catalog, schema, table),
            (Some(schema), Some(table), None) => TableReference::partial(schema, table),
            (Some(table), ..) => TableReference::bare(table),
            (None, ..) => return Err(self.unexpected("a table name")),
        })
    }

    /// `LIKE 'pattern'`, if it comes next.
    pub(super) fn like(&mut self) -> Result<Option<String>> {
        if !self.take_word("LIKE") {
            return Ok(None);
        }
        self.text("a pattern in single quotes").map(Some)
    }

    pub(super) fn text(&mut self, wanted: &str) -> Result<String> {
        match self.tokens.peek() {
            Some(TokenWithSpan { token: Token::SingleQuotedString(text), .. }) => {
                self.tokens.next();
                Ok(text.clone())
            }
            _ => Err(self.unexpected(wanted)),
        }
    }

    pub(super) fn from(&mut self) -> bool {
        self.take_word("FROM") || self.take_word("IN")
    }

    pub(super) fn end(mut self) -> Result<()> {
        while self.take_token(&Token::SemiColon) {}
        match self.tokens.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the statement")),
        }
    }
}

/// The text from a location on, which counts lines and characters from 1.
pub(super) fn from_location(sql: &str, location: Location) -> &str {
    let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
    let mut lines = sql.split_inclusive('\n');
    let before: usize = lines.by_ref().take(index(location.line)).map(str::len).sum();
    let line = lines.next().unwrap_or_default();
    let column = line.char_indices().nth(index(location.column)).map_or(line.len(), |(at, _)| at);
    sql.get(before + column..).unwrap_or_default()
}

/// Where a location is in the text, in bytes.
pub(super) fn offset(sql: &str, location: Location) -> usize {
    sql.len() - from_location(sql, location).len()
}

/// The text with blanks in place of these parts, which come one after another. All places in it stay: there are as many
/// characters on as many lines.
pub(super) fn without(sql: &str, parts: &[Range<usize>]) -> String {
    let mut text = sql.to_owned();
    // From the end on: a character may have more bytes than a blank.
    for part in parts.iter().rev() {
        let taken = sql.get(part.clone()).unwrap_or_default();
        let blanks: String = taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        text.replace_range(part.clone(), &blanks);
    }
    text
}
