//! The words behind a command, as psql cuts them.

use crate::cli::shell::variables::Variables;

/// Cuts a line of commands, without its first backslash, where the next command begins: at a backslash behind a space
/// and outside quotes.
pub(crate) fn split(line: &str) -> (&str, Option<&str>) {
    let mut quote = None;
    let mut before = 'x';
    for (at, character) in line.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '\\') if before.is_whitespace() => {
                return (line.get(..at).unwrap_or(line), line.get(at + 1..));
            }
            (None, _) => {}
        }
        before = character;
    }
    (line, None)
}

/// The words of a text. Space separates them; a word in single quotes may hold space, doubled quotes and `\n`, `\t`, `\\`;
/// text in double quotes keeps them; `:name` is a variable's value.
pub(super) fn words(text: &str, variables: &Variables) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = word(rest, variables)?;
        words.push(word);
        rest = after.trim_start();
    }
    Ok(words)
}

/// The first word of a text, and what follows it.
fn word<'a>(text: &'a str, variables: &Variables) -> Result<(String, &'a str), String> {
    let mut word = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            break;
        }
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        rest = match first {
            '\'' => single_quoted(after, &mut word).ok_or("a quote is not closed")?,
            '"' => {
                let end = after.find('"').ok_or("a quote is not closed")? + 1;
                word.push('"');
                word.push_str(after.get(..end).unwrap_or_default());
                after.get(end..).unwrap_or_default()
            }
            ':' => match variables.reference(rest) {
                Some((value, length)) => {
                    word.push_str(&value);
                    rest.get(length..).unwrap_or_default()
                }
                None => {
                    word.push(':');
                    after
                }
            },
            other => {
                word.push(other);
                after
            }
        };
    }
    Ok((word, rest))
}

/// Appends a text whose opening quote is before it. Returns what follows the closing one.
fn single_quoted<'a>(text: &'a str, word: &mut String) -> Option<&'a str> {
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' if characters.next_if(|(_, next)| *next == '\'').is_some() => word.push('\''),
            '\'' => return text.get(at + 1..),
            '\\' => word.push(match characters.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            }),
            other => word.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_as_psql_cuts_them() {
        let mut variables = Variables::default();
        variables.set("x", "it's");
        let words = |text: &str| words(text, &variables).unwrap();
        assert_eq!(words("  a  'b c''d\\n' \"E f\".g "), ["a", "b c'd\n", "\"E f\".g"]);
        assert_eq!(words(":x :'x' :\"x\" :y a:x ''"), ["it's", "'it''s'", "\"it's\"", ":y", "ait's", ""]);
        assert!(super::words("'a", &variables).is_err());
    }

    #[test]
    fn one_line_may_hold_several_commands() {
        assert_eq!(split("x \\timing on"), ("x ", Some("timing on")));
        assert_eq!(split("echo '\\x' a\\b"), ("echo '\\x' a\\b", None));
    }
}
