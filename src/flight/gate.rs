//! Lets calls in: finds out who each comes from before the service sees it.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use secrecy::ExposeSecret;
use tonic::body::Body;
use tonic::codegen::http::header::{AUTHORIZATION, HeaderValue};
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tonic::{Code, Status};

use super::connection::ConnectionInfo;
use crate::auth::{Authenticator, Credentials, Refusal};

/// A service behind an authenticator. Calls that it lets in carry an [`Identity`](crate::auth::Identity).
#[derive(Clone, Debug)]
pub(super) struct Gate<S> {
    service: S,
    authenticator: Arc<Authenticator>,
}

impl<S> Gate<S> {
    pub(super) fn new(service: S, authenticator: Arc<Authenticator>) -> Self {
        Self { service, authenticator }
    }
}

impl<S: NamedService> NamedService for Gate<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The copy that was asked whether it is ready is the one that is called.
        let mut service = self.service.clone();
        std::mem::swap(&mut service, &mut self.service);
        let authenticator = Arc::clone(&self.authenticator);
        Box::pin(async move {
            // Nobody behind the gate sees the secret.
            let header = request.headers_mut().remove(AUTHORIZATION);
            let credentials = Credentials::read(header.as_ref().map(HeaderValue::as_bytes));
            let connection = request.extensions().get::<ConnectionInfo>().cloned().unwrap_or_default();
            let identity = match authenticator.identify(&credentials, &connection.peer).await {
                Ok(identity) => identity,
                Err(refusal) => return Ok(status(refusal).into_http()),
            };
            connection.let_in();
            let renewed = identity.renewed.clone();
            request.extensions_mut().insert(identity);
            let request = request.map(|body| Body::new(body.map_err(broken_off)));
            let mut response = service.call(request).await?;
            if let Some(token) = renewed
                && let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            {
                value.set_sensitive(true);
                response.headers_mut().insert(AUTHORIZATION, value);
            }
            Ok(response)
        })
    }
}

/// The end of what a client sends that has left in the middle of it. tonic takes a cancelled request for one that is
/// whole, and half of the rows that a client means to write would be written.
fn broken_off(status: Status) -> Status {
    match status.code() {
        Code::Cancelled => Status::aborted("the client left before its last message"),
        _ => status,
    }
}

fn status(refusal: Refusal) -> Status {
    match refusal {
        Refusal::Busy => Status::unavailable(refusal.to_string()),
        _ => Status::unauthenticated(refusal.to_string()),
    }
}
