//! What those who trace queries are told. Who they are, and where the traces go, is not known here.

use std::fmt;
use std::sync::Arc;

use super::life::Query;

/// The place in a trace from which a client asks, as the headers of W3C Trace Context say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceHeaders {
    /// `traceparent`: the trace, the client's span in it, and whether the trace is recorded.
    pub parent: String,
    /// `tracestate`: what tracing systems add for themselves. Empty where nothing was sent.
    pub state: String,
}

/// Traces queries. Nothing here may wait: queries would.
pub trait QueryTracer: fmt::Debug + Send + Sync {
    /// A query is asked, perhaps from within a trace.
    fn begun(&self, caller: Option<&TraceHeaders>) -> Arc<dyn QueryTrace>;
}

/// A query's own place in a trace.
pub trait QueryTrace: fmt::Debug + Send + Sync {
    /// The trace's id in hexadecimal digits.
    fn id(&self) -> String;

    /// The query has ended.
    fn ended(&self, query: &Query);
}
