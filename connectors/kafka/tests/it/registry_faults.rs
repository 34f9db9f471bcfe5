//! A registry that is behind TLS, and one that hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use portolan_servers::SchemaRegistry;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::engine::{Engine, cause, connector, on_broker};
use super::secured::certificates;
use super::topics::{Sent, create, numbers, produce};

/// How long an answer of the registry may take, and how long a question that is asked three times, with pauses between.
const LIMIT: Duration = Duration::from_millis(1_000);
const THREE_TIMES: Duration = Duration::from_millis(3_300);

/// How much later an error may come. Tests run in parallel on few processors.
const LATE: Duration = Duration::from_secs(5);

const TEXT: &str = "\"schema\":\"\\\"string\\\"\"";

/// A door before a registry. It ends with the process.
struct Door {
    port: u16,
    directory: TempDir,
    /// Whether nobody gets an answer.
    hangs: Arc<AtomicBool>,
    /// How many questions got none.
    unanswered: Arc<AtomicUsize>,
}

impl Door {
    fn before(registry: &SchemaRegistry, has_tls: bool) -> Self {
        let directory = TempDir::new().unwrap();
        let acceptor = has_tls.then(|| TlsAcceptor::from(Arc::new(certificates(&directory, false))));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (hangs, unanswered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (is_hanging, counted, to) =
            (Arc::clone(&hangs), Arc::clone(&unanswered), registry.url().replace("http://", ""));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((client, _)) = listener.accept().await {
                    let (acceptor, to) = (acceptor.clone(), to.clone());
                    let unanswered = is_hanging.load(Ordering::SeqCst).then(|| Arc::clone(&counted));
                    tokio::spawn(async move {
                        match acceptor {
                            Some(acceptor) => serve(acceptor.accept(client).await?, &to, unanswered).await,
                            None => serve(client, &to, unanswered).await,
                        }
                    });
                }
            });
        });
        Self { port, directory, hangs, unanswered }
    }

    /// The settings of a registry at this door.
    fn settings(&self, scheme: &str, more: &str) -> String {
        let limit = LIMIT.as_millis();
        let url = format!("{scheme}://127.0.0.1:{}", self.port);
        format!("schema_cache_ms = 0\nschema_registry = {{ url = \"{url}\", timeout_ms = {limit}{more} }}\n")
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }
}

async fn serve(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    to: &str,
    unanswered: Option<Arc<AtomicUsize>>,
) -> std::io::Result<()> {
    if let Some(unanswered) = unanswered {
        let mut question = [0; 4096];
        unanswered.fetch_add(usize::from(client.read(&mut question).await? > 0), Ordering::SeqCst);
        // Until the client gives up.
        while client.read(&mut question).await? > 0 {}
        return Ok(());
    }
    let mut registry = TcpStream::connect(to).await?;
    copy_bidirectional(&mut client, &mut registry).await?;
    Ok(())
}

/// A text as Avro writes it, behind the id of its schema.
fn framed(id: u32, text: &str) -> Sent {
    let length = u8::try_from(text.len() * 2).unwrap();
    Sent::value([&[0], &id.to_be_bytes()[..], &[length], text.as_bytes()].concat())
}

fn in_time(started: Instant, limit: Duration) {
    assert!(started.elapsed() >= LIMIT, "it was waited for: {:?}", started.elapsed());
    assert!(started.elapsed() < limit + LATE, "took {:?}", started.elapsed());
}

#[tokio::test]
async fn a_registry_that_never_answers_is_one_error_in_time() {
    let registry = SchemaRegistry::start().unwrap();
    let door = Door::before(&registry, false);
    create("registry.hangs", 1).await;
    let id = registry.register("registry.hangs-value", TEXT);
    produce("registry.hangs", &[framed(id, "a"), framed(id, "b")]);
    let engine = Engine::new(&door.settings("http", ""));
    assert_eq!(engine.rows("SELECT value FROM \"registry.hangs\"").await, ["a", "b"]);
    door.hangs.store(true, Ordering::SeqCst);
    let started = Instant::now();
    let error = cause(&engine.try_sql("SELECT value FROM \"registry.hangs\"").await.unwrap_err());
    assert!(
        error.contains(&format!("the schema registry at http://127.0.0.1:{} did not tell version latest", door.port)),
        "{error}"
    );
    assert!(error.contains("it did not answer in time") && error.contains("schema_registry.url"), "{error}");
    in_time(started, THREE_TIMES);
    assert_eq!(door.unanswered.load(Ordering::SeqCst), 3, "it is asked three times");
    // Where nobody asks for a schema, nobody waits for one.
    let columns = "[tables.t]\ntopic = \"registry.hangs\"\nkey = { format = \"text\", columns = { k = \"varchar\" } }\n\
                   value = { format = \"binary\" }";
    let declared = Engine::new(&format!("{}{columns}", door.settings("http", "")));
    assert_eq!(declared.count("SELECT count(*) FROM t").await, 2);
    door.hangs.store(false, Ordering::SeqCst);
    assert_eq!(engine.rows("SELECT value FROM \"registry.hangs\"").await, ["a", "b"], "nothing of it stays");
}

