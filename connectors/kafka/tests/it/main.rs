//! Tests against a Kafka-protocol broker.
