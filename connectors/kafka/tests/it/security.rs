//! TLS, certificates and logins: catalogs that say what the brokers ask for read and write, and others are told why not.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::engine::{Engine, PATIENCE, cause, connector};
use super::secured::{Door, Rules};
use super::topics::{create_at, numbers, produce_at, stand_in};
use super::writing::insert;

const MESSAGES: i64 = 5_000;

/// A topic with messages at a broker behind a door.
async fn behind(topic: &str, rules: Rules) -> Door {
    create_at(&stand_in(), topic, 1).await;
    produce_at(&stand_in(), topic, &numbers(0, MESSAGES));
    Door::before(&stand_in(), rules)
}

fn engine(door: &Door, topic: &str, settings: &str) -> Result<Engine, String> {
    let settings = format!(
        "brokers = \"{}\"\n{settings}\n[tables.t]\ntopic = \"{topic}\"\nvalue = {{ columns = {{ n = \"bigint\" }} }}",
        door.bootstrap()
    );
    Ok(Engine::on(connector("events", &settings)?, "events", true))
}

/// Reads all of the topic.
async fn reads_all(door: &Door, topic: &str, settings: &str) {
    let engine = engine(door, topic, settings).unwrap();
    let wanted = format!("{MESSAGES}|{}", MESSAGES * (MESSAGES - 1) / 2);
    assert_eq!(engine.rows("SELECT count(*), sum(n) FROM t").await, [wanted]);
    assert!(door.let_in.load(Ordering::SeqCst) > 0, "all connections go through the door");
}

/// What a query says that gets nowhere.
async fn refusal(door: &Door, topic: &str, settings: &str) -> String {
    let started = Instant::now();
    let engine = engine(door, topic, &format!("connect_timeout_ms = 5000\nmetadata_timeout_ms = 5000\n{settings}"));
    let error = cause(&engine.unwrap().try_sql("SELECT n FROM t").await.unwrap_err());
    assert!(started.elapsed() < PATIENCE, "{error}");
    assert_eq!(door.let_in.load(Ordering::SeqCst), 0);
    error
}

fn scram(mechanism: &str, user: &str, password: &str) -> String {
    format!("sasl = {{ mechanism = \"{mechanism}\", username = \"{user}\", password = \"{password}\" }}")
}

#[tokio::test]
async fn connections_are_encrypted_for_the_authority_that_the_catalog_names() {
    let door = behind("secured.tls", Rules { has_tls: true, ..Rules::default() }).await;
    let ca = format!("security = \"ssl\"\ntls = {{ ca_file = \"{}\" }}", door.file("ca.pem"));
    reads_all(&door, "secured.tls", &ca).await;
    let seen = door.seen.lock().unwrap().clone();
    assert!(!seen.is_empty() && !seen.windows(8).any(|bytes| bytes == b"portolan"), "nothing is sent in clear");
}

#[tokio::test]
async fn a_broker_of_another_authority_is_not_talked_to() {
    let door = behind("secured.other", Rules { has_tls: true, ..Rules::default() }).await;
    let other = format!("security = \"ssl\"\ntls = {{ ca_file = \"{}\" }}", door.file("other.pem"));
    let error = refusal(&door, "secured.other", &other).await;
    assert!(error.contains("cannot open an encrypted connection to the Kafka broker 127.0.0.1:"), "{error}");
    assert!(error.contains("invalid peer certificate"), "{error}");
    assert!(error.contains(&door.bootstrap()), "the broker's own address: {error}");
}

#[tokio::test]
async fn clients_show_their_certificates() {
    let door = behind("secured.mutual", Rules { has_tls: true, knows_clients: true, ..Rules::default() }).await;
    let files = |name: &str| {
        format!(
            "security = \"ssl\"\ntls = {{ ca_file = \"{}\", certificate_file = \"{}\", key_file = \"{}\" }}",
            door.file("ca.pem"),
            door.file(&format!("{name}.pem")),
            door.file(&format!("{name}.key"))
        )
    };
    let none = format!("security = \"ssl\"\ntls = {{ ca_file = \"{}\" }}", door.file("ca.pem"));
    for settings in [none, files("stranger")] {
        let error = refusal(&door, "secured.mutual", &settings).await;
        assert!(error.contains("cannot open an encrypted connection"), "{error}");
        assert!(error.contains("tls.certificate_file"), "what to look at: {error}");
    }
    reads_all(&door, "secured.mutual", &files("client")).await;
}

