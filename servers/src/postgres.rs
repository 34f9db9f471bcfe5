//! A private PostgreSQL cluster.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::ServerError;
use crate::command::run;
use crate::port::{ATTEMPTS, free_port, port_was_taken};
use crate::supervisor::{Account, Supervised};

mod programs;

use programs::Programs;

/// The superuser of the cluster.
const USER: &str = "portolan";

/// The account that the server runs as when this process is root's.
const ACCOUNT: &str = "postgres";

/// How long `initdb` and the start of the server may take together.
const START_LIMIT: Duration = Duration::from_secs(180);

/// How long one call of `psql` may take.
const PSQL_LIMIT: Duration = Duration::from_secs(600);

/// How long `id` may take.
const ID_LIMIT: Duration = Duration::from_secs(10);

/// Characters of a database name that a URL's path takes as they are (RFC 3986, section 2.3: unreserved).
const URL_ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Creates the cluster, then becomes the server. Both under the supervisor, so that neither outlives this process.
/// Arguments: initdb, postgres, the port; then more for the server.
///
/// Nothing is written to last (fsync off), nothing outside the directory is used (no socket, no shared memory files),
/// and the server answers on the loopback address only, to who knows the password.
const SCRIPT: &str = r#"
"$1" --pgdata=data --username=portolan --pwfile=password --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 \
    --no-sync --no-instructions || exit
rm password
postgres=$2 port=$3
shift 3
exec "$postgres" -D data -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c dynamic_shared_memory_type=mmap -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
    -c wal_level=minimal -c max_wal_senders=0 -c max_connections=200 -c timezone=UTC -c log_timezone=UTC \
    "$@"
"#;

/// Copies the cluster of another server, then becomes a server that follows it and lets nobody write.
/// Arguments: pg_basebackup, postgres, the port, the other's port; the other's password is in the file `password`.
const STANDBY: &str = r#"
PGPASSWORD=$(cat password) "$1" --pgdata=data --host=127.0.0.1 --port="$4" --username=portolan --write-recovery-conf \
    --checkpoint=fast --no-sync || exit
rm password
exec "$2" -D data -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c dynamic_shared_memory_type=mmap -c fsync=off -c max_connections=200 -c timezone=UTC -c log_timezone=UTC
"#;

/// A private PostgreSQL cluster on a free loopback port, in a temporary directory; stopped and removed on drop, and
/// when this process ends.
///
/// Encoding UTF8, locale C.UTF-8, time zone UTC; ICU collations exist where the server was built with ICU. As root the
/// server runs as the user `postgres`, because it refuses to run as root.
#[derive(Debug)]
pub struct PostgresServer {
    server: Supervised,
    programs: Programs,
    port: u16,
    password: SecretString,
}

