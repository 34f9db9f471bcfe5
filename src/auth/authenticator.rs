//! Decides who a call comes from.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use super::credentials::{Credentials, Peer, is_name};
use super::jwt::{JwtOptions, JwtVerifier};
use super::login::PasswordLogin;
use super::refusal::Refusal;
use super::signing::SigningKey;
use super::token::{Proof, SessionToken};
use super::users_file::User;
use crate::error::{Error, Result};
use crate::session::Principal;

/// Who one is where nobody is asked.
const ANONYMOUS: &str = "anonymous";

/// How long a login is good for when nothing else is said. It is renewed for as long as the client goes on calling.
const TOKEN_LIFE_DEFAULT: Duration = Duration::from_secs(3600);

const PASSWORD_PURPOSE: &str = "password of a session token";

/// The bytes of a password's digest that go into a token.
const DIGEST_BYTES: usize = 16;

/// How clients prove who they are. When there is no way, nobody is asked, and everybody is an admin.
#[derive(Clone, Debug)]
pub struct AuthOptions {
    /// A file with users and the hashes of their passwords.
    pub users_file: Option<PathBuf>,
    /// JSON web tokens of somebody else's making.
    pub jwt: Option<JwtOptions>,
    /// Connections have certificates of clients. They name the user if there is no other way to log in.
    pub client_certificates: bool,
    /// Who may see and end the queries of others, besides those whom the users file says.
    pub admins: Vec<String>,
    /// The key that signs what clients keep; one that ends with the process when not given.
    pub key_file: Option<PathBuf>,
    /// How long a login is good for.
    pub token_life: Duration,
}

impl Default for AuthOptions {
    fn default() -> Self {
        Self {
            users_file: None,
            jwt: None,
            client_certificates: false,
            admins: Vec::new(),
            key_file: None,
            token_life: TOKEN_LIFE_DEFAULT,
        }
    }
}

impl AuthOptions {
    /// Whether nobody is asked.
    pub fn is_open(&self) -> bool {
        self.users_file.is_none() && self.jwt.is_none() && !self.client_certificates
    }
}

/// Who a call comes from.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The user.
    pub principal: Principal,
    /// The session that the token names.
    pub session: Option<Arc<str>>,
    /// A token to take the place of the one that the call brought, which has not long to live.
    pub renewed: Option<SecretString>,
    proof: Proof,
}

/// Decides who a call comes from.
#[derive(Debug)]
pub struct Authenticator {
    key: SigningKey,
    token_life: u64,
    admins: HashSet<String>,
    passwords: Option<PasswordLogin>,
    tokens: Option<JwtVerifier>,
    certificates: bool,
    is_open: bool,
}

impl Authenticator {
    /// Reads the files. An error says what is wrong with which.
    pub fn open(options: AuthOptions) -> Result<Self> {
        if options.token_life < Duration::from_secs(1) {
            return Err(Error::user("a login is good for at least one second"));
        }
        let is_open = options.is_open();
        Ok(Self {
            key: options.key_file.as_deref().map_or_else(SigningKey::random, SigningKey::read)?,
            token_life: options.token_life.as_secs(),
            admins: options.admins.iter().map(|name| name.trim().to_owned()).collect(),
            passwords: options.users_file.as_deref().map(PasswordLogin::open).transpose()?,
            tokens: options.jwt.map(JwtVerifier::open).transpose()?,
            certificates: options.client_certificates,
            is_open,
        })
    }

    /// The key that signs what clients keep.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Who a call comes from.
    pub async fn identify(&self, credentials: &Credentials, peer: &Peer) -> Result<Identity, Refusal> {
        match credentials {
            Credentials::Bearer(token) if SessionToken::is_one(token.expose_secret()) => {
                self.by_session_token(token, peer, now())
            }
            Credentials::Basic { name, password } => match &self.passwords {
                Some(passwords) => {
                    let user = passwords.check(name, password, peer.address).await?;
                    let proof = Proof::Password { digest: self.digest(&user) };
                    Ok(self.identity(name, user.is_admin, proof))
                }
                None if self.is_open && is_name(name) => Ok(self.identity(name, true, Proof::Nothing)),
                None => self.by_connection(peer, Refusal::Unusable),
            },
            Credentials::Bearer(token) => match &self.tokens {
                Some(tokens) => {
                    let claims = tokens.verify(token.expose_secret()).ok_or(Refusal::BadToken)?;
                    Ok(self.identity(&claims.user, false, Proof::WebToken { expires: claims.expires }))
                }
                None => self.by_connection(peer, Refusal::Unusable),
            },
            Credentials::None => self.by_connection(peer, Refusal::Missing),
            Credentials::Unreadable => self.by_connection(peer, Refusal::Unusable),
        }
    }

