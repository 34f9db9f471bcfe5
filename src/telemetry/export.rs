//! What becomes of spans on their way to the collector, and what the log is told of it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::collector::Collector;

/// Spans that wait to be sent: the default of OpenTelemetry's own queue. The spans of a query that finds no room are
/// lost, all of them, so that no trace has holes.
pub(super) const QUEUE_SPANS_MAX: usize = 2048;

/// How often the log is told of spans that are lost.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Spans on their way, and those that were lost since the log was told.
#[derive(Debug)]
pub(super) struct Delivery {
    collector: Collector,
    waiting: AtomicUsize,
    lost: AtomicU64,
    is_broken: AtomicBool,
    is_over: AtomicBool,
    warned: Mutex<Option<Instant>>,
}

impl Delivery {
    pub(super) fn to(collector: Collector) -> Arc<Self> {
        Arc::new(Self {
            collector,
            waiting: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            is_broken: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            warned: Mutex::new(None),
        })
    }

    /// Takes room in the queue for all spans of a query, or for none.
    pub(super) fn admit(&self, spans: usize) -> bool {
        let add = |waiting: usize| waiting.checked_add(spans).filter(|waiting| *waiting <= QUEUE_SPANS_MAX);
        let has_room = self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok();
        if !has_room {
            self.lost.fetch_add(spans as u64, Ordering::Relaxed);
        }
        has_room
    }

    /// Spans leave the queue to be sent.
    fn leave(&self, spans: usize) {
        self.waiting.fetch_sub(spans, Ordering::AcqRel);
    }

    /// Nobody waits for spans any more: what becomes of the last ones has been told.
    pub(super) fn give_up(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Tells the log what became of spans that were sent.
    fn tell(&self, spans: usize, result: &OTelSdkResult) {
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        let collector = tracing::field::display(&self.collector);
        if let Err(error) = result {
            self.is_broken.store(true, Ordering::Relaxed);
            self.lost.fetch_add(spans as u64, Ordering::Relaxed);
            if let Some(lost_spans) = self.lost_to_tell() {
                tracing::warn!(collector, lost_spans, error = said(error), "traces do not reach the collector");
            }
            return;
        }
        if self.is_broken.swap(false, Ordering::Relaxed) {
            tracing::info!(collector, "traces reach the collector again");
        }
        if let Some(lost_spans) = self.lost_to_tell() {
            tracing::warn!(
                collector,
                lost_spans,
                "traces came faster than the collector took them, or while it was gone"
            );
        }
    }

    /// Spans that were lost and of which the log is to be told now.
    fn lost_to_tell(&self) -> Option<u64> {
        // A poisoned lock means that another thread panicked; the time itself is still whole.
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_some_and(|warned| warned.elapsed() < WARNING_INTERVAL) {
            return None;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        (lost > 0).then(|| {
            *warned = Some(Instant::now());
            lost
        })
    }
}

/// The library's message without the names of its own parts.
fn said(error: &OTelSdkError) -> String {
    match error {
        OTelSdkError::InternalFailure(text) => {
            text.trim_start_matches("TonicTracesClient export failed with ").to_owned()
        }
        other => other.to_string(),
    }
}

/// An exporter that says what becomes of its spans. The library's own messages are compiled out.
#[derive(Debug)]
pub(super) struct Watched<E> {
    pub(super) exporter: E,
    pub(super) delivery: Arc<Delivery>,
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.delivery.leave(spans);
        let result = self.exporter.export(batch).await;
        self.delivery.tell(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery() -> Arc<Delivery> {
        Delivery::to("http://localhost:4317".parse().unwrap())
    }

    #[test]
    fn a_query_finds_room_for_all_its_spans_or_for_none() {
        let delivery = delivery();
        assert!(delivery.admit(QUEUE_SPANS_MAX - 3));
        assert!(!delivery.admit(4));
        assert!(delivery.admit(3));
        delivery.leave(QUEUE_SPANS_MAX);
        assert!(delivery.admit(4));
        assert_eq!(delivery.lost_to_tell(), Some(4));
    }

    #[test]
    fn losses_are_told_once_in_a_while() {
        let delivery = delivery();
        assert_eq!(delivery.lost_to_tell(), None);
        delivery.tell(5, &Err(OTelSdkError::InternalFailure("gone".to_owned())));
        delivery.tell(7, &Err(OTelSdkError::InternalFailure("gone".to_owned())));
        // The first was told at once; the second waits.
        assert_eq!((delivery.lost.load(Ordering::Relaxed), delivery.lost_to_tell()), (7, None));
    }
}
