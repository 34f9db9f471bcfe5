//! Who traces queries: places in traces as queries begin, spans as they end.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt, TraceFlags};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_otlp::{WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Config, IdGenerator, RandomIdGenerator, SamplingDecision, ShouldSample,
    SpanExporter, SpanProcessor,
};
use tonic::transport::ClientTlsConfig;

use super::collector::Collector;
use super::export::{Delivery, QUEUE_SPANS_MAX, Watched};
use super::spans::{self, QUERY};
use crate::error::{Error, Result};
use crate::query::{Query, QueryTrace, QueryTracer, TraceHeaders};

/// What the service is called when OTEL_SERVICE_NAME does not say.
const SERVICE: &str = "portolan";

/// Traces queries and sends the traces to a collector. Reads OpenTelemetry's own environment variables for what is not
/// said here: headers, sampler, time limits, resource.
#[derive(Clone, Debug)]
pub struct Traces(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sampler: Box<dyn ShouldSample>,
    ids: RandomIdGenerator,
    scope: InstrumentationScope,
    delivery: Arc<Delivery>,
    processor: BatchSpanProcessor,
}

impl Traces {
    /// Prepares to send to a collector, within a runtime. Opens no connection yet: the collector may come later.
    pub fn to(collector: Collector) -> Result<Self> {
        let mut exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(collector.url());
        if collector.is_encrypted() {
            exporter = exporter.with_tls_config(ClientTlsConfig::new().with_native_roots());
        }
        let exporter =
            exporter.build().map_err(|error| Error::user(format!("cannot send traces to {collector}: {error}")))?;
        Ok(Self::through(exporter, Delivery::to(collector)))
    }

    fn through(exporter: impl SpanExporter + 'static, delivery: Arc<Delivery>) -> Self {
        let batches = BatchConfigBuilder::default().with_max_queue_size(QUEUE_SPANS_MAX).build();
        let mut processor = BatchSpanProcessor::new(Watched { exporter, delivery: Arc::clone(&delivery) }, batches);
        processor.set_resource(&resource());
        Self(Arc::new(Shared {
            sampler: Config::default().sampler,
            ids: RandomIdGenerator::default(),
            scope: InstrumentationScope::builder(SERVICE).with_version(env!("CARGO_PKG_VERSION")).build(),
            delivery,
            processor,
        }))
    }

    /// Sends what has not been sent yet, and nothing after that. Gives up when the time is over.
    pub async fn finish(&self, patience: Duration) {
        let traces = Arc::clone(&self.0);
        let finished = tokio::task::spawn_blocking(move || traces.processor.shutdown_with_timeout(patience)).await;
        if !matches!(finished, Ok(Ok(()))) {
            self.0.delivery.give_up();
            tracing::warn!(?patience, "the last traces did not reach the collector in time");
        }
    }
}

/// What the collector is told of this process. The environment has the last word.
fn resource() -> Resource {
    let ours = Resource::builder_empty()
        .with_service_name(SERVICE)
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()),
        ])
        .with_detectors(&[Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())]);
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => ours.with_service_name(name).build(),
        _ => ours.build(),
    }
}

impl QueryTracer for Traces {
    fn begun(&self, caller: Option<&TraceHeaders>) -> Arc<dyn QueryTrace> {
        let Shared { sampler, ids, .. } = self.0.as_ref();
        let context = caller.map_or_else(Context::new, context_of);
        let parent = context.span().span_context().clone();
        let trace = if parent.is_valid() { parent.trace_id() } else { ids.new_trace_id() };
        let sampling = sampler.should_sample(Some(&context), trace, QUERY, &SpanKind::Server, &[], &[]);
        let is_sampled = sampling.decision == SamplingDecision::RecordAndSample;
        let flags = TraceFlags::default().with_sampled(is_sampled);
        let own = SpanContext::new(trace, ids.new_span_id(), flags, false, sampling.trace_state);
        Arc::new(Place { traces: Arc::clone(&self.0), parent, own })
    }
}

/// The place of a query in a trace.
#[derive(Debug)]
struct Place {
    traces: Arc<Shared>,
    /// The client's span; not valid where there is none.
    parent: SpanContext,
    /// The query's own span.
    own: SpanContext,
}

impl QueryTrace for Place {
    fn id(&self) -> String {
        self.own.trace_id().to_string()
    }

    fn ended(&self, query: &Query) {
        if !self.own.is_sampled() {
            return;
        }
        let Shared { ids, scope, delivery, processor, .. } = self.traces.as_ref();
        let spans = spans::of(query, &self.parent, &self.own, scope, || ids.new_span_id());
        if delivery.admit(spans.len()) {
            for span in spans {
                processor.on_end(span);
            }
        }
    }
}

/// The context that a client's headers describe; an empty one where they are not well formed.
fn context_of(headers: &TraceHeaders) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

struct Headers<'a>(&'a TraceHeaders);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => Some(&self.0.parent),
            "tracestate" => Some(&self.0.state),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}
