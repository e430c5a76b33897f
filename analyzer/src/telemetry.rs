//! The analyzer's instruments.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use runtime::telemetry::Registry;

mod models;

pub use models::{Masked, ModelTelemetry, OfAdvisor, Outcome, Tokens};

/// What the analyzer counts. Labels come from bounded sets.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Ticks evaluated.
    pub ticks: Counter,
    /// Seconds that the evaluation of a tick takes.
    pub evaluation_seconds: Histogram,
    /// Rows taken in.
    pub rows: Counter,
    /// Rows given up for lack of room.
    pub evicted: Counter,
    /// Rows that the windows hold.
    pub window_rows: Gauge,
    /// Objects that are known.
    pub objects: Gauge,
    /// Shards of ticks that were evaluated already, and repeats.
    pub late: Counter,
    /// Shards that never came.
    pub missing: Counter,
    /// Scrapes that the collector reports as lost.
    pub gaps: Counter,
    /// Messages that could not be read, by stream and reason.
    pub malformed: Family<Malformed, Counter>,
    /// Ticks evaluated before every object or event of their cut was there.
    pub cut_timeouts: Family<OfStream, Counter>,
    /// Streams found put up again, or consumers begun anew.
    pub restarts: Family<OfStream, Counter>,
    /// HealingActions created.
    pub proposed: Counter,
    /// Alerts published, by type.
    pub alerts: Family<OfKind, Counter>,
    /// What could not be delivered, by kind and reason.
    pub undelivered: Family<Undelivered, Counter>,
    /// Whether this replica holds the lease.
    pub leading: Gauge,
    /// Event time of the last evaluated tick, in seconds since 1970 UTC.
    pub last_tick: Gauge,
    /// Asking models.
    pub models: ModelTelemetry,
}

/// Labels of a message that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Malformed {
    /// The stream.
    pub stream: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// Labels of what is counted per stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfStream {
    /// The stream.
    pub stream: &'static str,
}

/// Labels of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfKind {
    /// The CloudEvents type.
    pub kind: &'static str,
}

/// Labels of what could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Undelivered {
    /// `alert`, `action`, `observation` or `status`.
    pub what: &'static str,
    /// Why.
    pub reason: &'static str,
}

impl Telemetry {
    /// Creates the instruments and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        // A tick of a small cluster takes milliseconds; ten seconds is most of an interval.
        let buckets = [
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ];
        let telemetry = Self {
            ticks: Counter::default(),
            evaluation_seconds: Histogram::new(buckets),
            rows: Counter::default(),
            evicted: Counter::default(),
            window_rows: Gauge::default(),
            objects: Gauge::default(),
            late: Counter::default(),
            missing: Counter::default(),
            gaps: Counter::default(),
            malformed: Family::default(),
            cut_timeouts: Family::default(),
            restarts: Family::default(),
            proposed: Counter::default(),
            alerts: Family::default(),
            undelivered: Family::default(),
            leading: Gauge::default(),
            last_tick: Gauge::default(),
            models: ModelTelemetry::default(),
        };
        telemetry.register_intake(registry.sub_registry_with_prefix("kubeskippy_analyzer"));
        telemetry.register_results(registry.sub_registry_with_prefix("kubeskippy_analyzer"));
        let registry = registry.sub_registry_with_prefix("kubeskippy_analyzer");
        telemetry.models.register(registry);
        telemetry
    }

    fn register_intake(&self, registry: &mut Registry) {
        registry.register("rows", "Rows taken in", self.rows.clone());
        let help = "Rows given up for lack of room";
        registry.register("evicted_rows", help, self.evicted.clone());
        registry.register("window_rows", "Rows held", self.window_rows.clone());
        registry.register("objects", "Objects known", self.objects.clone());
        let help = "Shards of ticks that were evaluated already, and repeats";
        registry.register("late_shards", help, self.late.clone());
        let help = "Shards that never came";
        registry.register("missing_shards", help, self.missing.clone());
        let help = "Scrapes that the collector lost";
        registry.register("gap_scrapes", help, self.gaps.clone());
        let help = "Messages that could not be read";
        registry.register("malformed_messages", help, self.malformed.clone());
        let help = "Ticks evaluated before all of their cut was there";
        registry.register("cut_timeouts", help, self.cut_timeouts.clone());
        let help = "Consumers begun anew";
        registry.register("consumer_restarts", help, self.restarts.clone());
    }

    fn register_results(&self, registry: &mut Registry) {
        registry.register("ticks", "Ticks evaluated", self.ticks.clone());
        let help = "Duration of the evaluation of a tick";
        registry.register("evaluation_seconds", help, self.evaluation_seconds.clone());
        let help = "HealingActions created";
        registry.register("proposed_actions", help, self.proposed.clone());
        registry.register("alerts", "Alerts published", self.alerts.clone());
        let help = "Alerts, actions, observations and statuses not delivered";
        registry.register("undelivered", help, self.undelivered.clone());
        registry.register("leading", "Whether this replica acts", self.leading.clone());
        let help = "Event time of the last evaluated tick";
        registry.register("last_tick_timestamp_seconds", help, self.last_tick.clone());
    }

    /// Counts a message that could not be read.
    pub fn count_malformed(&self, stream: &'static str, reason: &'static str) {
        self.malformed
            .get_or_create(&Malformed { stream, reason })
            .inc();
    }

    /// Counts something that could not be delivered.
    pub fn count_undelivered(&self, what: &'static str, reason: &'static str) {
        let labels = Undelivered { what, reason };
        self.undelivered.get_or_create(&labels).inc();
    }
}
