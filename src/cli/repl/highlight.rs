//! Colours for what is typed.

use crate::cli::shell::lex::{Kind, tokens};
use crate::cli::shell::words;

const KEYWORD: &str = "\u{1b}[1m";
const TEXT: &str = "\u{1b}[32m";
const NUMBER: &str = "\u{1b}[36m";
const COMMENT: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// The text with keywords, strings, numbers and comments coloured. It takes as many columns as before.
pub(super) fn highlight(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for token in tokens(text) {
        let colour = match token.kind {
            Kind::Word if words::is_highlighted(token.text) => KEYWORD,
            Kind::Text => TEXT,
            Kind::Number => NUMBER,
            Kind::Comment => COMMENT,
            // The rest of the line is a command and not SQL.
            Kind::Backslash => {
                out.push_str(text.get(token.start..).unwrap_or_default());
                return out;
            }
            _ => {
                out.push_str(token.text);
                continue;
            }
        };
        out.push_str(colour);
        out.push_str(token.text);
        out.push_str(PLAIN);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colours_are_added() {
        let text = "SELECT name, 'it''s', 1.5 -- why\nFROM t \\x";
        let coloured = highlight(text);
        assert!(coloured.starts_with("\u{1b}[1mSELECT\u{1b}[0m name, \u{1b}[32m'it''s'\u{1b}[0m, \u{1b}[36m1.5"));
        let mut plain = coloured;
        for code in [KEYWORD, TEXT, NUMBER, COMMENT, PLAIN] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, text);
    }
}
