//! Encrypted connections, and clients with certificates.

use std::net::SocketAddr;
use std::path::PathBuf;

use arrow_flight::FlightDescriptor;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandGetCatalogs, ProstMessageExt};
use portolan::auth::AuthOptions;
use portolan::flight::{ServerOptions, TlsOptions};
use portolan::{Engine, EngineOptions};
use prost::Message;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Error, Identity};
use tonic::{Code, Request};

use super::adbc::script;
use super::security::{PASSWORD, Users, basic};
use super::server::{Server, block_on, lines};
use crate::certificates::{Authority, Certified};

/// The files of a server with TLS.
struct Files {
    users: Users,
    certificate: PathBuf,
    key: PathBuf,
    authority: PathBuf,
}

impl Files {
    fn new(authority: &Authority) -> Self {
        let users = Users::new();
        let Certified { certificate, key } = authority.server();
        Self {
            certificate: users.write("certificate.pem", certificate),
            key: users.write("key.pem", key),
            authority: users.write("authority.pem", authority.pem()),
            users,
        }
    }

    /// A server that asks for passwords, or for certificates.
    fn server(&self, name: &str, is_mutual: bool) -> Server {
        let tls = TlsOptions {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            client_authorities: is_mutual.then(|| self.authority.clone()),
        };
        let users_file = (!is_mutual).then(|| self.users.file.clone());
        let auth = AuthOptions { users_file, ..AuthOptions::default() };
        let options = ServerOptions { auth, tls: Some(tls), ..ServerOptions::default() };
        Server::with(name, Engine::start(EngineOptions::default()).unwrap(), options)
    }
}

async fn connect(server: &Server, authority: &Authority, user: Option<&Certified>) -> Result<Channel, Error> {
    let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem()));
    if let Some(Certified { certificate, key }) = user {
        config = config.identity(Identity::from_pem(certificate, key));
    }
    let uri = format!("https://localhost:{}", server.address.port());
    Endpoint::new(uri).unwrap().tls_config(config).unwrap().connect().await
}

async fn client(server: &Server, authority: &Authority, user: Option<&Certified>) -> FlightSqlServiceClient<Channel> {
    FlightSqlServiceClient::new(connect(server, authority, user).await.unwrap())
}

#[test]
fn a_client_that_trusts_the_authority_logs_in() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    let server = files.server("tls", false);
    block_on(async {
        let mut client = client(&server, &authority, None).await;
        client.handshake("alice", PASSWORD).await.unwrap();
        assert_eq!(lines(&mut client, "SELECT 1 AS one").await, ["1"]);
        // Whoever trusts another authority does not talk to this server.
        assert!(connect(&server, &Authority::new(), None).await.is_err());
    });
    let uri = format!("grpc+tls://127.0.0.1:{}", server.address.port());
    script("security.py", &uri, "tls", &[files.authority.to_str().unwrap()]);
}

#[test]
fn who_does_not_speak_tls_is_cut_off_and_keeps_nobody_waiting() {
    let authority = Authority::new();
    let server = Files::new(&authority).server("plain", false);
    block_on(async {
        // Plain HTTP/2 gets no answer.
        let mut plain = FlightSqlServiceClient::new(server.plain_channel());
        assert!(plain.handshake("alice", PASSWORD).await.is_err());
        // Some say nothing at all, and others are served meanwhile.
        let silent: Vec<TcpStream> = connections(server.address, 50).await;
        let mut client = client(&server, &authority, None).await;
        client.handshake("alice", PASSWORD).await.unwrap();
        assert_eq!(lines(&mut client, "SELECT 1 AS one").await, ["1"]);
        // In the end they are cut off.
        for mut stream in silent {
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
        }
    });
}

async fn connections(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(TcpStream::connect(address).await.unwrap());
    }
    streams
}

/// Asks for something small on a connection. Returns the cookie that the answer offers.
async fn ask(channel: Channel, headers: &[(&'static str, &str)]) -> Result<Option<String>, tonic::Status> {
    let mut request = Request::new(FlightDescriptor::new_cmd(CommandGetCatalogs {}.as_any().encode_to_vec()));
    for (name, value) in headers {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    let answer = FlightServiceClient::new(channel).get_flight_info(request).await?;
    Ok(answer.metadata().get("set-cookie").map(|value| value.to_str().unwrap().to_owned()))
}

#[test]
fn a_certificate_says_who_the_client_is() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    let server = files.server("mutual", true);
    let (alice, bob) = (authority.user("alice"), authority.user("bob"));
    block_on(async {
        let mut own = client(&server, &authority, Some(&alice)).await;
        assert_eq!(lines(&mut own, "SELECT current_user AS name").await, ["alice"]);
        let of = async |user| connect(&server, &authority, Some(user)).await.unwrap();
        // A session and a token are good for the user who has them.
        let cookie = ask(of(&alice).await, &[]).await.unwrap().unwrap();
        ask(of(&alice).await, &[("cookie", &cookie)]).await.unwrap();
        assert_eq!(ask(of(&bob).await, &[("cookie", &cookie)]).await.unwrap_err().code(), Code::NotFound);
        own.handshake("anybody", "anything").await.unwrap();
        let token = format!("Bearer {}", own.token().unwrap());
        ask(of(&alice).await, &[("authorization", &token)]).await.unwrap();
        let stolen = ask(of(&bob).await, &[("authorization", &token)]).await.unwrap_err();
        assert_eq!(stolen.code(), Code::Unauthenticated);

        // TLS 1.3 tells a client without a certificate only when it says something.
        let stranger = Authority::new().user("alice");
        for user in [None, Some(&stranger)] {
            match connect(&server, &authority, user).await {
                Ok(channel) => assert!(ask(channel, &[]).await.is_err()),
                Err(_) => continue,
            }
        }
    });
    let write = |name: &str, text: &str| files.users.write(name, text).to_str().unwrap().to_owned();
    let (certificate, key) = (write("alice.pem", &alice.certificate), write("alice.key", &alice.key));
    let uri = format!("grpc+tls://127.0.0.1:{}", server.address.port());
    script("security.py", &uri, "mutual", &[files.authority.to_str().unwrap(), &certificate, &key]);
}

#[test]
fn a_new_certificate_is_used_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let files = Files::new(&old);
    let server = files.server("renewed", false);
    block_on(async {
        connect(&server, &old, None).await.unwrap();
        // For a moment the key does not go with the certificate, and the old ones stay.
        let Certified { certificate, key } = new.server();
        std::fs::write(&files.certificate, certificate).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        connect(&server, &old, None).await.unwrap();
        std::fs::write(&files.key, key).unwrap();
        let channel = loop {
            match connect(&server, &new, None).await {
                Ok(channel) => break channel,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            }
        };
        ask(channel, &[("authorization", &basic("alice", PASSWORD))]).await.unwrap();
    });
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_stops_the_start() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    std::fs::write(&files.key, authority.server().key).unwrap();
    let catalogs = files.users.write("catalogs.toml", "");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(["serve", "--listen", "127.0.0.1:0", "--catalogs"])
        .arg(catalogs)
        .arg("--tls-cert")
        .arg(&files.certificate)
        .arg("--tls-key")
        .arg(&files.key)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("key.pem does not belong to the certificate"), "{said}");
}