#[tokio::test]
async fn passwords_are_proved_with_every_mechanism() {
    for (mechanism, has_tls) in
        [("PLAIN", true), ("SCRAM-SHA-256", false), ("SCRAM-SHA-256", true), ("SCRAM-SHA-512", true), ("PLAIN", false)]
    {
        let topic = format!("secured.{}.{has_tls}", mechanism.to_lowercase());
        let login = (mechanism, "anna=b,c", "open sesame");
        let door = behind(&topic, Rules { login: Some(login), has_tls, ..Rules::default() }).await;
        let security = if has_tls {
            format!("security = \"sasl_ssl\"\ntls = {{ ca_file = \"{}\" }}", door.file("ca.pem"))
        } else {
            "security = \"sasl_plaintext\"".to_owned()
        };
        let with = |password| format!("{security}\n{}", scram(mechanism, "anna=b,c", password));
        let error = refusal(&door, &topic, &with("wrong")).await;
        assert!(error.contains("the Kafka broker refused the login"), "{mechanism}: {error}");
        assert!(error.contains("due to invalid credentials"), "{mechanism}: {error}");
        reads_all(&door, &topic, &with("open sesame")).await;
        if mechanism.starts_with("SCRAM") {
            let seen = door.seen.lock().unwrap().clone();
            assert!(!seen.windows(11).any(|bytes| bytes == b"open sesame"), "the password is not sent");
        }
    }
}

#[tokio::test]
async fn a_mechanism_that_the_broker_has_not_is_told_with_those_that_it_has() {
    let login = ("SCRAM-SHA-512", "anna", "x");
    let door = behind("secured.unknown", Rules { login: Some(login), ..Rules::default() }).await;
    let settings = format!("security = \"sasl_plaintext\"\n{}", scram("SCRAM-SHA-256", "anna", "x"));
    let error = refusal(&door, "secured.unknown", &settings).await;
    assert!(error.contains("it does not offer SCRAM-SHA-256, but SCRAM-SHA-512"), "{error}");
}

#[tokio::test]
async fn a_broker_that_does_not_know_the_password_is_not_talked_to() {
    let login = ("SCRAM-SHA-256", "anna", "x");
    let rules = Rules { login: Some(login), is_impostor: true, ..Rules::default() };
    let door = behind("secured.impostor", rules).await;
    let settings = format!("security = \"sasl_plaintext\"\n{}", scram("SCRAM-SHA-256", "anna", "x"));
    let engine = engine(&door, "secured.impostor", &settings).unwrap();
    let error = cause(&engine.try_sql("SELECT n FROM t").await.unwrap_err());
    assert!(error.contains("it does not know the password itself"), "{error}");
}

#[tokio::test]
async fn statements_write_through_tls() {
    let door = behind(
        "secured.write",
        Rules { has_tls: true, login: Some(("SCRAM-SHA-512", "anna", "x")), ..Rules::default() },
    )
    .await;
    let settings = format!(
        "access = \"read_write\"\nsecurity = \"sasl_ssl\"\ntls = {{ ca_file = \"{}\" }}\n{}",
        door.file("ca.pem"),
        scram("SCRAM-SHA-512", "anna", "x")
    );
    let engine = engine(&door, "secured.write", &settings).unwrap();
    assert_eq!(insert(&engine, "t", &["n"], "VALUES (-1), (-2)").await, Ok(2));
    assert_eq!(engine.rows("SELECT count(*), min(n) FROM t").await, [format!("{}|-2", MESSAGES + 2)]);
}

#[tokio::test]
async fn a_broker_that_is_away_is_told_by_its_own_address() {
    // A port that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = format!("brokers = \"127.0.0.1:{port}\"\nsecurity = \"ssl\"\nmetadata_timeout_ms = 5000");
    let door = Door::before(&stand_in(), Rules::default());
    let settings = format!("{settings}\ntls = {{ ca_file = \"{}\" }}", door.file("ca.pem"));
    let engine = Engine::on(connector("events", &settings).unwrap(), "events", true);
    let error = cause(&engine.try_sql("SELECT * FROM t").await.unwrap_err());
    assert!(error.contains(&format!("cannot reach a Kafka broker at 127.0.0.1:{port}")), "{error}");
    assert!(error.contains("refused"), "{error}");
}
