//! What the server knows a session by, and what it takes to open it again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow_flight::HandshakeRequest;
use arrow_flight::flight_service_client::FlightServiceClient;
use futures::{TryStreamExt, stream};
use secrecy::{ExposeSecret, SecretString};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::login::{Login, basic};
use super::replay::Replay;

/// The cookie by which Flight servers name a session.
const COOKIE: &str = "arrow_flight_session_id";

/// A session at a server.
#[derive(Debug)]
pub(super) struct Session {
    login: Login,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The value of `authorization`, which servers may replace with any answer.
    authorization: Option<SecretString>,
    cookie: Option<SecretString>,
    /// Whether the server no longer knows the session.
    ended: bool,
    /// Whether the connection was lost: behind the next one there may be a server that was started anew.
    doubtful: bool,
    replay: Replay,
}

impl Session {
    pub(super) fn new(login: Login) -> Self {
        let authorization = match &login {
            Login::Token(token) => Some(SecretString::from(format!("Bearer {}", token.expose_secret().trim()))),
            Login::Nobody | Login::Password { .. } => None,
        };
        Self { login, state: Mutex::new(State { authorization, ..State::default() }) }
    }

    /// Logs in, if that is still to be done. Returns the statements that make the session what it was, where it takes
    /// the place of one that has ended.
    pub(super) async fn open(&self, flight: &mut FlightServiceClient<Channel>) -> Result<Vec<String>, Status> {
        if let Login::Password { user, password } = &self.login
            && self.state().authorization.is_none()
        {
            self.log_in(user, password, flight).await?;
        }
        let mut state = self.state();
        let again = state.ended || state.doubtful;
        (state.ended, state.doubtful) = (false, false);
        Ok(if again { state.replay.statements() } else { Vec::new() })
    }

    async fn log_in(
        &self,
        user: &str,
        password: &SecretString,
        flight: &mut FlightServiceClient<Channel>,
    ) -> Result<(), Status> {
        let mut request = Request::new(stream::iter([HandshakeRequest::default()]));
        request.metadata_mut().insert("authorization", header(&basic(user, password))?);
        let response = flight.handshake(request).await?;
        self.read(response.metadata());
        let mut answers = response.into_inner();
        while answers.try_next().await?.is_some() {}
        match self.state().authorization {
            Some(_) => Ok(()),
            None => Err(Status::unauthenticated("the server answered the login without a token")),
        }
    }

    /// Whether the next call opens a session anew.
    pub(super) fn has_ended(&self) -> bool {
        self.state().ended
    }

    /// Whether the server has ended the session meanwhile. Another that takes its place is as it was asked to be.
    pub(super) fn take_ended(&self) -> bool {
        std::mem::take(&mut self.state().ended)
    }

    /// Notes a statement without rows that succeeded.
    pub(super) fn changed(&self, sql: &str) {
        self.state().replay.note(sql);
    }

    /// Adds to a call what names the session.
    pub(super) fn sign(&self, metadata: &mut MetadataMap) {
        let state = self.state();
        for (name, value) in [("authorization", &state.authorization), ("cookie", &state.cookie)] {
            if let Some(value) = value.as_ref().and_then(|value| header(value.expose_secret()).ok()) {
                metadata.insert(name, value);
            }
        }
    }

    /// Takes over what an answer says of the session: a new token, or a cookie that is set or taken back.
    pub(super) fn read(&self, metadata: &MetadataMap) {
        let text = |value: &MetadataValue<Ascii>| value.to_str().ok().map(str::to_owned);
        let mut state = self.state();
        if let Some(value) = metadata.get("authorization").and_then(text)
            && value.to_lowercase().starts_with("bearer ")
        {
            state.authorization = Some(value.into());
        }
        for cookie in metadata.get_all("set-cookie").iter().filter_map(text) {
            let pair = cookie.split(';').next().unwrap_or_default().trim();
            if let Some((COOKIE, value)) = pair.split_once('=') {
                state.cookie = (!value.is_empty()).then(|| pair.to_owned().into());
                state.ended |= value.is_empty();
            }
        }
    }

    /// Takes over what a refused call says of the session. A token that the server no longer takes is forgotten, so that
    /// the next call logs in anew.
    pub(super) fn refused(&self, status: &Status) {
        self.read(status.metadata());
        if std::error::Error::source(status).is_some() {
            self.state().doubtful = true;
        }
        if status.code() == Code::Unauthenticated && matches!(self.login, Login::Password { .. }) {
            let mut state = self.state();
            state.authorization = None;
            state.ended = true;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock means that another thread panicked; the values themselves are still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A header's value, which no log shows.
fn header(text: &str) -> Result<MetadataValue<Ascii>, Status> {
    let mut value: MetadataValue<Ascii> =
        text.parse().map_err(|_| Status::invalid_argument("a token or name has characters that cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(session: &Session) -> (Option<String>, Option<String>) {
        let mut metadata = MetadataMap::new();
        session.sign(&mut metadata);
        let get = |name| metadata.get(name).map(|value| value.to_str().unwrap().to_owned());
        (get("authorization"), get("cookie"))
    }

    fn answer(session: &Session, name: &'static str, value: &str) {
        let mut metadata = MetadataMap::new();
        metadata.insert(name, value.parse().unwrap());
        session.read(&metadata);
    }

    #[test]
    fn what_the_server_sets_is_sent_back() {
        let session = Session::new(Login::Nobody);
        assert_eq!(signed(&session), (None, None));
        answer(&session, "set-cookie", "other=1; Path=/");
        answer(&session, "set-cookie", "arrow_flight_session_id=abc; HttpOnly");
        answer(&session, "authorization", "Bearer one");
        answer(&session, "authorization", "Bearer two");
        assert_eq!(signed(&session), (Some("Bearer two".into()), Some("arrow_flight_session_id=abc".into())));
        answer(&session, "set-cookie", "arrow_flight_session_id=; Max-Age=0");
        assert_eq!(signed(&session).1, None);
        assert!(session.has_ended());
    }

    #[test]
    fn a_token_is_never_shown() {
        let session = Session::new(Login::Token("secret\n".to_owned().into()));
        assert_eq!(signed(&session).0, Some("Bearer secret".into()));
        assert!(!format!("{session:?}").contains("secret"));
    }
}
