//! What a piece of evidence says, in a line for a model.
//!
//! The line's own words are ours, its numbers are measured, and every text from the cluster goes
//! through the [`Scrubber`].
//!
//! Pure: no IO, no clock.

use schemas::target::Target;

use super::{
    figures::{age, number, points, resources, scheduling, span},
    scrub::Scrubber,
};
use crate::{
    advise::{Question, question},
    evidence::{
        Condition, Container, EventShape, Fact, Finding, Measurement, Metric, Node, Piece, Rollout,
        Termination, Waiting,
    },
};

/// Changed fields of a rollout that are shown.
const MOST_CHANGES: usize = 6;

/// Writes lines.
pub(super) struct Writer<'q> {
    pub(super) question: &'q Question,
    pub(super) scrub: Scrubber,
    /// Whether values of series are shown, not only their shape.
    pub(super) points: bool,
}

impl Writer<'_> {
    /// `E3 (metric) about T1, for 12 min: …`.
    pub(super) fn line(&mut self, piece: &Piece) -> String {
        let about = self.about(&piece.about);
        let age = age(piece.since, self.question.case.at);
        let says = self.fact(&piece.fact);
        let source = piece.provenance.as_str();
        format!("{} ({source}) about {about}, for {age}: {says}", piece.id)
    }

    /// An object: its identifier if it is a target, else its kind and name.
    pub(super) fn about(&mut self, target: &Target) -> String {
        let targets = &self.question.targets;
        match targets.iter().position(|known| known.uid == target.uid) {
            Some(index) => question::target_label(index + 1),
            None => self.named(target),
        }
    }

    /// An object by kind and name.
    pub(super) fn named(&mut self, target: &Target) -> String {
        self.scrub.text(&target.to_string())
    }

    pub(super) fn text(&mut self, raw: &str) -> String {
        self.scrub.text(raw)
    }

    fn fact(&mut self, fact: &Fact) -> String {
        match fact {
            Fact::Finding(finding) => self.finding(finding),
            Fact::Series(series) => self.series(series),
            Fact::Events(events) => self.events(events),
            Fact::Condition(condition) => self.condition(condition),
            Fact::Termination(ended) => self.termination(ended),
            Fact::Waiting(waiting) => self.waiting(waiting),
            Fact::Container(container) => self.container(container),
            Fact::Rollout(rollout) => self.rollout(rollout),
            Fact::Node(node) => self.node(node),
            Fact::Scheduling(counts) => scheduling(counts),
            Fact::Log { container, shapes } => self.log(container, shapes),
            Fact::Replicas(replicas) => format!(
                "{} of {} replicas ready, {} of the newest revision",
                replicas.ready, replicas.desired, replicas.updated
            ),
            Fact::Autoscaler(scaler) => format!(
                "autoscaler {} wants {} of at most {} replicas{}",
                self.text(&scaler.name),
                scaler.desired,
                scaler.max,
                if scaler.limited {
                    ", and is held back"
                } else {
                    ""
                }
            ),
            Fact::Budget { name, allowed } => format!(
                "disruption budget {} allows {allowed} evictions",
                self.text(name)
            ),
            Fact::Job(job) => format!(
                "Job with {} failed pods of at most {}, {} active, {} succeeded",
                job.failed, job.backoff_limit, job.active, job.succeeded
            ),
            Fact::Quota { .. }
            | Fact::Claim { .. }
            | Fact::Service { .. }
            | Fact::Dependency { .. }
            | Fact::Neighbour { .. }
            | Fact::PastAction { .. }
            | Fact::Siblings { .. } => self.around(fact),
        }
    }

    fn finding(&mut self, finding: &Finding) -> String {
        let state = if finding.fired_at.is_some() {
            "firing"
        } else {
            "pending"
        };
        let trigger = self.text(&finding.trigger);
        let subject = self.text(&finding.subject);
        let value = number(finding.value);
        let threshold = number(finding.threshold);
        format!("trigger {trigger} is {state}: {subject} is {value}, threshold {threshold}")
    }

    fn series(&mut self, series: &Measurement) -> String {
        let what = match series.metric {
            Metric::MemoryBytes => "memory",
            Metric::CpuCores => "CPU",
            Metric::Restarts => "restarts",
            Metric::Ready => "readiness",
        };
        let shape = &series.shape;
        let mut says = format!(
            "{what} of container {} in {}: now {}, from {} to {}, slope {} per hour, linear {}, falls {}, changes {}",
            self.text(&series.container),
            series.metric.unit(),
            number(shape.level),
            number(shape.min),
            number(shape.max),
            number(shape.slope_per_hour),
            number(shape.linearity),
            shape.drops,
            shape.flips
        );
        if let Some(limit) = series.limit {
            says = format!("{says}, limit {}", number(limit));
        }
        if let Some(change) = shape.change {
            let ago = age(change.at, self.question.case.at);
            says = format!("{says}, changed by {} {ago} ago", number(change.by));
        }
        if let Some((period, strength)) = shape.season {
            let period = span(period);
            says = format!(
                "{says}, repeats every {period} (strength {})",
                number(strength)
            );
        }
        if self.points {
            says = format!("{says}; values {}", points(series));
        }
        says
    }

    fn events(&mut self, events: &EventShape) -> String {
        let ago = age(events.last, self.question.case.at);
        let kind = self.text(&events.kind);
        let reason = self.text(&events.reason);
        let reporter = self.text(&events.reporter);
        let template = self.text(&events.template);
        let count = events.count;
        format!(
            "{count} {kind} events {reason}, the last {ago} ago, reported by {reporter}: \"{template}\""
        )
    }

    fn condition(&mut self, condition: &Condition) -> String {
        let kind = self.text(&condition.kind);
        let status = self.text(&condition.status);
        let reason = self.text(&condition.reason);
        let message = self.text(&condition.message);
        format!("condition {kind} is {status}, reason {reason}: \"{message}\"")
    }

    fn termination(&mut self, ended: &Termination) -> String {
        let container = self.text(&ended.container);
        let reason = self.text(&ended.reason);
        let Termination {
            exit_code,
            restarts,
            ..
        } = ended;
        format!(
            "container {container} ended last with {reason}, exit code {exit_code}, {restarts} restarts so far"
        )
    }

    fn waiting(&mut self, waiting: &Waiting) -> String {
        let init = if waiting.init { "init " } else { "" };
        let container = self.text(&waiting.container);
        let reason = self.text(&waiting.reason);
        let message = self.text(&waiting.message);
        format!("{init}container {container} waits: {reason}: \"{message}\"")
    }

    fn container(&mut self, container: &Container) -> String {
        let name = self.text(&container.name);
        let image = self.text(&container.image);
        let resources = resources(&container.resources);
        let probes = [
            ("liveness", container.probes.liveness),
            ("readiness", container.probes.readiness),
            ("startup", container.probes.startup),
        ];
        let probes = probes.into_iter().filter_map(|(name, probe)| {
            let probe = probe?;
            Some(format!(
                "; {name} probe every {} s, {} failures, timeout {} s, first after {} s",
                probe.period_seconds,
                probe.failure_threshold,
                probe.timeout_seconds,
                probe.initial_delay_seconds
            ))
        });
        format!(
            "container {name}, image {image}; {resources}{}",
            probes.collect::<String>()
        )
    }

    fn rollout(&mut self, rollout: &Rollout) -> String {
        let state = if rollout.complete {
            "complete"
        } else {
            "not complete"
        };
        let mut says = format!("revision {} came, the rollout is {state}", rollout.revision);
        if let Some(previous) = rollout.previous {
            let ready = rollout
                .previous_ready
                .map(|ready| format!(" with {ready} ready pods"));
            says = format!("{says}, before it {previous}{}", ready.unwrap_or_default());
        }
        for (field, (before, after)) in rollout.changes.iter().take(MOST_CHANGES) {
            let mut value = |value: &Option<String>| match value {
                Some(value) => self.scrub.field(field, value),
                None => "nothing".to_owned(),
            };
            let (before, after) = (value(before), value(after));
            says = format!("{says}; {} was {before}, is {after}", self.text(field));
        }
        says
    }

    fn node(&mut self, node: &Node) -> String {
        let pressures: Vec<String> = node.pressures.iter().map(|it| self.text(it)).collect();
        let name = self.text(&node.name);
        let ready = self.text(&node.ready);
        let pressures = if pressures.is_empty() {
            "none".to_owned()
        } else {
            pressures.join(" ")
        };
        let Node {
            nodes, not_ready, ..
        } = node;
        format!(
            "node {name} has ready {ready}, pressures {pressures}; {not_ready} of {nodes} nodes are not ready"
        )
    }

    fn log(&mut self, container: &str, shapes: &[(String, u32)]) -> String {
        let most = usize::try_from(self.question.log_lines).unwrap_or(usize::MAX);
        let container = self.text(container);
        let lines = shapes.iter().take(most);
        let lines = lines.map(|(shape, count)| format!("{count} times \"{}\"", self.text(shape)));
        let lines: Vec<String> = lines.collect();
        format!("log of container {container}: {}", lines.join("; "))
    }
}
