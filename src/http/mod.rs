//! The HTTP port for those who operate a server: whether it lives, whether it is ready, and its metrics.

mod metrics;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::error::Result;
use crate::{Engine, Error};

/// How Prometheus calls the text format of its OpenMetrics successor.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the handlers answer from.
#[derive(Clone)]
struct Port {
    engine: Arc<Engine>,
    stopping: watch::Receiver<bool>,
}

/// Serves `/healthz`, `/readyz` and `/metrics` until `ended` is true. While `stopping` is true, the server is not ready
/// and lives on.
pub async fn serve(
    engine: Arc<Engine>,
    listener: TcpListener,
    stopping: watch::Receiver<bool>,
    mut ended: watch::Receiver<bool>,
) -> Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Port { engine, stopping });
    let end = async move {
        // An error means that whoever tells is gone, which is an end too.
        let _ = ended.wait_for(|ended| *ended).await;
    };
    axum::serve(listener, router)
        .with_graceful_shutdown(end)
        .await
        .map_err(|error| Error::internal(format!("cannot serve HTTP: {error}")))
}

async fn ready(State(port): State<Port>) -> Response {
    match *port.stopping.borrow() {
        false => "ready\n".into_response(),
        true => (StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n").into_response(),
    }
}

async fn metrics(State(port): State<Port>) -> Response {
    match metrics::render(&port.engine) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the metrics: {error}\n")).into_response()
        }
    }
}
