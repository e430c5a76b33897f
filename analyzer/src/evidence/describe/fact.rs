//! Each kind of fact in a sentence.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::object::{Probe, Probes, Resources};

use super::{
    number::{bytes, quoted},
    other, series,
};
use crate::{
    evidence::{
        Autoscaler, Condition, Container, EventShape, Fact, Finding, Node, Rollout, Scheduling,
        Termination, Waiting,
    },
    explain::{cut, number},
};

/// Fields of a rollout that fit into a sentence.
const MOST_LISTED: usize = 4;
/// Characters of a field's value.
const LONGEST_VALUE: usize = 64;

/// What a fact says, and since when.
pub(super) fn sentence(fact: &Fact, since: Timestamp) -> String {
    match fact {
        Fact::Finding(fact) => finding(fact, since),
        Fact::Series(fact) => series::sentence(fact, since),
        Fact::Events(fact) => events(fact, since),
        Fact::Condition(fact) => condition(fact, since),
        Fact::Termination(fact) => termination(fact, since),
        Fact::Waiting(fact) => waiting(fact, since),
        Fact::Container(fact) => container(fact),
        Fact::Rollout(fact) => rollout(fact, since),
        Fact::Node(fact) => node(fact, since),
        Fact::Scheduling(fact) => scheduling(fact, since),
        Fact::Autoscaler(fact) => autoscaler(fact),
        Fact::Replicas(fact) => other::replicas(*fact),
        Fact::Job(fact) => other::job(*fact),
        Fact::Budget { name, allowed } => {
            let name = quoted(name);
            format!("disruption budget {name} allows {allowed} evictions now")
        }
        Fact::Quota {
            name,
            resource,
            used,
            hard,
        } => other::quota(name, resource, (*used, *hard)),
        Fact::Claim {
            name,
            phase,
            storage_class,
        } => other::claim(name, phase, storage_class),
        Fact::Service { .. } => other::service(fact),
        Fact::Dependency { on, failed_at } => other::dependency(on, *failed_at),
        Fact::Neighbour { .. } => other::neighbour(fact, since),
        Fact::PastAction { .. } => other::past_action(fact, since),
        Fact::Siblings {
            pods,
            sick,
            sick_of_newest,
            of_newest,
        } => format!(
            "{sick} of its {pods} pods are in trouble; of the newest revision {sick_of_newest} of {of_newest}"
        ),
        Fact::Log { container, shapes } => other::log(container, shapes),
    }
}

fn finding(fact: &Finding, since: Timestamp) -> String {
    let Finding {
        policy: (namespace, name),
        trigger,
        subject,
        value,
        threshold,
        fired_at,
    } = fact;
    let subject = quoted(subject);
    let compared = if value.is_nan() {
        String::new()
    } else {
        format!(" is {}, threshold {}", number(*value), number(*threshold))
    };
    let fired = fired_at.map_or_else(|| "pending".to_owned(), |at| format!("fired at {at}"));
    format!(
        "trigger {trigger} of policy {namespace}/{name}: {subject}{compared}, since {since}, {fired}"
    )
}

fn events(fact: &EventShape, since: Timestamp) -> String {
    let EventShape {
        kind,
        reason,
        reporter,
        template,
        count,
        last,
    } = fact;
    let (kind, reason, reporter) = (quoted(kind), quoted(reason), quoted(reporter));
    let template = quoted(template);
    format!(
        "{count} × {kind} event {reason} from {since} to {last}, as {reporter} is said to have written: “{template}”"
    )
}

fn condition(fact: &Condition, since: Timestamp) -> String {
    let Condition {
        kind,
        status,
        reason,
        message,
    } = fact;
    let reason = in_brackets(reason);
    format!(
        "condition {} is {}{reason} since {since}{}",
        quoted(kind),
        quoted(status),
        told(message)
    )
}

fn in_brackets(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(" ({})", quoted(text))
    }
}

fn told(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": “{}”", quoted(message))
    }
}

fn termination(fact: &Termination, since: Timestamp) -> String {
    let Termination {
        container,
        reason,
        exit_code,
        restarts,
    } = fact;
    if container.is_empty() {
        return format!("the pod ended as {} at {since}", quoted(reason));
    }
    let (container, reason) = (quoted(container), quoted(reason));
    format!(
        "container {container} ended as {reason}, exit code {exit_code}, at {since}; {restarts} restarts so far"
    )
}

