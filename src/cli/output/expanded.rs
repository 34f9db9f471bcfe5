//! A row as a list of its values, as psql's expanded display draws it.

use super::Look;
use super::screen::{pad, truncated, width};
use super::table::{Cell, Heading};

/// Columns that a record's title takes at most where the screen says nothing.
const TITLE_WIDTH_MAX: usize = 200;

/// One record: a line with its number, and a line for each value. `values` is how wide the values are, as far as that is
/// known.
pub(super) fn record(number: u64, headings: &[Heading], row: &[Cell], values: usize, look: &Look) -> String {
    let names = headings.iter().map(|heading| width(&heading.name)).max().unwrap_or(0);
    let mut text = match look.tuples_only {
        true if number == 1 => String::new(),
        true => "\n".to_owned(),
        false => title(number, names, values, look.width.unwrap_or(TITLE_WIDTH_MAX)),
    };
    for (heading, cell) in headings.iter().zip(row) {
        let mut name = heading.name.as_str();
        let mut lines = cell.text.split('\n').peekable();
        while let Some(part) = lines.next() {
            let mut line = String::from(name);
            pad(names.saturating_sub(width(name)), &mut line);
            line.push_str(" | ");
            cell.push_line(part, look.colour, &mut line);
            if lines.peek().is_some() {
                pad(values.saturating_sub(width(part)), &mut line);
                line.push('+');
            }
            text.push_str(line.trim_end());
            text.push('\n');
            name = "";
        }
    }
    text
}

/// `-[ RECORD 1 ]-+------`, as wide as the record but no wider than the screen.
fn title(number: u64, names: usize, values: usize, screen: usize) -> String {
    let label = format!("-[ RECORD {number} ]-");
    let mut rule = "-".repeat(names + 1);
    rule.push('+');
    rule.extend(std::iter::repeat_n('-', values + 1));
    let rule = truncated(&rule, screen.max(1));
    let rest = rule.get(label.len()..).unwrap_or_default();
    format!("{label}{rest}\n")
}
