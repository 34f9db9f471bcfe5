//! The metrics, read off the engine when somebody asks.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::Engine;
use crate::query::{QueryState, QueryTotals, SourceTotals, TIME_BOUNDS_SECONDS};

/// The metrics as text in the OpenMetrics format.
pub(super) fn render(engine: &Engine) -> Result<String, fmt::Error> {
    let queries = engine.queries();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Metrics { totals: queries.totals(), sources: queries.source_totals() }));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

#[derive(Debug)]
struct Metrics {
    totals: QueryTotals,
    sources: Vec<(String, SourceTotals)>,
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let totals = &self.totals;
        let state = |state: QueryState, count: u64| ("state", state.label(), count);
        let waiting_and_running =
            [state(QueryState::Queued, totals.queued as u64), state(QueryState::Running, totals.running as u64)];
        let help = "queries that wait for their turn and that have it";
        gauges(encoder.encode_descriptor("portolan_queries", help, None, MetricType::Gauge)?, &waiting_and_running)?;
        let ended = [
            state(QueryState::Finished, totals.finished),
            state(QueryState::Failed, totals.failed),
            state(QueryState::Cancelled, totals.cancelled),
        ];
        let help = "queries that ended";
        counters(encoder.encode_descriptor("portolan_ended_queries", help, None, MetricType::Counter)?, &ended)?;

        let help = "how long queries took from when they were asked";
        times(
            encoder.encode_descriptor("portolan_query_time", help, Some(&Unit::Seconds), MetricType::Histogram)?,
            totals,
        )?;
        let help = "rows that clients were given";
        let rows = encoder.encode_descriptor("portolan_result_rows", help, None, MetricType::Counter)?;
        ConstCounter::new(totals.rows).encode(rows)?;
        let help = "memory that the operators of queries have";
        let memory = encoder.encode_descriptor("portolan_memory", help, Some(&Unit::Bytes), MetricType::Gauge)?;
        gauge(totals.memory_bytes as u64).encode(memory)?;

        let by_catalog = |of: fn(&SourceTotals) -> u64| {
            self.sources.iter().map(|(catalog, totals)| ("catalog", catalog.as_str(), of(totals))).collect::<Vec<_>>()
        };
        let help = "rows that sources gave to queries that ended";
        let rows = encoder.encode_descriptor("portolan_source_rows", help, None, MetricType::Counter)?;
        counters(rows, &by_catalog(|totals| totals.rows))?;
        let help = "bytes that sources sent for queries that ended";
        let bytes = encoder.encode_descriptor("portolan_source", help, Some(&Unit::Bytes), MetricType::Counter)?;
        counters(bytes, &by_catalog(|totals| totals.bytes))?;
        let help = "rows that were left out of queries that ended because they cannot be read";
        let skipped = encoder.encode_descriptor("portolan_source_skipped_rows", help, None, MetricType::Counter)?;
        counters(skipped, &by_catalog(|totals| totals.skipped))
    }
}

/// A label's name, its value, and the number of things that have it.
type Labelled<'a> = (&'static str, &'a str, u64);

fn counters(mut metric: MetricEncoder<'_>, values: &[Labelled<'_>]) -> fmt::Result {
    for (name, value, count) in values {
        ConstCounter::new(*count).encode(metric.encode_family(&[(*name, *value)])?)?;
    }
    Ok(())
}

fn gauges(mut metric: MetricEncoder<'_>, values: &[Labelled<'_>]) -> fmt::Result {
    for (name, value, count) in values {
        gauge(*count).encode(metric.encode_family(&[(*name, *value)])?)?;
    }
    Ok(())
}

fn gauge(count: u64) -> ConstGauge {
    ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The times of queries as a histogram.
fn times(mut metric: MetricEncoder<'_>, totals: &QueryTotals) -> fmt::Result {
    let bounds = TIME_BOUNDS_SECONDS.into_iter().chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(totals.times).collect();
    let count = buckets.iter().map(|(_, count)| count).sum();
    metric.encode_histogram::<NoLabelSet>(totals.milliseconds as f64 / 1e3, count, &buckets, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EngineOptions;

    #[tokio::test]
    async fn the_metrics_tell_what_queries_did() {
        let engine = Engine::start(EngineOptions::default()).unwrap();
        let session = engine.session();
        for sql in ["SELECT 1 AS a UNION ALL SELECT 2", "SELECT max(state) FROM system.runtime.queries"] {
            let answer = session.execute(sql).await.unwrap();
            let rows: Vec<_> = futures::TryStreamExt::try_collect(answer.rows).await.unwrap();
            assert!(!rows.is_empty());
        }
        assert!(session.execute("SELECT nothing").await.is_err());
        let text = render(&engine).unwrap();
        for line in [
            "# TYPE portolan_ended_queries counter",
            "portolan_ended_queries_total{state=\"finished\"} 2",
            "portolan_ended_queries_total{state=\"failed\"} 1",
            "portolan_queries{state=\"running\"} 0",
            "portolan_query_time_seconds_count 3",
            "portolan_query_time_seconds_bucket{le=\"+Inf\"} 3",
            "portolan_result_rows_total 3",
            "portolan_memory_bytes 0",
            "portolan_source_rows_total{catalog=\"system\"} 2",
            "portolan_source_skipped_rows_total{catalog=\"system\"} 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
    }
}
