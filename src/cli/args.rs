//! The command line: every option is defined once, here.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use portolan_connector::properties::parse_duration;

use super::bytes::Bytes;
use super::output::Format;

/// The most of anything that a server may be told to keep.
const COUNT_MAX: usize = 1_000_000;

/// One SQL query over a lake, PostgreSQL and Kafka.
#[derive(Debug, Parser)]
#[command(
    name = "portolan",
    bin_name = "portolan",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) process: ProcessArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is true of the whole process.
#[derive(Args, Clone, Debug)]
pub(crate) struct ProcessArguments {
    /// Memory for queries, such as 512MB or 2GiB; half of the machine's memory if not given
    #[arg(long, global = true, value_name = "BYTES")]
    pub(crate) memory_limit: Option<Bytes>,
    /// Where queries put what does not fit into memory; the system's temporary directory if not given
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) spill_directory: Option<PathBuf>,
    /// What is logged to standard error: a level (error, warn, info, debug, trace), or levels by part, such as
    /// warn,portolan=debug
    #[arg(long, global = true, value_name = "FILTER", env = "PORTOLAN_LOG", hide_env_values = true)]
    pub(crate) log: Option<String>,
}

/// Where the catalogs come from.
#[derive(Args, Clone, Debug)]
pub(crate) struct CatalogArguments {
    /// The catalog file; ./catalogs.toml if it is there
    #[arg(long, value_name = "FILE", env = "PORTOLAN_CATALOGS", hide_env_values = true)]
    pub(crate) catalogs: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run SQL: an interactive session, statements, a file, or standard input
    Sql(SqlArguments),
    /// Serve queries over Arrow Flight SQL
    Serve(Box<ServeArguments>),
    /// Print a line for serve's --users-file. The password is asked for, or read from standard input
    Password(PasswordArguments),
    /// Check a catalog file: connect to each catalog and say what is there
    Check(CheckArguments),
    /// Start a small shop of a lake, PostgreSQL and Kafka, and query all three at once
    Demo,
}

#[derive(Args, Debug)]
pub(crate) struct SqlArguments {
    #[command(flatten)]
    pub(crate) catalogs: CatalogArguments,
    /// Run these statements or backslash commands and end; may be given several times
    #[arg(short = 'c', long = "command", value_name = "SQL", conflicts_with = "file")]
    pub(crate) command: Vec<String>,
    /// Run the statements of a file and end; - is standard input; may be given several times
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// How results are written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) catalogs: CatalogArguments,
    /// The address to listen at; port 0 is any free port
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:32010")]
    pub(crate) listen: String,
    /// Serve /healthz, /readyz and /metrics (Prometheus) over HTTP at this address; without it, nothing
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) http: Option<String>,
    #[command(flatten)]
    pub(crate) users: UserArguments,
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
    #[command(flatten)]
    pub(crate) limits: LimitArguments,
}

/// How clients of a server prove who they are.
#[derive(Args, Debug)]
#[command(next_help_heading = "Users")]
pub(crate) struct UserArguments {
    /// Users and the hashes of their passwords, a line each, as `portolan password NAME` prints it
    #[arg(long, value_name = "FILE")]
    pub(crate) users_file: Option<PathBuf>,
    /// Accept JSON web tokens that this public key verifies: RSA, P-256, P-384 or Ed25519, in PEM
    #[arg(long, value_name = "FILE", group = "jwt")]
    pub(crate) jwt_public_key: Option<PathBuf>,
    /// Accept JSON web tokens that a key of this set verifies (JWKS)
    #[arg(long, value_name = "FILE", group = "jwt")]
    pub(crate) jwt_key_set: Option<PathBuf>,
    /// Accept JSON web tokens signed with this secret (HMAC) of at least 32 bytes
    #[arg(long, value_name = "FILE", group = "jwt")]
    pub(crate) jwt_secret: Option<PathBuf>,
    /// Who must have made a JSON web token: its claim iss
    #[arg(long, value_name = "ISSUER", requires = "jwt")]
    pub(crate) jwt_issuer: Option<String>,
    /// For whom a JSON web token must be: its claim aud. Without it, a token that has the claim is refused
    #[arg(long, value_name = "AUDIENCE", requires = "jwt")]
    pub(crate) jwt_audience: Option<String>,
    /// How far the issuer's clock may differ from this machine's; at most 10m
    #[arg(long, value_name = "TIME", requires = "jwt", default_value = "60s", value_parser = time)]
    pub(crate) jwt_leeway: Duration,
    /// The claim of a JSON web token that names the user
    #[arg(long, value_name = "CLAIM", requires = "jwt", default_value = "sub")]
    pub(crate) jwt_user_claim: String,
    /// Users who may see and end the queries of others, besides those whom the users file says
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) admin_users: Vec<String>,
    /// How long a login is good for; it is renewed for as long as the client goes on calling
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    pub(crate) login_lifetime: Duration,
    /// The key that signs logins: any 32 bytes or more. Servers with the same key accept each other's logins; without
    /// it, a restart ends all logins
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Listen at an address that other machines reach, although nobody is asked who they are, or nothing is encrypted
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// Encryption of a server.
#[derive(Args, Debug)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsArguments {
    /// The server's certificate, and those between it and its authority, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// The authorities of clients' certificates, in PEM. Each client then needs a certificate, which names the user
    /// where there is no other way to log in
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_client_ca: Option<PathBuf>,
}

