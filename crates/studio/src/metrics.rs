//! What the server counts, for Prometheus.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Which requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answered {
    /// The route, or `page`.
    pub route: String,
    /// The status.
    pub status: u16,
}

/// All counts.
pub struct Metrics {
    registry: Registry,
    /// Answers.
    pub answers: Family<Answered, Counter>,
    /// Requests that wait for their turn.
    pub waiting: Gauge,
    /// Rows that were computed.
    pub rows: Counter,
    /// Evaluations of networks, one a row.
    pub evaluations: Counter,
    /// Requests whose client went away.
    pub cancelled: Counter,
    /// Rows that were computed together.
    pub batch: Histogram,
    /// Seconds from the beginning of a batch to its end.
    pub seconds: Histogram,
    /// Seconds spent computing.
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
        registry.register("waiting", "Requests that wait for their turn", metrics.waiting.clone());
        registry.register("rows", "Rows that were computed", metrics.rows.clone());
        registry.register("evaluations", "Evaluations of networks, one a row", metrics.evaluations.clone());
        registry.register("cancelled", "Requests whose client went away", metrics.cancelled.clone());
        registry.register("batch_rows", "Rows that were computed together", metrics.batch.clone());
        registry.register("batch_seconds", "Seconds that a batch took", metrics.seconds.clone());
        registry.register("busy_seconds", "Seconds spent computing", metrics.busy.clone());
        metrics
    }
}

impl Metrics {
    /// Counts an answer.
    pub fn answered(&self, route: &str, status: u16) {
        self.answers.get_or_create(&Answered { route: route.to_owned(), status }).inc();
    }

    /// Counts a batch.
    pub fn computed(&self, rows: usize, evaluations: u64, took: Duration) {
        self.rows.inc_by(rows as u64);
        self.evaluations.inc_by(evaluations);
        self.batch.observe(rows as f64);
        self.seconds.observe(took.as_secs_f64());
        self.busy.inc_by(took.as_secs_f64());
    }

    /// All counts as Prometheus reads them.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
