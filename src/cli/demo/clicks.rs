//! The demo's Kafka topic: today's clicks.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{NaiveDateTime, NaiveTime, TimeDelta};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use serde_json::json;

use super::DemoError;
use super::random::Random;
use super::shop::{Shop, TODAY};

/// The topic, and the name of its table.
pub(super) const TOPIC: &str = "clicks";

/// How many clicks there are today.
pub(super) const CLICKS: usize = 10_000;

const PARTITIONS: i32 = 4;

/// How long the broker may take to create the topic, and to take all messages.
const LIMIT: Duration = Duration::from_secs(60);

const REFERRERS: &[(Option<&str>, u64)] = &[
    (None, 45),
    (Some("https://search.example/"), 30),
    (Some("https://news.example/boats"), 10),
    (Some("https://mail.example/newsletter"), 15),
];

const ACTIONS: &[(&str, u64)] = &[("view", 80), ("cart", 14), ("buy", 6)];

/// Creates the topic and sends the clicks, keyed by customer. The messages' own timestamps are the time of sending, so
/// that the broker's retention keeps them; the time of the click is in the message.
pub(super) fn send(brokers: &str, shop: &Shop) -> Result<usize, DemoError> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("client.id", "portolan-demo");
    create_topic(&config).map_err(DemoError::kafka("create the topic"))?;

    let producer: BaseProducer<Deliveries> = config
        .set("linger.ms", "20")
        .create_with_context(Deliveries::default())
        .map_err(DemoError::kafka("connect to"))?;
    for (customer, message) in clicks(shop) {
        let record = BaseRecord::to(TOPIC).key(&customer).payload(&message);
        producer.send(record).map_err(|(error, _)| DemoError::kafka("send to")(error))?;
        // Takes the deliveries that are known already; does not wait.
        producer.poll(Duration::ZERO);
    }
    producer.flush(LIMIT).map_err(DemoError::kafka("send to"))?;
    match producer.context().failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) => Err(DemoError::kafka("send to")(error)),
        None => Ok(CLICKS),
    }
}

fn create_topic(config: &ClientConfig) -> Result<(), KafkaError> {
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1));
    let options = AdminOptions::new().request_timeout(Some(LIMIT));
    let outcomes = futures::executor::block_on(admin.create_topics([&topic], &options))?;
    match outcomes.into_iter().next() {
        Some(Err((_, code))) => Err(KafkaError::AdminOp(code)),
        Some(Ok(_)) => Ok(()),
        None => Err(KafkaError::AdminOp(RDKafkaErrorCode::NoEnt)),
    }
}

/// The first message that the broker did not take.
#[derive(Debug, Default)]
struct Deliveries {
    failed: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if let Err((error, _)) = result {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
    }
}

/// The clicks in the order of their time: customer as the key, and the message.
fn clicks(shop: &Shop) -> Vec<(String, String)> {
    let mut random = Random::new(0xc11c);
    // From midnight until the early afternoon, which is now.
    let mut millis: Vec<u64> =
        (0..CLICKS).map(|_| random.below(14 * 3_600_000).max(random.below(14 * 3_600_000))).collect();
    millis.sort_unstable();
    let midnight = TODAY.and_time(NaiveTime::MIN);
    millis.into_iter().filter_map(|millis| click(midnight, millis, shop, &mut random)).collect()
}

fn click(midnight: NaiveDateTime, millis: u64, shop: &Shop, random: &mut Random) -> Option<(String, String)> {
    let customer = shop.draw_customer(TODAY, random)?;
    let product = shop.draw_product(random)?;
    let at = midnight + TimeDelta::milliseconds(i64::try_from(millis).ok()?);
    let url = format!("/{}/{}", product.category, product.name.to_lowercase().replace(' ', "-"));
    let message = json!({
        "customer_id": customer.id,
        "product_id": product.id,
        "action": random.pick_weighted(ACTIONS)?,
        "url": url,
        "referrer": random.pick_weighted(REFERRERS)?,
        "at": at.format("%Y-%m-%dT%H:%M:%S%.3f").to_string(),
    });
    Some((customer.id.to_string(), message.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clicks_are_todays_and_of_known_customers_and_products() {
        let shop = Shop::new();
        let clicks = clicks(&shop);
        assert_eq!(clicks.len(), CLICKS);
        for (key, message) in &clicks {
            let message: serde_json::Value = serde_json::from_str(message).unwrap();
            let customer = message["customer_id"].as_i64().unwrap();
            assert_eq!(&customer.to_string(), key);
            assert!((1..=shop.customers.len() as i64).contains(&customer));
            assert!((1..=shop.products.len() as i64).contains(&message["product_id"].as_i64().unwrap()));
            let at = message["at"].as_str().unwrap();
            assert!(at.starts_with("2026-10-31T") && at.len() == "2026-10-31T00:00:00.000".len(), "{at}");
            assert!(message["referrer"].is_null() || message["referrer"].is_string());
        }
    }
}
