//! Writing: making tables and schemas, adding rows, changing and removing them.
//!
//! One transaction for each statement, on one session; nothing is seen before its commit.
//!
//! * `catalog`: [`portolan_connector::WritableCatalog`]; `define`: schemas and tables without rows
//! * `transaction`: a session that writes, until its commit
//! * `target`: the columns of a table that is there; `types`: those of one that is made
//! * `encode`, `copy_in`: rows as binary `COPY`
//! * `change`: UPDATE and DELETE
//! * `writer`: takes the rows of one statement
//! * `token`: what makes a statement that is tried again write once
//! * `failure`: what is said when PostgreSQL refuses

mod catalog;
mod change;
mod copy_in;
mod define;
mod encode;
mod failure;
mod target;
mod token;
mod transaction;
mod types;
mod writer;
