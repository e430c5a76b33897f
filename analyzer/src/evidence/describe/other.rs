//! Facts that are counts, and facts about others than the object itself, in a sentence.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::{
    object::{JobState, Replicas},
    target::Target,
};

use super::number::{bytes, percent, quoted};
use crate::{evidence::Fact, explain::number};

/// Shapes of a log that fit into a sentence.
const MOST_LINES: usize = 4;

pub(super) fn replicas(fact: Replicas) -> String {
    let Replicas {
        desired,
        current,
        ready,
        updated,
        observed,
    } = fact;
    let seen = if observed {
        ""
    } else {
        "; its controller has not seen the newest spec"
    };
    format!(
        "{desired} replicas wanted, {current} exist, {ready} ready, {updated} of the newest revision{seen}"
    )
}

pub(super) fn job(fact: JobState) -> String {
    let JobState {
        active,
        succeeded,
        failed,
        backoff_limit,
    } = fact;
    format!(
        "the Job has {active} pods at work, {succeeded} done, {failed} failed, and is given up after {backoff_limit} failures"
    )
}

pub(super) fn quota(name: &str, resource: &str, (used, hard): (f64, f64)) -> String {
    let (used, hard) = (amount(resource, used), amount(resource, hard));
    let (name, resource) = (quoted(name), quoted(resource));
    format!("quota {name}: {used} of {hard} {resource} used")
}

/// Memory and storage are in bytes; the number of claims, which names storage as well, is not.
fn amount(resource: &str, value: f64) -> String {
    let named = |name: &&str| resource.contains(*name);
    let in_bytes = ["memory", "storage"].iter().any(named);
    if in_bytes && !resource.contains("persistentvolumeclaims") {
        bytes(value)
    } else {
        number(value)
    }
}

pub(super) fn claim(name: &str, phase: &str, storage_class: &str) -> String {
    let class = if storage_class.is_empty() {
        "no storage class".to_owned()
    } else {
        format!("storage class {}", quoted(storage_class))
    };
    let (name, phase) = (quoted(name), quoted(phase));
    format!("volume claim {name} is {phase} ({class})")
}

pub(super) fn service(fact: &Fact) -> String {
    let Fact::Service {
        ready,
        not_ready,
        selected,
        selects,
    } = fact
    else {
        return String::new();
    };
    let selector = if *selects {
        format!("its selector matches {selected} pods")
    } else {
        "it has no selector".to_owned()
    };
    format!("the Service has {ready} ready endpoints and {not_ready} that are not; {selector}")
}

pub(super) fn dependency(on: &Target, failed_at: Option<Timestamp>) -> String {
    let on = quoted(&on.to_string());
    let failed = failed_at.map_or_else(
        || "no trouble of it is known".to_owned(),
        |at| format!("in trouble since {at}"),
    );
    format!("its pods call {on}: {failed}")
}

pub(super) fn neighbour(fact: &Fact, since: Timestamp) -> String {
    let Fact::Neighbour {
        pod,
        resource,
        share,
        over_request,
    } = fact
    else {
        return String::new();
    };
    let (pod, share) = (quoted(&pod.to_string()), percent(*share));
    let asked = over_request.map_or_else(
        || "it asked for none".to_owned(),
        |times| format!("{} times what it asked for", number(times)),
    );
    format!("{pod} takes {share} of the node's {resource}, at least since {since}; {asked}")
}

pub(super) fn past_action(fact: &Fact, since: Timestamp) -> String {
    let Fact::PastAction {
        name,
        remedy,
        phase,
        ended_at,
    } = fact
    else {
        return String::new();
    };
    let ended = ended_at.map_or_else(String::new, |at| format!(", ended at {at}"));
    let (name, remedy) = (quoted(name), remedy.as_str());
    format!("action {name} ({remedy}) began at {since}: {phase}{ended}")
}

pub(super) fn log(container: &str, shapes: &[(String, u32)]) -> String {
    let lines = shapes.iter().take(MOST_LINES);
    let lines = lines.map(|(line, count)| format!("{count} × “{}”", quoted(line)));
    let lines: Vec<String> = lines.collect();
    let container = quoted(container);
    format!(
        "log of container {container}, as it was written: {}",
        lines.join(", ")
    )
}
