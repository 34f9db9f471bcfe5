//! Portolan: one SQL query over a lake, PostgreSQL and Kafka.
//!
//! The engine. What is true of every source lives here; what is true of one kind of source lives in its connector
//! under `connectors/`. ARCHITECTURE.md has the map.

pub mod auth;
pub mod catalog;
pub mod cli;
pub mod engine;
pub mod error;
pub mod explain;
pub mod flight;
pub mod http;
pub mod planner;
pub mod query;
pub mod semantics;
pub mod session;
mod syntax;
pub mod telemetry;

pub use engine::{Engine, EngineOptions};
pub use error::{Error, Result};
pub use session::{Answer, Session};
