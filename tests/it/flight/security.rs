//! Who is let in, and what each may see.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{Action, Criteria, Empty, FlightData, FlightDescriptor, Ticket};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan::auth::{AuthOptions, JwtKeys, JwtOptions, password_entry};
use portolan::flight::ServerOptions;
use portolan::{Engine, EngineOptions};
use prost::Message;
use ring::{rand, signature};
use serde_json::{Value, json};
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::adbc::script;
use super::server::{Server, block_on, fetch, lines, printed, status};
use crate::tokens::{SECRET, claims, web_token, with_secret};

pub(super) const PASSWORD: &str = "open sesame";

/// A directory with the users alice and bob, who have the same password.
pub(super) struct Users {
    directory: tempfile::TempDir,
    pub(super) file: PathBuf,
}

impl Users {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("users");
        let users = Self { directory, file };
        users.are(&["alice", "bob"]);
        users
    }

    fn are(&self, names: &[&str]) {
        let entries: Vec<String> = names.iter().map(|name| password_entry(name, PASSWORD, false).unwrap()).collect();
        std::fs::write(&self.file, entries.join("\n")).unwrap();
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(super) fn options(&self) -> AuthOptions {
        AuthOptions { users_file: Some(self.file.clone()), ..AuthOptions::default() }
    }

    fn server(&self, name: &str) -> Server {
        asking(name, self.options())
    }
}

fn asking(name: &str, auth: AuthOptions) -> Server {
    let engine = Engine::start(EngineOptions::default()).unwrap();
    Server::with(name, engine, ServerOptions { auth, ..ServerOptions::default() })
}

pub(super) fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// A client that sends this header with each call.
async fn with_header(server: &Server, authorization: &str) -> FlightSqlServiceClient<Channel> {
    let mut client = server.client().await;
    client.set_header("authorization", authorization);
    client
}

async fn is_let_in(server: &Server, authorization: &str) -> Result<(), Status> {
    let mut client = with_header(server, authorization).await;
    match client.execute("SELECT 1 AS one".to_owned(), None).await {
        Ok(_) => Ok(()),
        Err(error) => Err(status::<()>(Err(error))),
    }
}