impl PostgresServer {
    /// Creates the cluster, starts the server and waits until it takes connections.
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with(&[])
    }

    /// The same with settings of its own, as `name=value`. They come after those that every server has.
    pub fn start_with(settings: &[&str]) -> Result<Self, ServerError> {
        Self::try_ports(None, settings)
    }

    /// A standby that follows this server, which must have been started with `wal_level=replica` and `max_wal_senders`. It has
    /// the same users and passwords.
    pub fn standby(&self) -> Result<Self, ServerError> {
        Self::try_ports(Some(self), &[])
    }

    fn try_ports(primary: Option<&Self>, settings: &[&str]) -> Result<Self, ServerError> {
        let programs = Programs::find()?;
        let account = account()?;
        let mut attempt = 1;
        loop {
            match Self::start_once(&programs, account, primary, settings) {
                Err(error) if attempt < ATTEMPTS && port_was_taken(&error) => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    fn start_once(
        programs: &Programs,
        account: Option<Account>,
        primary: Option<&Self>,
        settings: &[&str],
    ) -> Result<Self, ServerError> {
        let port = free_port()?;
        let password = match primary {
            Some(primary) => primary.password.clone(),
            None => SecretString::from(Uuid::new_v4().simple().to_string()),
        };
        let directory = tempfile::Builder::new()
            .prefix("portolan-postgres-")
            .tempdir()
            .map_err(ServerError::io("create a temporary directory for PostgreSQL"))?;
        write_password(&directory.path().join("password"), &password, account)?;
        if let Some(Account { uid, gid }) = account {
            chown(directory.path(), Some(uid), Some(gid))
                .map_err(ServerError::io(format!("give {} to the user {ACCOUNT}", directory.path().display())))?;
        }

        let name = format!("PostgreSQL ({} on port {port})", programs.postgres.display());
        let make = match primary {
            Some(_) => &programs.pg_basebackup,
            None => &programs.initdb,
        };
        let (make, become_server, port_text) =
            (make.to_string_lossy(), programs.postgres.to_string_lossy(), port.to_string());
        let script = if primary.is_some() { STANDBY } else { SCRIPT };
        let mut command = vec!["sh", "-c", script, "portolan-postgres", &make, &become_server, &port_text];
        let primary_port = primary.map(|primary| primary.port.to_string());
        command.extend(primary_port.as_deref());
        for setting in settings {
            command.extend(["-c", setting]);
        }
        // SIGQUIT is the server's immediate shutdown: what it has in memory need not be kept.
        let server = Supervised::start(&name, &command, "QUIT", account, directory)?;
        let state = server.directory().join("data/postmaster.pid");
        server.wait_until(START_LIMIT, || takes_connections(&state))?;
        Ok(Self { server, programs: programs.clone(), port, password })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name of the superuser.
    pub fn user(&self) -> &str {
        USER
    }

    /// The superuser's password, random for each server.
    pub fn password(&self) -> &str {
        self.password.expose_secret()
    }

    /// The URL of a database, without the password.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{USER}@{}:{}/{}",
            Ipv4Addr::LOCALHOST,
            self.port,
            utf8_percent_encode(database, URL_ESCAPED)
        )
    }

    /// The cluster's directory, which only the server's account may enter.
    pub fn data_directory(&self) -> PathBuf {
        self.server.directory().join("data")
    }

    /// The server's process number.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Runs SQL and psql's own commands in a database as the superuser, and returns what psql prints: a line per row,
    /// columns separated by `|`, nothing for statements without rows. Stops at the first error, which is returned.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, ServerError> {
        let mut command = Command::new(&self.programs.psql);
        // A URI in `-d` would be read as such: `dbname` in the environment is taken as it is.
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"])
            .env("PGHOST", Ipv4Addr::LOCALHOST.to_string())
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", USER)
            .env("PGPASSWORD", self.password())
            .env("PGDATABASE", database)
            .env("PGCLIENTENCODING", "UTF8")
            .env("PGCONNECT_TIMEOUT", "30");
        for variable in ["PGSERVICE", "PGOPTIONS", "PGHOSTADDR", "PGSSLMODE", "PGPASSFILE", "PGTZ", "PGDATESTYLE"] {
            command.env_remove(variable);
        }
        run("psql", &mut command, sql.as_bytes(), PSQL_LIMIT)
    }

    /// Stops the server at once, open connections included, and removes its directory. For tests of a dying server;
    /// otherwise dropping is enough.
    pub fn stop(&self) -> Result<(), ServerError> {
        self.server.stop()
    }
}

/// Writes the password for `initdb`, readable by the server's account only.
fn write_password(path: &Path, password: &SecretString, account: Option<Account>) -> Result<(), ServerError> {
    let write = || {
        fs::write(path, "")?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        fs::write(path, password.expose_secret())?;
        match account {
            Some(Account { uid, gid }) => chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    };
    write().map_err(ServerError::io(format!("write the password file {}", path.display())))
}

/// Whether the server has written that it takes connections: the eighth line of postmaster.pid, which `pg_ctl start`
/// waits for too (src/include/utils/pidfile.h: LOCK_FILE_LINE_PM_STATUS, padded with spaces).
fn takes_connections(state: &Path) -> bool {
    fs::read_to_string(state).is_ok_and(|text| text.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
}

/// The account to run the server as: `None` for this process's own, unless that is root.
pub(crate) fn account() -> Result<Option<Account>, ServerError> {
    if id(&["-u"])? != 0 {
        return Ok(None);
    }
    let no_user = |error| match error {
        ServerError::Command { said, .. } => ServerError::NoUser { user: ACCOUNT.to_owned(), said },
        other => other,
    };
    let uid = id(&["-u", ACCOUNT]).map_err(no_user)?;
    let gid = id(&["-g", ACCOUNT]).map_err(no_user)?;
    Ok(Some(Account { uid, gid }))
}

fn id(arguments: &[&str]) -> Result<u32, ServerError> {
    let name = format!("id {}", arguments.join(" "));
    let output = run(&name, Command::new("id").args(arguments), b"", ID_LIMIT)?;
    output.trim().parse().map_err(|_| ServerError::Command {
        command: name,
        status: "success".to_owned(),
        said: format!("expected a number, got {:?}", output.trim()),
    })
}
