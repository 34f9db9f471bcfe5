//! How to reach the buckets of Google Cloud Storage.

use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use portolan_connector::Properties;
use secrecy::{ExposeSecret, SecretString};

use super::remote::Network;

/// The settings that all buckets of a catalog have in common.
#[derive(Clone, Debug)]
pub(super) struct Gcs {
    service_account_key: Option<SecretString>,
}

impl Gcs {
    /// The settings that are of no meaning for other stores.
    pub(super) const NAMES: &[&str] = &["gcs_service_account_key"];

    pub(super) fn read(properties: &Properties) -> Self {
        Self { service_account_key: properties.secret("gcs_service_account_key").cloned() }
    }

    /// The client of a bucket. Opens no connection.
    pub(super) fn build(&self, bucket: &str, network: &Network) -> std::result::Result<GoogleCloudStorage, String> {
        // Without a key in the catalog file the usual sources apply: environment variables, the credentials of gcloud, and
        // the metadata service of the machine.
        let mut builder = match self.service_account_key {
            Some(_) => GoogleCloudStorageBuilder::new(),
            None => GoogleCloudStorageBuilder::from_env(),
        };
        builder = builder
            .with_bucket_name(bucket)
            .with_skip_signature(network.anonymous)
            .with_retry(network.retries())
            .with_client_options(network.options());
        if let Some(endpoint) = &network.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        if let Some(key) = &self.service_account_key {
            builder = builder.with_service_account_key(key.expose_secret());
        }
        builder.build().map_err(|error| error.to_string())
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.service_account_key.iter()
    }
}
