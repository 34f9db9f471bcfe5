//! Free ports.

use std::net::{Ipv4Addr, TcpListener};

use crate::ServerError;

/// How often a server is started anew because another program took its port in between.
pub(crate) const ATTEMPTS: usize = 5;

/// A loopback port that nobody listens on now. Another program may take it before the server does: the caller then
/// tries again with another.
pub(crate) fn free_port() -> Result<u16, ServerError> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(ServerError::io("find a free port on 127.0.0.1"))?;
    Ok(listener.local_addr().map_err(ServerError::io("read the number of a free port"))?.port())
}

/// Whether a server died because its port was taken, by what its log says.
pub(crate) fn port_was_taken(error: &ServerError) -> bool {
    match error {
        // "Address already in use" is PostgreSQL's, "port 9092 is already in use" the broker's.
        ServerError::Died { log, .. } => log.contains("already in use"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_told_from_other_deaths() {
        let died = |log: &str| ServerError::Died { server: "a".to_owned(), status: 1, log: log.to_owned() };
        let bind = "LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use";
        assert!(port_was_taken(&died(bind)));
        assert!(port_was_taken(&died("error: kafka: port 29777 is already in use")));
        assert!(!port_was_taken(&died("FATAL:  could not create shared memory segment")));
    }

    #[test]
    fn a_free_port_can_be_listened_on() {
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, free_port().unwrap())).is_ok());
    }
}
