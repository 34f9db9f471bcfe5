//! The engine's errors as gRPC statuses.

use datafusion::error::DataFusionError;
use portolan_connector::ErrorClass;
use tonic::{Code, Status};

use crate::Error;
use crate::error::Kind;

/// The longest message of a status, in bytes. It travels in a header, and clients refuse headers that are too long.
const MESSAGE_BYTES_MAX: usize = 4096;

/// An error as a status. The message shows the place in the statement.
pub(super) fn status(error: &Error, statement: &str) -> Status {
    Status::new(code(error), message(error, statement))
}

/// An error in the middle of a stream as a status.
pub(super) fn stream_status(error: DataFusionError, statement: &str) -> Status {
    status(&Error::from(error), statement)
}

/// A mistake of ours.
pub(super) fn internal(tried: &str, error: impl std::fmt::Display) -> Status {
    Status::internal(shortened(format!("{tried}: {error}")))
}

/// Something of the protocol that this server does not do.
pub(super) fn unsupported(what: &str) -> Status {
    Status::unimplemented(shortened(format!("{what} is not supported")))
}

fn message(error: &Error, statement: &str) -> String {
    let mut message = error.render(statement);
    if message.len() > MESSAGE_BYTES_MAX {
        // The statement's line may be what is long: the position says the same in few words.
        message = match error.message().position {
            Some(position) => format!("line {}, column {}: {error}", position.line, position.column),
            None => error.to_string(),
        };
    }
    shortened(message)
}

fn code(error: &Error) -> Code {
    match (error.class(), error.message().kind) {
        (_, Kind::NotFound) => Code::NotFound,
        (_, Kind::Exists) => Code::AlreadyExists,
        (_, Kind::Unsupported) => Code::Unimplemented,
        (_, Kind::TimedOut) => Code::DeadlineExceeded,
        (_, Kind::Denied) => Code::PermissionDenied,
        (ErrorClass::User, Kind::Plain) => Code::InvalidArgument,
        (ErrorClass::Source, Kind::Plain) => Code::Unavailable,
        (ErrorClass::ResourceExhausted, Kind::Plain) => Code::ResourceExhausted,
        (ErrorClass::Cancelled, Kind::Plain) => Code::Cancelled,
        (ErrorClass::Internal, Kind::Plain) => Code::Internal,
    }
}

/// A message cut at a character's end.
fn shortened(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::CatalogSet;
    use crate::error::Position;

    #[test]
    fn each_class_has_its_code() {
        for (error, expected) in [
            (Error::user("syntax error: no"), Code::InvalidArgument),
            (Error::user("column x does not exist"), Code::InvalidArgument),
            (CatalogSet::default().get("nowhere").unwrap_err(), Code::NotFound),
            (Error::of(ErrorClass::Source, Error::user("gone").message().clone()), Code::Unavailable),
            (Error::resource_exhausted("memory"), Code::ResourceExhausted),
            (Error::cancelled("stop"), Code::Cancelled),
            (Error::timed_out("late"), Code::DeadlineExceeded),
            (Error::unsupported("PIVOT"), Code::Unimplemented),
            (Error::denied("no"), Code::PermissionDenied),
            (Error::internal("ours"), Code::Internal),
        ] {
            assert_eq!(status(&error, "").code(), expected, "{error}");
        }
    }

    #[test]
    fn the_message_points_at_the_place() {
        let error = Error::user("no such thing").at(Some(Position { line: 1, column: 8 })).hint("try another");
        assert_eq!(
            status(&error, "SELECT thing").message(),
            "no such thing\nLINE 1: SELECT thing\n               ^\nHint: try another"
        );
    }

    #[test]
    fn a_message_is_never_too_long_for_a_header() {
        let statement = format!("SELECT {}", "é".repeat(100_000));
        let error = Error::user("no such thing").at(Some(Position { line: 1, column: 8 }));
        assert_eq!(status(&error, &statement).message(), "line 1, column 8: no such thing");
        let long = status(&Error::user("é".repeat(100_000)), "");
        assert!(long.message().len() <= MESSAGE_BYTES_MAX + '…'.len_utf8());
    }
}
