//! `portolan serve`: the Flight SQL server.

use std::io::{self, Write};
use std::net::SocketAddr;

use tokio::net::{TcpListener, lookup_host};
use tokio::signal::unix::SignalKind;

use super::args::{ProcessArguments, ServeArguments};
use super::shell::{Console, Interrupt};
use super::{Ending, sources};

/// Runs the subcommand until the process is asked to end.
pub(super) async fn run(process: &ProcessArguments, arguments: ServeArguments, mut console: Console) -> Ending {
    let Some(file) = sources::catalogs_file(&arguments.catalogs) else {
        console.error("there is no catalog file: name it with --catalogs FILE");
        return Ending::WrongUsage;
    };
    let address = match address(&arguments).await {
        Ok(address) => address,
        Err(message) => {
            console.error(&message);
            return Ending::WrongUsage;
        }
    };
    let engine = match sources::start_engine(process, Some(&file), &mut console) {
        Ok(engine) => engine,
        Err(error) => {
            console.error(&error.to_string());
            return Ending::Failure;
        }
    };
    let (listener, address, asked) = match listen(address).await {
        Ok(listening) => listening,
        Err(error) => {
            console.error(&format!("cannot listen at {address}: {error}"));
            return Ending::Failure;
        }
    };
    // Standard output is for results, and a server has none. Nobody may read this: the server runs all the same.
    let _ = writeln!(io::stderr(), "portolan: serving Flight SQL at grpc://{address}; Ctrl-C ends it");
    match crate::flight::serve(engine, listener, async move { asked.raised().await }).await {
        Ok(()) => Ending::Success,
        Err(error) => {
            console.error(&error.to_string());
            Ending::Failure
        }
    }
}

/// The address to listen at, if it may be listened at.
async fn address(arguments: &ServeArguments) -> Result<SocketAddr, String> {
    let listen = &arguments.listen;
    let found = lookup_host(listen).await.map(|mut addresses| addresses.next());
    let address = match found {
        Ok(Some(address)) => address,
        Ok(None) => return Err(format!("--listen {listen}: the name has no address")),
        Err(error) => return Err(format!("--listen {listen}: {error}: write HOST:PORT, such as 127.0.0.1:32010")),
    };
    if address.ip().is_loopback() || arguments.insecure {
        return Ok(address);
    }
    Err(format!(
        "--listen {listen}: other machines reach this address, and the server neither asks clients who they are nor \
         encrypts: listen at 127.0.0.1, or add --insecure on a network that you trust"
    ))
}

/// Opens the port, and hears when the process is asked to end: by Ctrl-C or by a service manager.
async fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr, Interrupt)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let asked = Interrupt::listen_to([SignalKind::interrupt(), SignalKind::terminate()])?;
    Ok((listener, address, asked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Arguments, Command};
    use clap::Parser;

    fn checked(line: &str) -> Result<SocketAddr, String> {
        let Command::Serve(arguments) = Arguments::parse_from(line.split_whitespace()).command else {
            panic!("not serve")
        };
        tokio::runtime::Runtime::new().unwrap().block_on(address(&arguments))
    }

    #[test]
    fn only_this_machine_unless_it_is_said() {
        assert_eq!(checked("portolan serve").unwrap().to_string(), "127.0.0.1:32010");
        assert!(checked("portolan serve --listen [::1]:0").is_ok());
        assert!(checked("portolan serve --listen 0.0.0.0:32010").unwrap_err().contains("--insecure"));
        assert!(checked("portolan serve --listen 0.0.0.0:32010 --insecure").is_ok());
        assert!(checked("portolan serve --listen nonsense").unwrap_err().contains("HOST:PORT"));
    }
}
