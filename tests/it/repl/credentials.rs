//! How `portolan sql` proves to a server who it is, and what it says when that is not enough.

use std::path::Path;

use super::remote::{Served, entry, sql, text};
use crate::certificates::Authority;
use crate::tokens::{SECRET, claims, with_secret};

/// A directory for the files of a test.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    fn path(&self, name: &str) -> String {
        Path::join(self.0.path(), name).to_str().unwrap().to_owned()
    }

    /// A server with a certificate of this authority, and with what else it is told.
    fn serve(&self, authority: &Authority, more: &[&str]) -> Served {
        let server = authority.server();
        self.write("ca.pem", authority.pem());
        let certificate = self.write("server.pem", server.certificate);
        let key = self.write("server.key", server.key);
        let listen = ["--listen", "127.0.0.1:0", "--tls-cert", &certificate, "--tls-key", &key];
        Served::with(&[&listen, more].concat())
    }

    /// The certificate of a user and its key, as the options that name them.
    fn identity(&self, authority: &Authority, user: &str) -> [String; 4] {
        let certified = authority.user(user);
        [
            "--client-cert".to_owned(),
            self.write(&format!("{user}.pem"), certified.certificate),
            "--client-key".to_owned(),
            self.write(&format!("{user}.key"), certified.key),
        ]
    }
}

/// Asks a server who the client is. Returns the name, or the exit status and what is said.
fn whoami(served: &Served, options: &[&str]) -> Result<String, (i32, String)> {
    let question = ["-At", "-c", "SELECT current_user"];
    let output = sql(&[&["--server", served.url.as_str()], options, &question].concat());
    match output.status.code().unwrap() {
        0 => {
            assert_eq!(text(&output.stderr), "");
            Ok(text(&output.stdout).trim_end().to_owned())
        }
        status => {
            assert_eq!(text(&output.stdout), "");
            Err((status, text(&output.stderr)))
        }
    }
}

/// What is said by a program that ends with this status.
#[track_caller]
fn says(answer: Result<String, (i32, String)>, status: i32, said: &str) {
    let (found, message) = answer.expect_err("the client was let in");
    assert_eq!(found, status, "{message}");
    assert!(message.starts_with("error: ") && message.contains(said), "{message}");
}

fn strs<const N: usize>(options: &[String; N]) -> [&str; N] {
    options.each_ref().map(String::as_str)
}

#[test]
fn a_server_is_trusted_when_its_authority_is_named() {
    let files = Files::new();
    let served = files.serve(&Authority::new(), &[]);
    let ca = files.path("ca.pem");
    assert_eq!(whoami(&served, &["--ca", &ca]).unwrap(), "anonymous");
    let other = files.write("other.pem", Authority::new().pem());
    let untrusted = format!("cannot connect to {}: nobody who is trusted here vouches for its certificate", served.url);
    says(whoami(&served, &["--ca", &other]), 1, &untrusted);
    says(whoami(&served, &[]), 1, &untrusted);
    says(whoami(&served, &["--ca", &files.path("none.pem")]), 1, "cannot read");
    let empty = files.write("empty.pem", "no certificate\n");
    says(whoami(&served, &["--ca", &empty]), 1, "empty.pem holds no certificate in PEM");
    // Who encrypts nothing has no use for it.
    let plain = Served::with(&["--listen", "127.0.0.1:0"]);
    says(whoami(&plain, &["--ca", &ca]), 2, "grpc+tls://");
}

#[test]
fn a_certificate_names_the_user() {
    let (files, authority) = (Files::new(), Authority::new());
    let ca = files.write("clients.pem", authority.pem());
    let served = files.serve(&authority, &["--tls-client-ca", &ca]);
    let anna = files.identity(&authority, "anna");
    let trusting = ["--ca", ca.as_str()];
    assert_eq!(whoami(&served, &[&trusting[..], &strs(&anna)].concat()).unwrap(), "anna");
    // None at all, and one that a stranger signed.
    says(whoami(&served, &trusting), 1, "--client-cert");
    let stranger = files.identity(&Authority::new(), "bert");
    says(whoami(&served, &[&trusting[..], &strs(&stranger)].concat()), 1, "--client-cert");
    // The key of another certificate.
    let [_, certificate, _, _] = &anna;
    let [_, _, _, key] = &stranger;
    let mixed = ["--client-cert", certificate, "--client-key", key];
    says(whoami(&served, &[&trusting[..], &mixed].concat()), 1, "bert.key does not belong to the certificate");
    let missing = ["--client-cert", certificate, "--client-key", "/no/such/key"];
    says(whoami(&served, &[&trusting[..], &missing].concat()), 1, "cannot read /no/such/key");
    let (status, _) = whoami(&served, &[&trusting[..], &["--client-cert", certificate]].concat()).unwrap_err();
    assert_eq!(status, 2);
}

#[test]
fn a_token_names_the_user() {
    let (files, authority) = (Files::new(), Authority::new());
    let secret = files.write("secret", SECRET);
    let served = files.serve(&authority, &["--jwt-secret", &secret]);
    let ca = files.path("ca.pem");
    let with = |token: &str| {
        let file = files.write("token", format!("{token}\n"));
        whoami(&served, &["--ca", &ca, "--token-file", &file])
    };
    assert_eq!(with(&with_secret(&claims("anna", 600), SECRET)).unwrap(), "anna");
    for wrong in [
        with_secret(&claims("anna", -600), SECRET),
        with_secret(&claims("anna", 600), b"another secret of thirty-two bytes"),
        "nonsense".to_owned(),
    ] {
        let (status, message) = with(&wrong).unwrap_err();
        assert_eq!(status, 1, "{message}");
        assert!(message.starts_with("error: ") && !message.contains(&wrong), "{message}");
    }
    says(with(""), 2, "token: it is empty");
    says(whoami(&served, &["--ca", &ca]), 1, "the server asks who you are: log in");
}

#[test]
fn a_certificate_may_be_asked_for_beside_the_password() {
    let (files, authority) = (Files::new(), Authority::new());
    let ca = files.write("clients.pem", authority.pem());
    let users = files.write("users", entry("anna", "secret"));
    let served = files.serve(&authority, &["--tls-client-ca", &ca, "--users-file", &users]);
    // Of a machine, say. The password tells who sits there.
    let machine = files.identity(&authority, "machine");
    let trusting = [&["--ca", ca.as_str()][..], &strs(&machine)].concat();
    let password = files.write("password", "secret\n");
    let login = ["-U", "anna", "--password-file", password.as_str()];
    assert_eq!(whoami(&served, &[&trusting[..], &login].concat()).unwrap(), "anna");
    // Neither is enough alone.
    says(whoami(&served, &trusting), 1, "the server asks who you are: log in");
    says(whoami(&served, &[&["--ca", ca.as_str()][..], &login].concat()), 1, "--client-cert");
    let wrong = files.write("wrong", "guessed\n");
    let login = ["-U", "anna", "--password-file", wrong.as_str()];
    says(whoami(&served, &[&trusting[..], &login].concat()), 1, "the user name or the password is wrong");
}
