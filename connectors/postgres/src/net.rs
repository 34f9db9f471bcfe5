//! How the server is reached: sockets, TLS, the wire, sessions and their pool.

mod copy_in;
mod dial;
mod low_water;
mod message;
mod pool;
mod raw;
mod session;
mod shared;
mod tls;

pub(crate) use copy_in::{CopyInError, CopyInWire, ROWS_BYTES_MAX};
pub(crate) use dial::Address;
pub(crate) use message::{Backend, HEADER, ServerError};
pub(crate) use pool::{Lease, Pool, Purpose};
pub(crate) use raw::{RawWire, Step};
pub(crate) use session::{OpenError, Session, server_error};
pub(crate) use tls::{Tls, TlsSettings, Verification};