/// Asks for a statement's schema. Returns the headers of the answer.
async fn ask(server: &Server, headers: &[(&'static str, &str)]) -> Result<MetadataMap, Status> {
    let command = CommandStatementQuery { query: "SHOW pushdown".to_owned(), transaction_id: None };
    let mut request = Request::new(FlightDescriptor::new_cmd(command.as_any().encode_to_vec()));
    for (name, value) in headers {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    let answer = server.client().await.inner_mut().get_flight_info(request).await?;
    Ok(answer.metadata().clone())
}

#[test]
fn a_login_gives_a_token_and_a_wrong_one_says_nothing() {
    let users = Users::new();
    let server = users.server("login");
    block_on(async {
        let mut client = server.client().await;
        client.handshake("alice", PASSWORD).await.unwrap();
        assert_eq!(lines(&mut client, "SELECT 1 AS one").await, ["1"]);
        client.execute_update("SET SESSION pushdown = 'none'".to_owned(), None).await.unwrap();
        // The token is enough, on any connection, and names the session.
        let mut other = server.client().await;
        other.set_token(client.token().unwrap().clone());
        assert_eq!(lines(&mut other, "SHOW pushdown").await, ["none"]);

        let refused = async |name: &str, password: &str| {
            // This client makes a text of the status.
            server.client().await.handshake(name, password).await.unwrap_err().to_string()
        };
        let wrong = refused("alice", "open barley").await;
        assert!(wrong.contains("\"the user name or the password is wrong\""), "{wrong}");
        assert!(!wrong.contains("barley"), "{wrong}");
        assert_eq!(wrong, refused("carol", PASSWORD).await);
    });
}

#[test]
fn no_call_is_answered_without_a_login() {
    let users = Users::new();
    let server = users.server("every call");
    block_on(async {
        let mut client = server.client().await;
        let flight = client.inner_mut();
        let descriptor = FlightDescriptor::new_cmd("");
        let empty = || futures::stream::empty::<FlightData>();
        for refused in [
            flight.get_flight_info(descriptor.clone()).await.unwrap_err(),
            flight.poll_flight_info(descriptor.clone()).await.unwrap_err(),
            flight.get_schema(descriptor).await.unwrap_err(),
            flight.do_get(Ticket::new("")).await.unwrap_err(),
            flight.do_put(empty()).await.unwrap_err(),
            flight.do_exchange(empty()).await.unwrap_err(),
            flight.do_action(Action::new("CreatePreparedStatement", "")).await.unwrap_err(),
            flight.list_actions(Empty {}).await.unwrap_err(),
            flight.list_flights(Criteria::default()).await.unwrap_err(),
            flight.handshake(futures::stream::empty()).await.unwrap_err(),
        ] {
            assert_eq!(
                (refused.code(), refused.message()),
                (Code::Unauthenticated, "the server asks who you are: log in")
            );
        }
    });
}

#[test]
fn name_and_password_with_each_call() {
    let users = Users::new();
    let server = users.server("basic");
    block_on(async {
        let mut client = with_header(&server, &basic("alice", PASSWORD)).await;
        for _ in 0..20 {
            assert_eq!(lines(&mut client, "SELECT 1 AS one").await, ["1"]);
        }
        for header in [&basic("alice", ""), "Basic !", "Basic", "Digest x", "Bearer x", ""] {
            assert_eq!(is_let_in(&server, header).await.unwrap_err().code(), Code::Unauthenticated, "{header}");
        }
    });
}

#[test]
fn guessing_is_slow_for_the_one_whose_password_is_guessed() {
    let users = Users::new();
    let server = users.server("guessing");
    block_on(async {
        let begun = Instant::now();
        for _ in 0..6 {
            assert!(is_let_in(&server, &basic("alice", "open barley")).await.is_err());
        }
        // The fifth waits a quarter of a second, the sixth half a second.
        assert!(begun.elapsed() >= Duration::from_millis(750), "{:?}", begun.elapsed());
        // A right password waits for a second, and then makes good what was wrong.
        let begun = Instant::now();
        is_let_in(&server, &basic("alice", PASSWORD)).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
        assert!(is_let_in(&server, &basic("alice", "open barley")).await.is_err());
    });
}

#[test]
fn a_token_is_renewed_while_the_client_calls() {
    let users = Users::new();
    let server = asking("renewal", AuthOptions { token_life: Duration::from_secs(6), ..users.options() });
    block_on(async {
        let mut client = server.client().await;
        client.handshake("alice", PASSWORD).await.unwrap();
        client.execute_update("SET SESSION pushdown = 'none'".to_owned(), None).await.unwrap();
        let first = format!("Bearer {}", client.token().unwrap());
        let given = ask(&server, &[("authorization", &first)]).await.unwrap();
        assert!(given.get("authorization").is_none());
        let renewed = loop {
            let answer = ask(&server, &[("authorization", &first)]).await.unwrap();
            if let Some(header) = answer.get("authorization") {
                break header.to_str().unwrap().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_ne!(renewed, first);
        // The first one ends, the new one goes on, in the same session.
        let refused = loop {
            match ask(&server, &[("authorization", &first)]).await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused.code(), Code::Unauthenticated);
        let mut client = with_header(&server, &renewed).await;
        assert_eq!(lines(&mut client, "SHOW pushdown").await, ["none"]);
    });
}

#[test]
fn adbc_takes_over_the_renewed_token() {
    let users = Users::new();
    let server = asking("adbc renewal", AuthOptions { token_life: Duration::from_secs(4), ..users.options() });
    script("security.py", &format!("grpc://{}", server.address), "renewal", &["9"]);
}

#[test]
fn users_come_and_go_without_a_restart() {
    let users = Users::new();
    let server = users.server("users");
    block_on(async {
        let mut client = server.client().await;
        client.handshake("alice", PASSWORD).await.unwrap();
        users.are(&["bob", "carol"]);
        while is_let_in(&server, &basic("carol", PASSWORD)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Who is no longer there is out, whatever she holds.
        let refused = status(client.execute("SELECT 1".to_owned(), None).await);
        assert_eq!(refused.code(), Code::Unauthenticated);
        // A file that cannot be read changes nothing.
        std::fs::write(&users.file, "broken").unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
        is_let_in(&server, &basic("bob", PASSWORD)).await.unwrap();
    });
}

#[test]
fn servers_with_the_same_key_take_each_others_tokens() {
    let users = Users::new();
    let key_file = Some(users.write("key", [7; 32]));
    let one = asking("one", AuthOptions { key_file: key_file.clone(), ..users.options() });
    let other = asking("other", AuthOptions { key_file, ..users.options() });
    let stranger = users.server("stranger");
    block_on(async {
        let mut client = one.client().await;
        client.handshake("alice", PASSWORD).await.unwrap();
        let token = client.token().unwrap().clone();
        let mut client = other.client().await;
        client.set_token(token.clone());
        // The session is opened there too, under the same name.
        client.execute_update("SET SESSION pushdown = 'none'".to_owned(), None).await.unwrap();
        assert_eq!(lines(&mut client, "SHOW pushdown").await, ["none"]);
        assert_eq!(is_let_in(&stranger, &format!("Bearer {token}")).await.unwrap_err().code(), Code::Unauthenticated);
    });
}

#[test]
fn a_session_is_there_for_its_user_alone() {
    let users = Users::new();
    let server = users.server("sessions of");
    block_on(async {
        let (alice, bob) = (basic("alice", PASSWORD), basic("bob", PASSWORD));
        let answer = ask(&server, &[("authorization", &alice)]).await.unwrap();
        let cookie = answer.get("set-cookie").unwrap().to_str().unwrap().to_owned();
        ask(&server, &[("authorization", &alice), ("cookie", &cookie)]).await.unwrap();
        let stolen = ask(&server, &[("authorization", &bob), ("cookie", &cookie)]).await.unwrap_err();
        let unknown = "arrow_flight_session_id=0123";
        let unknown = ask(&server, &[("authorization", &bob), ("cookie", unknown)]).await.unwrap_err();
        assert_eq!((stolen.code(), stolen.message()), (unknown.code(), unknown.message()));

        // What one was given to run or to fetch, another can neither run nor fetch.
        let mut own = with_header(&server, &alice).await;
        let info = own.execute("SELECT current_user AS name".to_owned(), None).await.unwrap();
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let mut prepared = own.prepare("SELECT 1 AS one".to_owned(), None).await.unwrap();
        let prepared = prepared.execute().await.unwrap().endpoint[0].ticket.clone().unwrap();
        let mut other = with_header(&server, &bob).await;
        for ticket in [&ticket, &prepared] {
            assert_eq!(status(other.do_get(ticket.clone()).await).code(), Code::NotFound);
        }
        assert_eq!(printed(&fetch(&mut own, info).await.1), ["alice"]);

        // Two users of one connection, as behind a proxy, have a session each.
        let mut client = server.client().await;
        client.set_header("authorization", alice.clone());
        client.execute_update("SET SESSION pushdown = 'none'".to_owned(), None).await.unwrap();
        client.set_header("authorization", bob);
        assert_eq!(lines(&mut client, "SHOW pushdown").await, ["all"]);
        client.set_header("authorization", alice);
        assert_eq!(lines(&mut client, "SHOW pushdown").await, ["none"]);
    });
}

fn accepting(name: &str, keys: JwtKeys) -> Server {
    asking(name, AuthOptions { jwt: Some(JwtOptions::new(keys)), ..AuthOptions::default() })
}

async fn is_accepted(server: &Server, token: &str) -> Result<(), Code> {
    is_let_in(server, &format!("Bearer {token}")).await.map_err(|refused| {
        assert!(!refused.message().contains(token), "{refused}");
        refused.code()
    })
}

#[test]
fn tokens_of_an_issuer_with_a_public_key() {
    let users = Users::new();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let server = accepting("public key", JwtKeys::PublicKey(users.write("key.pem", key.public_key_pem())));
    let random = rand::SystemRandom::new();
    let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let signer = signature::EcdsaKeyPair::from_pkcs8(algorithm, key.serialized_der(), &random).unwrap();
    let token = |header: Value, claims: Value| {
        web_token(&header, &claims, |message| signer.sign(&random, message).unwrap().as_ref().to_vec())
    };
    block_on(async {
        let good = token(json!({"alg": "ES256", "typ": "JWT"}), claims("alice", 600));
        is_accepted(&server, &good).await.unwrap();
        // It can be traded for a token of the server's own.
        let mut client = with_header(&server, &format!("Bearer {good}")).await;
        let answer = client.inner_mut();
        let mut request = Request::new(futures::stream::empty());
        request.metadata_mut().insert("authorization", format!("Bearer {good}").parse().unwrap());
        let answer = answer.handshake(request).await.unwrap();
        let own = answer.metadata().get("authorization").unwrap().to_str().unwrap();
        is_let_in(&server, own).await.unwrap();

        let refused = Err(Code::Unauthenticated);
        let expired = token(json!({"alg": "ES256"}), claims("alice", -600));
        assert_eq!(is_accepted(&server, &expired).await, refused);
        let unsigned = web_token(&json!({"alg": "none"}), &claims("alice", 600), |_| Vec::new());
        assert_eq!(is_accepted(&server, &unsigned).await, refused);
        // Signed with what everybody knows.
        let forged = with_secret(&claims("alice", 600), key.public_key_pem().as_bytes());
        assert_eq!(is_accepted(&server, &forged).await, refused);
        // There are no passwords here.
        assert_eq!(is_let_in(&server, &basic("alice", PASSWORD)).await.unwrap_err().code(), Code::Unauthenticated);
    });
}

#[test]
fn tokens_of_an_issuer_with_a_secret() {
    let users = Users::new();
    let server = accepting("secret", JwtKeys::Secret(users.write("secret", SECRET)));
    let good = with_secret(&claims("alice", 600), SECRET);
    let wrong_key = with_secret(&claims("alice", 600), b"another secret of thirty-two bytes");
    block_on(async {
        is_accepted(&server, &good).await.unwrap();
        assert_eq!(is_accepted(&server, &wrong_key).await, Err(Code::Unauthenticated));
    });
    script("security.py", &format!("grpc://{}", server.address), "bearer", &[&good, &wrong_key]);
}

#[test]
fn other_clients_log_in() {
    let users = Users::new();
    let server = users.server("other clients");
    let uri = format!("grpc://{}", server.address);
    script("security.py", &uri, "password", &[]);
    script("security.py", &uri, "pyarrow", &[]);
}

/// Runs the program and gives what it said and how it ended.
fn portolan(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_program_makes_a_line_for_the_users_file() {
    let users = Users::new();
    let (status, line, errors) = portolan(&["password", "dora", "--admin"], "a password with spaces \n");
    assert_eq!(status, Some(0), "{errors}");
    assert!(line.starts_with("dora:$argon2id$") && line.ends_with(":admin\n"), "{line}");
    std::fs::write(&users.file, line).unwrap();
    let server = users.server("made");
    block_on(async {
        is_let_in(&server, &basic("dora", "a password with spaces ")).await.unwrap();
        assert!(is_let_in(&server, &basic("dora", "a password with spaces")).await.is_err());
    });
    for (name, input) in [("dora", ""), ("do:ra", "x"), ("", "x")] {
        let (status, line, _) = portolan(&["password", name], input);
        assert_eq!((status, line.as_str()), (Some(1), ""), "{name}");
    }
}

#[test]
fn the_program_does_not_start_where_it_would_not_be_safe() {
    let users = Users::new();
    let catalogs = users.write("catalogs.toml", "");
    let serve = |arguments: &[&str]| {
        let start = ["serve", "--catalogs", catalogs.to_str().unwrap(), "--listen", "0.0.0.0:0"];
        let (status, output, errors) = portolan(&[&start, arguments].concat(), "");
        assert_eq!(output, "");
        (status, errors)
    };
    let file = |path: &Path| path.to_str().unwrap().to_owned();
    let (status, errors) = serve(&[]);
    assert_eq!(status, Some(2));
    assert!(errors.contains("neither asks clients who they are nor encrypts"), "{errors}");
    let (status, errors) = serve(&["--users-file", &file(&users.file)]);
    assert_eq!(status, Some(2));
    assert!(errors.contains("--tls-cert"), "{errors}");
    let broken = users.write("broken", "alice:secret");
    let (status, errors) = serve(&["--insecure", "--users-file", &file(&broken)]);
    assert_eq!(status, Some(1));
    assert!(errors.contains("line 1: the hash is not argon2id's") && !errors.contains("secret"), "{errors}");
    let (status, errors) = serve(&["--insecure", "--key-file", &file(&broken)]);
    assert_eq!(status, Some(1));
    assert!(errors.contains("12 bytes, and a key has at least 32"), "{errors}");
}
