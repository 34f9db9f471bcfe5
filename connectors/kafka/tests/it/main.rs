//! Tests against a Kafka-protocol broker.

mod bounds;
mod contract;
mod decoding;
mod engine;
mod failures;
mod inference;
mod metadata;
mod pruning;
mod refusing;
mod topics;
mod transactions;
