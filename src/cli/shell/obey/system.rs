//! The system around the session: `\!` and `\cd`.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use crate::cli::shell::{Shell, Stop};

/// The shell when `$SHELL` names none.
const SHELL: &str = "/bin/sh";

impl Shell {
    /// Runs a command of the system's shell, or the shell itself, until it ends.
    pub(super) fn run_in_system(&mut self, command: Option<&str>) -> Result<(), Stop> {
        if let Err(error) = self.console.out.flush() {
            return Err(self.cannot_write(&error));
        }
        let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| SHELL.into());
        let mut process = Command::new(shell);
        if let Some(command) = command {
            process.args(["-c", command]);
        }
        match process.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.failed(&format!("{} ended with {status}", command.unwrap_or("the shell")))),
            Err(error) => Err(self.failed(&format!("cannot run the shell: {error}"))),
        }
    }

    pub(super) fn change_directory(&mut self, path: Option<PathBuf>) -> Result<(), Stop> {
        let Some(path) = path.or_else(std::env::home_dir) else {
            return Err(self.failed("\\cd needs a DIRECTORY: there is no home directory"));
        };
        std::env::set_current_dir(&path)
            .map_err(|error| self.failed(&format!("cannot change to {}: {error}", path.display())))
    }
}
