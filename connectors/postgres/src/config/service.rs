//! The connection service file that libpq reads (PostgreSQL's documentation, section "The Connection Service File").

use std::path::{Path, PathBuf};

use portolan_connector::{ConnectorError, Result};
use secrecy::SecretString;

use super::parameters::Parameters;

/// The most bytes that a service file may have.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What a service file says of one service.
#[derive(Debug, Default)]
pub(crate) struct Service {
    pub(crate) parameters: Parameters,
    pub(crate) password: Option<SecretString>,
}

/// The files that are looked into, the first that has the service counts: what `PGSERVICEFILE` names, else the person's own;
/// then the machine's.
fn files() -> Vec<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let own = set("PGSERVICEFILE").or_else(|| set("HOME").map(|home| home.join(".pg_service.conf")));
    let machine = set("PGSYSCONFDIR").map(|directory| directory.join("pg_service.conf"));
    own.into_iter().chain(machine).collect()
}

/// Finds a service by its name.
pub(crate) fn find(name: &str, file: Option<&Path>) -> Result<Service> {
    let files = file.map_or_else(files, |file| vec![file.to_owned()]);
    for path in &files {
        let Ok(metadata) = std::fs::metadata(path) else { continue };
        let unreadable =
            |what: String| ConnectorError::user(format!("cannot read the service file {}", path.display())).said(what);
        if metadata.len() > FILE_BYTES_MAX {
            return Err(unreadable(format!("it has {} bytes", metadata.len())));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        if let Some(service) = section(&text, name) {
            return service.map_err(|error| error.hint(format!("see service {name} in {}", path.display())));
        }
    }
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    Err(ConnectorError::user(format!("there is no service {name} in {}", files.join(" or ")))
        .hint("write a section [NAME] into the file, or say in PGSERVICEFILE where it is"))
}

/// The section of a service: lines of `keyword=value` until the next section. `None` where there is no such section.
fn section(text: &str, name: &str) -> Option<Result<Service>> {
    let heading = format!("[{name}]");
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| *line == heading)?;
    let mut service = Service::default();
    for line in lines.take_while(|line| !line.starts_with('[')) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((keyword, value)) = line.split_once('=') else {
            return Some(Err(ConnectorError::user("the service has a line without =")));
        };
        match keyword.trim() {
            "password" => service.password = Some(SecretString::from(value.trim())),
            "service" => return Some(Err(ConnectorError::user("a service cannot name another"))),
            keyword => {
                if let Err(error) = service.parameters.set(keyword, value.trim().to_owned()) {
                    return Some(Err(error));
                }
            }
        }
    }
    Some(Ok(service))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const FILE: &str = "# all of them\n[other]\nhost=elsewhere\n\n[shop]\n# the shop\nhost=db.internal\nport=5433\nuser=reader\npassword=a=b\n[more]\nport=1\n";

    #[test]
    fn a_service_is_a_section() {
        let shop = section(FILE, "shop").unwrap().unwrap();
        assert_eq!(shop.parameters, Parameters::parse("host=db.internal port=5433 user=reader").unwrap());
        assert_eq!(shop.password.unwrap().expose_secret(), "a=b");
        assert!(section(FILE, "absent").is_none());
        assert!(section("[a]\nhost", "a").unwrap().is_err());
        assert!(section("[a]\nservice=b", "a").unwrap().is_err());
    }
}
