//! What calls carry: commands, and the handles in which this server remembers a statement.
//!
//! A handle is the statement itself with all that belongs to it: whose it is, where the session stood, the values of its
//! parameters. The server keeps nothing for it, so that it never runs out, and any server that has the key can go on with
//! it. It is signed, so that it says what a server wrote.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow_flight::sql::{Any, Command, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, Ticket, flight_descriptor::DescriptorType};
use bytes::Bytes;
use prost::Message;
use prost_types::Timestamp;
use tonic::Status;

use crate::auth::SigningKey;
use crate::session::{Settings, Standing};

/// What the signature is for: no other thing that the key signs passes for a handle.
const PURPOSE: &str = "statement handle 1";

/// How long the rows of a ticket can be fetched.
const TICKET_LIFE: Duration = Duration::from_secs(3600);

/// A statement with all that belongs to it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Handle {
    /// Whose it is.
    #[prost(string, tag = "1")]
    pub(super) user: String,
    /// The catalog in which names are looked up.
    #[prost(string, optional, tag = "2")]
    catalog: Option<String>,
    /// The schema in which names are looked up.
    #[prost(string, optional, tag = "3")]
    schema: Option<String>,
    /// The settings that the session had changed.
    #[prost(btree_map = "string, string", tag = "4")]
    settings: BTreeMap<String, String>,
    /// The statement.
    #[prost(string, tag = "5")]
    pub(super) sql: String,
    /// Rows of values for its parameters, as an Arrow stream.
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub(super) parameters: Option<Bytes>,
    /// By which its client can cancel it. Empty in the handle of a prepared statement, which may run many times.
    #[prost(string, tag = "7")]
    pub(super) run: String,
    /// Milliseconds since 1970 at which it ends; 0 is never.
    #[prost(uint64, tag = "8")]
    expires: u64,
}

impl Handle {
    /// A statement of a user, in a session that stands there.
    pub(super) fn new(user: &str, standing: Standing, sql: String) -> Self {
        let settings = standing.settings.changed().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self {
            user: user.to_owned(),
            catalog: standing.catalog,
            schema: standing.schema,
            settings,
            sql,
            ..Self::default()
        }
    }

    /// Where the session stood.
    pub(super) fn standing(&self) -> Standing {
        let mut settings = Settings::default();
        for (name, value) in &self.settings {
            if let Err(error) = settings.set(name, value) {
                // Written by a server of another version.
                tracing::warn!(%error, "a setting of a statement handle is not known here");
            }
        }
        Standing { catalog: self.catalog.clone(), schema: self.schema.clone(), settings }
    }

    /// The handle of one run of the statement.
    pub(super) fn to_run(&self) -> Self {
        Self { run: uuid::Uuid::new_v4().simple().to_string(), expires: milliseconds(TICKET_LIFE), ..self.clone() }
    }

    /// The same run, for as long again.
    pub(super) fn renewed(self) -> Self {
        Self { expires: milliseconds(TICKET_LIFE), ..self }
    }

    /// When the handle ends.
    pub(super) fn expiration(&self) -> Option<Timestamp> {
        let seconds = i64::try_from(self.expires / 1000).ok().filter(|seconds| *seconds > 0)?;
        Some(Timestamp { seconds, nanos: i32::try_from(self.expires % 1000).unwrap_or(0) * 1_000_000 })
    }

    /// The handle as clients keep it.
    pub(super) fn seal(&self, key: &SigningKey) -> Bytes {
        key.sign(PURPOSE, &self.encode_to_vec()).into()
    }

    /// A handle that a user hands back.
    pub(super) fn open(key: &SigningKey, bytes: &[u8], user: &str) -> Result<Self, Status> {
        let handle = key.verify(PURPOSE, bytes).and_then(|payload| Self::decode(payload).ok());
        let handle = handle
            .filter(|handle| handle.user == user)
            .ok_or_else(|| Status::not_found("the handle is none of this server's: prepare the statement again"))?;
        if handle.expires != 0 && handle.expires < milliseconds(Duration::ZERO) {
            return Err(Status::not_found("the ticket has expired: run the statement again"));
        }
        Ok(handle)
    }

    /// The ticket for the rows.
    pub(super) fn ticket(&self, key: &SigningKey) -> Ticket {
        Ticket::new(TicketStatementQuery { statement_handle: self.seal(key) }.as_any().encode_to_vec())
    }
}

/// Milliseconds since 1970, so much later than now.
fn milliseconds(later: Duration) -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + later;
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
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

/// The handle in the ticket of a statement's rows.
pub(super) fn statement_handle(ticket: &Ticket) -> Result<Bytes, Status> {
    match command(&ticket.ticket)? {
        Command::TicketStatementQuery(request) => Ok(request.statement_handle),
        other => Err(Status::invalid_argument(format!("the ticket is that of {}, which runs nothing", name(&other)))),
    }
}

/// A command's name without its package: `CommandStatementQuery`.
pub(super) fn name(command: &Command) -> &str {
    command.type_url().rsplit('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use arrow_flight::sql::CommandPreparedStatementQuery;

    use super::*;

    #[test]
    fn a_handle_comes_back_to_its_user_and_to_nobody_else() {
        let key = SigningKey::random().unwrap();
        let mut settings = Settings::default();
        settings.set("batch_rows", "100").unwrap();
        let standing = Standing { catalog: Some("pg".into()), schema: None, settings };
        let handle = Handle::new("ann", standing, "SELECT 'é'".into());
        let sealed = handle.seal(&key);
        let opened = Handle::open(&key, &sealed, "ann").unwrap();
        assert_eq!(opened, handle);
        assert_eq!(opened.standing().catalog.as_deref(), Some("pg"));
        assert_eq!(opened.standing().settings.get("batch_rows").unwrap(), "100");
        let mut changed = sealed.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        let other = SigningKey::random().unwrap();
        for refused in [
            Handle::open(&key, &sealed, "bob"),
            Handle::open(&other, &sealed, "ann"),
            Handle::open(&key, &changed, "ann"),
            Handle::open(&key, b"", "ann"),
            Handle::open(&key, b"anything", "ann"),
        ] {
            assert_eq!(refused.unwrap_err().code(), tonic::Code::NotFound);
        }
    }

    #[test]
    fn a_ticket_ends_and_can_be_renewed() {
        let key = SigningKey::random().unwrap();
        let handle = Handle::new("ann", Standing::default(), "SELECT 1".into());
        assert_eq!(handle.expiration(), None);
        let run = handle.to_run();
        assert!(!run.run.is_empty());
        assert!(run.expiration().is_some());
        let over = Handle { expires: 1, ..run.clone() };
        let refused = Handle::open(&key, &over.seal(&key), "ann").unwrap_err();
        assert!(refused.message().contains("expired"), "{refused}");
        let renewed = over.renewed();
        assert_eq!(Handle::open(&key, &renewed.seal(&key), "ann").unwrap().run, run.run);
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
