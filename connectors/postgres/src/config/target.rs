//! Where and how to log in, once all that says something of it is known.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use portolan_connector::{ConnectorError, Result};
use secrecy::SecretString;
use tokio_postgres::config::{ChannelBinding, SslMode};

use super::CONNECT_TIMEOUT;
use super::parameters::Parameters;
use super::passfile::{self, Login};
use crate::net::{Address, TlsSettings, Verification};

/// The port of a host that names none.
const PORT: u16 = 5432;

/// The most hosts of one catalog.
const HOSTS_MAX: usize = 100;

/// Directories in which servers put their sockets unless told otherwise; the password file calls them localhost.
const SOCKET_DIRECTORIES: [&str; 2] = ["/tmp", "/var/run/postgresql"];

/// A server that may be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) address: Address,
    /// What a certificate and the password file call it.
    pub(crate) name: String,
    port: u16,
}

/// What a server has to be for this catalog (libpq's `target_session_attrs`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wanted {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    /// A standby, and where there is none anything.
    PreferStandby,
}

/// Where and how to log in.
#[derive(Debug)]
pub(crate) struct Target {
    /// At least one, in the order in which they are tried.
    pub(crate) hosts: Vec<Host>,
    pub(crate) wanted: Wanted,
    pub(crate) user: String,
    pub(crate) database: String,
    password: Option<SecretString>,
    password_file: Option<PathBuf>,
    pub(crate) tls: TlsSettings,
    pub(crate) channel_binding: ChannelBinding,
    /// Command-line options for the server.
    pub(crate) options: Option<String>,
    pub(crate) application_name: String,
    /// For each of: opening the socket, logging in.
    pub(crate) connect_timeout: Duration,
}

impl Target {
    /// Understands the settings. `password` is one that is said openly; else the password file may have one.
    pub(crate) fn new(
        parameters: &Parameters,
        password: Option<SecretString>,
        connect_timeout: Option<Duration>,
    ) -> Result<Self> {
        let text = |keyword: &str| parameters.get(keyword).map(str::to_owned);
        let user = text("user").ok_or_else(|| {
            ConnectorError::user("no user to log in as")
                .hint("put it into url, postgres://USER@HOST/DATABASE, or set user")
        })?;
        let seconds = parameters.get("connect_timeout").map(|text| {
            text.parse::<u64>()
                .map_err(|_| ConnectorError::user(format!("connect_timeout is {text}, not a number of seconds")))
        });
        Ok(Self {
            hosts: in_order(hosts(parameters)?, parameters.get("load_balance_hosts"))?,
            wanted: wanted(parameters.get("target_session_attrs"))?,
            database: text("dbname").unwrap_or_else(|| user.clone()),
            user,
            password,
            password_file: text("passfile").map(PathBuf::from).or_else(passfile::default_path),
            tls: tls(parameters)?,
            channel_binding: channel_binding(parameters.get("channel_binding"))?,
            options: text("options"),
            application_name: text("application_name")
                .or_else(|| text("fallback_application_name"))
                .unwrap_or_else(|| "portolan".to_owned()),
            connect_timeout: match (connect_timeout, seconds.transpose()?) {
                (Some(said), _) => said,
                // libpq's 0 waits for ever, which nobody here should.
                (None, Some(seconds @ 1..)) => Duration::from_secs(seconds),
                (None, _) => CONNECT_TIMEOUT,
            },
        })
    }

    /// The password for a host; the file is read each time.
    pub(crate) fn password(&self, host: &Host) -> Option<SecretString> {
        let in_file = || {
            let login = Login { host: &host.name, port: host.port, database: &self.database, user: &self.user };
            passfile::password(self.password_file.as_deref()?, login)
        };
        self.password.clone().or_else(in_file)
    }
}

