use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use portolan_connector::{Connector, ConnectorFactory};
use portolan_hive::HiveFactory;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::lake::catalog;

pub(crate) const ACCESS_KEY: &str = "PORTOLANTESTKEY";
pub(crate) const SECRET_KEY: &str = "portolan-test-secret";

/// What is wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It answers some requests with a status.
    Status(u16),
    /// It does what some requests ask for, and answers them with a status all the same.
    Lost(u16),
    /// It ends the connection of some requests without an answer.
    Cut,
    /// It ends some connections after so many bytes, in the middle of an answer.
    Half(usize),
    /// It takes its time before it does what some requests ask for.
    Slow(Duration),
}

/// Of how many requests, or connections, one has a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) fault: Fault,
    pub(crate) one_of: usize,
}

/// An S3 server of this process that checks signatures. A bucket is a directory. It ends when it is dropped.
pub(crate) struct S3Server {
    port: u16,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl S3Server {
    pub(crate) async fn start(buckets: PathBuf) -> Self {
        Self::with(buckets, None).await
    }

    /// A server with faults.
    pub(crate) async fn with(buckets: PathBuf, faults: Option<Faults>) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let mut service = S3ServiceBuilder::new(FileSystem::new(buckets).unwrap());
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let mut connections = 0_usize;
            while let Ok((socket, _)) = listener.accept().await {
                connections += 1;
                let left = faults.and_then(|faults| match faults.fault {
                    Fault::Half(bytes) if connections.is_multiple_of(faults.one_of) => Some(bytes),
                    _ => None,
                });
                let socket = Cutting { socket, left };
                let (service, counted) = (service.clone(), Arc::clone(&counted));
                let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let number = counted.fetch_add(1, Ordering::Relaxed) + 1;
                    let fault = faults.filter(|faults| number.is_multiple_of(faults.one_of)).map(|faults| faults.fault);
                    let answered = Service::call(&service, request);
                    async move {
                        let with = |status: u16| {
                            let mut answer = hyper::Response::new(s3s::Body::empty());
                            *answer.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
                            answer
                        };
                        if let Some(Fault::Slow(time)) = fault {
                            tokio::time::sleep(time).await;
                        }
                        match fault {
                            None | Some(Fault::Half(_) | Fault::Slow(_)) => {
                                answered.await.map_err(|error| std::io::Error::other(format!("{error:?}")))
                            }
                            Some(Fault::Cut) => Err(std::io::Error::other("cut")),
                            Some(Fault::Status(status)) => Ok(with(status)),
                            Some(Fault::Lost(status)) => {
                                let _ = answered.await;
                                Ok(with(status))
                            }
                        }
                    }
                });
                tokio::spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    // A client that goes away is no failure of the server.
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { port, requests, task }
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// A connector over a location of this server, with the right credentials.
    pub(crate) fn connector(&self, location: &str) -> Arc<dyn Connector> {
        HiveFactory.create(catalog(&self.settings(location, ACCESS_KEY, SECRET_KEY))).unwrap()
    }

    /// Settings of a catalog over a location of this server.
    pub(crate) fn settings(&self, location: &str, access_key: &str, secret_key: &str) -> String {
        format!(
            "location = '{location}'\nendpoint = 'http://127.0.0.1:{}'\nallow_http = true\naccess_key_id = '{access_key}'\nsecret_access_key = '{secret_key}'\nconnect_timeout_seconds = 2\n",
            self.port
        )
    }
}

/// A connection that may end after so many bytes were sent.
struct Cutting {
    socket: TcpStream,
    left: Option<usize>,
}

impl AsyncRead for Cutting {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Cutting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let most = self.left.unwrap_or(bytes.len()).min(bytes.len());
        if most == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let sent = ready!(Pin::new(&mut self.socket).poll_write(cx, &bytes[..most]))?;
        self.left = self.left.map(|left| left - sent);
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
