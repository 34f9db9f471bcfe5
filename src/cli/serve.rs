//! `portolan serve`: the Flight SQL server.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, lookup_host};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::args::{LimitArguments, ProcessArguments, ServeArguments, TlsArguments, UserArguments};
use super::shell::{Console, Interrupt};
use super::{Ending, sources};
use crate::auth::{AuthOptions, JwtKeys, JwtOptions};
use crate::error::Result;
use crate::flight::{FlightServer, ServerLimits, ServerOptions, TlsOptions};
use crate::query::{QueryLimits, QueryTracer};
use crate::telemetry::{Collector, Traces};
use crate::{Engine, EngineOptions, Error, http};

/// How long the last traces may take to reach the collector, at most. It may be gone.
const LAST_TRACES_MAX: Duration = Duration::from_secs(3);

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
    let collector = match collector(&arguments) {
        Ok(collector) => collector,
        Err(message) => {
            console.error(&message);
            return Ending::WrongUsage;
        }
    };
    if !is_local(address)
        && let Some((danger, _)) = dangers(&arguments)
    {
        console.warning(&format!("other machines reach {address}, and the server {danger}"));
    }
    match serve(process, &file, address, collector, arguments, &mut console).await {
        Ok(()) => Ending::Success,
        Err(error) => {
            console.error(&error.to_string());
            Ending::Failure
        }
    }
}

async fn serve(
    process: &ProcessArguments,
    catalogs: &Path,
    address: SocketAddr,
    collector: Option<Collector>,
    arguments: ServeArguments,
    console: &mut Console,
) -> Result<()> {
    let traces = collector.clone().map(Traces::to).transpose()?;
    let engine_options = EngineOptions {
        limits: query_limits(&arguments.limits),
        tracer: traces.clone().map(|traces| Arc::new(traces) as Arc<dyn QueryTracer>),
        ..EngineOptions::default()
    };
    let engine = sources::start_engine_with(engine_options, process, Some(catalogs), console)?;
    let http = match &arguments.http {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let last_traces_max = arguments.limits.shutdown_time.min(LAST_TRACES_MAX);
    let options = options(arguments);
    let scheme = if options.tls.is_some() { "grpc+tls" } else { "grpc" };
    let server = FlightServer::new(Arc::clone(&engine), options)?;
    let listener = listen(&address.to_string()).await?;
    let address = listener.local_addr().map_err(|error| cannot("tell the address", &error))?;
    let cannot_hear = |error| cannot("listen to signals", &error);
    let asked = Interrupt::listen_to([SignalKind::interrupt(), SignalKind::terminate()]).map_err(cannot_hear)?;
    let reloading =
        tokio::spawn(reload_when_asked(Arc::clone(&engine), signal(SignalKind::hangup()).map_err(cannot_hear)?));
    say(&format!("serving Flight SQL at {scheme}://{address}; Ctrl-C ends it"));

    let (stopping, is_stopping) = watch::channel(false);
    let (ended, has_ended) = watch::channel(false);
    let http = http.map(|listener| {
        if let Ok(address) = listener.local_addr() {
            say(&format!("serving /healthz, /readyz and /metrics at http://{address}"));
        }
        tokio::spawn(http::serve(engine, listener, is_stopping, has_ended))
    });
    if let Some(collector) = &collector {
        say(&format!("sending traces to {collector}"));
    }
    let served = server.serve(listener, async move {
        asked.raised().await;
        stopping.send_replace(true);
        say("stopping: no new queries; those that run may end");
    });
    let served = served.await;
    ended.send_replace(true);
    reloading.abort();
    if let Some(traces) = traces {
        traces.finish(last_traces_max).await;
    }
    if let Some(http) = http
        && let Ok(Err(error)) = http.await
    {
        tracing::warn!(%error, "HTTP");
    }
    served
}

/// Standard output is for results, and a server has none. Nobody may read this: the server runs all the same.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "portolan: {text}");
}

/// Reads the catalog file again at each signal.
async fn reload_when_asked(engine: Arc<Engine>, mut asked: Signal) {
    while asked.recv().await.is_some() {
        match engine.reload_catalogs() {
            Ok(changes) if changes.is_empty() => say("the catalogs are as before"),
            Ok(changes) => {
                for (catalog, change) in changes {
                    say(&format!("catalog {catalog} is {change}"));
                }
            }
            Err(error) => say(&format!("the catalogs go on as they were: {error}")),
        }
    }
}

fn query_limits(arguments: &LimitArguments) -> QueryLimits {
    QueryLimits {
        running: arguments.max_queries,
        running_per_user: arguments.max_queries_per_user.unwrap_or(arguments.max_queries),
        queued: arguments.max_queued_queries,
    }
}

fn cannot(what: &str, error: &io::Error) -> Error {
    Error::user(format!("cannot {what}: {error}"))
}

async fn listen(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| cannot(&format!("listen at {address}"), &error))
}

