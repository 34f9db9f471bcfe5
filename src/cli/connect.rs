//! From the command line to a session: of an engine in this process, or at a server.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;

use super::args::{CatalogArguments, ProcessArguments, ServerArguments};
use super::client::{LocalClient, Login, RemoteClient, ServerAddress, SharedClient, TlsFiles};
use super::shell::Console;
use super::{Ending, sources};

/// The environment variable that holds the password.
const PASSWORD: &str = "PORTOLAN_PASSWORD";

/// The environment variable that names the catalog file, which a server makes meaningless and not wrong.
const CATALOGS: &str = "PORTOLAN_CATALOGS";

/// The longest password or token file, in bytes.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Opens the session. What goes wrong is reported here.
pub(super) async fn connect(
    process: &ProcessArguments,
    catalogs: &CatalogArguments,
    server: &ServerArguments,
    console: &mut Console,
) -> Result<SharedClient, Ending> {
    if server.server.is_some() && catalogs.catalogs.is_some() && std::env::var_os(CATALOGS).is_none() {
        console.error("a server has catalogs of its own: leave out --catalogs, or --server");
        return Err(Ending::WrongUsage);
    }
    let Some(address) = &server.server else {
        let file = sources::catalogs_file(catalogs);
        return match sources::start_engine(process, file.as_deref(), console) {
            Ok(engine) => Ok(Arc::new(LocalClient::new(engine.session(), file))),
            Err(error) => {
                console.error(&error.to_string());
                Err(Ending::Failure)
            }
        };
    };
    let login = match login(server, address) {
        Ok(login) => login,
        Err(message) => {
            console.error(&message);
            return Err(Ending::WrongUsage);
        }
    };
    if !address.is_encrypted() && (server.ca.is_some() || server.client_cert.is_some()) {
        console.error("--ca and --client-cert are for TLS: write the server as grpc+tls://HOST:PORT");
        return Err(Ending::WrongUsage);
    }
    let tls = TlsFiles { ca: server.ca.clone(), identity: identity(server) };
    match RemoteClient::connect(address.clone(), &tls, login).await {
        Ok(client) => Ok(Arc::new(client)),
        Err(failure) => {
            console.error(&failure.text);
            Err(Ending::Failure)
        }
    }
}

fn identity(server: &ServerArguments) -> Option<(PathBuf, PathBuf)> {
    Some((server.client_cert.clone()?, server.client_key.clone()?))
}

fn login(server: &ServerArguments, address: &ServerAddress) -> Result<Login, String> {
    if let Some(file) = &server.token_file {
        return Ok(Login::Token(secret(file)?));
    }
    match &server.user {
        Some(user) => Ok(Login::Password { user: user.clone(), password: password(server, user, address)? }),
        None => Ok(Login::Nobody),
    }
}

/// The password, from the first place that has one. It is never an argument: others see those.
fn password(server: &ServerArguments, user: &str, address: &ServerAddress) -> Result<SecretString, String> {
    if let Some(file) = &server.password_file {
        return secret(file);
    }
    if let Ok(password) = std::env::var(PASSWORD) {
        return Ok(password.into());
    }
    if !std::io::stdin().is_terminal() {
        return Err(format!("there is no password for {user}: set {PASSWORD}, or name a --password-file"));
    }
    let prompt = format!("Password of {user} at {address}: ");
    rpassword::prompt_password(prompt).map(Into::into).map_err(|error| format!("cannot read a password: {error}"))
}

/// The content of a file without the line feed that ends it. There must be some.
fn secret(file: &Path) -> Result<SecretString, String> {
    let cannot = |error: &dyn std::fmt::Display| format!("cannot read {}: {error}", file.display());
    let size = std::fs::metadata(file).map_err(|error| cannot(&error))?.len();
    if size > SECRET_BYTES_MAX {
        return Err(cannot(&format!("it has {size} bytes, and at most {SECRET_BYTES_MAX} are read")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| cannot(&error))?;
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(cannot(&"it is empty")),
        secret => Ok(secret.to_owned().into()),
    }
}
