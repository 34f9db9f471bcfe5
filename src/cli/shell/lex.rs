//! SQL text in pieces, also while it is being typed.
//!
//! A lexer that never fails: what is not closed yet is a token that is open. Cutting statements at semicolons, finding
//! backslash commands, highlighting and completion all read the same tokens.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Space,
    Comment,
    /// A keyword or an unquoted name.
    Word,
    /// A name in quotes.
    Quoted,
    /// A string.
    Text,
    Number,
    Semicolon,
    Backslash,
    /// Any other character.
    Symbol,
}

/// One token of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    /// Where it starts, in bytes.
    pub(crate) start: usize,
    /// Whether the text ended before the token did.
    pub(crate) open: bool,
}

impl Token<'_> {
    /// Where it ends, in bytes.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    fn is_blank(&self) -> bool {
        matches!(self.kind, Kind::Space | Kind::Comment)
    }
}

/// The tokens of a text.
pub(crate) fn tokens(text: &str) -> Tokens<'_> {
    Tokens { text, at: 0 }
}

/// See [`tokens`].
#[derive(Clone, Debug)]
pub(crate) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.text.get(self.at..)?;
        let first = rest.chars().next()?;
        let (kind, length) = scan(rest, first);
        let start = self.at;
        let closed = length.unwrap_or(rest.len());
        self.at += closed;
        Some(Token { kind, text: rest.get(..closed).unwrap_or(rest), start, open: length.is_none() })
    }
}

/// The first token's kind and its length in bytes; no length when the text ends inside it.
fn scan(rest: &str, first: char) -> (Kind, Option<usize>) {
    match first {
        ';' => (Kind::Semicolon, Some(1)),
        '\\' => (Kind::Backslash, Some(1)),
        '\'' => (Kind::Text, quoted(rest, '\'', 1, false)),
        '"' | '`' => (Kind::Quoted, quoted(rest, first, 1, false)),
        'e' | 'E' if rest.get(1..).is_some_and(|rest| rest.starts_with('\'')) => {
            (Kind::Text, quoted(rest, '\'', 2, true))
        }
        '-' if rest.starts_with("--") => (Kind::Comment, Some(rest.find('\n').unwrap_or(rest.len()))),
        '/' if rest.starts_with("/*") => (Kind::Comment, block_comment(rest)),
        '$' => match dollar_tag(rest) {
            Some(tag) => {
                let body = rest.get(tag.len()..).unwrap_or_default();
                (Kind::Text, body.find(tag).map(|at| at + 2 * tag.len()))
            }
            None => (Kind::Symbol, Some(1)),
        },
        digit if digit.is_ascii_digit() => (Kind::Number, Some(number(rest))),
        letter if is_word_start(letter) => (Kind::Word, Some(while_true(rest, is_word_part))),
        space if space.is_whitespace() => (Kind::Space, Some(while_true(rest, char::is_whitespace))),
        other => (Kind::Symbol, Some(other.len_utf8())),
    }
}

/// The length of a text in quotes, which a doubled quote does not end, nor, if asked, one behind a backslash.
fn quoted(rest: &str, quote: char, from: usize, backslash: bool) -> Option<usize> {
    let mut characters = rest.char_indices().skip_while(|(at, _)| *at < from).peekable();
    while let Some((at, character)) = characters.next() {
        if backslash && character == '\\' {
            characters.next();
        } else if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return Some(at + quote.len_utf8());
        }
    }
    None
}

/// The length of a comment in which others may nest.
fn block_comment(rest: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        let ahead = rest.get(at..)?;
        if ahead.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if ahead.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += ahead.chars().next()?.len_utf8();
        }
    }
}

/// `$$` or `$tag$` at the beginning of a text.
fn dollar_tag(rest: &str) -> Option<&str> {
    let name = while_true(rest.get(1..)?, |character| character.is_alphanumeric() || character == '_');
    let tag = rest.get(..name + 2)?;
    (tag.ends_with('$') && !tag.get(1..2)?.starts_with(|first: char| first.is_ascii_digit())).then_some(tag)
}

