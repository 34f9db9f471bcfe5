//! How to reach the S3 buckets of a catalog.

use object_store::aws::{AmazonS3, AmazonS3Builder};
use portolan_connector::{ConnectorError, Properties, Result};
use secrecy::{ExposeSecret, SecretString};

use super::remote::Network;

/// The settings that all buckets of a catalog have in common.
#[derive(Clone, Debug)]
pub(super) struct S3 {
    region: String,
    access_key_id: Option<SecretString>,
    secret_access_key: Option<SecretString>,
    session_token: Option<SecretString>,
    path_style: bool,
}

impl S3 {
    /// The settings that are of no meaning for other stores.
    pub(super) const NAMES: &[&str] = &["access_key_id", "secret_access_key", "session_token", "path_style"];

    pub(super) fn read(properties: &Properties) -> Result<Self> {
        let access_key_id = properties.secret("access_key_id").cloned();
        let secret_access_key = properties.secret("secret_access_key").cloned();
        if access_key_id.is_some() != secret_access_key.is_some() {
            return Err(ConnectorError::user("access_key_id and secret_access_key belong together: one is missing"));
        }
        let path_style = match properties.contains("path_style") {
            true => properties.boolean("path_style"),
            false => properties.contains("endpoint"),
        };
        Ok(Self {
            region: properties.text("region").unwrap_or("us-east-1").to_owned(),
            access_key_id,
            secret_access_key,
            session_token: properties.secret("session_token").cloned(),
            path_style,
        })
    }

    /// The client of a bucket. Opens no connection.
    pub(super) fn build(&self, bucket: &str, network: &Network) -> std::result::Result<AmazonS3, String> {
        // Without keys in the catalog file the usual sources apply: environment variables, web identity, and the
        // metadata service of the machine.
        let mut builder = match self.access_key_id {
            Some(_) => AmazonS3Builder::new(),
            None => AmazonS3Builder::from_env(),
        };
        builder = builder
            .with_bucket_name(bucket)
            .with_region(&self.region)
            .with_virtual_hosted_style_request(!self.path_style)
            .with_skip_signature(network.anonymous)
            .with_retry(network.retries())
            .with_client_options(network.options());
        if let Some(endpoint) = &network.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(key) = &self.access_key_id {
            builder = builder.with_access_key_id(key.expose_secret());
        }
        if let Some(secret) = &self.secret_access_key {
            builder = builder.with_secret_access_key(secret.expose_secret());
        }
        if let Some(token) = &self.session_token {
            builder = builder.with_token(token.expose_secret());
        }
        builder.build().map_err(|error| error.to_string())
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        [&self.access_key_id, &self.secret_access_key, &self.session_token].into_iter().flatten()
    }
}
