//! What calls carry: commands, and the handles in which this server remembers a statement.
//!
//! A handle is the statement itself and the session that it belongs to. The server keeps nothing for it, so it never
//! runs out, and any call may use it as often as it likes.

use arrow_flight::sql::{Any, Command, CommandPreparedStatementQuery, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, Ticket, flight_descriptor::DescriptorType};
use bytes::Bytes;
use prost::Message;
use tonic::Status;

/// What a handle starts with: tells our own from anything else, and the layout from later ones.
const MARK: &[u8] = b"portolan/1\n";

/// A statement and the session in which it runs.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Handle {
    /// The session's id.
    #[prost(string, tag = "1")]
    pub(super) session: String,
    /// The statement.
    #[prost(string, tag = "2")]
    pub(super) sql: String,
}

impl Handle {
    /// The handle as clients keep it.
    pub(super) fn to_bytes(&self) -> Bytes {
        let mut bytes = MARK.to_vec();
        bytes.extend(self.encode_to_vec());
        bytes.into()
    }

    /// A handle that a client hands back.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Status> {
        bytes
            .strip_prefix(MARK)
            .and_then(|bytes| Self::decode(bytes).ok())
            .ok_or_else(|| Status::not_found("the handle is none of this server's: prepare the statement again"))
    }

    /// The ticket for the rows of an ad-hoc statement.
    pub(super) fn statement_ticket(&self) -> Ticket {
        ticket(&TicketStatementQuery { statement_handle: self.to_bytes() })
    }

    /// The ticket for the rows of a prepared statement.
    pub(super) fn prepared_ticket(&self) -> Ticket {
        ticket(&CommandPreparedStatementQuery { prepared_statement_handle: self.to_bytes() })
    }
}

fn ticket(command: &impl ProstMessageExt) -> Ticket {
    Ticket::new(command.as_any().encode_to_vec())
}

/// The command of a descriptor.
pub(super) fn described(descriptor: &FlightDescriptor) -> Result<Command, Status> {
    if descriptor.r#type() != DescriptorType::Cmd {
        return Err(Status::invalid_argument("the descriptor must hold a Flight SQL command, not a path"));
    }
    command(&descriptor.cmd)
}

/// A command as it travels: a message wrapped in `Any`.
pub(super) fn command(bytes: &[u8]) -> Result<Command, Status> {
    let any = Any::decode(bytes)
        .map_err(|error| Status::invalid_argument(format!("the command cannot be decoded: {error}")))?;
    Command::try_from(any).map_err(|error| Status::invalid_argument(format!("the command cannot be decoded: {error}")))
}

/// A command's name without its package: `CommandStatementQuery`.
pub(super) fn name(command: &Command) -> &str {
    command.type_url().rsplit('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_comes_back_and_others_are_refused() {
        let handle = Handle { session: "s".into(), sql: "SELECT 'é'".into() };
        assert_eq!(Handle::from_bytes(&handle.to_bytes()).unwrap(), handle);
        for foreign in [&b""[..], b"portolan/1", b"portolan/1\n\xff\xff", b"anything"] {
            assert_eq!(Handle::from_bytes(foreign).unwrap_err().code(), tonic::Code::NotFound, "{foreign:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_command_are_the_clients_mistake() {
        let truncated = CommandPreparedStatementQuery { prepared_statement_handle: vec![7; 40].into() };
        let whole = truncated.as_any().encode_to_vec();
        for bytes in [&b"\xff\xff\xff"[..], whole.get(..whole.len() - 1).unwrap()] {
            assert_eq!(command(bytes).unwrap_err().code(), tonic::Code::InvalidArgument);
        }
        assert_eq!(name(&command(&whole).unwrap()), "CommandPreparedStatementQuery");
    }
}