/// What clients of a server may use at most.
#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArguments {
    /// Connections that may be open at the same time; others wait
    #[arg(long, value_name = "COUNT", default_value = "1024", value_parser = count)]
    pub(crate) max_connections: usize,
    /// Sessions that are kept at the same time; the one that nothing has used the longest makes room
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = count)]
    pub(crate) max_sessions: usize,
    /// How long a session is kept that no connection and no statement uses
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    pub(crate) session_idle_time: Duration,
    /// The largest message that a client may send
    #[arg(long, value_name = "BYTES", default_value = "16MiB")]
    pub(crate) max_message_size: Bytes,
    /// Queries that run at the same time; others wait
    #[arg(long, value_name = "COUNT", default_value = "64", value_parser = count)]
    pub(crate) max_queries: usize,
    /// Queries of one user that run at the same time; others wait. Without it, as many as of all users
    #[arg(long, value_name = "COUNT", value_parser = count)]
    pub(crate) max_queries_per_user: Option<usize>,
    /// Queries that wait for their turn; above it they are refused
    #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = count)]
    pub(crate) max_queued_queries: usize,
    /// How long results that are being read may take to end once the server is asked to stop
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(crate) shutdown_time: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct PasswordArguments {
    /// The user's name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The user may see and end the queries of others
    #[arg(long)]
    pub(crate) admin: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArguments {
    /// The catalog file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Reads a time of a second or more.
fn time(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        short if short < Duration::from_secs(1) => Err("the time must be at least 1s".to_owned()),
        time => Ok(time),
    }
}

/// Reads a number of things of which there must be at least one.
fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=COUNT_MAX) => Ok(count),
        _ => Err(format!("write a whole number from 1 to {COUNT_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_definitions_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_of_the_process_stand_anywhere() {
        for line in ["portolan --memory-limit 2GiB check f", "portolan check f --memory-limit 2GiB"] {
            assert_eq!(parse(line).unwrap().process.memory_limit, Some(Bytes(2 << 30)), "{line}");
        }
    }

    #[test]
    fn statements_may_be_given_several_times() {
        let Command::Sql(sql) = parse("portolan sql -c one -c two --format ndjson").unwrap().command else {
            panic!("not sql")
        };
        assert_eq!(sql.command, ["one", "two"]);
        assert_eq!(sql.format, Format::Ndjson);
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in
            ["portolan", "portolan sql -c a -f b", "portolan sql --format xml", "portolan check", "portolan fly"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
        for line in [
            "portolan serve --tls-cert c",
            "portolan serve --tls-client-ca c",
            "portolan serve --jwt-secret s --jwt-public-key k",
            "portolan serve --jwt-issuer i",
            "portolan serve --max-connections 0",
            "portolan serve --session-idle-time 5",
            "portolan serve --session-idle-time 999ms",
            "portolan password",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        let error = parse("portolan sql --memory-limit 2G").unwrap_err();
        assert!(error.contains("2GB or 2GiB"), "{error}");
    }
}
