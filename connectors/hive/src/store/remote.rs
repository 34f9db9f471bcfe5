//! The object stores of a catalog: how each kind is reached, and what they have in common.

use std::sync::Arc;
use std::time::Duration;

use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use portolan_connector::{ConnectorError, Properties, Result};
use secrecy::ExposeSecret;

use super::azure::Azure;
use super::bucket::Bucket;
use super::gcs::Gcs;
use super::s3::S3;

/// What is said and waited for on the way to any store.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) endpoint: Option<String>,
    pub(super) anonymous: bool,
    allow_http: bool,
    connect_timeout: Duration,
    request_timeout: Duration,
    max_retries: usize,
    /// Before the first new try.
    retry_backoff: Duration,
    retry_timeout: Duration,
}

impl Network {
    fn read(properties: &Properties) -> Result<Self> {
        let endpoint = properties.text("endpoint").map(str::to_owned);
        let allow_http = properties.boolean("allow_http");
        if endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://")) && !allow_http {
            return Err(
                ConnectorError::user("endpoint is not encrypted").hint("use https://, or set allow_http = true")
            );
        }
        let number = |name: &str| properties.integer(name).and_then(|number| u64::try_from(number).ok());
        let seconds = |name: &str| Duration::from_secs(number(name).unwrap_or(30));
        Ok(Self {
            endpoint,
            anonymous: properties.boolean("anonymous"),
            allow_http,
            connect_timeout: seconds("connect_timeout_seconds"),
            request_timeout: seconds("request_timeout_seconds"),
            max_retries: number("max_retries").and_then(|retries| usize::try_from(retries).ok()).unwrap_or(3),
            retry_backoff: Duration::from_millis(number("retry_backoff_ms").unwrap_or(100)),
            retry_timeout: seconds("retry_timeout_seconds"),
        })
    }

    pub(super) fn retries(&self) -> RetryConfig {
        RetryConfig {
            backoff: BackoffConfig { init_backoff: self.retry_backoff, ..BackoffConfig::default() },
            max_retries: self.max_retries,
            retry_timeout: self.retry_timeout,
        }
    }

    pub(super) fn options(&self) -> ClientOptions {
        ClientOptions::new()
            .with_allow_http(self.allow_http)
            .with_connect_timeout(self.connect_timeout)
            .with_timeout(self.request_timeout)
    }
}

/// The settings of all object stores of a catalog.
#[derive(Clone, Debug)]
pub(super) struct Remotes {
    network: Network,
    s3: S3,
    azure: Azure,
    gcs: Gcs,
}

impl Remotes {
    pub(super) fn read(properties: &Properties) -> Result<Self> {
        Ok(Self {
            network: Network::read(properties)?,
            s3: S3::read(properties)?,
            azure: Azure::read(properties)?,
            gcs: Gcs::read(properties),
        })
    }

    /// The Azure account of locations that name none.
    pub(super) fn account(&self) -> Option<&str> {
        self.azure.account.as_deref()
    }

    /// The client of a bucket. Opens no connection.
    pub(super) fn build(&self, bucket: &Bucket) -> Result<Arc<dyn ObjectStore>> {
        let built: std::result::Result<Arc<dyn ObjectStore>, String> = match bucket {
            Bucket::S3(name) => self.s3.build(name, &self.network).map(|store| Arc::new(store) as _),
            Bucket::Azure { host, container } => {
                self.azure.build(host, container, &self.network).map(|store| Arc::new(store) as _)
            }
            Bucket::Gcs(name) => self.gcs.build(name, &self.network).map(|store| Arc::new(store) as _),
        };
        built.map_err(|said| {
            ConnectorError::user(format!("cannot use {}", bucket.display("")))
                .said(self.redact(&said))
                .hint(format!("check {} of the catalog", credentials(bucket)))
        })
    }

    /// A text without the secrets. Stores repeat them in their messages.
    pub(super) fn redact(&self, text: &str) -> String {
        let secrets = self.s3.secrets().chain(self.azure.secrets()).chain(self.gcs.secrets());
        secrets
            .map(ExposeSecret::expose_secret)
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

/// The settings with which a store is told who asks.
pub(super) fn credentials(bucket: &Bucket) -> &'static str {
    match bucket {
        Bucket::S3(_) => "access_key_id and secret_access_key",
        Bucket::Azure { .. } => "azure_access_key, azure_sas_token or azure_client_secret",
        Bucket::Gcs(_) => "gcs_service_account_key",
    }
}

/// Refuses settings of other stores than that of `location`: they would be read and mean nothing.
pub(super) fn check_settings(bucket: Option<&Bucket>, properties: &Properties) -> Result<()> {
    let kinds: [(&str, &[&str], bool); 3] = [
        ("S3", S3::NAMES, matches!(bucket, Some(Bucket::S3(_)))),
        ("Azure", Azure::NAMES, matches!(bucket, Some(Bucket::Azure { .. }))),
        ("Google Cloud Storage", Gcs::NAMES, matches!(bucket, Some(Bucket::Gcs(_)))),
    ];
    for (store, names, is_it) in kinds {
        if let Some(name) = names.iter().find(|name| !is_it && properties.contains(name)) {
            return Err(ConnectorError::user(format!("{name} is a setting for {store}, and location is elsewhere"))
                .hint("leave it out"));
        }
    }
    Ok(())
}
