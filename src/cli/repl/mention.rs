//! Where the cursor is in a statement, and which tables the statement speaks of.

use crate::cli::shell::lex::{Kind, Token, tokens};
use crate::cli::shell::words;

/// What can stand at the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing that can be completed: a string, a comment, a number.
    Nothing,
    /// The name of a table.
    Table,
    /// A column, a function or a keyword.
    Expression,
    /// A setting of the session.
    Setting,
}

/// A table that a statement reads, as it is written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mention {
    /// The parts of its name, without quotes, unquoted ones in lower case.
    pub(super) path: Vec<String>,
    pub(super) alias: Option<String>,
}

/// The cursor in its statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Where the unfinished name starts, in bytes.
    pub(super) start: usize,
    /// What is typed of it, without its quote.
    pub(super) partial: String,
    /// Names before it, with dots between.
    pub(super) path: Vec<String>,
    pub(super) place: Place,
    pub(super) mentions: Vec<Mention>,
}

/// Looks at a text around a position in bytes.
pub(super) fn cursor(text: &str, at: usize) -> Cursor {
    let statement = statement_around(text, at);
    let before: Vec<Token<'_>> = statement.iter().copied().filter(|token| token.start < at).collect();
    let mentions = mentions(&statement);
    let (mut index, start, partial) = match before.last() {
        Some(last) if last.end() >= at && is_name(last) => {
            let typed = text.get(last.start..at).unwrap_or_default();
            (before.len() - 1, last.start, typed.trim_start_matches(['"', '`']).to_owned())
        }
        Some(last) if last.end() >= at && matches!(last.kind, Kind::Text | Kind::Comment | Kind::Number) => {
            return Cursor { start: at, partial: String::new(), path: Vec::new(), place: Place::Nothing, mentions };
        }
        _ => (before.len(), at, String::new()),
    };
    // Names and dots directly before.
    let mut path = Vec::new();
    let mut next_start = start;
    while let Some([name, dot]) = index.checked_sub(2).and_then(|from| before.get(from..index)) {
        if dot.text != "." || dot.end() != next_start || !is_name(name) || name.end() != dot.start {
            break;
        }
        path.insert(0, plain(name));
        next_start = name.start;
        index -= 2;
    }
    let place = place(before.get(..index).unwrap_or_default());
    Cursor { start, partial, path, place, mentions }
}

/// The tokens of the statement that holds a position.
fn statement_around(text: &str, at: usize) -> Vec<Token<'_>> {
    let mut statement = Vec::new();
    for token in tokens(text) {
        if token.kind == Kind::Semicolon {
            if token.start >= at {
                break;
            }
            statement.clear();
        } else {
            statement.push(token);
        }
    }
    statement
}

