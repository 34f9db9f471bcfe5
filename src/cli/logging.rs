//! Logs on standard error.

use tracing_subscriber::EnvFilter;

/// What is logged when nothing else is said.
const DEFAULT: &str = "warn";

/// Starts to log. The error is a message for the person.
pub(super) fn start(filter: Option<&str>) -> Result<(), String> {
    let filter = filter.unwrap_or(DEFAULT);
    let parsed = EnvFilter::try_new(filter).map_err(|error| {
        format!("--log {filter}: {error}: write a level such as info, or parts such as warn,portolan=debug")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| format!("cannot log: {error}"))
}
