//! Logs on standard error.

use tracing_subscriber::EnvFilter;

use super::args::LogFormat;

/// What is logged when nothing else is said.
const DEFAULT: &str = "warn";

/// Starts to log. The error is a message for the person.
pub(super) fn start(filter: Option<&str>, format: LogFormat) -> Result<(), String> {
    let filter = filter.unwrap_or(DEFAULT);
    let parsed = EnvFilter::try_new(filter).map_err(|error| {
        format!("--log {filter}: {error}: write a level such as info, or parts such as warn,portolan=debug")
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    started.map_err(|error| format!("cannot log: {error}"))
}