fn options(arguments: ServeArguments) -> ServerOptions {
    let UserArguments { users_file, admin_users, login_lifetime, key_file, .. } = &arguments.users;
    let auth = AuthOptions {
        users_file: users_file.clone(),
        jwt: jwt(&arguments.users),
        admins: admin_users.clone(),
        key_file: key_file.clone(),
        token_life: *login_lifetime,
        ..AuthOptions::default()
    };
    let TlsArguments { tls_cert, tls_key, tls_client_ca } = arguments.tls;
    let tls = tls_cert.zip(tls_key).map(|(certificate, key)| TlsOptions {
        certificate,
        key,
        client_authorities: tls_client_ca,
    });
    let LimitArguments { max_connections, max_sessions, session_idle_time, max_message_size, shutdown_time, .. } =
        arguments.limits;
    let limits = ServerLimits {
        connections: max_connections,
        sessions: max_sessions,
        session_idle: session_idle_time,
        message_bytes: max_message_size.0,
        drain: shutdown_time,
    };
    ServerOptions { auth, tls, limits }
}

fn jwt(arguments: &UserArguments) -> Option<JwtOptions> {
    let UserArguments { jwt_public_key, jwt_key_set, jwt_secret, .. } = arguments;
    let public_key = jwt_public_key.clone().map(JwtKeys::PublicKey);
    let key_set = jwt_key_set.clone().map(JwtKeys::KeySet);
    let secret = jwt_secret.clone().map(JwtKeys::Secret);
    Some(JwtOptions {
        keys: public_key.or(key_set).or(secret)?,
        issuer: arguments.jwt_issuer.clone(),
        audience: arguments.jwt_audience.clone(),
        leeway: arguments.jwt_leeway,
        user_claim: arguments.jwt_user_claim.clone(),
    })
}

/// Where traces are sent. An empty address is none, as OpenTelemetry has it.
fn collector(arguments: &ServeArguments) -> Result<Option<Collector>, String> {
    let Some(address) = arguments.otlp_endpoint.as_ref().filter(|address| !address.is_empty()) else {
        return Ok(None);
    };
    // The address is not repeated: it may hold a secret that does not belong there.
    address.parse().map(Some).map_err(|error| format!("--otlp-endpoint or OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))
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
    if is_local(address) || arguments.users.insecure {
        return Ok(address);
    }
    match dangers(arguments) {
        None => Ok(address),
        Some((danger, remedy)) => Err(format!(
            "--listen {listen}: other machines reach this address, and the server {danger}: {remedy}, listen at \
             127.0.0.1, or add --insecure on a network that you trust"
        )),
    }
}

/// Whether only this machine reaches an address.
fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// What is wrong with listening to other machines, and what to do about it.
fn dangers(arguments: &ServeArguments) -> Option<(&'static str, &'static str)> {
    const ASK: &str = "let users log in (--users-file, --jwt-public-key, --tls-client-ca)";
    const ENCRYPT: &str = "add --tls-cert and --tls-key";
    let encrypts = arguments.tls.tls_cert.is_some();
    let asks = arguments.users.users_file.is_some()
        || jwt(&arguments.users).is_some()
        || arguments.tls.tls_client_ca.is_some();
    match (asks, encrypts) {
        (true, true) => None,
        (false, true) => Some(("does not ask clients who they are", ASK)),
        (true, false) => Some(("does not encrypt, so that passwords and tokens can be read on the way", ENCRYPT)),
        (false, false) => Some(("neither asks clients who they are nor encrypts", ASK)),
    }
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

    #[test]
    fn traces_are_sent_where_it_is_said() {
        let checked = |address: &str| {
            let line = ["portolan", "serve", "--otlp-endpoint", address];
            let Command::Serve(arguments) = Arguments::parse_from(line).command else { panic!("not serve") };
            collector(&arguments)
        };
        assert_eq!(checked("").unwrap(), None);
        assert_eq!(checked("http://localhost:4317").unwrap().unwrap().to_string(), "http://localhost:4317");
        let error = checked("localhost:4317").unwrap_err();
        assert!(error.starts_with("--otlp-endpoint or OTEL_EXPORTER_OTLP_ENDPOINT: write http://HOST:PORT"), "{error}");
    }

    #[test]
    fn other_machines_are_asked_who_they_are_and_spoken_to_in_secret() {
        let open = |options: &str| checked(&format!("portolan serve --listen 0.0.0.0:0 {options}"));
        assert!(open("").unwrap_err().contains("neither asks clients who they are nor encrypts"));
        assert!(open("--users-file u").unwrap_err().contains("--tls-cert"));
        assert!(open("--jwt-public-key k").unwrap_err().contains("--tls-cert"));
        assert!(open("--tls-cert c --tls-key k").unwrap_err().contains("--users-file"));
        for options in ["--users-file u", "--jwt-secret s", "--jwt-key-set s", "--tls-client-ca a"] {
            assert!(open(&format!("{options} --tls-cert c --tls-key k")).is_ok(), "{options}");
        }
    }
}
