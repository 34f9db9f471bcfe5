//! Tests against a Kafka-protocol broker.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bad_messages;
mod bounds;
mod compacted;
mod contract;
mod cuts;
mod decoding;
mod engine;
mod failures;
mod faults;
mod following;
mod formats;
mod hidden;
mod inference;
mod last;
mod latest;
mod leaders;
mod listings;
mod metadata;
mod midway;
mod proxy;
mod pruning;
mod readme;
mod refusing;
mod registry;
mod registry_faults;
mod registry_keys;
mod registry_secured;
mod second_broker;
mod second_faults;
mod secured;
mod security;
mod topics;
mod traces;
mod transactions;
mod writing;
mod writing_once;
