//! Topics of a Kafka cluster as tables.
//!
//! A topic's messages are its rows: the fields of a JSON value are columns, and what Kafka keeps beside a message is
//! in hidden columns named as Trino names them. A query reads a bounded part of each topic: from the first offset that
//! is kept to the end at the time when the query began. No consumer group is joined and nothing is committed.
//!
//! Kafka finds messages by partition, by offset and, roughly, by time. So conditions on `_partition_id` and
//! `_partition_offset` are exact, lower bounds on `_timestamp` limit what is read, and everything else is up to the
//! engine ([`rules`]). Keys of a join with these three columns are told as well ([`narrow`], [`times`]).
//!
//! What goes where: [`log`] is all that is asked of Kafka, [`client`] and [`scan`] do it with librdkafka. [`predicate`]
//! and [`range`] turn conditions into offsets, [`table`] and [`split`] offsets into work, [`read`] work into batches.
//! [`object`], [`cell`] and [`build`] take a message apart, [`infer`] finds the columns that nobody declared.

mod build;
mod cell;
mod client;
mod columns;
mod config;
mod connector;
mod context;
mod decode;
mod error;
mod factory;
mod infer;
mod instant;
mod log;
mod narrow;
mod number;
mod object;
mod predicate;
mod range;
mod read;
mod rules;
mod scan;
mod snapshot;
mod split;
mod table;
mod time;
mod times;
mod topics;
mod types;

pub use factory::KafkaFactory;
