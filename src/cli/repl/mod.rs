//! The interactive session.

mod complete;
mod editor;
mod highlight;
mod history;
mod mention;
mod names;

pub(crate) use complete::Completions;
pub(crate) use editor::TerminalLines;

use super::shell::{Input, LineSource, Shell, Stop, lex};

/// Reads and runs what a person types, until they leave. A failure ends the input and not the session.
pub(crate) async fn run(shell: &mut Shell, lines: &mut dyn LineSource) -> Result<(), Stop> {
    let mut pending = String::new();
    loop {
        shell.set_screen(lines.screen());
        match lines.read(&shell.prompt(), &pending) {
            Ok(Input::Text { text, .. }) => {
                // What was asked of an earlier statement does not end this one.
                shell.interrupt.reset();
                if !lex::is_blank(&text) {
                    lines.remember(&text);
                }
                pending = match shell.run_input(&text, None).await {
                    Ok(pending) => pending,
                    Err(Stop::Failed | Stop::Interrupted) => String::new(),
                    Err(Stop::Quit) => return Ok(()),
                    Err(stop @ Stop::OutputClosed) => return Err(stop),
                };
            }
            Ok(Input::Interrupted) => pending.clear(),
            Ok(Input::End) => return Ok(()),
            Err(error) => {
                shell.console.error(&format!("cannot read from the terminal: {error}"));
                return Err(Stop::Failed);
            }
        }
    }
}
