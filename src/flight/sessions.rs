//! Which session a call belongs to.
//!
//! A session is named by what the client sends with each call: the bearer token that a handshake gave it, else the
//! cookie that every answer offers it, else nothing, and then it is the session of the client's connection. It belongs
//! to one user: whoever else names it is told what is told of a session that is not there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Extensions, Response, Status};

use super::connection::ConnectionInfo;
use crate::auth::{Authenticator, Identity, SigningKey};
use crate::query::TraceHeaders;
use crate::session::Principal;
use crate::{Engine, Session};

/// The cookie that names a session, as Flight's own implementations call it.
const COOKIE: &str = "arrow_flight_session_id";

/// How often sessions that nothing uses are looked for: as often as they may become idle, within these bounds.
const SWEEP_INTERVAL_MIN: Duration = Duration::from_secs(1);
const SWEEP_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Users whose sessions one connection keeps. A proxy's connection carries the calls of many.
const USERS_PER_CONNECTION_MAX: usize = 64;

/// A session and the id under which clients name it. As long as a copy lives, the session is kept.
#[derive(Clone, Debug)]
pub(super) struct ClientSession {
    pub(super) id: Arc<str>,
    pub(super) session: Arc<Session>,
}

/// The sessions of one connection, one for each user, opened by the user's first call that names no other.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionSessions(Arc<Mutex<Vec<ClientSession>>>);

impl ConnectionSessions {
    /// The session of a user, which `open` opens if there is none.
    fn of(
        &self,
        principal: &Principal,
        open: impl FnOnce() -> Result<ClientSession, Status>,
    ) -> Result<ClientSession, Status> {
        // A poisoned lock means that another thread panicked; the list itself is still whole.
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = sessions.iter().find(|client| client.session.principal() == principal) {
            return Ok(client.clone());
        }
        let opened = open()?;
        if sessions.len() >= USERS_PER_CONNECTION_MAX {
            sessions.remove(0);
        }
        sessions.push(opened.clone());
        Ok(opened)
    }
}

/// How many sessions there may be, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionLimits {
    /// Sessions that are kept at the same time.
    pub(super) count: usize,
    /// How long a session is kept that nothing uses. One that a connection or a running call holds is kept longer.
    pub(super) idle: Duration,
}

