//! Which session a call belongs to.
//!
//! A session is named by what the client sends with each call: the bearer token that a handshake gave it, else the
//! cookie that every answer offers it, else nothing, and then it is the session of the client's connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Extensions, Response, Status};

use crate::{Engine, Session};

/// The cookie that names a session, as Flight's own implementations call it.
const COOKIE: &str = "arrow_flight_session_id";

/// What our bearer tokens start with. Tokens of other makers say nothing to this server, which authenticates nobody.
const TOKEN_MARK: &str = "portolan-session-";

/// Sessions that are kept at the same time.
const SESSIONS_MAX: usize = 10_000;

/// How long a session is kept that nothing uses. One that a connection or a running call holds is kept longer.
const IDLE_MAX: Duration = Duration::from_secs(3600);

/// How often sessions that nothing uses are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// A session and the id under which clients name it. As long as a copy lives, the session is kept.
#[derive(Clone, Debug)]
pub(super) struct ClientSession {
    pub(super) id: Arc<str>,
    pub(super) session: Arc<Session>,
}

impl ClientSession {
    /// The token by which a client names this session.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {TOKEN_MARK}{}", self.id)
    }
}

/// The session of one connection, opened by its first call that names no other.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionSession(Arc<OnceLock<ClientSession>>);

/// A call's session, and whether its answer offers the cookie.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) client: ClientSession,
    offers_cookie: bool,
}

impl Caller {
    /// An answer to this caller.
    pub(super) fn answer<T>(&self, body: T) -> Response<T> {
        let mut response = Response::new(body);
        if self.offers_cookie {
            set_cookie(response.metadata_mut(), &format!("{COOKIE}={}", self.client.id));
        }
        response
    }
}

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    engine: Arc<Engine>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    by_id: HashMap<Arc<str>, Entry>,
    swept: Instant,
}

#[derive(Debug)]
struct Entry {
    session: Arc<Session>,
    used: Instant,
}

impl Entry {
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.session) > 1
    }
}

impl Sessions {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, known: Mutex::new(Known { by_id: HashMap::new(), swept: Instant::now() }) }
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// A new session.
    pub(super) fn open(&self) -> Result<ClientSession, Status> {
        let mut known = self.known();
        make_room(&mut known)?;
        let id: Arc<str> = uuid::Uuid::new_v4().simple().to_string().into();
        let session = Arc::new(self.engine.session());
        let entry = Entry { session: Arc::clone(&session), used: Instant::now() };
        known.by_id.insert(Arc::clone(&id), entry);
        Ok(ClientSession { id, session })
    }

    /// A session that a client or a handle names.
    pub(super) fn find(&self, id: &str) -> Option<ClientSession> {
        let mut known = self.known();
        let entry = known.by_id.get_mut(id)?;
        entry.used = Instant::now();
        Some(ClientSession { id: id.into(), session: Arc::clone(&entry.session) })
    }

    /// The session that a call belongs to.
    pub(super) fn caller(&self, metadata: &MetadataMap, extensions: &Extensions) -> Result<Caller, Status> {
        if let Some(id) = token(metadata) {
            let client = self.find(id).ok_or_else(|| Status::unauthenticated("the session has ended: log in again"))?;
            return Ok(Caller { client, offers_cookie: false });
        }
        if let Some(id) = cookie(metadata) {
            let client = self.find(id).ok_or_else(ended)?;
            return Ok(Caller { client, offers_cookie: false });
        }
        let client = match extensions.get::<ConnectionSession>() {
            Some(ConnectionSession(cell)) => match cell.get() {
                Some(client) => client.clone(),
                None => {
                    let opened = self.open()?;
                    cell.get_or_init(|| opened).clone()
                }
            },
            None => self.open()?,
        };
        Ok(Caller { client, offers_cookie: true })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A poisoned lock means that another thread panicked; the map itself is still whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops sessions that nothing has used for long, and, when there are still too many, the one unused the longest.
fn make_room(known: &mut Known) -> Result<(), Status> {
    let full = known.by_id.len() >= SESSIONS_MAX;
    if !full && known.swept.elapsed() < SWEEP_INTERVAL {
        return Ok(());
    }
    known.swept = Instant::now();
    known.by_id.retain(|_, entry| entry.is_in_use() || entry.used.elapsed() < IDLE_MAX);
    if known.by_id.len() < SESSIONS_MAX {
        return Ok(());
    }
    let unused = known.by_id.iter().filter(|(_, entry)| !entry.is_in_use());
    match unused.min_by_key(|(_, entry)| entry.used).map(|(id, _)| Arc::clone(id)) {
        Some(id) => {
            known.by_id.remove(&id);
            Ok(())
        }
        None => Err(Status::resource_exhausted(format!("{SESSIONS_MAX} sessions are in use: try again later"))),
    }
}

/// The session id in our own bearer token.
fn token(metadata: &MetadataMap) -> Option<&str> {
    let value = metadata.get("authorization")?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    token.trim().strip_prefix(TOKEN_MARK)
}

/// The session id in our cookie, among the cookies that the client sends.
fn cookie(metadata: &MetadataMap) -> Option<&str> {
    metadata
        .get_all("cookie")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value.trim_matches('"')))
}

