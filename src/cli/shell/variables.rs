//! Variables, and where statements and commands name them.

use std::collections::BTreeMap;

use super::lex::{Kind, tokens};
use super::pattern::quoted;
use crate::cli::client::literal;

/// The variable that says whether a script stops at the first failure.
pub(crate) const ON_ERROR_STOP: &str = "ON_ERROR_STOP";

/// Variables that the session sets as statements end.
pub(crate) const ERROR: &str = "ERROR";
pub(crate) const LAST_ERROR_MESSAGE: &str = "LAST_ERROR_MESSAGE";
pub(crate) const QUERY_ID: &str = "QUERY_ID";
pub(crate) const ROW_COUNT: &str = "ROW_COUNT";

/// The variables that mean something, for the reference.
pub(crate) const SPECIAL: &[(&str, &str)] = &[
    (ON_ERROR_STOP, "`0` or `off`: a script goes on after a failure"),
    (ERROR, "set by the session: whether the last statement failed, `true` or `false`"),
    (LAST_ERROR_MESSAGE, "set by the session: the last failure's message"),
    (QUERY_ID, "set by the session: the id of the last query"),
    (ROW_COUNT, "set by the session: the rows that the last statement returned"),
];

/// The values of variables by their names, which are case-sensitive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Forgets a variable. Returns whether there was one.
    pub(crate) fn unset(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a script goes on after a failure.
    pub(crate) fn keeps_going(&self) -> bool {
        self.get(ON_ERROR_STOP).is_some_and(|value| matches!(value.to_lowercase().as_str(), "0" | "off" | "false"))
    }

    /// The value that a text names in front, and the length of the name in bytes: `:name` is the value as it is,
    /// `:'name'` a literal, `:"name"` an identifier. `None` where there is no such variable.
    pub(crate) fn reference(&self, text: &str) -> Option<(String, usize)> {
        let rest = text.strip_prefix(':')?;
        let quote = rest.chars().next().filter(|first| matches!(first, '\'' | '"'));
        let name = rest.get(quote.map_or(0, char::len_utf8)..)?;
        let length = name.find(|character| !is_name_part(character)).unwrap_or(name.len());
        let (name, after) = name.split_at_checked(length)?;
        if let Some(quote) = quote
            && !after.starts_with(quote)
        {
            return None;
        }
        let value = self.get(name)?;
        Some(match quote {
            Some('\'') => (literal(value), length + 3),
            Some(_) => (quoted(value), length + 3),
            None => (value.to_owned(), length + 1),
        })
    }

    /// A statement with the values of the variables that it names outside strings, quoted names and comments.
    pub(crate) fn interpolated(&self, sql: &str) -> String {
        let mut out = String::with_capacity(sql.len());
        let mut at = 0;
        let mut after_colon = false;
        for token in tokens(sql) {
            // What belongs to a name that was replaced.
            if token.end() <= at {
                continue;
            }
            let is_colon = token.text == ":" && token.kind == Kind::Symbol;
            // `a::date` is a cast.
            if is_colon
                && !after_colon
                && let Some((value, length)) = self.reference(sql.get(token.start..).unwrap_or_default())
            {
                out.push_str(&value);
                at = token.start + length;
                continue;
            }
            after_colon = is_colon;
            out.push_str(sql.get(token.start.max(at)..token.end()).unwrap_or_default());
            at = token.end();
        }
        out
    }
}

/// Whether a variable can have the name.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_name_part)
}

fn is_name_part(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_place_of_names() {
        let mut variables = Variables::default();
        variables.set("n", "7");
        variables.set("who", "O'Brien");
        variables.set("all", "SELECT 1; SELECT 2");
        for (sql, expected) in [
            ("SELECT :n + 1", "SELECT 7 + 1"),
            ("SELECT :'who', :\"who\"", "SELECT 'O''Brien', \"O'Brien\""),
            ("SELECT ':n', \":n\" -- :n\n", "SELECT ':n', \":n\" -- :n\n"),
            ("SELECT '1'::n, :nothing, :'nothing'", "SELECT '1'::n, :nothing, :'nothing'"),
            (":all;", "SELECT 1; SELECT 2;"),
            ("SELECT x[1:n]", "SELECT x[17]"),
            ("", ""),
        ] {
            assert_eq!(variables.interpolated(sql), expected, "{sql}");
        }
    }

    #[test]
    fn scripts_stop_unless_they_are_told_not_to() {
        let mut variables = Variables::default();
        assert!(!variables.keeps_going());
        for (value, keeps_going) in [("0", true), ("off", true), ("1", false), ("on", false)] {
            variables.set(ON_ERROR_STOP, value);
            assert_eq!(variables.keeps_going(), keeps_going, "{value}");
        }
    }
}