fn waiting(fact: &Waiting, since: Timestamp) -> String {
    let Waiting {
        container,
        init,
        reason,
        message,
    } = fact;
    let kind = if *init { "init container" } else { "container" };
    let container = quoted(container);
    format!(
        "{kind} {container} waits{} since {since}{}",
        in_brackets(reason),
        told(message)
    )
}

fn container(fact: &Container) -> String {
    let Container {
        name,
        image,
        resources,
        probes,
    } = fact;
    let Resources {
        cpu_limit_cores,
        memory_limit_bytes,
        cpu_request_cores,
        memory_request_bytes,
    } = resources;
    let memory = |value: &Option<f64>| value.map_or_else(|| "none".to_owned(), bytes);
    let cpu = |value: &Option<f64>| {
        value.map_or_else(
            || "none".to_owned(),
            |cores| format!("{} cores", number(cores)),
        )
    };
    let (name, image) = (quoted(name), cut(quoted(image), 128));
    format!(
        "container {name} ({image}): memory limit {}, request {}; CPU limit {}, request {}; {}",
        memory(memory_limit_bytes),
        memory(memory_request_bytes),
        cpu(cpu_limit_cores),
        cpu(cpu_request_cores),
        probed(*probes)
    )
}

fn probed(probes: Probes) -> String {
    let Probes {
        liveness,
        readiness,
        startup,
    } = probes;
    let told = |name: &str, probe: Option<Probe>| {
        let Probe {
            initial_delay_seconds,
            period_seconds,
            timeout_seconds,
            failure_threshold,
        } = probe?;
        Some(format!(
            "{name} probe: {failure_threshold} failures {period_seconds} s apart, after {initial_delay_seconds} s, each within {timeout_seconds} s"
        ))
    };
    let all = [
        told("liveness", liveness),
        told("readiness", readiness),
        told("startup", startup),
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    if all.is_empty() {
        "no probes".to_owned()
    } else {
        all.join("; ")
    }
}

fn rollout(fact: &Rollout, since: Timestamp) -> String {
    let Rollout {
        revision,
        changes,
        previous,
        previous_ready,
        complete,
    } = fact;
    let state = if *complete {
        "complete"
    } else {
        "not complete"
    };
    let Some(previous) = previous else {
        return format!(
            "revision {revision}, the first that is known, came at {since}; it is {state}"
        );
    };
    let ready = previous_ready.map_or_else(String::new, |ready| {
        format!(", of which {ready} pods are ready")
    });
    let value = |value: &Option<String>| {
        value.as_ref().map_or_else(
            || "nothing".to_owned(),
            |value| cut(quoted(value), LONGEST_VALUE),
        )
    };
    let listed = changes.iter().take(MOST_LISTED).map(|(field, (from, to))| {
        let (from, to) = (value(from), value(to));
        format!("{} from {from} to {to}", quoted(field))
    });
    let listed: Vec<String> = listed.collect();
    let more = match changes.len().saturating_sub(MOST_LISTED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let changed = if changes.is_empty() {
        "what changed is not known".to_owned()
    } else {
        format!("changed {}{more}", listed.join(", "))
    };
    format!(
        "revision {revision} came at {since} after revision {previous}{ready}; it is {state}; {changed}"
    )
}

fn node(fact: &Node, since: Timestamp) -> String {
    let Node {
        name,
        ready,
        pressures,
        nodes,
        not_ready,
    } = fact;
    let name = quoted(name);
    let pressed = if pressures.is_empty() {
        String::new()
    } else {
        format!(", with {}", quoted(&pressures.join(", ")))
    };
    let ready = match ready.as_str() {
        "True" => "ready",
        "False" => "not ready",
        _ => "silent: whether it is ready is not known",
    };
    format!(
        "node {name} is {ready}{pressed}, since {since}; {not_ready} of {nodes} nodes are not ready"
    )
}

fn scheduling(fact: &Scheduling, since: Timestamp) -> String {
    let Scheduling {
        nodes,
        insufficient,
        tainted,
        unmatched,
        unbound,
    } = fact;
    let claim = if *unbound {
        "; a volume claim is not bound"
    } else {
        ""
    };
    format!(
        "no node of {nodes} takes the pod since {since}: {insufficient} lack a resource, {tainted} are tainted, {unmatched} do not match{claim}"
    )
}

fn autoscaler(fact: &Autoscaler) -> String {
    let Autoscaler {
        name,
        max,
        desired,
        limited,
    } = fact;
    let wants = if *limited {
        ", and would want more"
    } else {
        ""
    };
    format!(
        "autoscaler {} wants {desired} of at most {max} replicas{wants}",
        quoted(name)
    )
}
