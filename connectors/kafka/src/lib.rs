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
//! What goes where: [`log`] is all that is asked of Kafka, [`client`] and [`tail`] do it with librdkafka, whose errors [`kind`] sorts, and [`fetch`] reads bounded ranges in Kafka's own [`protocol`]. [`predicate`]
//! and [`range`] turn conditions into offsets, [`cut`] and [`snapshot`] say which there are, [`table`] and [`split`] turn
//! offsets into work, [`read`] work into [`batches`]; [`follow`] reads without end. [`layout`] says how messages are taken apart, [`declare`] how a person says
//! so, [`format`](mod@format) does it, [`decode`] and [`build`] make rows of it; [`infer`] finds the columns that nobody
//! declared, [`described`] those that a schema of the [`registry`] tells. [`latest`] keeps
//! the newest message of each key. TLS and SCRAM are the [`gateway`]'s. [`partitions`] and [`groups`] list what is there. [`mod@write`] goes the other way.

mod append_time;
mod batches;
mod build;
mod build_flat;
mod build_nested;
mod cell;
mod client;
mod columns;
mod config;
mod connector;
mod context;
mod cut;
mod declare;
mod declared_times;
mod decode;
mod definition;
mod described;
mod error;
mod factory;
mod fetch;
mod flat;
mod follow;
mod format;
mod gateway;
mod groups;
mod idle;
mod infer;
mod instant;
mod kind;
mod last;
mod latest;
mod layout;
mod leaders;
mod log;
mod mark;
mod narrow;
mod nested;
mod number;
mod object;
mod origin;
mod partitioner;
mod partitions;
mod permits;
mod places;
mod predicate;
mod protocol;
mod range;
mod read;
mod registry;
mod room;
mod rules;
mod snapshot;
mod split;
mod straight;
mod table;
mod tail;
mod temporal;
mod time;
mod time_bounds;
mod times;
mod topics;
mod type_text;
mod types;
mod whole;
mod write;

pub use factory::KafkaFactory;
