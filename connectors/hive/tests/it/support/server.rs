use std::path::PathBuf;
use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use portolan_connector::{Connector, ConnectorFactory};
use portolan_hive::HiveFactory;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::lake::catalog;

pub(crate) const ACCESS_KEY: &str = "PORTOLANTESTKEY";
pub(crate) const SECRET_KEY: &str = "portolan-test-secret";

/// An S3 server of this process that checks signatures. A bucket is a directory. It ends when it is dropped.
pub(crate) struct S3Server {
    port: u16,
    task: JoinHandle<()>,
}

impl S3Server {
    pub(crate) async fn start(buckets: PathBuf) -> Self {
        let mut service = S3ServiceBuilder::new(FileSystem::new(buckets).unwrap());
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    // A client that goes away is no failure of the server.
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { port, task }
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

impl Drop for S3Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
