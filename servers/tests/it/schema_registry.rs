//! The schema registry, asked as a client asks it.

use std::io::{Read, Write};
use std::net::TcpStream;

use portolan_servers::SchemaRegistry;

fn get(registry: &SchemaRegistry, path: &str, header: &str) -> String {
    let address = registry.url().replace("http://", "");
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn subjects_versions_and_ids() {
    let registry = SchemaRegistry::start().unwrap();
    let (one, two) = (r#""schema":"\"int\"""#, r#""schema":"\"long\"""#);
    assert_eq!(registry.register("a-value", one), 1);
    assert_eq!(registry.register("a-value", two), 2);
    assert_eq!(registry.register("b/value", one), 1, "the same schema has the same id");
    assert!(get(&registry, "/schemas/ids/2", "").ends_with(&format!("\r\n\r\n{{{two}}}")));
    let latest = get(&registry, "/subjects/a-value/versions/latest", "");
    assert!(latest.ends_with(&format!("{{\"subject\":\"a-value\",\"version\":2,\"id\":2,{two}}}")), "{latest}");
    assert!(get(&registry, "/subjects/b%2Fvalue/versions/1", "").contains("\"id\":1"));
    for missing in ["/schemas/ids/3", "/subjects/c/versions/latest", "/subjects/a-value/versions/0", "/"] {
        assert!(get(&registry, missing, "").starts_with("HTTP/1.1 404"), "{missing}");
    }
    registry.fail(1);
    assert!(get(&registry, "/schemas/ids/1", "").starts_with("HTTP/1.1 503"));
    assert!(get(&registry, "/schemas/ids/1", "").starts_with("HTTP/1.1 200"));
    assert_eq!(registry.asked(), 9);
}

#[test]
fn a_password() {
    let registry = SchemaRegistry::start_with(Some("Basic dXNlcjpwYXNz")).unwrap();
    assert!(get(&registry, "/schemas/ids/1", "").starts_with("HTTP/1.1 401"));
    assert!(get(&registry, "/schemas/ids/1", "Authorization: Basic dXNlcjpwYXNz\r\n").starts_with("HTTP/1.1 404"));
}
