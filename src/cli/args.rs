//! The command line: every option is defined once, here.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use portolan_connector::properties::parse_duration;

use super::bytes::Bytes;
use super::client::ServerAddress;
use super::output::{Expanded, Format};
use super::shell::View;

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
    /// How it is logged: lines for people, or a JSON object for each event
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) log_format: LogFormat,
}

/// How events are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for a person.
    #[default]
    Text,
    /// A JSON object on a line.
    Json,
}

/// Where the catalogs come from.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct CatalogArguments {
    /// The catalog file; ./catalogs.toml if it is there
    #[arg(long, value_name = "FILE", env = "PORTOLAN_CATALOGS", hide_env_values = true)]
    pub(crate) catalogs: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run SQL: an interactive session, statements, a file, or standard input
    Sql(Box<SqlArguments>),
    /// Serve queries over Arrow Flight SQL
    Serve(Box<ServeArguments>),
    /// Print a line for serve's --users-file. The password is asked for, or read from standard input
    Password(PasswordArguments),
    /// Ask a running server, by default that of this machine, to read its catalog file again
    Reload(Box<ServerArguments>),
    /// Check a catalog file: connect to each catalog and say what is there
    Check(CheckArguments),
    /// Start a small shop of a lake, PostgreSQL and Kafka, and query all three at once
    Demo,
}

#[derive(Args, Debug, Default)]
pub(crate) struct SqlArguments {
    #[command(flatten)]
    pub(crate) catalogs: CatalogArguments,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
    /// Run these statements or backslash commands and end; may be given several times
    #[arg(short = 'c', long = "command", value_name = "SQL", conflicts_with = "file")]
    pub(crate) command: Vec<String>,
    /// Run the statements of a file and end; - is standard input; may be given several times
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// Go on after a failure; the exit status says all the same that there was one
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Give a variable a value, as \set does; may be given several times
    #[arg(short = 'v', long = "variable", value_name = "NAME=VALUE")]
    pub(crate) variables: Vec<String>,
    /// Write results to a file, or to a command: |COMMAND
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<String>,
    /// Say nothing beside results and errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Do not run ~/.portolanrc, or the file that PORTOLANRC names
    #[arg(short = 'X', long)]
    pub(crate) no_rc: bool,
    #[command(flatten)]
    pub(crate) display: DisplayArguments,
}

/// How results are shown.
#[derive(Args, Debug, Default)]
pub(crate) struct DisplayArguments {
    /// How results are written
    #[arg(long, value_enum, group = "written")]
    pub(crate) format: Option<Format>,
    /// The same as --format csv
    #[arg(long, group = "written")]
    pub(crate) csv: bool,
    /// The same as --format json
    #[arg(long, group = "written")]
    pub(crate) json: bool,
    /// The same as --format ndjson
    #[arg(long, group = "written")]
    pub(crate) ndjson: bool,
    /// The same as --format markdown
    #[arg(long, group = "written")]
    pub(crate) markdown: bool,
    /// The same as --format html
    #[arg(short = 'H', long, group = "written")]
    pub(crate) html: bool,
    /// The same as --format unaligned
    #[arg(short = 'A', long, group = "written")]
    pub(crate) no_align: bool,
    /// Rows without header and footer
    #[arg(short, long)]
    pub(crate) tuples_only: bool,
    /// What is between the values of unaligned output
    #[arg(short = 'F', long, value_name = "TEXT")]
    pub(crate) field_separator: Option<String>,
    /// Each row as a list of its values
    #[arg(short = 'x', long)]
    pub(crate) expanded: bool,
    /// Change an option of the display, as \pset does; may be given several times
    #[arg(short = 'P', long, value_name = "OPTION[=VALUE]")]
    pub(crate) pset: Vec<String>,
}

impl DisplayArguments {
    /// Changes what the command line says. The error is a message for the person.
    pub(crate) fn apply(&self, view: &mut View) -> Result<(), String> {
        let short = [
            (self.csv, Format::Csv),
            (self.json, Format::Json),
            (self.ndjson, Format::Ndjson),
            (self.markdown, Format::Markdown),
            (self.html, Format::Html),
            (self.no_align, Format::Unaligned),
        ];
        let format = self.format.or_else(|| short.into_iter().find_map(|(given, format)| given.then_some(format)));
        view.format = format.unwrap_or(view.format);
        view.tuples_only |= self.tuples_only;
        if self.expanded {
            view.expanded = Expanded::On;
        }
        if let Some(separator) = &self.field_separator {
            view.separator.clone_from(separator);
        }
        for option in &self.pset {
            let (name, value) =
                option.split_once('=').map_or((option.as_str(), None), |(name, value)| (name, Some(value)));
            view.set(name, value).map_err(|message| format!("--pset {option}: {message}"))?;
        }
        Ok(())
    }
}

/// A server that runs the statements, instead of an engine in this process.
#[derive(Args, Debug, Default)]
pub(crate) struct ServerArguments {
    /// Run the statements at a server: grpc://HOST:PORT, or grpc+tls://HOST:PORT with TLS
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<ServerAddress>,
    /// Log in by this name; the password is PORTOLAN_PASSWORD, the content of --password-file, or asked for
    #[arg(short = 'U', long, value_name = "NAME", requires = "server", conflicts_with = "token_file")]
    pub(crate) user: Option<String>,
    /// A file that holds the password
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    /// A file that holds a token to log in with
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) token_file: Option<PathBuf>,
    /// Certificates, in PEM, of those who may vouch for the server; the system's if not given
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) ca: Option<PathBuf>,
    /// The client's own certificate, in PEM, for a server that asks for one
    #[arg(long, value_name = "FILE", requires_all = ["server", "client_key"])]
    pub(crate) client_cert: Option<PathBuf>,
    /// The key of --client-cert, in PEM
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub(crate) client_key: Option<PathBuf>,
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
    /// Send a trace of each query to an OpenTelemetry collector, by OTLP over gRPC: http://HOST:PORT, or
    /// https://HOST:PORT with TLS
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true)]
    pub(crate) otlp_endpoint: Option<String>,
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
        assert_eq!(sql.display.format, Some(Format::Ndjson));
    }

    #[test]
    fn the_display_is_as_psql_has_it() {
        let Command::Sql(sql) = parse("portolan sql -At -F; -P null=- -P border=2").unwrap().command else {
            panic!("not sql")
        };
        let mut view = View::default();
        sql.display.apply(&mut view).unwrap();
        assert_eq!((view.format, view.tuples_only, view.separator.as_str()), (Format::Unaligned, true, ";"));
        assert_eq!(view.null.as_deref(), Some("-"));
        let Command::Sql(sql) = parse("portolan sql -P colour=red").unwrap().command else { panic!("not sql") };
        assert!(sql.display.apply(&mut view).unwrap_err().contains("there is no option \"colour\""));
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
            "portolan sql --csv --json",
            "portolan sql --user anna",
            "portolan sql --server localhost:1",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        let error = parse("portolan sql --memory-limit 2G").unwrap_err();
        assert!(error.contains("2GB or 2GiB"), "{error}");
    }
}
