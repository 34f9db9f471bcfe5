//! The spans of a query that has ended: the query, the parts of its life, and the scans of its sources.
//!
//! Names of attributes are those of OpenTelemetry's semantic conventions where there are such, else begin with
//! `portolan.`.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use portolan_connector::ErrorClass;

use crate::Error;
use crate::error::Kind;
use crate::query::{Query, QueryState, SourceProgress};

/// The name of a query's span.
pub(super) const QUERY: &str = "query";

/// Scans of a query that have a span of their own: the first ones of the plan.
const SCANS_MAX: usize = 100;

/// Tables that the span of a scan names.
const TABLES_MAX: usize = 20;

/// When something began and ended.
#[derive(Clone, Copy, Debug)]
struct Time {
    start: SystemTime,
    end: SystemTime,
}

impl Time {
    fn of(start: SystemTime, duration: Duration) -> Self {
        Self { start, end: start + duration }
    }

    /// The part of this time within another. Clocks that were set meanwhile do not turn it around.
    fn within(self, outer: Self) -> Self {
        let start = self.start.clamp(outer.start, outer.end);
        Self { start, end: self.end.clamp(start, outer.end) }
    }
}

/// The spans of a query. The query's own has the place `own` below `parent`; the others get ids from `new_id`.
pub(super) fn of(
    query: &Query,
    parent: &SpanContext,
    own: &SpanContext,
    scope: &InstrumentationScope,
    new_id: impl Fn() -> SpanId,
) -> Vec<SpanData> {
    let span = |name: Cow<'static, str>, kind: SpanKind, time: Time, parent: &SpanContext| SpanData {
        span_context: SpanContext::new(own.trace_id(), new_id(), own.trace_flags(), false, own.trace_state().clone()),
        parent_span_id: parent.span_id(),
        parent_span_is_remote: parent.is_remote(),
        span_kind: kind,
        name,
        start_time: time.start,
        end_time: time.end,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: scope.clone(),
    };
    let times = query.times();
    let whole = Time::of(query.created_at(), times.total);
    let planning = whole.start + times.queued;
    let running = Time::of(planning + times.planning, times.running);
    let root = span(QUERY.into(), SpanKind::Server, whole, parent);
    let mut spans =
        vec![SpanData { span_context: own.clone(), attributes: attributes(query), status: status(query), ..root }];
    // A part that the query did not reach took no time at all.
    for (name, time) in [
        ("queued", Time::of(whole.start, times.queued)),
        ("planning", Time::of(planning, times.planning)),
        ("running", running),
    ] {
        if time.start < time.end {
            spans.push(span(name.into(), SpanKind::Internal, time.within(whole), own));
        }
    }
    let above = spans.last().map_or(own, |last| &last.span_context).clone();
    for source in query.sources().iter().take(SCANS_MAX) {
        // What was never asked has no span.
        let Some(start) = source.started_at else { continue };
        let time = Time { start, end: source.ended_at.unwrap_or(whole.end) }.within(running);
        let name = format!("scan {}", source.catalog);
        spans.push(SpanData {
            attributes: scan_attributes(source),
            ..span(name.into(), SpanKind::Client, time, &above)
        });
    }
    spans
}

fn attributes(query: &Query) -> Vec<KeyValue> {
    let state = query.state();
    let mut attributes = vec![
        KeyValue::new("db.system.name", "portolan"),
        KeyValue::new("db.query.text", query.sql().to_owned()),
        KeyValue::new("db.response.returned_rows", integer(query.rows())),
        KeyValue::new("enduser.id", query.user().to_string()),
        KeyValue::new("portolan.query_id", query.id().to_owned()),
        KeyValue::new("portolan.state", state.label()),
        KeyValue::new("portolan.queued_seconds", query.times().queued.as_secs_f64()),
        KeyValue::new("portolan.result_bytes", integer(query.bytes())),
        KeyValue::new("portolan.peak_memory_bytes", integer(query.memory_bytes().1 as u64)),
        KeyValue::new("portolan.scans", integer(query.sources().len() as u64)),
    ];
    if let Some(error) = query.error() {
        if is_failure(state, &error) {
            attributes.push(KeyValue::new("error.type", error_type(&error)));
        } else {
            attributes.push(KeyValue::new("portolan.cancelled_because", error.message().text.clone()));
        }
    }
    attributes
}

/// Whether a query ended by an error. Somebody's wish that it ends is none.
fn is_failure(state: QueryState, error: &Error) -> bool {
    state == QueryState::Failed || error.message().kind == Kind::TimedOut
}

fn status(query: &Query) -> Status {
    match query.error() {
        Some(error) if is_failure(query.state(), &error) => Status::error(error.message().text.clone()),
        _ => Status::Unset,
    }
}

fn error_type(error: &Error) -> &'static str {
    match (error.message().kind, error.class()) {
        (Kind::NotFound, _) => "not_found",
        (Kind::Exists, _) => "exists",
        (Kind::Unsupported, _) => "unsupported",
        (Kind::TimedOut, _) => "timed_out",
        (Kind::Denied, _) => "denied",
        (Kind::Plain, ErrorClass::User) => "user",
        (Kind::Plain, ErrorClass::Source) => "source",
        (Kind::Plain, ErrorClass::ResourceExhausted) => "resource_exhausted",
        (Kind::Plain, ErrorClass::Cancelled) => "cancelled",
        (Kind::Plain, ErrorClass::Internal) => "internal",
    }
}

fn scan_attributes(source: &SourceProgress) -> Vec<KeyValue> {
    let tables: Vec<_> = source.tables.iter().take(TABLES_MAX).map(|table| table.to_string().into()).collect();
    let mut attributes = vec![
        KeyValue::new("portolan.catalog", source.catalog.clone()),
        KeyValue::new("portolan.connector", source.connector),
        KeyValue::new("portolan.tables", Value::Array(Array::String(tables))),
        KeyValue::new("portolan.rows", integer(source.rows)),
        KeyValue::new("portolan.waiting_seconds", Duration::from_nanos(source.waiting_nanoseconds).as_secs_f64()),
        KeyValue::new("portolan.splits_done", integer(source.splits_done)),
    ];
    attributes.extend(source.bytes.map(|bytes| KeyValue::new("portolan.bytes", integer(bytes))));
    attributes.extend(source.splits_total.map(|splits| KeyValue::new("portolan.splits_total", integer(splits))));
    attributes
}

/// A count as OpenTelemetry has it.
fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