/// The hosts of the lists `host`, `hostaddr` and `port`.
fn hosts(parameters: &Parameters) -> Result<Vec<Host>> {
    let list = |keyword: &str| -> Vec<&str> {
        parameters.get(keyword).map(|list| list.split(',').map(str::trim).collect()).unwrap_or_default()
    };
    let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = names.len().max(addresses.len()).max(1);
    if count > HOSTS_MAX {
        return Err(ConnectorError::user(format!("{count} hosts are more than {HOSTS_MAX}")));
    }
    let fits =
        |list: &[&str], one_for_all: bool| list.is_empty() || list.len() == count || (one_for_all && list.len() == 1);
    if !fits(&names, false) || !fits(&addresses, false) || !fits(&ports, true) {
        return Err(ConnectorError::user(format!(
            "there are {} hosts, {} addresses and {} ports",
            names.len(),
            addresses.len(),
            ports.len()
        ))
        .hint("write as many ports as hosts, or one for all"));
    }
    let at = |list: &[&'_ str], at: usize| list.get(at).copied().filter(|text| !text.is_empty()).map(str::to_owned);
    (0..count)
        .map(|number| {
            let port = at(&ports, if ports.len() == 1 { 0 } else { number });
            let port = port.map_or(Ok(PORT), |port| {
                let wrong = |_| ConnectorError::user(format!("{port} is not a port"));
                port.parse::<u16>().map_err(wrong).and_then(|number| match number {
                    0 => Err(ConnectorError::user("0 is not a port")),
                    number => Ok(number),
                })
            })?;
            let name =
                at(&names, number).unwrap_or_else(|| at(&addresses, number).unwrap_or_else(|| "localhost".to_owned()));
            Ok(host(name, at(&addresses, number), port))
        })
        .collect()
}

/// The hosts in the order in which they are tried: as they are written, or in a random one, so that many engines spread
/// over them.
fn in_order(mut hosts: Vec<Host>, word: Option<&str>) -> Result<Vec<Host>> {
    match word {
        None | Some("disable") => {}
        // Keys of hash maps are random, and so is the order of what is hashed with them.
        Some("random") => {
            let state = RandomState::new();
            hosts.sort_by_cached_key(|host| state.hash_one((&host.name, host.port)));
        }
        Some(other) => {
            return Err(ConnectorError::user(format!("\"{other}\" is not a way to choose among hosts"))
                .hint("load_balance_hosts is one of disable, random"));
        }
    }
    Ok(hosts)
}

fn host(name: String, address: Option<String>, port: u16) -> Host {
    if name.starts_with('/') && address.is_none() {
        let path = PathBuf::from(&name).join(format!(".s.PGSQL.{port}"));
        let name = if SOCKET_DIRECTORIES.contains(&name.as_str()) { "localhost".to_owned() } else { name };
        return Host { address: Address::Unix(path), name, port };
    }
    Host { address: Address::Tcp { host: address.unwrap_or_else(|| name.clone()), port }, name, port }
}

fn wanted(word: Option<&str>) -> Result<Wanted> {
    Ok(match word {
        None | Some("any") => Wanted::Any,
        Some("read-write") => Wanted::ReadWrite,
        Some("read-only") => Wanted::ReadOnly,
        Some("primary") => Wanted::Primary,
        Some("standby") => Wanted::Standby,
        Some("prefer-standby") => Wanted::PreferStandby,
        Some(other) => {
            return Err(ConnectorError::user(format!("\"{other}\" is not a kind of server"))
                .hint("target_session_attrs is one of any, read-write, read-only, primary, standby, prefer-standby"));
        }
    })
}

fn channel_binding(word: Option<&str>) -> Result<ChannelBinding> {
    Ok(match word {
        None | Some("prefer") => ChannelBinding::Prefer,
        Some("disable") => ChannelBinding::Disable,
        Some("require") => ChannelBinding::Require,
        Some(other) => {
            return Err(ConnectorError::user(format!("\"{other}\" is not a way to use channel binding"))
                .hint("channel_binding is one of disable, prefer, require"));
        }
    })
}

/// The words are libpq's for `sslmode`.
fn tls(parameters: &Parameters) -> Result<TlsSettings> {
    // The machine's authorities are trusted where no file is named.
    let root_certificate = parameters.get("sslrootcert").filter(|path| *path != "system").map(PathBuf::from);
    let (mode, verification) = match parameters.get("sslmode") {
        Some("disable" | "allow") => (SslMode::Disable, Verification::None),
        None | Some("prefer") => (SslMode::Prefer, Verification::None),
        // As in libpq, who names an authority wants it to be asked.
        Some("require") if root_certificate.is_some() => (SslMode::Require, Verification::Authority),
        Some("require") => (SslMode::Require, Verification::None),
        Some("verify-ca") => (SslMode::Require, Verification::Authority),
        Some("verify-full") => (SslMode::Require, Verification::Full),
        Some(other) => {
            return Err(ConnectorError::user(format!("\"{other}\" is not a way to use TLS"))
                .hint("one of disable, allow, prefer, require, verify-ca, verify-full"));
        }
    };
    let second_mode = match parameters.get("sslmode") {
        Some("allow") => Some(SslMode::Require),
        None | Some("prefer") => Some(SslMode::Disable),
        Some(_) => None,
    };
    let path = |keyword: &str| parameters.get(keyword).map(PathBuf::from);
    let (certificate, key) = (path("sslcert"), path("sslkey"));
    if certificate.is_some() != key.is_some() {
        return Err(ConnectorError::user("a client certificate needs its key, and a key its certificate")
            .hint("set both tls_certificate and tls_key, or sslcert and sslkey in url"));
    }
    Ok(TlsSettings { mode, second_mode, verification, root_certificate, certificate, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<Target> {
        Target::new(&Parameters::parse(text).unwrap(), None, None)
    }

    fn addresses(text: &str) -> Vec<String> {
        target(text).unwrap().hosts.iter().map(|host| format!("{} {}", host.name, host.address)).collect()
    }

    #[test]
    fn hosts_have_names_addresses_and_ports() {
        assert_eq!(addresses("postgres://reader@db.internal:5433/shop"), ["db.internal db.internal:5433"]);
        assert_eq!(addresses("postgres://u@[::1]/a"), ["::1 [::1]:5432"]);
        assert_eq!(addresses("postgres://u@/d"), ["localhost localhost:5432"]);
        assert_eq!(addresses("postgres://u@%2Fvar%2Frun/d"), ["/var/run /var/run/.s.PGSQL.5432"]);
        assert_eq!(addresses("host=/tmp port=1 user=u"), ["localhost /tmp/.s.PGSQL.1"]);
        assert_eq!(addresses("host=a,b port=1,2 user=u"), ["a a:1", "b b:2"]);
        assert_eq!(addresses("host=a,b port=1 user=u"), ["a a:1", "b b:1"]);
        assert_eq!(addresses("host=a,b port=,2 user=u"), ["a a:5432", "b b:2"]);
        assert_eq!(addresses("host=a hostaddr=10.0.0.1 user=u"), ["a 10.0.0.1:5432"]);
        for wrong in
            ["host=a,b port=1,2,3 user=u", "host=a hostaddr=1.1.1.1,2.2.2.2 user=u", "port=x user=u", "port=0 user=u"]
        {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hosts_are_tried_in_a_random_order_where_that_is_asked() {
        let orders = |word: &str| -> std::collections::HashSet<Vec<String>> {
            (0..200).map(|_| addresses(&format!("host=a,b user=u load_balance_hosts={word}"))).collect()
        };
        assert_eq!(orders("disable").len(), 1);
        // Two hosts stay in one order 200 times with a probability of 2^-199.
        assert_eq!(orders("random").len(), 2);
    }

    #[test]
    fn words_are_libpqs() {
        let mode = |text: &str| target(text).map(|target| (target.tls.mode, target.tls.verification));
        assert_eq!(mode("user=u").unwrap(), (SslMode::Prefer, Verification::None));
        assert_eq!(mode("user=u sslmode=require").unwrap(), (SslMode::Require, Verification::None));
        assert_eq!(
            mode("user=u sslmode=require sslrootcert=ca.pem").unwrap(),
            (SslMode::Require, Verification::Authority)
        );
        assert_eq!(mode("user=u sslmode=verify-full").unwrap(), (SslMode::Require, Verification::Full));
        let second = |text: &str| target(text).unwrap().tls.second_mode;
        assert_eq!(mode("user=u sslmode=allow").unwrap(), (SslMode::Disable, Verification::None));
        assert_eq!(second("user=u sslmode=allow"), Some(SslMode::Require));
        assert_eq!(second("user=u"), Some(SslMode::Disable));
        assert_eq!(second("user=u sslmode=require"), None);
        assert_eq!(second("user=u sslmode=disable"), None);
        assert_eq!(target("user=u target_session_attrs=prefer-standby").unwrap().wanted, Wanted::PreferStandby);
        for wrong in [
            "host=h",
            "user=u sslmode=maybe",
            "host=a,b user=u load_balance_hosts=yes",
            "user=u target_session_attrs=best",
            "user=u channel_binding=yes",
            "user=u connect_timeout=soon",
            "user=u sslcert=c.pem",
        ] {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn defaults() {
        let target = target("user=u").unwrap();
        assert_eq!((target.database.as_str(), target.application_name.as_str()), ("u", "portolan"));
        assert_eq!(target.connect_timeout, CONNECT_TIMEOUT);
        let timeout =
            |text: &str, said| Target::new(&Parameters::parse(text).unwrap(), None, said).unwrap().connect_timeout;
        assert_eq!(timeout("user=u connect_timeout=3", None), Duration::from_secs(3));
        assert_eq!(timeout("user=u connect_timeout=3", Some(Duration::from_millis(7))), Duration::from_millis(7));
        assert_eq!(timeout("user=u connect_timeout=0", None), CONNECT_TIMEOUT);
    }
}
