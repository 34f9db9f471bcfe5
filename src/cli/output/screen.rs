//! Values as a screen shows them: how wide they are, and what could harm the screen made visible.

use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Distance between tab stops, in columns.
const TAB: usize = 8;

/// The text with control characters made visible, so that a value cannot move the cursor or change colours. Line feeds
/// stay: they begin a new line within the cell.
pub(super) fn visible(text: &str) -> String {
    if !text.chars().any(|character| character != '\n' && is_unsafe(character)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut column = 0;
    for character in text.chars() {
        let before = out.len();
        match character {
            '\n' => {
                out.push('\n');
                column = 0;
                continue;
            }
            '\t' => out.extend(std::iter::repeat_n(' ', TAB - column % TAB)),
            '\r' => out.push_str("\\r"),
            control if is_unsafe(control) && u32::from(control) < 0x100 => {
                let _ = write!(out, "\\x{:02X}", u32::from(control));
            }
            control if is_unsafe(control) => {
                let _ = write!(out, "\\u{:04X}", u32::from(control));
            }
            other => out.push(other),
        }
        column += width(out.get(before..).unwrap_or_default());
    }
    out
}

/// The text on one line: what `visible` does, and line feeds as `\n`.
pub(super) fn visible_line(text: &str) -> String {
    visible(text).replace('\n', "\\n")
}

/// Controls, and the marks that change the direction in which a line is written.
fn is_unsafe(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Columns that a line of text takes.
pub(super) fn width(line: &str) -> usize {
    if line.is_ascii() { line.len() } else { line.width() }
}

/// Columns that a line takes on the screen, whose only escape sequences are colours.
pub(crate) fn screen_width(line: &str) -> usize {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().map_or(0, width);
    first + parts.map(|part| part.split_once('m').map_or(0, |(_, text)| width(text))).sum::<usize>()
}

/// Columns that the widest line of a text takes.
pub(super) fn widest(text: &str) -> usize {
    text.split('\n').map(width).max().unwrap_or(0)
}

/// Appends spaces.
pub(super) fn pad(count: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', count));
}

/// The beginning of a line that takes at most `columns` columns.
pub(crate) fn truncated(line: &str, columns: usize) -> &str {
    let mut taken = 0;
    for (at, character) in line.char_indices() {
        taken += character.width().unwrap_or(0);
        if taken > columns {
            return line.get(..at).unwrap_or(line);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_a_terminal() {
        // East Asian Width: wide characters take two columns; combining marks take none.
        for (text, expected) in [("abc", 3), ("漢字", 4), ("e\u{301}", 1), ("é", 1), ("🚢", 2), ("", 0), ("a\nbcd", 3)]
        {
            assert_eq!(widest(text), expected, "{text}");
        }
    }

    #[test]
    fn nothing_reaches_the_terminal_that_could_control_it() {
        assert_eq!(visible("a\u{1b}[31mb"), "a\\x1B[31mb");
        assert_eq!(visible("a\r\nb"), "a\\r\nb");
        assert_eq!(visible("\u{9b}x\u{202e}y"), "\\x9Bx\\u202Ey");
        assert_eq!(visible("a\tb\n\tc"), "a       b\n        c");
        assert_eq!(visible_line("a\nb"), "a\\nb");
    }

    #[test]
    fn truncation_never_cuts_a_character() {
        assert_eq!(truncated("漢字", 3), "漢");
        assert_eq!(truncated("abc", 3), "abc");
        assert_eq!(truncated("abc", 2), "ab");
    }
}