fn number(rest: &str) -> usize {
    let mut length = while_true(rest, |character| character.is_ascii_digit() || character == '.');
    let mut exponent = rest.get(length..).unwrap_or_default().chars();
    if matches!(exponent.next(), Some('e' | 'E')) {
        let signed = usize::from(matches!(exponent.clone().next(), Some('+' | '-')));
        let digits = while_true(rest.get(length + 1 + signed..).unwrap_or_default(), |digit| digit.is_ascii_digit());
        if digits > 0 {
            length += 1 + signed + digits;
        }
    }
    length
}

fn while_true(text: &str, wanted: impl Fn(char) -> bool) -> usize {
    text.find(|character| !wanted(character)).unwrap_or(text.len())
}

fn is_word_start(character: char) -> bool {
    character.is_alphabetic() || matches!(character, '_' | '#' | '@')
}

fn is_word_part(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '#' | '@' | '$')
}

/// The beginning of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A statement, without the semicolon that ended it.
    Statement(&'a str),
    /// A backslash command to the end of its line, without the backslash, and the SQL in front of it.
    Command { before: &'a str, line: &'a str },
    /// What nothing ended.
    Rest(&'a str),
}

/// Cuts the first piece from a text. Returns it and what follows.
pub(crate) fn first_piece(text: &str) -> (Piece<'_>, &str) {
    for token in tokens(text) {
        let before = text.get(..token.start).unwrap_or_default();
        let after = text.get(token.end()..).unwrap_or_default();
        match token.kind {
            Kind::Semicolon => return (Piece::Statement(before.trim()), after),
            Kind::Backslash => {
                let (line, rest) = after.split_once('\n').unwrap_or((after, ""));
                return (Piece::Command { before, line: line.trim() }, rest);
            }
            _ => {}
        }
    }
    (Piece::Rest(text), "")
}

/// Whether a text holds only space and whole comments.
pub(crate) fn is_blank(text: &str) -> bool {
    tokens(text).all(|token| token.is_blank() && !token.open)
}

/// Whether a text can be acted on: its last statement is ended, or it ends in a command.
pub(crate) fn is_complete(text: &str) -> bool {
    let mut rest = text;
    loop {
        let (piece, after) = first_piece(rest);
        match piece {
            Piece::Statement(_) => rest = after,
            // What is before the command stays with the person who types.
            Piece::Command { .. } if is_blank(after) => return true,
            Piece::Command { .. } => rest = after,
            Piece::Rest(rest) => return is_blank(rest),
        }
    }
}

/// The first words of a statement in upper case.
pub(crate) fn first_words<const N: usize>(sql: &str) -> [String; N] {
    let mut words = tokens(sql).filter(|token| !token.is_blank()).take_while(|token| token.kind == Kind::Word);
    std::array::from_fn(|_| words.next().map(|token| token.text.to_uppercase()).unwrap_or_default())
}

/// Where the first token starts that is neither space nor comment, in bytes.
pub(crate) fn start_of_statement(sql: &str) -> usize {
    tokens(sql).find(|token| !token.is_blank()).map_or(sql.len(), |token| token.start)
}

/// The word, in lower case, of which a text consists but for semicolons.
pub(crate) fn only_word(text: &str) -> Option<String> {
    let mut tokens = tokens(text).filter(|token| !token.is_blank() && token.kind != Kind::Semicolon);
    match (tokens.next(), tokens.next()) {
        (Some(token), None) if token.kind == Kind::Word => Some(token.text.to_lowercase()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Script;
    use proptest::prelude::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        tokens(text).filter(|token| token.kind != Kind::Space).map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn tokens_of_sql() {
        assert_eq!(
            kinds("select 'it''s', \"a\"\"b\", 1.5e-3 -- end\nfrom t;"),
            [
                (Kind::Word, "select"),
                (Kind::Text, "'it''s'"),
                (Kind::Symbol, ","),
                (Kind::Quoted, "\"a\"\"b\""),
                (Kind::Symbol, ","),
                (Kind::Number, "1.5e-3"),
                (Kind::Comment, "-- end"),
                (Kind::Word, "from"),
                (Kind::Word, "t"),
                (Kind::Semicolon, ";"),
            ]
        );
        assert_eq!(
            kinds("$$a;b$$ $x$;$$;$x$ $1"),
            [(Kind::Text, "$$a;b$$"), (Kind::Text, "$x$;$$;$x$"), (Kind::Symbol, "$"), (Kind::Number, "1")]
        );
        assert_eq!(
            kinds("E'a\\'b' /* x /* y */ ; */ 漢字"),
            [(Kind::Text, "E'a\\'b'"), (Kind::Comment, "/* x /* y */ ; */"), (Kind::Word, "漢字")]
        );
    }

    #[test]
    fn what_is_not_closed_is_open() {
        for text in ["'a", "\"a", "/* a", "$$ a", "E'a\\'"] {
            assert!(tokens(text).last().unwrap().open, "{text}");
        }
        assert!(!tokens("-- a").last().unwrap().open);
    }

    #[test]
    fn pieces() {
        assert_eq!(first_piece("select ';' ; rest"), (Piece::Statement("select ';'"), " rest"));
        assert_eq!(first_piece("\\d t\nnext"), (Piece::Command { before: "", line: "d t" }, "next"));
        assert_eq!(first_piece("select 1 \\gx"), (Piece::Command { before: "select 1 ", line: "gx" }, ""));
        assert_eq!(first_piece("select '\\d'"), (Piece::Rest("select '\\d'"), ""));
    }

    #[test]
    fn an_input_is_complete_at_a_semicolon_or_a_command() {
        for complete in
            ["", "  ", "-- only a comment", "select 1;", "select 1; -- done", "\\dt", "select 1\n\\r", "\\x\n\n"]
        {
            assert!(is_complete(complete), "{complete:?}");
        }
        for open in ["select 1", "select ';", "select 1; select", "/* ", "select 1; /*", "\\x\nselect", "select $$;$$"]
        {
            assert!(!is_complete(open), "{open:?}");
        }
    }

    #[test]
    fn statements_are_cut_where_the_parser_cuts_them() {
        let texts = [
            "select 1; select 2",
            "select ';', \"a;b\" -- ; no\n/* ; */;",
            "select 'it''s;'; select e'a\\';b'; select 3;",
            "select $$;$$; select $a$;$a$;",
            "select 'é;'\n , 'ü' ; select `a;b`;",
        ];
        for text in texts {
            assert_eq!(cut(text), Script::split(text).iter().map(|part| part.sql).collect::<Vec<_>>(), "{text}");
        }
    }

    fn cut(text: &str) -> Vec<&str> {
        let mut statements = Vec::new();
        let mut rest = text;
        loop {
            let (piece, after) = first_piece(rest);
            match piece {
                Piece::Statement(sql) if is_blank(sql) => rest = after,
                Piece::Statement(sql) => {
                    statements.push(sql);
                    rest = after;
                }
                Piece::Command { .. } => return statements,
                Piece::Rest(sql) => {
                    if !is_blank(sql) {
                        statements.push(sql.trim());
                    }
                    return statements;
                }
            }
        }
    }

    proptest! {
        #[test]
        fn tokens_cover_every_text(text in "[a-zE0-9'\"`;$ /*\\\\\\n.é-]{0,40}") {
            let mut at = 0;
            for token in tokens(&text) {
                prop_assert_eq!(token.start, at);
                prop_assert!(!token.text.is_empty());
                at = token.end();
            }
            prop_assert_eq!(at, text.len());
            is_complete(&text);
        }
    }
}
