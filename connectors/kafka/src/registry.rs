//! A schema registry that speaks Confluent's REST interface.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portolan_connector::ConnectorError;
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// The most schemas and subjects that are remembered, of each kind.
const MAX_REMEMBERED: usize = 10_000;

/// How often a question is asked, and how long to wait before it is asked again for the first time; twice that then.
const TRIES: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// The most schemas that one schema may refer to.
const MAX_REFERENCES: usize = 100;

/// What the registry is configured with.
#[derive(Clone, Debug)]
pub(crate) struct RegistryConfig {
    pub(crate) url: String,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<SecretString>,
    /// In the place of a user and a password.
    pub(crate) token: Option<SecretString>,
    /// A PEM file of authorities, beside those of the system.
    pub(crate) ca_file: Option<String>,
    /// PEM files of the client's certificate and of its private key.
    pub(crate) identity: Option<(String, String)>,
    /// How long one answer may take.
    pub(crate) timeout: Duration,
    /// How long the newest schema of a subject is believed to be the newest.
    pub(crate) cache: Duration,
}

/// A schema as the registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundSchema {
    pub(crate) id: u32,
    /// The version within its subject, where it was asked for by that.
    pub(crate) version: Option<u32>,
    /// `AVRO`, `JSON`, `PROTOBUF`.
    pub(crate) kind: String,
    pub(crate) text: String,
    /// The schemas that it refers to, each behind those that it refers to itself.
    pub(crate) references: Vec<Reference>,
}

/// A schema that another one refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reference {
    /// What the other one calls it: of Protobuf the name under which it is imported.
    pub(crate) name: String,
    pub(crate) text: String,
}

#[cfg(test)]
impl FoundSchema {
    pub(crate) fn avro(text: &str) -> Self {
        Self { id: 0, version: None, kind: "AVRO".to_owned(), text: text.to_owned(), references: Vec::new() }
    }
}

/// What went wrong with the registry, not with what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema registry at {url} did not tell {what}: {said}")]
pub(crate) struct RegistryError {
    url: String,
    what: String,
    said: String,
}

impl From<RegistryError> for ConnectorError {
    fn from(error: RegistryError) -> Self {
        ConnectorError::source(format!("the schema registry at {} did not tell {}", error.url, error.what))
            .said(error.said)
            .hint("check `schema_registry.url`, and beside it `username` and `password` or `token`, and the files of certificates")
    }
}

/// Schemas by their ids, asked for by threads that may wait.
pub(crate) trait Schemas: fmt::Debug + Send + Sync {
    /// The schema; `None` where there is none of this id.
    fn by_id(&self, id: u32) -> Result<Option<FoundSchema>, RegistryError>;
}

/// What is remembered, by what it was asked for, and since when.
type Remembered<K> = Mutex<HashMap<K, (Instant, Option<FoundSchema>)>>;

/// A registry.
#[derive(Clone)]
pub(crate) struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    config: RegistryConfig,
    client: reqwest::Client,
    ids: Remembered<u32>,
    subjects: Remembered<(String, Option<u32>)>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("url", &without_login(&self.shared.config.url)).finish_non_exhaustive()
    }
}

/// An answer of the registry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    id: Option<u32>,
    version: Option<u32>,
    schema: String,
    schema_type: Option<String>,
    #[serde(default)]
    references: Vec<Referred>,
}

#[derive(Deserialize)]
struct Referred {
    #[serde(default)]
    name: String,
    subject: String,
    version: u32,
}

