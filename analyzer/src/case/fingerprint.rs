//! A digest of what a case looks like.
//!
//! In: the owners and the evidence of a case. Out: the same digest for cases of
//! the same structure: kinds of owners, what the triggers read, and what was
//! found, as reason codes and in coarse steps. Names, counts, instants, texts
//! that somebody wrote, and what was done about it are no part of it, nor is
//! the order in which anything was gathered, nor how often it was found.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeSet;

use schemas::{digest, object::Replicas};

use super::Member;
use crate::evidence::{
    Fact, Measurement, Metric, Piece, Rollout, Scheduling, Termination, template,
};

/// Hex digits: as many as a recall can tell apart for ever.
const DIGITS: usize = 32;

/// The fingerprint of a case.
pub(super) fn fingerprint(owners: &[Member], evidence: &[Piece]) -> String {
    let kinds = owners
        .iter()
        .map(|member| format!("owner {}", member.owner.kind));
    let facts = evidence.iter().filter_map(|piece| {
        let sign = sign(&piece.fact)?;
        Some(format!("{} {sign}", piece.about.kind))
    });
    let all: BTreeSet<String> = kinds.chain(facts).collect();
    digest::short(all, DIGITS)
}

/// What a fact says of the structure, if it says anything of it: what is well is no part of it.
fn sign(fact: &Fact) -> Option<String> {
    Some(match fact {
        // A query may name what it selects, and a pattern may have numbers.
        Fact::Finding(found) => format!("finding {}", template::mask(&found.subject)),
        Fact::Series(series) => return form(series),
        Fact::Condition(found) => match (found.kind.as_str(), found.status.as_str()) {
            // That it comes right, or is under way, is a matter of the moment.
            ("Ready" | "Progressing", "True") => return None,
            (kind, status) => format!("condition {kind} {status} {}", found.reason),
        },
        Fact::Termination(end) => format!("termination {}", ended(end)),
        Fact::Waiting(waiting) => format!("waiting {} {}", waiting.init, waiting.reason),
        Fact::Rollout(rollout) => return changed(rollout),
        Fact::Replicas(replicas) => return missing(replicas).map(ToOwned::to_owned),
        Fact::Autoscaler(scaler) => {
            return scaler.limited.then(|| "autoscaler limited".to_owned());
        }
        Fact::Budget { allowed, .. } => return (*allowed <= 0).then(|| "budget closed".to_owned()),
        Fact::Node(node) => {
            let many = node.not_ready >= 2;
            format!("node {} {many} {}", node.ready, node.pressures.join(" "))
        }
        Fact::Scheduling(counts) => turned_down(counts),
        Fact::Quota { resource, .. } => format!("quota {resource}"),
        Fact::Claim { phase, .. } => return (phase != "Bound").then(|| format!("claim {phase}")),
        Fact::Service {
            ready,
            selected,
            selects,
            ..
        } => {
            let empty = *selected == 0;
            return (*ready == 0).then(|| format!("service {empty} {selects}"));
        }
        Fact::Job(job) => {
            let given_up = job.failed > job.backoff_limit;
            return (job.failed > 0).then(|| format!("job {given_up}"));
        }
        Fact::Dependency { on, failed_at } => {
            return failed_at.map(|_| format!("dependency {}", on.kind));
        }
        Fact::Neighbour {
            resource,
            share,
            over_request,
            ..
        } => {
            let greedy = over_request.is_none_or(|times| times >= 2.0);
            return (*share >= 0.5 && greedy).then(|| format!("neighbour {resource}"));
        }
        Fact::Siblings { .. } => return siblings(fact).map(ToOwned::to_owned),
        Fact::Container(_) | Fact::Events(_) | Fact::Log { .. } | Fact::PastAction { .. } => {
            return None;
        }
    })
}

/// What a series does, where it does anything.
fn form(series: &Measurement) -> Option<String> {
    let shape = &series.shape;
    let limit = series.limit.filter(|limit| *limit > 0.0);
    let reference = limit.unwrap_or(shape.max);
    let range = shape.max - shape.min;
    let name = match series.metric {
        Metric::MemoryBytes => "memory",
        Metric::CpuCores => "cpu",
        Metric::Restarts => return (range >= 1.0).then(|| "restarts".to_owned()),
        Metric::Ready => return (shape.flips >= 3).then(|| "flaps".to_owned()),
    };
    let full = limit.is_some_and(|limit| shape.level >= 0.9 * limit);
    let form = if shape.drops >= 2 {
        "saw"
    } else if shape.linearity >= 0.7 && shape.slope_per_hour > 0.0 && range >= 0.1 * reference {
        "climbs"
    } else {
        return full.then(|| format!("{name} full"));
    };
    Some(format!("{name} {form}"))
}

/// The reason, and of the exit code what it stands for: a process that ends by itself may choose any below 126.
fn ended(end: &Termination) -> String {
    let code = match end.exit_code {
        0 => "well",
        126 | 127 => "not-run",
        134 | 139 => "fault",
        137 => "killed",
        143 => "ended",
        _ => "failed",
    };
    format!("{} {code}", end.reason)
}

/// The kinds of fields that a rollout changed.
fn changed(rollout: &Rollout) -> Option<String> {
    rollout.previous?;
    let kind = |field: &String| {
        let field = field.to_lowercase();
        let known = ["image", "resources", "env", "probe", "command", "args"];
        let found = known.into_iter().find(|kind| field.contains(kind));
        found.unwrap_or("other")
    };
    let kinds: BTreeSet<&str> = rollout.changes.keys().map(kind).collect();
    let kinds: Vec<&str> = kinds.into_iter().collect();
    Some(format!("rollout {} {}", rollout.complete, kinds.join(" ")))
}

const fn missing(replicas: &Replicas) -> Option<&'static str> {
    if replicas.current < replicas.desired {
        Some("replicas missing")
    } else if replicas.ready < replicas.desired {
        Some("replicas unready")
    } else {
        None
    }
}

/// Which reasons there are, not how many nodes they turn down.
fn turned_down(counts: &Scheduling) -> String {
    let Scheduling {
        nodes: _,
        insufficient,
        tainted,
        unmatched,
        unbound,
    } = counts;
    let (full, shut, other) = (*insufficient > 0, *tainted > 0, *unmatched > 0);
    format!("scheduling {full} {shut} {other} {unbound}")
}

const fn siblings(fact: &Fact) -> Option<&'static str> {
    let Fact::Siblings {
        pods,
        sick,
        sick_of_newest,
        of_newest,
    } = fact
    else {
        return None;
    };
    if *pods < 2 || *sick == 0 {
        None
    } else if *sick == *sick_of_newest && *of_newest < *pods {
        Some("siblings newest")
    } else if *sick == *pods {
        Some("siblings all")
    } else {
        Some("siblings some")
    }
}

#[cfg(test)]
mod tests;
