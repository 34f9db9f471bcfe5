//! How to reach the S3 buckets of a catalog.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use portolan_connector::{ConnectorError, Properties, Result};
use secrecy::{ExposeSecret, SecretString};

/// The settings that all buckets of a catalog have in common.
#[derive(Clone, Debug)]
pub(super) struct S3 {
    endpoint: Option<String>,
    region: String,
    access_key_id: Option<SecretString>,
    secret_access_key: Option<SecretString>,
    session_token: Option<SecretString>,
    anonymous: bool,
    allow_http: bool,
    path_style: bool,
    connect_timeout: Duration,
    request_timeout: Duration,
    max_retries: usize,
    /// Before the first new try.
    retry_backoff: Duration,
    retry_timeout: Duration,
}

impl S3 {
    pub(super) fn read(properties: &Properties) -> Result<Self> {
        let access_key_id = properties.secret("access_key_id").cloned();
        let secret_access_key = properties.secret("secret_access_key").cloned();
        if access_key_id.is_some() != secret_access_key.is_some() {
            return Err(ConnectorError::user("access_key_id and secret_access_key belong together: one is missing"));
        }
        let endpoint = properties.text("endpoint").map(str::to_owned);
        let allow_http = properties.boolean("allow_http");
        if endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://")) && !allow_http {
            return Err(
                ConnectorError::user("endpoint is not encrypted").hint("use https://, or set allow_http = true")
            );
        }
        let path_style =
            if properties.contains("path_style") { properties.boolean("path_style") } else { endpoint.is_some() };
        let number = |name: &str| properties.integer(name).and_then(|number| u64::try_from(number).ok());
        let seconds = |name: &str| Duration::from_secs(number(name).unwrap_or(30));
        Ok(Self {
            endpoint,
            region: properties.text("region").unwrap_or("us-east-1").to_owned(),
            access_key_id,
            secret_access_key,
            session_token: properties.secret("session_token").cloned(),
            anonymous: properties.boolean("anonymous"),
            allow_http,
            path_style,
            connect_timeout: seconds("connect_timeout_seconds"),
            request_timeout: seconds("request_timeout_seconds"),
            max_retries: number("max_retries").and_then(|retries| usize::try_from(retries).ok()).unwrap_or(3),
            retry_backoff: Duration::from_millis(number("retry_backoff_ms").unwrap_or(100)),
            retry_timeout: seconds("retry_timeout_seconds"),
        })
    }

    /// The client of a bucket. Opens no connection.
    pub(super) fn build(&self, bucket: &str) -> Result<AmazonS3> {
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
            .with_skip_signature(self.anonymous)
            .with_retry(RetryConfig {
                backoff: BackoffConfig { init_backoff: self.retry_backoff, ..BackoffConfig::default() },
                max_retries: self.max_retries,
                retry_timeout: self.retry_timeout,
            })
            .with_client_options(
                ClientOptions::new()
                    .with_allow_http(self.allow_http)
                    .with_connect_timeout(self.connect_timeout)
                    .with_timeout(self.request_timeout),
            );
        if let Some(endpoint) = &self.endpoint {
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
        builder.build().map_err(|error| {
            ConnectorError::user(format!("cannot use the bucket {bucket}")).said(self.redact(&error.to_string()))
        })
    }

    /// A text without the secrets. Stores repeat the key id in their messages.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in [&self.access_key_id, &self.secret_access_key, &self.session_token].into_iter().flatten() {
            if !secret.expose_secret().is_empty() {
                text = text.replace(secret.expose_secret(), "***");
            }
        }
        text
    }
}
