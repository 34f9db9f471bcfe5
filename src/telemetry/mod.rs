//! Traces: what each query did, sent to an OpenTelemetry collector.
//!
//! A query is traced once it has ended: `spans` makes spans from what the engine recorded of it anyway, and `tracer` puts
//! them into a queue, from which a thread of its own sends them through `export`. A collector that is slow or gone costs
//! spans and never a query's time.

mod collector;
mod export;
mod spans;
mod tracer;

pub use collector::Collector;
pub use tracer::Traces;
