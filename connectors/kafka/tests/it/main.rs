//! Tests against a Kafka-protocol broker.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

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