impl Registry {
    /// Takes the settings; connects only when first asked.
    pub(crate) fn new(config: RegistryConfig) -> Result<Self, ConnectorError> {
        let mut client = reqwest::Client::builder().timeout(config.timeout);
        if let Some(path) = &config.ca_file {
            let failed = |said: String| {
                ConnectorError::user(format!("cannot read the authorities in {path}"))
                    .said(said)
                    .hint("`schema_registry.ca_file` names a PEM file")
            };
            let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))?;
            if authorities.is_empty() {
                return Err(failed("it has no certificate".to_owned()));
            }
            client = authorities.into_iter().fold(client, reqwest::ClientBuilder::add_root_certificate);
        }
        if let Some((certificate, key)) = &config.identity {
            client = client.identity(identity(certificate, key)?);
        }
        let client = client
            .build()
            .map_err(|error| ConnectorError::internal("cannot make a client for the schema registry").said(error))?;
        let (ids, subjects) = (Mutex::default(), Mutex::default());
        Ok(Self { shared: Arc::new(Shared { config, client, ids, subjects }) })
    }

    /// A version of a subject, or its newest one; `None` where there is none.
    pub(crate) async fn of_subject(
        &self,
        subject: &str,
        version: Option<u32>,
    ) -> Result<Option<FoundSchema>, RegistryError> {
        let key = (subject.to_owned(), version);
        // A version is for ever, the newest one is not; nor is it for ever that there is none.
        let limit = |found: &Option<FoundSchema>| match (version, found) {
            (Some(_), Some(_)) => Duration::MAX,
            _ => self.shared.config.cache,
        };
        if let Some(found) = recall(&self.shared.subjects, &key, limit) {
            return Ok(found);
        }
        let found = self.fetch_subject(subject, version, &mut Vec::new()).await?;
        remember(&self.shared.subjects, key, &found);
        if let Some(found) = &found {
            remember(&self.shared.ids, found.id, &Some(found.clone()));
        }
        Ok(found)
    }

    /// The schema of an id, which never changes; `None` where there is none.
    async fn of_id(&self, id: u32) -> Result<Option<FoundSchema>, RegistryError> {
        let limit = |found: &Option<FoundSchema>| match found {
            Some(_) => Duration::MAX,
            None => self.shared.config.cache,
        };
        if let Some(found) = recall(&self.shared.ids, &id, limit) {
            return Ok(found);
        }
        let found = match self.ask(&format!("/schemas/ids/{id}"), &format!("schema {id}")).await? {
            Some(answer) => Some(self.with_references(answer, Some(id), &mut Vec::new()).await?),
            None => None,
        };
        remember(&self.shared.ids, id, &found);
        Ok(found)
    }

    async fn fetch_subject(
        &self,
        subject: &str,
        version: Option<u32>,
        seen: &mut Vec<(String, u32)>,
    ) -> Result<Option<FoundSchema>, RegistryError> {
        let version = version.map_or_else(|| "latest".to_owned(), |version| version.to_string());
        let name = utf8_percent_encode(subject, NON_ALPHANUMERIC);
        let path = format!("/subjects/{name}/versions/{version}");
        match self.ask(&path, &format!("version {version} of subject {subject}")).await? {
            Some(answer) => Ok(Some(self.with_references(answer, None, seen).await?)),
            None => Ok(None),
        }
    }

    /// The answer with the schemas that it refers to. A schema that is referred to twice is asked for once.
    async fn with_references(
        &self,
        answer: Answer,
        id: Option<u32>,
        seen: &mut Vec<(String, u32)>,
    ) -> Result<FoundSchema, RegistryError> {
        let mut references = Vec::new();
        for Referred { name, subject, version } in answer.references {
            let what = format!("version {version} of subject {subject}");
            if seen.contains(&(subject.clone(), version)) {
                continue;
            }
            if seen.len() >= MAX_REFERENCES {
                return Err(self.error(&what, format!("a schema refers to more than {MAX_REFERENCES} others")));
            }
            seen.push((subject.clone(), version));
            let found = Box::pin(self.fetch_subject(&subject, Some(version), seen)).await?;
            let found =
                found.ok_or_else(|| self.error(&what, "a schema refers to it, and it is not there".to_owned()))?;
            references.extend(found.references);
            references.push(Reference { name, text: found.text });
        }
        let id = id.or(answer.id).ok_or_else(|| self.error("the id of a schema", "there is none".to_owned()))?;
        Ok(FoundSchema {
            id,
            version: answer.version,
            kind: answer.schema_type.unwrap_or_else(|| "AVRO".to_owned()),
            text: answer.schema,
            references,
        })
    }

    /// Asks; `None` where the registry says that there is no such thing.
    async fn ask(&self, path: &str, what: &str) -> Result<Option<Answer>, RegistryError> {
        let (mut tried, mut wait) = (1, FIRST_WAIT);
        loop {
            match self.ask_once(path).await {
                Ok(answer) => return Ok(answer),
                Err((said, again)) if !again || tried == TRIES => return Err(self.error(what, said)),
                Err((said, _)) => tracing::debug!(what, said, "the schema registry is asked again"),
            }
            tokio::time::sleep(wait).await;
            (tried, wait) = (tried + 1, wait * 2);
        }
    }

    /// The error says what went wrong, and whether it may go away.
    async fn ask_once(&self, path: &str) -> Result<Option<Answer>, (String, bool)> {
        let config = &self.shared.config;
        let url = format!("{}{path}", config.url.trim_end_matches('/'));
        let mut request = self.shared.client.get(url);
        if let Some(username) = &config.username {
            request = request.basic_auth(username, config.password.as_ref().map(ExposeSecret::expose_secret));
        }
        if let Some(token) = &config.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let mut response = request.send().await.map_err(|error| (causes(&error), !error.is_builder()))?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| (causes(&error), true))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                return Err((format!("its answer has more than {MAX_ANSWER_BYTES} bytes"), false));
            }
        }
        let text = String::from_utf8_lossy(&body);
        if !status.is_success() {
            let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            let start: String = text.chars().take(200).collect();
            return Err((format!("it said {status} {start}").trim_end().to_owned(), again));
        }
        serde_json::from_str(&text).map(Some).map_err(|error| (format!("its answer cannot be read: {error}"), false))
    }

    fn error(&self, what: &str, said: String) -> RegistryError {
        RegistryError { url: without_login(&self.shared.config.url), what: what.to_owned(), said }
    }

    /// The registry for threads that may wait. To be called where a runtime is.
    pub(crate) fn waiting(&self) -> Option<Arc<dyn Schemas>> {
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        Some(Arc::new(Waiting { registry: self.clone(), runtime }))
    }
}

