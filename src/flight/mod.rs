//! The Flight SQL server.
//!
//! A statement costs two calls: `GetFlightInfo` plans it and answers with its schema and a ticket, `DoGet` runs it and
//! streams the rows. The ticket holds the statement and its session, so nothing is kept between the two. The map:
//!
//! * `server` listens, limits and stops; `connection` is one client's socket, which `tls` encrypts.
//! * `gate` finds out who a call comes from.
//! * `service` is the protocol's calls, each sent to where it is answered; `ticket` reads and writes what they carry.
//! * `sessions` finds the session that a call belongs to.
//! * `statements` plans and runs; `metadata`, `keys`, `sql_info` and `type_info` describe what is there.
//! * `encode` and `size` turn batches into messages that every client reads; `errors` turns errors into statuses.

mod connection;
mod encode;
mod errors;
mod gate;
mod keys;
mod metadata;
mod pattern;
mod server;
mod service;
mod sessions;
mod size;
mod sql_info;
mod statements;
mod ticket;
mod tls;
mod type_info;

pub use server::{FlightServer, ServerLimits, ServerOptions};
pub use tls::TlsOptions;
