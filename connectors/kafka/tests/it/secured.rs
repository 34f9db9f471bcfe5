//! What a broker does at its door that the stand-in does not: TLS, certificates of clients, and logins with `PLAIN` and SCRAM.
//!
//! The server's side, written for itself from the specifications, before a broker that lets everybody in.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use ring::{digest, hmac, pbkdf2};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const ITERATIONS: u32 = 4_096;
const SALT: &[u8] = b"grains of salt";

/// What the door asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// The mechanism, the user and the password.
    pub(crate) login: Option<(&'static str, &'static str, &'static str)>,
    pub(crate) has_tls: bool,
    /// Whether clients show a certificate.
    pub(crate) knows_clients: bool,
    /// Whether the server proves that it knows the password with something else.
    pub(crate) is_impostor: bool,
}

/// A running door. It ends with the process.
pub(crate) struct Door {
    port: u16,
    /// Certificates of the authority, of a client, and of one of another authority, with keys.
    directory: TempDir,
    /// How many connections got through.
    pub(crate) let_in: Arc<AtomicUsize>,
    /// All that was read of connections before TLS was taken off.
    pub(crate) seen: Arc<Mutex<Vec<u8>>>,
}

impl Door {
    /// A door before a broker at `127.0.0.1:PORT`.
    pub(crate) fn before(broker: &str, rules: Rules) -> Self {
        let directory = TempDir::new().unwrap();
        let config = certificates(&directory, rules.knows_clients);
        let acceptor = rules.has_tls.then(|| TlsAcceptor::from(Arc::new(config)));
        let to: u16 = broker.strip_prefix("127.0.0.1:").expect("a broker on this machine").parse().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (let_in, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (counted, looked) = (Arc::clone(&let_in), Arc::clone(&seen));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((client, _)) = listener.accept().await {
                    let (rules, acceptor, let_in) = (rules.clone(), acceptor.clone(), Arc::clone(&counted));
                    let mut beginning = [0; 4096];
                    let length = client.peek(&mut beginning).await.unwrap_or(0);
                    looked.lock().unwrap().extend(&beginning[..length]);
                    tokio::spawn(async move {
                        let broker = TcpStream::connect(("127.0.0.1", to)).await?;
                        match acceptor {
                            Some(acceptor) => {
                                let client = acceptor.accept(client).await?;
                                serve(client, broker, (to, port), &rules, &let_in).await
                            }
                            None => serve(client, broker, (to, port), &rules, &let_in).await,
                        }
                    });
                }
            });
        });
        Self { port, directory, let_in, seen }
    }

    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The path of a file with a certificate or key.
    pub(crate) fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }
}

/// Makes certificates, and the server's configuration of them.
pub(crate) fn certificates(directory: &TempDir, knows_clients: bool) -> rustls::ServerConfig {
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(directory.path().join(format!("{name}.pem")), issuer.pem()).unwrap();
        issuer
    };
    let (ours, other) = (authority("ca"), authority("other"));
    let signed = |by: &CertifiedIssuer<'static, KeyPair>, name: &str| {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        params.subject_alt_names.push(SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
        let certificate = params.signed_by(&key, by).unwrap().pem();
        std::fs::write(directory.path().join(format!("{name}.pem")), &certificate).unwrap();
        std::fs::write(directory.path().join(format!("{name}.key")), key.serialize_pem()).unwrap();
        (certificate, key.serialize_pem())
    };
    let (certificate, key) = signed(&ours, "server");
    signed(&ours, "client");
    signed(&other, "stranger");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        rustls::ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.unwrap();
    let builder = if knows_clients {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ours.pem().as_bytes()).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
}

const METADATA: i16 = 3;
const FIND_COORDINATOR: i16 = 10;
const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;

