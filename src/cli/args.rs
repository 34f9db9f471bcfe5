//! The command line: every option is defined once, here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::bytes::Bytes;
use super::output::Format;

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
    Serve(ServeArguments),
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
    /// Listen at an address that other machines reach, although clients are not asked who they are and nothing is
    /// encrypted
    #[arg(long)]
    pub(crate) insecure: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArguments {
    /// The catalog file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
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
        let error = parse("portolan sql --memory-limit 2G").unwrap_err();
        assert!(error.contains("2GB or 2GiB"), "{error}");
    }
}