/// What stands behind these tokens.
fn place(before: &[Token<'_>]) -> Place {
    let mut words = before.iter().rev().filter(|token| !matches!(token.kind, Kind::Space | Kind::Comment));
    let Some(last) = words.next() else { return Place::Expression };
    let names_table = |word: &str| {
        ["FROM", "JOIN", "INTO", "TABLE", "DESCRIBE", "DESC", "USE"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(word))
    };
    let is = |token: &Token<'_>, known: &[&str]| known.iter().any(|word| word.eq_ignore_ascii_case(token.text));
    match last.kind {
        Kind::Word if is(last, &["SET", "RESET"]) => Place::Setting,
        Kind::Word if is(last, &["SESSION"]) && words.next().is_some_and(|word| is(word, &["SET", "RESET"])) => {
            Place::Setting
        }
        Kind::Word if names_table(last.text) => Place::Table,
        Kind::Word if is(last, &["EXISTS"]) && words.next().is_some_and(|word| is(word, &["IF"])) => Place::Table,
        // SHOW TABLES IN place, and IN elsewhere.
        Kind::Word if last.text.eq_ignore_ascii_case("IN") => {
            let shows = before.iter().find(|token| token.kind == Kind::Word);
            if shows.is_some_and(|word| word.text.eq_ignore_ascii_case("SHOW")) {
                Place::Table
            } else {
                Place::Expression
            }
        }
        // A comma goes on with what the last clause lists.
        Kind::Symbol if last.text == "," => {
            let clause =
                words.find(|token| token.kind == Kind::Word && words::is_reserved(token.text) && !is_within(token));
            match clause {
                Some(word) if word.text.eq_ignore_ascii_case("FROM") => Place::Table,
                _ => Place::Expression,
            }
        }
        _ => Place::Expression,
    }
}

/// Words that stand within a list rather than begin a clause.
fn is_within(token: &Token<'_>) -> bool {
    ["AS", "ASC", "DESC", "AND", "OR", "NOT", "NULL"].iter().any(|word| word.eq_ignore_ascii_case(token.text))
}

/// The tables behind FROM, JOIN and INTO.
fn mentions(statement: &[Token<'_>]) -> Vec<Mention> {
    let tokens: Vec<&Token<'_>> =
        statement.iter().filter(|token| !matches!(token.kind, Kind::Space | Kind::Comment)).collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        if token.kind != Kind::Word
            || !["FROM", "JOIN", "INTO"].iter().any(|word| word.eq_ignore_ascii_case(token.text))
        {
            continue;
        }
        while let Some((mention, next)) = mention(&tokens, at) {
            found.push(mention);
            at = next;
            if tokens.get(at).is_none_or(|token| token.text != ",") {
                break;
            }
            at += 1;
        }
    }
    found
}

/// A table's name and alias from an index on, and the index behind them.
fn mention(tokens: &[&Token<'_>], mut at: usize) -> Option<(Mention, usize)> {
    let named = |at: usize| tokens.get(at).filter(|token| is_name(token) && !is_reserved(token));
    let mut path = vec![plain(named(at)?)];
    at += 1;
    while tokens.get(at).is_some_and(|token| token.text == ".") {
        let Some(part) = tokens.get(at + 1).filter(|token| is_name(token)) else { break };
        path.push(plain(part));
        at += 2;
    }
    if tokens.get(at).is_some_and(|token| token.text.eq_ignore_ascii_case("AS")) {
        at += 1;
    }
    let alias = named(at).map(|token| plain(token));
    at += usize::from(alias.is_some());
    Some((Mention { path, alias }, at))
}

fn is_name(token: &Token<'_>) -> bool {
    matches!(token.kind, Kind::Word | Kind::Quoted)
}

fn is_reserved(token: &Token<'_>) -> bool {
    token.kind == Kind::Word && words::is_reserved(token.text)
}

/// The name that a token means.
fn plain(token: &Token<'_>) -> String {
    match token.kind {
        Kind::Quoted => {
            let quote = token.text.chars().next().unwrap_or('"');
            let inner = token.text.strip_prefix(quote).unwrap_or(token.text);
            let inner = if token.open { inner } else { inner.strip_suffix(quote).unwrap_or(inner) };
            inner.replace(&format!("{quote}{quote}"), &quote.to_string())
        }
        _ => token.text.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cursor is where the bar is.
    fn at(text: &str) -> Cursor {
        let position = text.find('|').unwrap();
        cursor(&text.replace('|', ""), position)
    }

    fn mention(path: &[&str], alias: Option<&str>) -> Mention {
        Mention { path: path.iter().map(|part| (*part).to_owned()).collect(), alias: alias.map(str::to_owned) }
    }

    #[test]
    fn the_unfinished_name_and_what_is_before_it() {
        let cursor = at("select * from pg.\"My Schema\".cus|");
        assert_eq!(cursor.partial, "cus");
        assert_eq!(cursor.path, ["pg", "My Schema"]);
        assert_eq!(cursor.place, Place::Table);
        assert_eq!(at("select * from pg.|").path, ["pg"]);
        assert_eq!(at("select \"Na|").partial, "Na");
        assert_eq!(at("select a|bc from t").partial, "a");
    }

    #[test]
    fn places() {
        for (text, expected) in [
            ("|", Place::Expression),
            ("sel|", Place::Expression),
            ("select a, |", Place::Expression),
            ("select a from |", Place::Table),
            ("select a from t, |", Place::Table),
            ("select a from t as x, |", Place::Table),
            ("select a from t where b = 1 group by c, |", Place::Expression),
            ("select a from t join |", Place::Table),
            ("select a from t where x in (|", Place::Expression),
            ("insert into |", Place::Table),
            ("insert into t (|", Place::Expression),
            ("drop table if exists |", Place::Table),
            ("show tables in |", Place::Table),
            ("use |", Place::Table),
            ("set session |", Place::Setting),
            ("reset |", Place::Setting),
            ("set session x = |", Place::Expression),
            ("select 'from |", Place::Nothing),
            ("select 1; select a from |", Place::Table),
            ("-- from |", Place::Nothing),
        ] {
            assert_eq!(at(text).place, expected, "{text}");
        }
    }

    #[test]
    fn tables_of_the_statement_also_behind_the_cursor() {
        let cursor =
            at("select | from pg.public.customer c join \"Orders\" as o on true, events e where x; select 1 from no");
        assert_eq!(
            cursor.mentions,
            [mention(&["pg", "public", "customer"], Some("c")), mention(&["Orders"], Some("o")),]
        );
        assert_eq!(at("insert into a.b.t (|").mentions, [mention(&["a", "b", "t"], None)]);
        let cursor = at("select | from a, b.c x, d where");
        assert_eq!(cursor.mentions, [mention(&["a"], None), mention(&["b", "c"], Some("x")), mention(&["d"], None)]);
    }
}