#[tokio::test]
async fn a_registry_that_hangs_in_the_middle_of_a_read() {
    for on_error in ["fail", "null", "skip"] {
        let registry = SchemaRegistry::start().unwrap();
        let door = Door::before(&registry, false);
        let topic = format!("registry.hangs.{on_error}");
        create(&topic, 2).await;
        let id = registry.register(&format!("{topic}-value"), TEXT);
        // A schema of the same values that nobody has asked for.
        let other = registry.register(&format!("{topic}-other"), "\"schema\":\"{\\\"type\\\":\\\"string\\\"}\"");
        produce(&topic, &[framed(id, "a"), framed(id, "b").to(1), framed(other, "c"), framed(other, "d").to(1)]);
        let engine = Engine::new(&format!("{}on_error = \"{on_error}\"\n", door.settings("http", "")));
        let hangs = async { door.hangs.store(true, Ordering::SeqCst) };
        let mut stream = engine.stream_after(hangs, &format!("SELECT value FROM \"{topic}\"")).await.unwrap();
        let started = Instant::now();
        let mut rows = 0;
        let error = loop {
            match stream.next().await.expect("an error") {
                Ok(batch) => rows += batch.num_rows(),
                Err(error) => break cause(&error),
            }
        };
        assert!(error.contains(&format!("did not tell schema {other}: it did not answer in time")), "{error}");
        assert!(rows <= 2, "no message that cannot be read is a row, or left out: {rows}");
        in_time(started, THREE_TIMES);
    }
}

#[tokio::test]
async fn a_registry_behind_tls_with_an_authority_of_its_own() {
    let registry = SchemaRegistry::start_with(Some("Basic bWU6czNjcmV0")).unwrap();
    let door = Door::before(&registry, true);
    create("registry.tls", 1).await;
    let id = registry.register("registry.tls-value", TEXT);
    produce("registry.tls", &[framed(id, "safe")]);
    let ca = |file: &str| format!(", username = \"me\", password = \"s3cret\", ca_file = \"{}\"", door.file(file));
    let engine = Engine::new(&door.settings("https", &ca("ca.pem")));
    assert_eq!(engine.rows("SELECT value FROM \"registry.tls\"").await, ["safe"]);
    let asked = registry.asked();
    // Neither the machine nor another authority knows this one.
    for more in [ca("other.pem"), ", username = \"me\", password = \"s3cret\"".to_owned()] {
        let engine = Engine::new(&door.settings("https", &more));
        let error = engine.connector().table("default", "registry.tls").await.unwrap_err().to_string();
        assert!(error.contains("did not tell version latest of subject registry.tls-"), "{error}");
        assert!(error.contains("certificate") && !error.contains("s3cret"), "{error}");
    }
    assert_eq!(registry.asked(), asked, "a registry that is not believed is told nothing");
    for (file, said) in [("none.pem", "No such file"), ("server.key", "it has no certificate")] {
        let settings = on_broker(&door.settings("https", &ca(file)));
        let error = connector("events", &settings).map(|_| ()).unwrap_err();
        assert!(error.contains("cannot read the authorities in") && error.contains(&door.file(file)), "{error}");
        assert!(error.contains(said) && error.contains("`schema_registry.ca_file` names a PEM file"), "{error}");
    }
}

#[tokio::test]
async fn a_registry_behind_tls_that_hangs() {
    let registry = SchemaRegistry::start().unwrap();
    let door = Door::before(&registry, true);
    create("registry.tls.hangs", 1).await;
    produce("registry.tls.hangs", &numbers(0, 1));
    door.hangs.store(true, Ordering::SeqCst);
    let engine = Engine::new(&door.settings("https", &format!(", ca_file = \"{}\"", door.file("ca.pem"))));
    let started = Instant::now();
    let error = engine.connector().table("default", "registry.tls.hangs").await.unwrap_err().to_string();
    assert!(error.contains("https://127.0.0.1:") && error.contains("it did not answer in time"), "{error}");
    in_time(started, THREE_TIMES);
}
