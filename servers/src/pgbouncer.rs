//! A private PgBouncer before a private PostgreSQL.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::ServerError;
use crate::command::{find_in_path, run};
use crate::port::free_port;
use crate::postgres::{PostgresServer, account};
use crate::supervisor::Supervised;

/// How long the start may take.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long one call of `psql` may take.
const PSQL_LIMIT: Duration = Duration::from_secs(60);

/// Where Debian puts it, which is not on everyone's PATH.
const DEBIAN: &str = "/usr/sbin/pgbouncer";

/// Transaction mode: a client has a session of the server's for the length of a transaction only.
const SETTINGS: &str = "\
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = users.txt
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 200
server_reset_query =
";

/// A PgBouncer on a free loopback port, in transaction mode; stopped on drop, and when this process ends.
#[derive(Debug)]
pub struct PgBouncer {
    server: Supervised,
    port: u16,
    password: String,
}

impl PgBouncer {
    /// Starts a pooler that has so many sessions of the server's for each database.
    pub fn start(server: &PostgresServer, sessions: u32) -> Result<Self, ServerError> {
        let program =
            find_in_path("pgbouncer").or_else(|| Some(Path::new(DEBIAN).to_owned()).filter(|path| path.is_file()));
        let program = program.ok_or_else(|| ServerError::Missing {
            program: "pgbouncer".to_owned(),
            looked_in: format!("PATH and {DEBIAN}"),
            install: "apt-get install pgbouncer".to_owned(),
        })?;
        let account = account()?;
        let port = free_port()?;
        let directory = tempfile::Builder::new()
            .prefix("portolan-pgbouncer-")
            .tempdir()
            .map_err(ServerError::io("create a temporary directory for PgBouncer"))?;
        let settings = SETTINGS
            .replace("{server}", &server.port().to_string())
            .replace("{port}", &port.to_string())
            .replace("{sessions}", &sessions.to_string());
        let users = format!("\"{}\" \"{}\"\n", server.user(), server.password());
        for (name, content) in [("settings.ini", settings), ("users.txt", users)] {
            let path = directory.path().join(name);
            let write = || {
                fs::write(&path, content)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
                account.map_or(Ok(()), |account| chown(&path, Some(account.uid), Some(account.gid)))
            };
            write().map_err(ServerError::io(format!("write {}", path.display())))?;
        }
        if let Some(account) = account {
            chown(directory.path(), Some(account.uid), Some(account.gid))
                .map_err(ServerError::io(format!("give {} away", directory.path().display())))?;
        }
        let name = format!("PgBouncer (on port {port})");
        let command = [program.to_string_lossy(), "settings.ini".into()];
        let command: Vec<&str> = command.iter().map(AsRef::as_ref).collect();
        let server_of = Supervised::start(&name, &command, "TERM", account, directory)?;
        server_of.wait_until(START_LIMIT, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        Ok(Self { server: server_of, port, password: server.password().to_owned() })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The pooler's process number.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Runs SQL as any client of the pooler's would, and returns what psql prints, without decoration.
    pub fn psql(&self, connection: &str, sql: &str) -> Result<String, ServerError> {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", connection]);
        command.env("PGPASSWORD", &self.password);
        run("psql", &mut command, sql.as_bytes(), PSQL_LIMIT)
    }
}
