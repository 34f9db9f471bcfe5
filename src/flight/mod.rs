//! The Flight SQL server.
//!
//! A statement costs two calls: `GetFlightInfo` plans it and answers with its schema and a ticket, `DoGet` runs it and
//! streams the rows. The ticket holds the statement and all that belongs to it, signed, so that nothing is kept between
//! the two, and another server with the same key may do the second. The map:
//!
//! * `server` listens, limits and stops; `connection` is one client's socket, which `tls` encrypts.
//! * `gate` finds out who a call comes from.
//! * `service` is the protocol's calls, each sent to where it is answered; `ticket` reads and writes what they carry.
//! * `actions` are those of DoAction; `session_options` are the messages of some of them.
//! * `sessions` finds the session that a call belongs to.
//! * `statements` plans and runs, with the values that `parameters` reads; `ingest` takes rows, which `received` decodes; `runs` remembers what shall not run, or not again; `metadata`, `keys`, `sql_info` and `type_info` describe what is there.
//! * `encode`, `size` and `texts` turn batches into messages that every client reads; `message` and `fetch` write them without copying
//!   the rows more than once; `errors` turns errors into statuses.

mod actions;
mod connection;
mod encode;
mod errors;
mod fetch;
mod gate;
mod ingest;
mod keys;
mod message;
mod metadata;
mod parameters;
mod pattern;
mod received;
mod runs;
mod server;
mod service;
mod session_options;
mod sessions;
mod size;
mod sql_info;
mod statements;
mod texts;
mod ticket;
mod tls;
mod type_info;

pub use server::{FlightServer, ServerLimits, ServerOptions};
pub use tls::TlsOptions;