async fn frame(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let length = from.read_i32().await?;
    let mut frame = vec![0; usize::try_from(length).unwrap()];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn send(to: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> std::io::Result<()> {
    to.write_i32(i32::try_from(frame.len()).unwrap()).await?;
    to.write_all(frame).await?;
    to.flush().await
}

/// Where the door is, in the place of where the broker is.
fn readdressed(mut answer: Vec<u8>, (from, to): (u16, u16)) -> Vec<u8> {
    let wanted = [b"127.0.0.1".as_slice(), &u32::from(from).to_be_bytes()].concat();
    for start in 0..answer.len().saturating_sub(wanted.len() - 1) {
        if answer[start..].starts_with(&wanted) {
            answer[start + 9..start + wanted.len()].copy_from_slice(&u32::from(to).to_be_bytes());
        }
    }
    answer
}

async fn serve(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    mut broker: TcpStream,
    ports: (u16, u16),
    rules: &Rules,
    let_in: &AtomicUsize,
) -> std::io::Result<()> {
    if let Some(login) = rules.login {
        let mut scram = None;
        loop {
            let question = frame(&mut client).await?;
            let (api, number) = (i16::from_be_bytes([question[0], question[1]]), &question[4..8]);
            let body = &question[10 + usize::from(u16::from_be_bytes([question[8], question[9]]))..];
            match api {
                API_VERSIONS => {
                    send(&mut broker, &question).await?;
                    let answer = frame(&mut broker).await?;
                    send(&mut client, &answer).await?;
                }
                SASL_HANDSHAKE => {
                    let is_known = &body[2..] == login.0.as_bytes();
                    let length = u16::try_from(login.0.len()).unwrap();
                    let error: i16 = if is_known { 0 } else { 33 };
                    let offered = [&[0, 0, 0, 1], &length.to_be_bytes()[..], login.0.as_bytes()].concat();
                    send(&mut client, &[number, &error.to_be_bytes(), &offered].concat()).await?;
                }
                SASL_AUTHENTICATE => {
                    let step = authenticate(&body[4..], rules, login, &mut scram);
                    let answer = match &step {
                        Ok((bytes, _)) => {
                            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
                            // Version 1 tells how long the session may last: 0 is for ever.
                            let lifetime: &[u8] = if question[3] > 0 { &[0; 8] } else { &[] };
                            [number, &[0, 0, 0xff, 0xff], &length, bytes, lifetime].concat()
                        }
                        Err(said) => {
                            let length = u16::try_from(said.len()).unwrap().to_be_bytes();
                            [number, &[0, 58], &length, said.as_bytes(), &[0; 12]].concat()
                        }
                    };
                    send(&mut client, &answer).await?;
                    match step {
                        Ok((_, true)) => break,
                        Ok((_, false)) => {}
                        Err(_) => return Ok(()),
                    }
                }
                other => panic!("{other} is asked before the login"),
            }
        }
    }
    let_in.fetch_add(1, Ordering::SeqCst);
    let (mut from_client, mut to_client) = split(client);
    let (mut from_broker, mut to_broker) = broker.into_split();
    let addresses = Mutex::new(Vec::new());
    let ask = async {
        loop {
            let question = frame(&mut from_client).await?;
            if [METADATA, FIND_COORDINATOR].contains(&i16::from_be_bytes([question[0], question[1]])) {
                addresses.lock().unwrap().push(question[4..8].to_vec());
            }
            send(&mut to_broker, &question).await?;
        }
    };
    let answer = async {
        loop {
            let answer = frame(&mut from_broker).await?;
            let tells = addresses.lock().unwrap().iter().any(|number| *number == answer[..4]);
            let answer = if tells { readdressed(answer, ports) } else { answer };
            send(&mut to_client, &answer).await?;
        }
    };
    tokio::select! { ended = ask => ended, ended = answer => ended }
}

/// The answer to one step of a login, and whether it was the last; or why it is refused.
fn authenticate(
    bytes: &[u8],
    rules: &Rules,
    (mechanism, user, password): (&str, &str, &str),
    scram: &mut Option<(String, String)>,
) -> Result<(Vec<u8>, bool), String> {
    let refused = || {
        Err(format!(
            "Authentication failed during authentication due to invalid credentials with SASL mechanism {mechanism}"
        ))
    };
    let said = str::from_utf8(bytes).unwrap();
    if mechanism == "PLAIN" {
        return if said == format!("\0{user}\0{password}") { Ok((Vec::new(), true)) } else { refused() };
    }
    let (algorithm, hashed, derived) = match mechanism {
        "SCRAM-SHA-256" => (hmac::HMAC_SHA256, &digest::SHA256, pbkdf2::PBKDF2_HMAC_SHA256),
        _ => (hmac::HMAC_SHA512, &digest::SHA512, pbkdf2::PBKDF2_HMAC_SHA512),
    };
    let Some((client_first, server_first)) = scram else {
        let client_first = said.strip_prefix("n,,").unwrap().to_owned();
        let (name, nonce) = client_first.strip_prefix("n=").unwrap().split_once(",r=").unwrap();
        if name.replace("=2C", ",").replace("=3D", "=") != user {
            return refused();
        }
        let server_first = format!("r={nonce}and+ours,s={},i={ITERATIONS}", BASE64.encode(SALT));
        *scram = Some((client_first, server_first.clone()));
        return Ok((server_first.into_bytes(), false));
    };
    let (unproven, proof) = said.rsplit_once(",p=").unwrap();
    let nonce = server_first.split(',').next().unwrap();
    assert_eq!(unproven, format!("c=biws,{nonce}"));
    let mut salted = vec![0; hashed.output_len()];
    pbkdf2::derive(derived, NonZeroU32::new(ITERATIONS).unwrap(), SALT, password.as_bytes(), &mut salted);
    let salted = hmac::Key::new(algorithm, &salted);
    // RFC 5802, section 3: the server knows H(ClientKey), and ClientKey is what the proof has beside the signature.
    let stored = digest::digest(hashed, hmac::sign(&salted, b"Client Key").as_ref());
    let message = format!("{client_first},{server_first},{unproven}");
    let signature = hmac::sign(&hmac::Key::new(algorithm, stored.as_ref()), message.as_bytes());
    let key: Vec<u8> =
        BASE64.decode(proof).unwrap().iter().zip(signature.as_ref()).map(|(proof, sign)| proof ^ sign).collect();
    if digest::digest(hashed, &key).as_ref() != stored.as_ref() {
        return refused();
    }
    let server_key = if rules.is_impostor { vec![7; 32] } else { hmac::sign(&salted, b"Server Key").as_ref().to_vec() };
    let proven = hmac::sign(&hmac::Key::new(algorithm, &server_key), message.as_bytes());
    Ok((format!("v={}", BASE64.encode(proven)).into_bytes(), true))
}