/// The answer to a cookie whose session is gone. It takes the cookie back, so that the next call starts anew instead
/// of running under settings other than those that the client made.
fn ended() -> Status {
    let mut status = Status::not_found("the session has ended: its settings are gone, run the statement again");
    set_cookie(status.metadata_mut(), &format!("{COOKIE}=; Max-Age=0"));
    status
}

fn set_cookie(metadata: &mut MetadataMap, cookie: &str) {
    if let Ok(value) = MetadataValue::try_from(cookie) {
        metadata.insert("set-cookie", value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EngineOptions;

    fn sessions() -> Sessions {
        Sessions::new(Engine::start(EngineOptions::default()).unwrap())
    }

    fn with(name: &'static str, value: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert(name, value.parse().unwrap());
        metadata
    }

    fn connection() -> Extensions {
        let mut extensions = Extensions::default();
        extensions.insert(ConnectionSession::default());
        extensions
    }

    #[test]
    fn a_connection_has_one_session_and_offers_its_cookie() {
        let (sessions, here, there) = (sessions(), connection(), connection());
        let first = sessions.caller(&MetadataMap::new(), &here).unwrap();
        let again = sessions.caller(&MetadataMap::new(), &here).unwrap();
        let other = sessions.caller(&MetadataMap::new(), &there).unwrap();
        assert_eq!(first.client.id, again.client.id);
        assert_ne!(first.client.id, other.client.id);
        // The cookie finds the session from another connection too, and is not offered again.
        let response = first.answer(());
        let cookie = response.metadata().get("set-cookie").unwrap().to_str().unwrap();
        let found = sessions.caller(&with("cookie", &format!("other=1; {cookie}")), &there).unwrap();
        assert_eq!(found.client.id, first.client.id);
        assert!(found.answer(()).metadata().get("set-cookie").is_none());
    }

    #[test]
    fn a_token_names_a_session_wherever_it_comes_from() {
        let sessions = sessions();
        let client = sessions.open().unwrap();
        let found = sessions.caller(&with("authorization", &client.bearer()), &connection()).unwrap();
        assert_eq!(found.client.id, client.id);
        // Somebody else's token and a password say nothing.
        for foreign in ["Bearer eyJhbGciOi", "Basic dXNlcjpwYXNz"] {
            assert!(sessions.caller(&with("authorization", foreign), &connection()).is_ok());
        }
    }

    #[test]
    fn a_session_that_has_ended_is_an_error_once() {
        let sessions = sessions();
        let gone = format!("Bearer {TOKEN_MARK}gone");
        let status = sessions.caller(&with("authorization", &gone), &connection()).unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
        let status = sessions.caller(&with("cookie", &format!("{COOKIE}=gone")), &connection()).unwrap_err();
        assert_eq!(status.code(), tonic::Code::NotFound);
        assert_eq!(status.metadata().get("set-cookie").unwrap(), "arrow_flight_session_id=; Max-Age=0");
    }

    #[test]
    fn sessions_that_nothing_uses_make_room() {
        let sessions = sessions();
        let kept = sessions.open().unwrap();
        let unused = sessions.open().unwrap().id;
        for _ in 0..SESSIONS_MAX {
            sessions.open().unwrap();
        }
        assert!(sessions.find(&kept.id).is_some());
        assert!(sessions.find(&unused).is_none());
        assert_eq!(sessions.known().by_id.len(), SESSIONS_MAX);
    }
}
