//! What a piece of evidence says, in a line for a model.
//!
//! The line's own words are ours, its numbers are measured, and every text from the cluster goes
//! through the [`Scrubber`].
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};
use schemas::{object::Resources, target::Target};

use super::scrub::Scrubber;
use crate::{
    advise::{Question, question},
    evidence::{
        Condition, Container, EventShape, Fact, Finding, Measurement, Metric, Node, Piece, Rollout,
        Scheduling, Termination, Waiting,
    },
};

/// Values of a series that are shown.
const MOST_POINTS: usize = 12;
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

    fn text(&mut self, raw: &str) -> String {
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
            | Fact::Siblings { .. } => self.surroundings(fact),
        }
    }

    fn surroundings(&mut self, fact: &Fact) -> String {
        match fact {
            Fact::Quota {
                name,
                resource,
                used,
                hard,
            } => format!(
                "quota {}: {} of {} {} used",
                self.text(name),
                number(*used),
                number(*hard),
                self.text(resource)
            ),
            Fact::Claim {
                name,
                phase,
                storage_class,
            } => format!(
                "volume claim {} is {}, storage class {}",
                self.text(name),
                self.text(phase),
                self.text(storage_class)
            ),
            Fact::Service {
                ready,
                not_ready,
                selected,
                selects,
            } => format!(
                "Service with {ready} ready and {not_ready} unready endpoints; {}",
                if *selects {
                    format!("its selector matches {selected} pods")
                } else {
                    "it has no selector".to_owned()
                }
            ),
            Fact::Dependency { on, failed_at } => {
                let at = self.question.case.at;
                let trouble = failed_at.map(|failed| format!("in trouble for {}", age(failed, at)));
                let trouble = trouble.unwrap_or_else(|| "not in trouble".to_owned());
                format!("calls {}, which is {trouble}", self.about(on))
            }
            Fact::Neighbour {
                pod,
                resource,
                share,
                over_request,
            } => {
                let over = over_request.map(|over| format!(", {} times its request", number(over)));
                format!(
                    "{} on the same node takes {} % of its {}{}",
                    self.named(pod),
                    number(share * 100.0),
                    self.text(resource),
                    over.unwrap_or_default()
                )
            }
            Fact::PastAction {
                name: _,
                remedy,
                phase,
                ended_at,
            } => {
                let at = self.question.case.at;
                let ended = ended_at.map(|ended| format!(", {} ago", age(ended, at)));
                let phase = self.text(phase);
                format!(
                    "was treated with {}: {phase}{}",
                    remedy.as_str(),
                    ended.unwrap_or_default()
                )
            }
            Fact::Siblings {
                pods,
                sick,
                sick_of_newest,
                of_newest,
            } => format!(
                "{sick} of its {pods} pods are in trouble, {sick_of_newest} of the {of_newest} of the newest revision"
            ),
            // What it is itself is told above.
            Fact::Finding(_)
            | Fact::Series(_)
            | Fact::Events(_)
            | Fact::Condition(_)
            | Fact::Termination(_)
            | Fact::Waiting(_)
            | Fact::Container(_)
            | Fact::Rollout(_)
            | Fact::Node(_)
            | Fact::Scheduling(_)
            | Fact::Log { .. }
            | Fact::Replicas(_)
            | Fact::Autoscaler(_)
            | Fact::Budget { .. }
            | Fact::Job(_) => String::new(),
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

fn scheduling(counts: &Scheduling) -> String {
    let Scheduling {
        nodes,
        insufficient,
        tainted,
        unmatched,
        unbound,
    } = counts;
    let unbound = if *unbound {
        "; a volume claim is not bound"
    } else {
        ""
    };
    format!(
        "of {nodes} nodes {insufficient} lack resources, {tainted} have a taint it does not tolerate, {unmatched} do not match it{unbound}"
    )
}

fn resources(resources: &Resources) -> String {
    let shown = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), number);
    format!(
        "memory limit {} request {} bytes; CPU limit {} request {} cores",
        shown(resources.memory_limit_bytes),
        shown(resources.memory_request_bytes),
        shown(resources.cpu_limit_cores),
        shown(resources.cpu_request_cores)
    )
}

fn points(series: &Measurement) -> String {
    let points = &series.points;
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    let values = points.iter().step_by(step);
    let values = values.map(|(_, value)| value.map_or_else(|| "gap".to_owned(), number));
    values.collect::<Vec<_>>().join(" ")
}

/// How long something lasts, coarsely.
pub(super) fn age(since: Timestamp, at: Timestamp) -> String {
    span(at.duration_since(since))
}

fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A number with three digits that count.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "unknown".to_owned();
    }
    let scale = [(1e9, "G"), (1e6, "M"), (1e4, "k")];
    let scaled = scale.iter().find(|(least, _)| value.abs() >= *least);
    let (value, unit) = match scaled {
        Some((1e4, unit)) => (value / 1e3, *unit),
        Some((least, unit)) => (value / least, *unit),
        None => (value, ""),
    };
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 || size == 0.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    let short = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{short}{unit}")
}
