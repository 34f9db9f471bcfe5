//! The connector against real files, on the local disk and through an S3 server that checks signatures, and against a real
//! Hive Metastore.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod caches;
mod counts;
mod errors;
mod evolution;
mod explain;
mod faults;
mod formats_avro;
mod formats_csv;
mod formats_json;
mod formats_orc;
mod formats_walk;
mod hidden;
mod keys;
mod late;
mod layout;
mod listing;
mod messy;
mod metastore;
mod partitions_table;
mod s3;
mod statistics;
mod stores;
mod support;
mod values;
mod walk;
mod writes;
