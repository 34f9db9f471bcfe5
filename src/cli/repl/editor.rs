//! A person at a terminal: line editing, history, completion and colours.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use rustyline::completion::{Completer, Pair};
use rustyline::config::{BellStyle, ColorMode, CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};

use super::complete::Completions;
use super::{highlight, history};
use crate::cli::shell::{History, Input, LineSource, Screen, lex};

/// Candidates that are listed without asking first.
const CANDIDATES_WITHOUT_ASKING: usize = 100;

/// Lines typed at a terminal.
pub(crate) struct TerminalLines {
    editor: Editor<Typing, DefaultHistory>,
    history: Option<PathBuf>,
    inputs: History,
}

impl TerminalLines {
    /// Takes over the terminal. `colour` says whether what is typed is highlighted; what was typed is added to `inputs`.
    pub(crate) fn new(completions: Completions, colour: bool, inputs: History) -> io::Result<Self> {
        let config = Config::builder()
            .max_history_size(history::ENTRIES_MAX)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(into_io)?
            .history_ignore_space(true)
            .auto_add_history(false)
            .completion_type(CompletionType::List)
            .completion_prompt_limit(CANDIDATES_WITHOUT_ASKING)
            .bell_style(BellStyle::None)
            .color_mode(if colour { ColorMode::Enabled } else { ColorMode::Disabled })
            .build();
        let mut editor = Editor::with_config(config).map_err(into_io)?;
        editor.set_helper(Some(Typing { completions, colour }));
        let history = history::file();
        if let Some(file) = &history {
            // A first session has no file yet; one that cannot be read is not worth a word.
            let _ = editor.load_history(file);
        }
        for input in editor.history() {
            inputs.add(input);
        }
        Ok(Self { editor, history, inputs })
    }
}

impl LineSource for TerminalLines {
    fn read(&mut self, prompt: &str, initial: &str) -> io::Result<Input> {
        match self.editor.readline_with_initial(prompt, (initial, "")) {
            Ok(text) => Ok(Input::Text { text, line: None }),
            Err(ReadlineError::Interrupted) => Ok(Input::Interrupted),
            Err(ReadlineError::Eof) => Ok(Input::End),
            Err(error) => Err(into_io(error)),
        }
    }

    fn remember(&mut self, text: &str) {
        if text.len() > history::ENTRY_BYTES_MAX {
            return;
        }
        let added = self.editor.add_history_entry(text.trim_end());
        if let Ok(true) = added {
            self.inputs.add(text.trim_end());
        }
        if let (Ok(true), Some(file)) = (added, &self.history) {
            // Written at once, so that a killed session and one beside this one lose nothing.
            let _ = self.editor.append_history(file);
        }
    }

    fn screen(&mut self) -> Option<Screen> {
        let (columns, rows) = self.editor.dimensions()?;
        Some(Screen { width: usize::from(columns), height: usize::from(rows) }).filter(|screen| screen.width > 0)
    }
}

fn into_io(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

/// What helps a person while they type.
struct Typing {
    completions: Completions,
    colour: bool,
}

impl Helper for Typing {}

impl Hinter for Typing {
    type Hint = String;
}

impl Validator for Typing {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        let leaves = matches!(lex::only_word(text).as_deref(), Some("quit" | "exit" | "help"));
        Ok(if leaves || lex::is_complete(text) { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Highlighter for Typing {
    fn highlight<'l>(&self, line: &'l str, _pos: usize) -> Cow<'l, str> {
        if self.colour { Cow::Owned(highlight::highlight(line)) } else { Cow::Borrowed(line) }
    }

    fn highlight_char(&self, _line: &str, _pos: usize, kind: CmdKind) -> bool {
        self.colour && kind != CmdKind::MoveCursor
    }
}

impl Completer for Typing {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, candidates) = self.completions.complete(line, pos);
        let pairs = candidates.into_iter().map(|text| Pair { display: text.clone(), replacement: text }).collect();
        Ok((start, pairs))
    }
}
