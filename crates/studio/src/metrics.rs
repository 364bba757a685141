//! Counters and histograms for Prometheus.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Labels of the counter of answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AnswerLabels {
    /// Route of the request, or `page`.
    pub route: String,
    /// HTTP status.
    pub status: u16,
}

/// Counters and histograms.
pub struct Metrics {
    registry: Registry,
    /// Number of answers by route and status.
    pub answers: Family<AnswerLabels, Counter>,
    /// Number of requests in the queue.
    pub waiting: Gauge,
    /// Number of computed rows.
    pub rows: Counter,
    /// Number of network evaluations, counted per row.
    pub evaluations: Counter,
    /// Number of requests whose client disconnected.
    pub cancelled: Counter,
    /// Number of rows per batch.
    pub batch: Histogram,
    /// Computing time per batch, in seconds.
    pub seconds: Histogram,
    /// Total computing time, in seconds.
    pub busy: Counter<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("pfgm"),
            answers: Family::default(),
            waiting: Gauge::default(),
            rows: Counter::default(),
            evaluations: Counter::default(),
            cancelled: Counter::default(),
            batch: Histogram::new([1.0, 4.0, 16.0, 64.0, 256.0]),
            seconds: Histogram::new([0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]),
            busy: Counter::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("answers", "Answers by route and status", metrics.answers.clone());
        registry.register("waiting", "Requests in the queue", metrics.waiting.clone());
        registry.register("rows", "Computed rows", metrics.rows.clone());
        registry.register("evaluations", "Network evaluations, counted per row", metrics.evaluations.clone());
        registry.register("cancelled", "Requests whose client disconnected", metrics.cancelled.clone());
        registry.register("batch_rows", "Rows per batch", metrics.batch.clone());
        registry.register("batch_seconds", "Computing time per batch", metrics.seconds.clone());
        registry.register("busy_seconds", "Total computing time", metrics.busy.clone());
        metrics
    }
}

impl Metrics {
    /// Counts an answer.
    pub fn answered(&self, route: &str, status: u16) {
        self.answers.get_or_create(&AnswerLabels { route: route.to_owned(), status }).inc();
    }

    /// Counts a batch.
    pub fn computed(&self, rows: usize, evaluations: u64, elapsed: Duration) {
        self.rows.inc_by(rows as u64);
        self.evaluations.inc_by(evaluations);
        self.batch.observe(rows as f64);
        self.seconds.observe(elapsed.as_secs_f64());
        self.busy.inc_by(elapsed.as_secs_f64());
    }

    /// Returns everything in OpenMetrics' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