/// What the client shows of itself.
fn identity(certificate: &str, key: &str) -> Result<reqwest::Identity, ConnectorError> {
    let failed = |file: &str, said: String| {
        ConnectorError::user(format!("cannot read the client's certificate for the schema registry of {file}"))
            .said(said)
            .hint("`schema_registry.certificate_file` and `key_file` name PEM files")
    };
    let mut pem = std::fs::read(key).map_err(|error| failed(key, error.to_string()))?;
    pem.push(b'\n');
    pem.extend(std::fs::read(certificate).map_err(|error| failed(certificate, error.to_string()))?);
    reqwest::Identity::from_pem(&pem).map_err(|error| failed(&format!("{certificate} and {key}"), causes(&error)))
}

/// The address without a user and a password that may stand in it.
fn without_login(url: &str) -> String {
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?.1))) {
        Some((scheme, host)) => format!("{scheme}://{host}"),
        None => url.to_owned(),
    }
}

/// The error with what is behind it, without the address, which may hold a password.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    match (text.is_empty(), error.is_timeout()) {
        (_, true) => "it did not answer in time".to_owned(),
        (true, _) => "the request failed".to_owned(),
        (false, _) => text,
    }
}

fn recall<K: std::hash::Hash + Eq>(
    remembered: &Remembered<K>,
    key: &K,
    limit: impl Fn(&Option<FoundSchema>) -> Duration,
) -> Option<Option<FoundSchema>> {
    let remembered = remembered.lock().unwrap_or_else(PoisonError::into_inner);
    let (since, found) = remembered.get(key)?;
    (since.elapsed() < limit(found)).then(|| found.clone())
}

fn remember<K: std::hash::Hash + Eq>(remembered: &Remembered<K>, key: K, found: &Option<FoundSchema>) {
    let mut remembered = remembered.lock().unwrap_or_else(PoisonError::into_inner);
    if remembered.len() >= MAX_REMEMBERED {
        remembered.clear();
    }
    remembered.insert(key, (Instant::now(), found.clone()));
}

#[derive(Debug)]
struct Waiting {
    registry: Registry,
    runtime: tokio::runtime::Handle,
}

impl Schemas for Waiting {
    fn by_id(&self, id: u32) -> Result<Option<FoundSchema>, RegistryError> {
        self.runtime.block_on(self.registry.of_id(id))
    }
}
