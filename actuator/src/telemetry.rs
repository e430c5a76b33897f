//! The actuator's instruments.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use runtime::telemetry::Registry;

/// What the actuator counts. Labels come from bounded sets.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Transitions, by the phase they lead to and their reason.
    pub transitions: Family<Step, Counter>,
    /// Answers of guards other than `Allow`, by guard and verdict.
    pub verdicts: Family<Answer, Counter>,
    /// Writes to targets, by remedy and outcome.
    pub writes: Family<Write, Counter>,
    /// Passes that failed, by reason.
    pub failures: Family<Failure, Counter>,
    /// Alerts, journal entries and Events that could not be delivered, by kind.
    pub undelivered: Family<Channel, Counter>,
    /// Seconds that a pass takes.
    pub pass_seconds: Histogram,
    /// Whether this replica holds the lease.
    pub leading: Gauge,
}

/// Labels of a transition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Step {
    /// The phase that was reached.
    pub phase: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// Labels of a guard's answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answer {
    /// The guard.
    pub guard: String,
    /// What it said.
    pub verdict: String,
}

/// Labels of a write.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Write {
    /// The remedy.
    pub remedy: &'static str,
    /// `made`, `held`, `refused` or `overtaken`.
    pub outcome: &'static str,
}

/// Labels of a failed pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Failure {
    /// Why.
    pub reason: &'static str,
}

/// Labels of what was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Channel {
    /// `alert`, `journal` or `event`.
    pub channel: &'static str,
}

impl Telemetry {
    /// Creates the instruments and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("kubeskippy_actuator");
        let pass_buckets = [
            0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ];
        let telemetry = Self {
            transitions: Family::default(),
            verdicts: Family::default(),
            writes: Family::default(),
            failures: Family::default(),
            undelivered: Family::default(),
            pass_seconds: Histogram::new(pass_buckets),
            leading: Gauge::default(),
        };
        let Self {
            transitions,
            verdicts,
            writes,
            failures,
            undelivered,
            pass_seconds,
            leading,
        } = telemetry.clone();
        registry.register("transitions", "Transitions of actions", transitions);
        registry.register("verdicts", "Guards' answers other than Allow", verdicts);
        registry.register("writes", "Writes to targets", writes);
        registry.register("failures", "Passes that failed", failures);
        registry.register("undelivered", "Reports not delivered", undelivered);
        registry.register("pass_seconds", "Duration of a pass", pass_seconds);
        registry.register("leading", "Whether this replica acts", leading);
        telemetry
    }
}
