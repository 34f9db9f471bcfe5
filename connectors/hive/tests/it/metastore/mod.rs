//! Tables that a real Hive Metastore knows.

mod failures;
mod partitions;
mod statistics;
mod tables;
mod writes;