    /// A token by which a client that was identified names a session.
    pub fn token(&self, identity: &Identity, session: &str) -> Option<SecretString> {
        self.issue(&identity.principal.name, session, &identity.proof, now()).to_text(&self.key)
    }

    /// Who a call comes from whose own words are not needed.
    fn by_connection(&self, peer: &Peer, otherwise: Refusal) -> Result<Identity, Refusal> {
        if self.is_open {
            return Ok(self.identity(ANONYMOUS, true, Proof::Nothing));
        }
        if self.certificates && self.passwords.is_none() && self.tokens.is_none() {
            let user = peer.certificate_user.as_deref().ok_or(Refusal::Missing)?;
            return Ok(self.identity(user, false, Proof::Certificate));
        }
        Err(otherwise)
    }

    /// Who a token was given to, if what was proved then still holds.
    fn by_session_token(&self, token: &SecretString, peer: &Peer, now: u64) -> Result<Identity, Refusal> {
        let token = SessionToken::read(token.expose_secret(), &self.key, now).ok_or(Refusal::BadToken)?;
        let (holds, is_admin) = match &token.proof {
            Proof::Nothing => (self.is_open, true),
            Proof::Password { digest } => {
                let user = self.passwords.as_ref().and_then(|passwords| passwords.user(&token.user));
                let user = user.ok_or(Refusal::BadToken)?;
                // A new password ends the logins with the old one.
                (self.digest(&user) == *digest, user.is_admin)
            }
            Proof::WebToken { expires } => (self.tokens.is_some() && now < *expires, false),
            Proof::Certificate => (self.certificates && peer.certificate_user.as_ref() == Some(&token.user), false),
        };
        if !holds {
            return Err(Refusal::BadToken);
        }
        let mut identity = self.identity(&token.user, is_admin, token.proof.clone());
        if token.is_worn(now) {
            let renewed = self.issue(&token.user, &token.session, &token.proof, now);
            if renewed.expires > token.expires {
                identity.renewed = renewed.to_text(&self.key);
            }
        }
        identity.session = Some(token.session);
        Ok(identity)
    }

    fn issue(&self, user: &str, session: &str, proof: &Proof, now: u64) -> SessionToken {
        let expires = now.saturating_add(self.token_life);
        let expires = match proof {
            // What a token was traded for does not live longer for it.
            Proof::WebToken { expires: end } => expires.min(*end),
            _ => expires,
        };
        SessionToken { user: Arc::from(user), session: Arc::from(session), proof: proof.clone(), issued: now, expires }
    }

    fn identity(&self, name: &str, is_admin: bool, proof: Proof) -> Identity {
        let principal = match is_admin || self.admins.contains(name) {
            true => Principal::admin(name),
            false => Principal::user(name),
        };
        Identity { principal, session: None, renewed: None, proof }
    }

