//! Whether the brokers stamp the messages of a topic when they append them (`message.timestamp.type`), where a table
//! declares that they do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};

use crate::context::LogContext;
use crate::gateway::Gateway;
use crate::log::KafkaLog;
use crate::time_bounds::Doubt;

/// The setting of topics, and its value where brokers stamp.
const SETTING: &str = "message.timestamp.type";
const APPENDED: &str = "LogAppendTime";

/// The most topics of which it is remembered.
const MAX_REMEMBERED: usize = 10_000;

/// Asks the brokers for the setting of a topic: whether they stamp its messages. The error is what they said. Blocks.
pub(crate) fn asked(
    settings: &ClientConfig,
    gateway: Option<Arc<Gateway>>,
    topic: &str,
    limit: Duration,
) -> Result<bool, String> {
    let client: AdminClient<LogContext> =
        settings.create_with_context(LogContext::new(gateway)).map_err(|error| error.to_string())?;
    let options = AdminOptions::new().request_timeout(Some(limit));
    let found = futures::executor::block_on(client.describe_configs(&[ResourceSpecifier::Topic(topic)], &options));
    let found = found.map_err(|error| error.to_string())?;
    let found = found.into_iter().next().ok_or("they said nothing of it")?;
    let found = found.map_err(|code| code.to_string())?;
    let setting = found.get(SETTING).and_then(|entry| entry.value.as_deref());
    Ok(setting == Some(APPENDED))
}

/// What brokers said lately of topics whose tables declare that they stamp the messages.
#[derive(Debug, Default)]
pub(crate) struct AppendTimes {
    remembered: Mutex<HashMap<String, (Instant, Option<Doubt>)>>,
}

impl AppendTimes {
    /// Why the promise of a table is not believed, if it is not. What was said is remembered for so long.
    pub(crate) async fn doubt(&self, log: &dyn KafkaLog, topic: &str, remembered_for: Duration) -> Option<Doubt> {
        let recent = {
            let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            remembered.get(topic).filter(|(since, _)| since.elapsed() < remembered_for).copied()
        };
        if let Some((_, doubt)) = recent {
            return doubt;
        }
        let doubt = match log.appends_times(topic).await {
            Ok(true) => None,
            Ok(false) => Some(Doubt::OtherTimes),
            Err(said) => {
                tracing::warn!(topic, said, "the brokers do not tell whether they stamp the messages of a topic");
                Some(Doubt::NotTold)
            }
        };
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(topic.to_owned(), (Instant::now(), doubt));
        doubt
    }
}
