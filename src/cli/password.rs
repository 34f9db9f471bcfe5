//! `portolan password`: a line for the users file.

use std::io::{self, BufRead, IsTerminal, Read};

use secrecy::{ExposeSecret, SecretString};

use super::Ending;
use super::args::PasswordArguments;
use super::shell::Console;
use crate::auth::password_entry;

/// The longest password that is read, in bytes.
const PASSWORD_BYTES_MAX: u64 = 1024;

/// Asks for a password, twice, or reads a line of standard input, and prints the entry.
pub(super) fn run(arguments: &PasswordArguments, mut console: Console) -> Ending {
    let entry = read().and_then(|password| password_entry(&arguments.name, password.expose_secret(), arguments.admin));
    match entry {
        Ok(entry) => match console.say(&entry) {
            Ok(()) => Ending::Success,
            Err(_) => Ending::OutputClosed,
        },
        Err(message) => {
            console.error(&message);
            Ending::Failure
        }
    }
}

fn read() -> Result<SecretString, String> {
    let password = if io::stdin().is_terminal() { ask()? } else { first_line()? };
    match password.expose_secret() {
        "" => Err("the password is empty".to_owned()),
        long if long.len() as u64 > PASSWORD_BYTES_MAX => {
            Err(format!("the password is longer than {PASSWORD_BYTES_MAX} bytes"))
        }
        _ => Ok(password),
    }
}

fn ask() -> Result<SecretString, String> {
    let ask = |prompt: &str| {
        let password =
            rpassword::prompt_password(prompt).map_err(|error| format!("cannot read the password: {error}"))?;
        Ok::<_, String>(SecretString::from(password))
    };
    let password = ask("Password: ")?;
    match ask("Again: ")?.expose_secret() == password.expose_secret() {
        true => Ok(password),
        false => Err("the passwords differ".to_owned()),
    }
}

fn first_line() -> Result<SecretString, String> {
    let mut line = String::new();
    let mut input = io::stdin().lock().take(PASSWORD_BYTES_MAX + 2);
    input.read_line(&mut line).map_err(|error| format!("cannot read the password: {error}"))?;
    Ok(SecretString::from(line.trim_end_matches(['\r', '\n'])))
}
