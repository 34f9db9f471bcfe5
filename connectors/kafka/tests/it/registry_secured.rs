//! A registry behind TLS that asks its clients for certificates.

use std::sync::Arc;

use portolan_servers::SchemaRegistry;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::engine::Engine;
use super::secured::certificates;
use super::topics::{Sent, create, produce};

/// Takes the encryption off what is sent to a registry; returns the address before it. It ends with the test.
async fn behind_tls(registry: &SchemaRegistry, directory: &TempDir) -> String {
    let acceptor = TlsAcceptor::from(Arc::new(certificates(directory, true)));
    let to = registry.url().replace("http://", "");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, to) = (acceptor.clone(), to.clone());
            tokio::spawn(async move {
                let mut client = acceptor.accept(client).await?;
                let mut registry = TcpStream::connect(to).await?;
                tokio::io::copy_bidirectional(&mut client, &mut registry).await
            });
        }
    });
    address
}

#[tokio::test]
async fn a_registry_that_knows_its_clients() {
    let registry = SchemaRegistry::start().unwrap();
    create("registry.mutual", 1).await;
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"int"}]}"#;
    let id = registry.register("registry.mutual-value", &format!("\"schema\":{}", serde_json::Value::from(schema)));
    produce("registry.mutual", &[Sent::value([&[0][..], &id.to_be_bytes(), &[8]].concat())]);
    let directory = TempDir::new().unwrap();
    let url = behind_tls(&registry, &directory).await;
    let with = |files: &[(&str, &str)]| {
        let path = |name: &str| directory.path().join(name).display().to_string();
        let files = files.iter().map(|(key, name)| format!(", {key} = \"{}\"", path(name)));
        Engine::new(&format!("schema_registry = {{ url = \"{url}\"{} }}", files.collect::<String>()))
    };
    let client = [("ca_file", "ca.pem"), ("certificate_file", "client.pem"), ("key_file", "client.key")];
    assert_eq!(with(&client).rows("SELECT id FROM \"registry.mutual\"").await, ["4"]);
    let asked = registry.asked();
    let stranger = [("ca_file", "ca.pem"), ("certificate_file", "stranger.pem"), ("key_file", "stranger.key")];
    for (files, part) in [
        // The server's authority is none of this machine's.
        (&client[1..], "invalid peer certificate"),
        (&[("ca_file", "other.pem")], "invalid peer certificate"),
        // The registry's end of the connection may be gone before its reason is read.
        (&client[..1], "did not tell version latest"),
        (&stranger, "did not tell version latest"),
    ] {
        let error = with(files).connector().table("default", "registry.mutual").await.unwrap_err().to_string();
        assert!(error.contains(&url) && error.contains(part), "{files:?}: {error}");
    }
    assert_eq!(registry.asked(), asked, "the registry hears nothing of those");
}
