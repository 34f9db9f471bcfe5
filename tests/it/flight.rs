//! The Flight SQL server, driven by two clients that know nothing of each other: arrow-flight's and ADBC from Python.

mod actions;
mod adbc;
mod ecosystem;
mod errors;
mod flight_sql_client;
mod hostile;
mod leaving;
mod limits;
mod metadata;
mod parameters;
mod security;
mod server;
mod sessions;
mod statements;
mod stopping;
mod streaming;
mod tls;
mod writing;
