//! How to reach the containers of Azure storage accounts.

use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use portolan_connector::{ConnectorError, Properties, Result};
use secrecy::{ExposeSecret, SecretString};

use super::remote::Network;

/// The settings that all containers of a catalog have in common.
#[derive(Clone, Debug)]
pub(super) struct Azure {
    /// Of locations that name none.
    pub(super) account: Option<String>,
    access_key: Option<SecretString>,
    sas_token: Option<SecretString>,
    client: Option<Client>,
}

/// An application that Entra ID knows.
#[derive(Clone, Debug)]
struct Client {
    tenant: String,
    id: String,
    secret: SecretString,
}

impl Azure {
    /// The settings that are of no meaning for other stores.
    pub(super) const NAMES: &[&str] = &[
        "azure_account",
        "azure_access_key",
        "azure_sas_token",
        "azure_tenant_id",
        "azure_client_id",
        "azure_client_secret",
    ];

    pub(super) fn read(properties: &Properties) -> Result<Self> {
        let text = |name: &str| properties.text(name).map(str::to_owned);
        let secret = |name: &str| properties.secret(name).cloned();
        let client = match (text("azure_tenant_id"), text("azure_client_id"), secret("azure_client_secret")) {
            (None, None, None) => None,
            (Some(tenant), Some(id), Some(secret)) => Some(Client { tenant, id, secret }),
            _ => {
                return Err(ConnectorError::user(
                    "azure_tenant_id, azure_client_id and azure_client_secret belong together: one is missing",
                ));
            }
        };
        let (access_key, sas_token) = (secret("azure_access_key"), secret("azure_sas_token"));
        if usize::from(access_key.is_some()) + usize::from(sas_token.is_some()) + usize::from(client.is_some()) > 1 {
            return Err(ConnectorError::user("there are several kinds of credentials for Azure").hint(
                "set one: azure_access_key, azure_sas_token, or azure_client_secret with its tenant and client",
            ));
        }
        Ok(Self { account: text("azure_account"), access_key, sas_token, client })
    }

    /// The client of a container. Opens no connection.
    pub(super) fn build(
        &self,
        host: &str,
        container: &str,
        network: &Network,
    ) -> std::result::Result<MicrosoftAzure, String> {
        // Without credentials in the catalog file the usual sources apply: environment variables, workload identity, and
        // the metadata service of the machine.
        let told = self.access_key.is_some() || self.sas_token.is_some() || self.client.is_some();
        let mut builder = if told { MicrosoftAzureBuilder::new() } else { MicrosoftAzureBuilder::from_env() };
        let account = host.split_once('.').map_or(host, |(account, _)| account);
        builder = builder
            .with_account(account)
            .with_container_name(container)
            .with_skip_signature(network.anonymous)
            .with_retry(network.retries())
            .with_client_options(network.options());
        if let Some(endpoint) = &network.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        } else if !host.ends_with(".core.windows.net") {
            // Clouds of their own call their services alike.
            builder = builder.with_endpoint(format!("https://{}", host.replacen(".dfs.", ".blob.", 1)));
        }
        if let Some(key) = &self.access_key {
            builder = builder.with_access_key(key.expose_secret());
        }
        if let Some(token) = &self.sas_token {
            let pairs = pairs(token.expose_secret()).ok_or("azure_sas_token is no shared access signature")?;
            builder = builder.with_sas_authorization(pairs);
        }
        if let Some(client) = &self.client {
            builder =
                builder.with_client_secret_authorization(&client.id, client.secret.expose_secret(), &client.tenant);
        }
        builder.build().map_err(|error| error.to_string())
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        let client = self.client.as_ref().map(|client| &client.secret);
        self.access_key.iter().chain(&self.sas_token).chain(client)
    }
}

/// The parameters of a shared access signature, decoded.
fn pairs(token: &str) -> Option<Vec<(String, String)>> {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().ok().map(String::from);
    let parts = token.trim_start_matches('?').split('&');
    parts.map(|part| part.split_once('=').and_then(|(name, value)| Some((decoded(name)?, decoded(value)?)))).collect()
}
