//! Where input comes from: a person at a terminal, a file, a pipe, a test.

use std::io::{self, BufRead};

use super::{Screen, lex};

/// The longest input that is read before something ends it, in bytes.
const INPUT_BYTES_MAX: usize = 16 << 20;

/// What a source of input gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Something to act on: statements, commands, or what was left at the end.
    Text {
        text: String,
        /// The line of the file on which it begins, counted from 1; `None` for a person.
        line: Option<u64>,
    },
    /// The person wants to start the line again.
    Interrupted,
    /// There is no more.
    End,
}

/// A source of input.
pub(crate) trait LineSource {
    /// Waits for the next input. `initial` is what is already typed of it.
    fn read(&mut self, prompt: &str, initial: &str) -> io::Result<Input>;

    /// Keeps an input for the person's history.
    fn remember(&mut self, _text: &str) {}

    /// The size of the screen, when there is one.
    fn screen(&mut self) -> Option<Screen> {
        None
    }
}

/// Reads statements from a file or a pipe, each as soon as it is complete.
#[derive(Debug)]
pub(crate) struct ScriptLines<R> {
    reader: R,
    /// The line that is read next, counted from 1.
    next_line: u64,
}

impl<R: BufRead> ScriptLines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, next_line: 1 }
    }
}

impl<R: BufRead> LineSource for ScriptLines<R> {
    fn read(&mut self, _prompt: &str, initial: &str) -> io::Result<Input> {
        let mut text = initial.to_owned();
        let mut line = self.next_line;
        loop {
            let before = text.len();
            if self.reader.read_line(&mut text)? == 0 {
                return Ok(if text.len() == initial.len() {
                    Input::End
                } else {
                    Input::Text { text, line: Some(line) }
                });
            }
            self.next_line += 1;
            if text.len() > INPUT_BYTES_MAX {
                let limit = INPUT_BYTES_MAX >> 20;
                return Err(io::Error::other(format!("no statement ends within {limit} MiB from line {line}")));
            }
            let added = text.get(before..).unwrap_or_default();
            // Looking at the whole text again after every line would take quadratic time.
            if (added.contains([';', '\\']) || before == 0) && lex::is_complete(&text) {
                if lex::is_blank(&text) {
                    text.clear();
                    line = self.next_line;
                    continue;
                }
                return Ok(Input::Text { text, line: Some(line) });
            }
        }
    }
}

/// Gives texts that are there already.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Scripted {
    inputs: std::collections::VecDeque<Input>,
    pub(crate) prompts: Vec<String>,
    pub(crate) remembered: Vec<String>,
}

#[cfg(test)]
impl Scripted {
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let inputs = texts
            .into_iter()
            .map(|text| match text {
                "^C" => Input::Interrupted,
                text => Input::Text { text: text.to_owned(), line: None },
            })
            .collect();
        Self { inputs, prompts: Vec::new(), remembered: Vec::new() }
    }
}

#[cfg(test)]
impl LineSource for Scripted {
    fn read(&mut self, prompt: &str, initial: &str) -> io::Result<Input> {
        self.prompts.push(prompt.to_owned());
        Ok(match self.inputs.pop_front() {
            Some(Input::Text { text, line }) => Input::Text { text: format!("{initial}{text}"), line },
            Some(other) => other,
            None => Input::End,
        })
    }

    fn remember(&mut self, text: &str) {
        self.remembered.push(text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, u64)> {
        let mut lines = ScriptLines::new(text.as_bytes());
        let mut inputs = Vec::new();
        while let Input::Text { text, line } = lines.read("", "").unwrap() {
            inputs.push((text, line.unwrap()));
        }
        inputs
    }

    #[test]
    fn a_script_gives_each_statement_with_its_line() {
        let inputs = read("-- a comment\n\nselect 1;\nselect\n ';'\n;\n\\x\nselect 3");
        let expected = [("select 1;\n", 3), ("select\n ';'\n;\n", 4), ("\\x\n", 7), ("select 3", 8)]
            .map(|(sql, line)| (sql.to_owned(), line));
        assert_eq!(inputs, expected);
    }

    #[test]
    fn several_statements_on_a_line_come_together() {
        assert_eq!(read("select 1; select 2;\n"), [("select 1; select 2;\n".to_owned(), 1)]);
    }

    #[test]
    fn a_script_that_never_ends_a_statement_is_an_error() {
        let text = "select 'x\n".repeat(2 << 20);
        assert!(ScriptLines::new(text.as_bytes()).read("", "").is_err());
    }
}
