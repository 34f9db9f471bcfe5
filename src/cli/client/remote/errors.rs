//! A server's statuses as a person reads them.

use std::error::Error;

use arrow_flight::error::FlightError;
use tonic::{Code, Status};

use super::address::ServerAddress;
use super::tls;
use crate::cli::client::Failure;

/// A status as a failure. The server's own message is kept as it is: it shows the line and the place.
pub(super) fn failure(status: &Status, address: &ServerAddress) -> Failure {
    // What the server says comes without a source; what went wrong on the way has one.
    if let Some(disagreement) = tls::disagreement(status) {
        // A server may say only after the connection is made that it does not want it.
        return Failure::new(format!("cannot connect to {address}: {disagreement}"));
    }
    if status.source().is_some() {
        let reason = cause(status);
        // One that refuses a certificate may be gone before its reason is read.
        let hint = if address.is_encrypted() {
            "the next statement connects again; if it is lost each time, see whether the server wants another --client-cert"
        } else {
            "the next statement connects again"
        };
        return Failure::new(format!("the connection to {address} is lost: {reason}\nHint: {hint}"));
    }
    let text = status.message().to_owned();
    match status.code() {
        _ if !text.is_empty() => Failure { line: line_of(&text), text },
        code => Failure::new(format!("the server says no more than \"{}\"", description(code))),
    }
}

/// What went wrong in the middle of a result as a failure.
pub(super) fn stream_failure(error: FlightError, address: &ServerAddress) -> Failure {
    match error {
        FlightError::Tonic(status) => failure(&status, address),
        other => Failure::new(format!("the rows from {address} cannot be read: {other}")),
    }
}

/// The innermost reason of an error: what is around it only says that something failed.
pub(super) fn cause(error: &dyn Error) -> String {
    let mut reason = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    reason.to_string()
}

/// The line of the statement in a message that shows it as `LINE 2: SELECT`.
fn line_of(message: &str) -> Option<u64> {
    let shown = message.lines().find_map(|line| line.strip_prefix("LINE "))?;
    shown.split(':').next()?.parse().ok()
}

fn description(code: Code) -> String {
    code.description().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> ServerAddress {
        "grpc://localhost:1".parse().unwrap()
    }

    #[test]
    fn a_servers_message_is_kept_and_its_line_is_found() {
        let status = Status::invalid_argument("no such thing\nLINE 2: SELECT x\n               ^\nHint: try another");
        let failure = failure(&status, &address());
        assert_eq!((failure.text.as_str(), failure.line), (status.message(), Some(2)));
        assert_eq!(super::failure(&Status::cancelled(""), &address()).line, None);
    }

    #[test]
    fn what_breaks_on_the_way_is_a_lost_connection() {
        let status = Status::from_error(Box::new(std::io::Error::other("reset by peer")));
        let text = failure(&status, &address()).text;
        assert!(text.starts_with("the connection to grpc://localhost:1 is lost: reset by peer\nHint: "), "{text}");
    }
}
