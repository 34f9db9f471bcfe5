//! The same program against a server.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

use super::queries::shows_its_sources;
use super::terminal::{CTRL_D, Setting, TAB};

/// `portolan serve` on a free port. It is killed when it is dropped.
pub(super) struct Served {
    child: Child,
    pub(super) url: String,
}

impl Served {
    fn start() -> Self {
        Self::with(&["--listen", "127.0.0.1:0"])
    }

    pub(super) fn with(arguments: &[&str]) -> Self {
        Self::over(crate::shop::SHOP.catalogs_file().to_str().unwrap(), arguments)
    }

    /// Over another catalog file.
    pub(super) fn over(catalogs: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_portolan"))
            .args(["serve", "--catalogs", catalogs])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines.find_map(|line| {
            let line = line.unwrap();
            let start = line.find("grpc")?;
            Some(line[start..].split([';', ' ']).next().unwrap().to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url: url.expect("the server says where it listens") }
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(super) fn sql(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(["sql", "-X"])
        .args(arguments)
        .env_remove("PORTOLAN_PASSWORD")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What both ways to run it must answer alike.
const SAME: [&str; 8] = [
    "SELECT product_id, category, price FROM pg.public.products WHERE product_id < 4 ORDER BY 1",
    "SELECT 1 AS a, CAST(NULL AS varchar) AS b, DATE '2026-01-02' AS c, ARRAY[1, 2] AS d, 1.50 AS e",
    "SHOW SCHEMAS FROM pg",
    "\\dn pg",
    "\\dt pg.public.*",
    "\\d pg.public.products",
    "USE pg.public; SET SESSION pushdown = 'none'; SHOW pushdown; SELECT count(*) AS n FROM products",
    "SELECT category, count(*) AS n FROM pg.public.products GROUP BY 1 ORDER BY 1 \\gdesc",
];

#[test]
fn a_server_and_an_engine_of_ones_own_answer_alike() {
    let served = Served::start();
    let catalogs = crate::shop::SHOP.catalogs_file().to_str().unwrap();
    for statement in SAME {
        let remote = sql(&["--server", &served.url, "-c", statement]);
        let local = sql(&["--catalogs", catalogs, "-c", statement]);
        assert_eq!(text(&remote.stderr), "", "{statement}");
        assert_eq!(text(&remote.stdout), text(&local.stdout), "{statement}");
        assert!(!remote.stdout.is_empty(), "{statement}");
    }
    for wrong in ["SELECT nothing", "SELECT\n 1 / 0", "SELECT * FROM pg.public.product", "USE nowhere"] {
        let remote = sql(&["--server", &served.url, "-c", wrong]);
        let local = sql(&["--catalogs", catalogs, "-c", wrong]);
        assert_eq!(remote.status.code(), Some(1), "{wrong}");
        assert_eq!(text(&remote.stderr), text(&local.stderr), "{wrong}");
    }
}

#[test]
fn a_session_at_a_server_is_like_any_other() {
    let mut served = Served::start();
    let mut terminal = Setting::new(&["--server", &served.url]).start();
    let shown = terminal.run("\\conninfo");
    assert!(shown.contains(&format!("at {}, not encrypted.", served.url)), "{shown}");
    terminal.line("\\c pg");
    terminal.wait_for("portolan:pg.public> ");
    terminal.keys("SELECT count(*) AS n FROM prod");
    terminal.keys(TAB);
    terminal.wait_for("FROM products");
    terminal.line(";");
    terminal.wait_for("(1 row)");
    terminal.line("SELECT nothing FROM products;");
    terminal.wait_for("LINE 1: SELECT nothing FROM products");

    shows_its_sources(&terminal);

    let address = served.url.trim_start_matches("grpc://").to_owned();
    served.stop();
    terminal.run("SELECT 1 AS lost;");
    terminal.wait_until("the loss", |shown| shown.contains("is lost: ") && shown.contains("connects again"));
    let again = Served::with(&["--listen", &address]);
    assert_eq!(again.url, served.url);
    // The new server's session stands where the old one stood.
    let shown = terminal.run("SELECT min(product_id) AS first FROM products;");
    assert!(shown.contains(" first\n-------\n     1\n"), "{shown}");
    terminal.keys(CTRL_D);
    assert_eq!(terminal.ended(), Some(0));
}

#[test]
fn what_is_wrong_with_a_server_is_told() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("grpc://{unused}");
    let output = sql(&["--server", &url, "-c", "SELECT 1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with(&format!("error: cannot connect to {url}: ")), "{output:?}");

    for (arguments, status, said) in [
        (vec!["--server", "http://localhost"], 2, "grpc://HOST:PORT"),
        (vec!["--server", "grpc://anna:secret@localhost"], 2, "--user"),
        (vec!["--server", &url, "--user", "anna"], 2, "PORTOLAN_PASSWORD"),
        (vec!["--server", &url, "--token-file", "/no/such/file"], 2, "cannot read /no/such/file"),
        (vec!["--user", "anna"], 2, "--server"),
    ] {
        let output = sql(&arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        assert!(text(&output.stderr).contains(said), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_user_logs_in_over_an_encrypted_connection() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = file("server.pem", &certified.cert.pem());
    let key = file("server.key", &certified.signing_key.serialize_pem());
    let password = file("password", "secret\n");
    let users = file("users", &entry("anna", "secret"));
    let listen = ["--listen", "127.0.0.1:0", "--users-file", &users, "--tls-cert", &certificate, "--tls-key", &key];
    let served = Served::with(&listen);
    assert!(served.url.starts_with("grpc+tls://"), "{}", served.url);

    let login = ["--server", &served.url, "--ca", &certificate, "-U", "anna", "--password-file"];
    let statements = ["-At", "-c", "SET SESSION batch_rows = 7", "-c", "SHOW batch_rows; SELECT current_user"];
    let output = sql(&[&login[..], &[password.as_str()], &statements[..]].concat());
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("7\nanna\n".to_owned(), String::new()));

    let wrong = file("wrong", "guessed\n");
    let output = sql(&[&login[..], &[wrong.as_str()], &statements[..]].concat());
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
    assert!(!output.stderr.is_empty() && !text(&output.stderr).contains("guessed"), "{output:?}");

    // Nobody vouches for a certificate that is its own authority.
    let output = sql(&["--server", &served.url, "-c", "SELECT 1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot connect to"), "{output:?}");
    // Without a word of who it is, a client is let in nowhere.
    let output = sql(&["--server", &served.url, "--ca", &certificate, "-c", "SELECT 1"]);
    assert_eq!(output.status.code(), Some(1));
}

/// A line of a users file.
pub(super) fn entry(user: &str, password: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(["password", user])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    text(&child.wait_with_output().unwrap().stdout)
}

#[test]
fn a_query_is_seen_and_killed_from_another_session() {
    let served = Served::start();
    let terminal = Setting::new(&["--server", &served.url]).start();
    terminal.line("SELECT count(*) AS n FROM generate_series(1, 100000000000) WHERE value % 7 = 3;");
    let running = "SELECT query_id FROM system.runtime.queries WHERE state = 'running' AND query LIKE '%value \\% 7%' \
                   AND query NOT LIKE '%runtime%'";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let id = loop {
        let found = text(&sql(&["--server", &served.url, "-At", "-c", running]).stdout);
        if let Some(id) = found.lines().next() {
            break id.to_owned();
        }
        assert!(std::time::Instant::now() < deadline, "the query does not run");
    };
    let listed = text(&sql(&["--server", &served.url, "-c", "\\queries"]).stdout);
    assert!(listed.contains(&id) && listed.contains("generate_series"), "{listed}");
    let killed = sql(&["--server", &served.url, "-c", &format!("\\kill {id}")]);
    assert!(killed.status.success(), "{killed:?}");
    let shown = terminal.wait_for("error: ");
    assert!(shown.contains("cancel") || shown.contains("kill"), "{shown}");
    assert!(terminal.run("SELECT 5 AS five;").contains("    5\n(1 row)"));
}