/// A call's session, its place in a trace, and whether its answer offers the cookie.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) client: ClientSession,
    pub(super) trace: Option<TraceHeaders>,
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
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    engine: Arc<Engine>,
    authenticator: Arc<Authenticator>,
    limits: SessionLimits,
    known: Arc<Mutex<HashMap<Arc<str>, Entry>>>,
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
    pub(super) fn new(engine: Arc<Engine>, authenticator: Arc<Authenticator>, limits: SessionLimits) -> Self {
        Self { engine, authenticator, limits, known: Arc::default() }
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The key that signs what clients keep for this server.
    pub(super) fn signing_key(&self) -> &SigningKey {
        self.authenticator.key()
    }

    /// Opens a session for a client that logs in. Returns the header that names it from now on.
    pub(super) fn log_in(&self, extensions: &Extensions) -> Result<MetadataValue<tonic::metadata::Ascii>, Status> {
        let identity = identity(extensions)?;
        let client = self.open(&identity.principal)?;
        let failed = || Status::internal("cannot make a token");
        let token = self.authenticator.token(identity, &client.id).ok_or_else(failed)?;
        let mut value = MetadataValue::try_from(format!("Bearer {}", token.expose_secret())).map_err(|_| failed())?;
        value.set_sensitive(true);
        let peer = extensions.get::<ConnectionInfo>().and_then(|connection| connection.peer.address);
        let address = peer.map(|address| address.to_string());
        tracing::info!(user = &*identity.principal.name, address, "logged in");
        Ok(value)
    }

    /// A new session.
    pub(super) fn open(&self, principal: &Principal) -> Result<ClientSession, Status> {
        self.open_as(uuid::Uuid::new_v4().simple().to_string().into(), principal, &mut self.known())
    }

    fn open_as(
        &self,
        id: Arc<str>,
        principal: &Principal,
        known: &mut HashMap<Arc<str>, Entry>,
    ) -> Result<ClientSession, Status> {
        self.make_room(principal, known)?;
        let session = Arc::new(self.engine.session_of(principal.clone()));
        known.insert(Arc::clone(&id), Entry { session: Arc::clone(&session), used: Instant::now() });
        Ok(ClientSession { id, session })
    }

    /// A session that a handle names.
    fn find(&self, id: &str) -> Option<ClientSession> {
        find(&mut self.known(), id)
    }

    /// A session that a client names, if it is the client's own.
    pub(super) fn find_of(&self, id: &str, principal: &Principal) -> Option<ClientSession> {
        self.find(id).filter(|client| client.session.principal() == principal)
    }

    /// Ends a session. Its connection goes on with an empty one.
    pub(super) fn close(&self, client: &ClientSession) {
        client.session.start_anew();
        self.known().remove(&client.id);
    }

    /// The session that a call belongs to.
    pub(super) fn caller(&self, metadata: &MetadataMap, extensions: &Extensions) -> Result<Caller, Status> {
        let Identity { principal, session, .. } = identity(extensions)?;
        let (client, offers_cookie) = if let Some(id) = session {
            (self.of_token(id, principal)?, false)
        } else if let Some(id) = cookie(metadata) {
            (self.find_of(id, principal).ok_or_else(ended)?, false)
        } else if let Some(connection) = extensions.get::<ConnectionInfo>() {
            (connection.sessions.of(principal, || self.open(principal))?, true)
        } else {
            (self.open(principal)?, true)
        };
        Ok(Caller { client, trace: trace_headers(metadata), offers_cookie })
    }

    /// The session that a signed token names. Another server may have opened it, or this one before it was started
    /// anew: then it begins again here.
    fn of_token(&self, id: &Arc<str>, principal: &Principal) -> Result<ClientSession, Status> {
        let mut known = self.known();
        match find(&mut known, id) {
            Some(client) if client.session.principal() == principal => Ok(client),
            Some(client) if client.session.principal().name != principal.name => {
                Err(Status::unauthenticated("the session has ended: log in again"))
            }
            // New, or the user's rights have changed since: statements that run keep the old ones.
            _ => self.open_as(Arc::clone(id), principal, &mut known),
        }
    }

    /// Drops sessions that nothing has used for long, every now and then. Never ends.
    pub(super) async fn sweep(self) {
        let mut interval = tokio::time::interval(self.limits.idle.clamp(SWEEP_INTERVAL_MIN, SWEEP_INTERVAL_MAX));
        loop {
            interval.tick().await;
            self.drop_idle(&mut self.known());
        }
    }

    fn drop_idle(&self, known: &mut HashMap<Arc<str>, Entry>) {
        known.retain(|_, entry| entry.is_in_use() || entry.used.elapsed() < self.limits.idle);
    }

    /// When there are too many sessions, drops those that nothing has used for long, and else the one unused the
    /// longest. Who has more than half of all makes room for himself.
    fn make_room(&self, principal: &Principal, known: &mut HashMap<Arc<str>, Entry>) -> Result<(), Status> {
        let count = self.limits.count;
        if known.len() < count {
            return Ok(());
        }
        self.drop_idle(known);
        if known.len() < count {
            return Ok(());
        }
        let is_own = |entry: &Entry| entry.session.principal().name == principal.name;
        let own = known.values().filter(|entry| is_own(entry)).count();
        let unused = known.iter().filter(|(_, entry)| !entry.is_in_use() && (own <= count / 2 || is_own(entry)));
        match unused.min_by_key(|(_, entry)| entry.used).map(|(id, _)| Arc::clone(id)) {
            Some(id) => {
                known.remove(&id);
                Ok(())
            }
            None => Err(Status::resource_exhausted(format!("{count} sessions are in use: try again later"))),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Arc<str>, Entry>> {
        // A poisoned lock means that another thread panicked; the map itself is still whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(known: &mut HashMap<Arc<str>, Entry>, id: &str) -> Option<ClientSession> {
    let entry = known.get_mut(id)?;
    entry.used = Instant::now();
    Some(ClientSession { id: id.into(), session: Arc::clone(&entry.session) })
}

/// Who the call comes from. Whoever let the call in has found out.
fn identity(extensions: &Extensions) -> Result<&Identity, Status> {
    extensions.get::<Identity>().ok_or_else(|| Status::unauthenticated("nobody knows who the call comes from"))
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

/// The client's place in a trace. Who says two places says none.
fn trace_headers(metadata: &MetadataMap) -> Option<TraceHeaders> {
    let values = |name| metadata.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut parents = values("traceparent");
    let parent = parents.next().filter(|_| parents.next().is_none())?.to_owned();
    Some(TraceHeaders { parent, state: values("tracestate").collect::<Vec<_>>().join(",") })
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
    use crate::auth::{AuthOptions, Credentials, Peer};

    const LIMITS: SessionLimits = SessionLimits { count: 100, idle: Duration::from_secs(3600) };

    fn sessions() -> Sessions {
        let authenticator = Authenticator::open(AuthOptions::default()).unwrap();
        Sessions::new(Engine::start(EngineOptions::default()).unwrap(), Arc::new(authenticator), LIMITS)
    }

    fn with(name: &'static str, value: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert(name, value.parse().unwrap());
        metadata
    }

    /// What a call brings whose header says this, from a connection of its own.
    fn call(sessions: &Sessions, authorization: &str) -> Extensions {
        let credentials = Credentials::read(Some(authorization.as_bytes()));
        let peer = Peer::default();
        let identified = sessions.authenticator.identify(&credentials, &peer);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut extensions = Extensions::default();
        extensions.insert(runtime.block_on(identified).unwrap());
        extensions.insert(ConnectionInfo::default());
        extensions
    }

    /// Basic credentials of users without passwords.
    const ALICE: &str = "Basic YWxpY2U6";
    const BOB: &str = "Basic Ym9iOg==";

    #[test]
    fn a_connection_has_one_session_for_each_user_and_offers_its_cookie() {
        let sessions = sessions();
        let (here, there, mut of_bob) = (call(&sessions, ALICE), call(&sessions, ALICE), call(&sessions, BOB));
        of_bob.insert(here.get::<ConnectionInfo>().unwrap().clone());
        let first = sessions.caller(&MetadataMap::new(), &here).unwrap();
        let again = sessions.caller(&MetadataMap::new(), &here).unwrap();
        let other = sessions.caller(&MetadataMap::new(), &there).unwrap();
        let bob = sessions.caller(&MetadataMap::new(), &of_bob).unwrap();
        assert_eq!(first.client.id, again.client.id);
        assert_ne!(first.client.id, other.client.id);
        assert_ne!(first.client.id, bob.client.id);
        assert_eq!(&*bob.client.session.principal().name, "bob");
        // The cookie finds the session from another connection too, and is not offered again.
        let response = first.answer(());
        let cookie = response.metadata().get("set-cookie").unwrap().to_str().unwrap();
        let found = sessions.caller(&with("cookie", &format!("other=1; {cookie}")), &there).unwrap();
        assert_eq!(found.client.id, first.client.id);
        assert!(found.answer(()).metadata().get("set-cookie").is_none());
        // For another user the session is not there.
        let stolen = sessions.caller(&with("cookie", cookie), &of_bob).unwrap_err();
        let unknown = sessions.caller(&with("cookie", &format!("{COOKIE}=unknown")), &of_bob).unwrap_err();
        assert_eq!((stolen.code(), stolen.message()), (unknown.code(), unknown.message()));
        assert!(sessions.find_of(&first.client.id, bob.client.session.principal()).is_none());
    }

    #[test]
    fn a_token_names_a_session_wherever_it_comes_from() {
        let one = sessions();
        let bearer = one.log_in(&call(&one, ALICE)).unwrap();
        let by_token = call(&one, bearer.to_str().unwrap());
        let found = one.caller(&MetadataMap::new(), &by_token).unwrap();
        assert_eq!(found.client.id, one.caller(&MetadataMap::new(), &by_token).unwrap().client.id);
        assert_eq!(&*found.client.session.principal().name, "alice");
        // A server with the same key that does not know the session begins it again.
        let other = Sessions { known: Arc::default(), ..one.clone() };
        let begun = other.caller(&MetadataMap::new(), &by_token).unwrap();
        assert_eq!(begun.client.id, found.client.id);
        assert!(!Arc::ptr_eq(&begun.client.session, &found.client.session));
        // Where the id is another user's, it is not.
        let elsewhere = Sessions { known: Arc::default(), ..one.clone() };
        elsewhere.open_as(Arc::clone(&found.client.id), &Principal::user("bob"), &mut elsewhere.known()).unwrap();
        let refused = elsewhere.caller(&MetadataMap::new(), &by_token).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unauthenticated);
        // A user whose rights have changed begins again.
        let demoted = Sessions { known: Arc::default(), ..one.clone() };
        demoted.open_as(Arc::clone(&found.client.id), &Principal::user("alice"), &mut demoted.known()).unwrap();
        assert!(demoted.caller(&MetadataMap::new(), &by_token).unwrap().client.session.principal().is_admin);
    }

    #[test]
    fn a_cookie_of_a_session_that_has_ended_is_an_error_once() {
        let sessions = sessions();
        let status = sessions.caller(&with("cookie", &format!("{COOKIE}=gone")), &call(&sessions, ALICE)).unwrap_err();
        assert_eq!(status.code(), tonic::Code::NotFound);
        assert_eq!(status.metadata().get("set-cookie").unwrap(), "arrow_flight_session_id=; Max-Age=0");
    }

    #[test]
    fn a_call_that_nobody_let_in_is_refused() {
        let status = sessions().caller(&MetadataMap::new(), &Extensions::default()).unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
    }

    #[test]
    fn sessions_that_nothing_uses_make_room() {
        let (sessions, alice) = (sessions(), Principal::user("alice"));
        let of_bob = sessions.open(&Principal::user("bob")).unwrap().id;
        let kept = sessions.open(&alice).unwrap();
        let unused = sessions.open(&alice).unwrap().id;
        for _ in 0..LIMITS.count {
            sessions.open(&alice).unwrap();
        }
        assert!(sessions.find(&kept.id).is_some());
        assert!(sessions.find(&unused).is_none());
        // Who opens so many drops her own, although another's is older.
        assert!(sessions.find(&of_bob).is_some());
        assert_eq!(sessions.known().len(), LIMITS.count);
        // Idle for long enough, all but those in use go.
        let patient = Sessions { limits: SessionLimits { idle: Duration::ZERO, ..LIMITS }, ..sessions };
        patient.drop_idle(&mut patient.known());
        assert_eq!(patient.known().len(), 1);
        assert!(patient.find(&kept.id).is_some());
    }
}