    /// Tells a user's password from later ones, and tells nothing else to who reads the token.
    fn digest(&self, user: &User) -> String {
        let digest = self.key.digest(PASSWORD_PURPOSE, user.encoded.as_bytes());
        URL_SAFE_NO_PAD.encode(digest.get(..DIGEST_BYTES).unwrap_or(&digest))
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jwt::tests::{SECRET, hs256};
    use crate::auth::{JwtKeys, password_entry};
    use serde_json::json;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        }
    }

    fn basic(name: &str, password: &str) -> Credentials {
        Credentials::Basic { name: name.to_owned(), password: SecretString::from(password) }
    }

    fn bearer(token: impl Into<SecretString>) -> Credentials {
        Credentials::Bearer(token.into())
    }

    fn identify(authenticator: &Authenticator, credentials: &Credentials, peer: &Peer) -> Result<Identity, Refusal> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(authenticator.identify(credentials, peer))
    }

    fn name(identity: Result<Identity, Refusal>) -> Result<(String, bool), Refusal> {
        identity.map(|identity| (identity.principal.name.to_string(), identity.principal.is_admin))
    }

    fn named(name: &str) -> Result<(String, bool), Refusal> {
        Ok((name.to_owned(), false))
    }

    fn admin(name: &str) -> Result<(String, bool), Refusal> {
        Ok((name.to_owned(), true))
    }

    #[test]
    fn where_nobody_is_asked_everybody_is_an_admin_under_any_name() {
        let open = Authenticator::open(AuthOptions::default()).unwrap();
        let peer = Peer::default();
        let who = |credentials: &Credentials| name(identify(&open, credentials, &peer));
        assert_eq!(who(&Credentials::None), admin(ANONYMOUS));
        assert_eq!(who(&basic("zoë", "anything")), admin("zoë"));
        assert_eq!(who(&basic("", "")), admin(ANONYMOUS));
        assert_eq!(who(&Credentials::Unreadable), admin(ANONYMOUS));
        assert_eq!(who(&bearer("of somebody else")), admin(ANONYMOUS));
        // One of its own that it does not know is another matter: its session is gone.
        assert_eq!(who(&bearer("portolan-session-AAAA")), Err(Refusal::BadToken));
    }

    #[test]
    fn passwords_and_tokens_side_by_side() {
        let files = Files::new();
        let entries = [password_entry("root", "r", true), password_entry("alice", "a", false)];
        let options = AuthOptions {
            users_file: Some(files.write("users", entries.map(Result::unwrap).join("\n"))),
            jwt: Some(JwtOptions::new(JwtKeys::Secret(files.write("secret", SECRET)))),
            admins: vec!["boss".to_owned()],
            ..AuthOptions::default()
        };
        let both = Authenticator::open(options.clone()).unwrap();
        let peer = Peer { address: None, certificate_user: Some(Arc::from("mallory")) };
        let who = |credentials: &Credentials| name(identify(&both, credentials, &peer));
        assert_eq!(who(&basic("alice", "a")), named("alice"));
        assert_eq!(who(&basic("root", "r")), admin("root"));
        assert_eq!(who(&basic("alice", "r")), Err(Refusal::Wrong));
        let token = |user: &str| bearer(hs256(&json!({"sub": user, "exp": now() + 100})));
        assert_eq!(who(&token("carol")), named("carol"));
        assert_eq!(who(&token("boss")), admin("boss"));
        // What the file says of a user holds for who knows the password.
        assert_eq!(who(&token("root")), named("root"));
        assert_eq!(who(&bearer("nonsense")), Err(Refusal::BadToken));
        assert_eq!(who(&Credentials::None), Err(Refusal::Missing));
        assert_eq!(who(&Credentials::Unreadable), Err(Refusal::Unusable));
        let only_tokens = Authenticator::open(AuthOptions { users_file: None, ..options }).unwrap();
        assert_eq!(name(identify(&only_tokens, &basic("alice", "a"), &peer)), Err(Refusal::Unusable));
    }

    #[test]
    fn a_session_token_holds_as_long_as_the_password() {
        let files = Files::new();
        let key = files.write("key", [7; 32]);
        let open = |users: &str, key: Option<PathBuf>| {
            let users_file = Some(files.write("users", users));
            Authenticator::open(AuthOptions { users_file, key_file: key, ..AuthOptions::default() }).unwrap()
        };
        let alice = password_entry("alice", "a", true).unwrap();
        let server = open(&alice, Some(key.clone()));
        let peer = Peer::default();
        let identity = identify(&server, &basic("alice", "a"), &peer).unwrap();
        let token = bearer(server.token(&identity, "session").unwrap());
        let found = identify(&server, &token, &peer).unwrap();
        assert_eq!(found.session.as_deref(), Some("session"));
        assert!(found.renewed.is_none());
        assert_eq!(name(Ok(found)), admin("alice"));
        let elsewhere = |users: &str, key: Option<PathBuf>| name(identify(&open(users, key), &token, &peer));
        // Another server with the same key.
        assert_eq!(elsewhere(&alice, Some(key.clone())), admin("alice"));
        assert_eq!(elsewhere(alice.trim_end_matches(":admin"), Some(key.clone())), named("alice"));
        let new_password = password_entry("alice", "a", true).unwrap();
        assert_eq!(elsewhere(&new_password, Some(key.clone())), Err(Refusal::BadToken));
        assert_eq!(elsewhere("", Some(key.clone())), Err(Refusal::BadToken));
        assert_eq!(elsewhere(&alice, None), Err(Refusal::BadToken));
        // A server that asks nobody gives tokens that say so, and one that asks does not take them.
        let asks_nobody = Authenticator::open(AuthOptions { key_file: Some(key), ..AuthOptions::default() }).unwrap();
        let nobody = identify(&asks_nobody, &basic("alice", ""), &peer).unwrap();
        let token = bearer(asks_nobody.token(&nobody, "session").unwrap());
        assert_eq!(name(identify(&asks_nobody, &token, &peer)), admin("alice"));
        assert_eq!(name(identify(&server, &token, &peer)), Err(Refusal::BadToken));
    }

    #[test]
    fn a_token_is_renewed_in_the_second_half_of_its_life() {
        let open = Authenticator::open(AuthOptions { token_life: Duration::from_secs(100), ..AuthOptions::default() });
        let (open, peer, start) = (open.unwrap(), Peer::default(), now());
        let identity = identify(&open, &basic("zoë", ""), &peer).unwrap();
        let text = open.issue("zoë", "session", &identity.proof, start).to_text(&open.key).unwrap();
        let at = |token: &SecretString, now: u64| open.by_session_token(token, &peer, now);
        assert!(at(&text, start + 49).unwrap().renewed.is_none());
        let renewed = at(&text, start + 50).unwrap().renewed.unwrap();
        assert_eq!(at(&text, start + 100).unwrap_err(), Refusal::BadToken);
        let found = at(&renewed, start + 149).unwrap();
        assert_eq!((&*found.principal.name, found.session.as_deref()), ("zoë", Some("session")));
    }

    #[test]
    fn a_web_token_does_not_outlive_itself() {
        let files = Files::new();
        let jwt = Some(JwtOptions::new(JwtKeys::Secret(files.write("secret", SECRET))));
        let server = Authenticator::open(AuthOptions { jwt, ..AuthOptions::default() }).unwrap();
        let (peer, start) = (Peer::default(), now());
        let web_token = bearer(hs256(&json!({"sub": "carol", "exp": start + 1000})));
        let identity = identify(&server, &web_token, &peer).unwrap();
        let token = server.token(&identity, "session").unwrap();
        let at = |now: u64| server.by_session_token(&token, &peer, now);
        let found = at(start + 999).unwrap();
        assert_eq!(&*found.principal.name, "carol");
        assert!(found.renewed.is_none());
        assert_eq!(at(start + 1000).unwrap_err(), Refusal::BadToken);
    }

    #[test]
    fn a_certificate_is_enough_where_there_is_nothing_else() {
        let options = AuthOptions { client_certificates: true, admins: vec!["b".to_owned()], ..AuthOptions::default() };
        let server = Authenticator::open(options.clone()).unwrap();
        let from = |user: &str| Peer { address: None, certificate_user: Some(Arc::from(user)) };
        assert_eq!(name(identify(&server, &Credentials::None, &from("a"))), named("a"));
        assert_eq!(name(identify(&server, &basic("c", "x"), &from("b"))), admin("b"));
        assert_eq!(name(identify(&server, &Credentials::None, &Peer::default())), Err(Refusal::Missing));
        // A token is good for the certificate that it was given for.
        let identity = identify(&server, &Credentials::None, &from("a")).unwrap();
        let token = bearer(server.token(&identity, "session").unwrap());
        assert_eq!(name(identify(&server, &token, &from("a"))), named("a"));
        assert_eq!(name(identify(&server, &token, &from("b"))), Err(Refusal::BadToken));
        // With passwords, the certificate alone is not.
        let files = Files::new();
        let users_file = Some(files.write("users", password_entry("alice", "a", false).unwrap()));
        let both = Authenticator::open(AuthOptions { users_file, ..options }).unwrap();
        assert_eq!(name(identify(&both, &Credentials::None, &from("a"))), Err(Refusal::Missing));
        assert_eq!(name(identify(&both, &basic("alice", "a"), &from("a"))), named("alice"));
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let files = Files::new();
        let broken = files.write("broken", "broken");
        let missing = files.0.path().join("missing");
        for path in [broken, missing] {
            let options = |change: fn(&mut AuthOptions, PathBuf)| {
                let mut options = AuthOptions::default();
                change(&mut options, path.clone());
                Authenticator::open(options).unwrap_err().to_string()
            };
            for message in [
                options(|options, path| options.users_file = Some(path)),
                options(|options, path| options.key_file = Some(path)),
                options(|options, path| options.jwt = Some(JwtOptions::new(JwtKeys::PublicKey(path)))),
                options(|options, path| options.jwt = Some(JwtOptions::new(JwtKeys::Secret(path)))),
                options(|options, path| options.jwt = Some(JwtOptions::new(JwtKeys::KeySet(path)))),
            ] {
                assert!(message.contains(&path.display().to_string()), "{message}");
            }
        }
    }
}
