//! The project's own rules, checked mechanically.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                rust_files(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_lock_file_has_one_version_of_what_must_be_one() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            package
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{key} = \""))?.strip_suffix('"'))
                .unwrap_or_default()
        };
        versions.entry(value("name")).or_default().push(value("version"));
    }
    // The reader of ORC files has a prost of its own, as deny.toml says, and shows none of its types.
    if let Some(prost) = versions.get_mut("prost") {
        prost.retain(|version| !version.starts_with("0.13."));
    }
    for name in
        ["arrow", "arrow-schema", "datafusion", "object_store", "parquet", "prost", "rustls", "sqlparser", "tonic"]
    {
        assert_eq!(versions.get(name).map(Vec::len), Some(1), "{name}: {:?}", versions.get(name));
    }
    for name in ["aws-lc-sys", "native-tls"] {
        assert!(!versions.contains_key(name), "{name} is in the lock file");
    }
    assert!(!lock.contains("source = \"git+"), "a dependency comes from git");
}

#[test]
fn arrows_point_one_way() {
    for connector in ["spi", "sql", "postgres", "hive", "kafka"] {
        let manifest = std::fs::read_to_string(root().join("connectors").join(connector).join("Cargo.toml")).unwrap();
        let dependencies: Vec<&str> = manifest
            .lines()
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .filter(|name| name.starts_with("portolan"))
            .collect();
        let allowed: &[&str] = match connector {
            "spi" => &[],
            "sql" => &["portolan-connector"],
            "postgres" => &["portolan-connector", "portolan-remote-sql", "portolan-servers"],
            _ => &["portolan-connector", "portolan-servers"],
        };
        for dependency in dependencies {
            assert!(allowed.contains(&dependency), "connectors/{connector} must not depend on {dependency}");
        }
    }
}

#[test]
fn files_hold_one_idea() {
    const LINES_MAX: usize = 700;
    let mut files = Vec::new();
    for directory in ["src", "connectors", "servers", "tests", "benches"] {
        rust_files(&root().join(directory), &mut files);
    }
    for file in files {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines: two ideas?", file.display());
    }
}

#[test]
fn the_compose_file_names_its_services() {
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    for service in ["postgres:", "kafka:", "minio:", "metastore:"] {
        assert!(text.lines().any(|line| line.trim() == service), "docker-compose.yml has no service {service}");
    }
}
