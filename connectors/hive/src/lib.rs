//! A lake of files in directories, as Hive lays them out: `location/schema/table/key=value/.../file`; or the tables of a Hive
//! Metastore, wherever their directories are. The files are Parquet, CSV, JSON lines or Avro.
//!
//! * [`factory`](HiveFactory): the properties of a catalog.
//! * `metastore`: the tables and partitions that a Hive Metastore knows; [`thrift`]: how it is spoken to.
//! * `store`: the local directory or S3 bucket; `listing`: one level of directories; `names`: what names mean.
//! * `partition`: which partition columns a table has; `schema`: which columns its files have.
//! * `rules` and `total`: the verdict on a filter.
//! * `scan` and `prune`: from a table's directory to the files that a scan reads; `snapshot`: the listing that one
//!   query sees; `hidden`: columns such as `$path`; `row_groups`: `$row_group`.
//! * `format`: how files of each format are read, behind one seam.
//! * `portion`, `late`, `keyed`: which rows of a Parquet file a part of a scan reads, whether they are filtered while they are
//!   decoded, and which pages have none of the keys of a join.
//! * `cache`: what is remembered of directories and metastore from one query to the next; `footers`: the same of files.
//! * `expect` and `prices`: how many requests a scan takes, and what they cost.
//! * `procedures`: what `CALL` does with a catalog.
//! * `table`: the plan, which is the format's scan with `source` (errors that name the file); `adapter` and `widen`
//!   (files that differ from the table) and `trust` (statistics of Parquet files that cannot be believed).
//! * `write`: tables made, filled and dropped.
//!
//! # What is a table
//!
//! A directory that has partition directories (`key=value`), or files whose extension says that they hold data
//! (`.parquet`, `.csv.gz`), or other files and no further directories. Names that begin with `_` or `.` and files of 0 bytes are passed over, as in Hive. A table
//! lies in a schema's directory; one that lies in `location` itself belongs to the schema `default`.
//!
//! With a metastore it says which tables there are, which columns and partitions they have, and where; nothing is inferred.
//!
//! # What a listing costs
//!
//! Every level is listed with a delimiter, and what the filters rule out is never listed. Sizes come from listings;
//! files are opened only to be read, except a few (`schema_files`) whose footers or first rows give the columns.

mod adapter;
mod cache;
mod connector;
mod error;
mod expect;
mod factory;
mod footers;
mod format;
mod hidden;
mod keyed;
mod late;
mod listing;
mod metastore;
mod names;
mod partition;
mod portion;
mod prices;
mod procedures;
mod prune;
mod row_groups;
mod rules;
mod scan;
mod schema;
mod snapshot;
mod source;
mod statistics;
mod store;
mod table;
pub mod thrift;
mod total;
mod trust;
mod types;
mod widen;
mod write;

pub use connector::HiveConnector;
pub use factory::HiveFactory;
pub use names::{NULL_PARTITION, partition_directory};
