//! Changing CPU and memory of a container in place.
//!
//! A pod's own resources are changed through `pods/resize`, so it goes on
//! running. The template of its workload follows where that replaces no pod
//! (updates only when deleted), or where the action allows a rollout; else the
//! plan says that a replaced pod is born with the old size.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use schemas::{
    policy::ResizeAction,
    quantity,
    step::{FieldChange, Step, Verb},
};
use serde_json::Value;

use super::{Refusal, changing, step};
use crate::{
    change::{self, Path},
    object::Object,
    reason::Reason,
    snapshot::Snapshot,
};

/// The resources that can be changed while a pod runs.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];

/// Plans the new size of `target`'s pods.
pub(super) fn resize(snapshot: &Snapshot, target: &Object) -> Result<Vec<Step>, Refusal> {
    let Some(settings) = &snapshot.action.spec.action.resize_action else {
        let message = "the action has no resizeAction";
        return Err(Refusal::new(Reason::NothingToDo, message));
    };
    if settings.recommended.is_some() {
        let message = "recommended sizes are worked out by the analyzer for an action of its own: write requests or limits";
        return Err(Refusal::new(Reason::SizeNotAllowed, message));
    }
    let pods: Vec<&Object> = match target.target.kind.as_str() {
        "Pod" => vec![target],
        "Deployment" | "StatefulSet" | "DaemonSet" => snapshot
            .pods
            .iter()
            .filter(|pod| !pod.terminating)
            .collect(),
        kind => {
            let message = format!("a {kind} has no containers whose size could change");
            return Err(Refusal::new(Reason::UnsupportedTarget, message));
        }
    };
    let mut steps = Vec::new();
    if let Some(pod) = pods.iter().find(|pod| !is_resizable_in_place(pod)) {
        let follows = settings.allow_rollout.then(|| template(snapshot, settings));
        if let Some(template) = follows.transpose()?.flatten() {
            return Ok(vec![template]);
        }
        let title = pod.title();
        let message = format!(
            "the node of {title} cannot resize a running pod: write allowRollout: true to change the template instead"
        );
        return Err(Refusal::new(Reason::SizeNotAllowed, message));
    }
    for pod in pods {
        let changes = sized(pod, &Path::default().field("spec"), settings)?;
        if !changes.is_empty() {
            steps.push(Step {
                changes,
                ..step(
                    Verb::Resize,
                    &pod.target,
                    format!("resize {} in place", pod.target),
                )
            });
        }
    }
    let template = template(snapshot, settings)?;
    if steps.is_empty() && template.is_none() {
        let message = format!("{} has that size already", target.title());
        return Err(Refusal::new(Reason::NothingToDo, message));
    }
    let stays = settings.follow_template && template.is_none() && snapshot.top_owner().is_some();
    if let Some(last) = steps.last_mut().filter(|_| stays) {
        last.call
            .push_str("; the template stays, so a pod that replaces it has the old size");
    }
    steps.extend(template);
    Ok(steps)
}

/// Whether the pod's kubelet reports what its containers really have, which the
/// API server takes as the sign that it can also change it.
fn is_resizable_in_place(pod: &Object) -> bool {
    let statuses = pod.content.pointer("/status/containerStatuses");
    let mut statuses = statuses.and_then(Value::as_array).into_iter().flatten();
    let running = statuses.find(|status| status.pointer("/state/running").is_some());
    running.is_none_or(|status| status.get("resources").is_some())
}

/// The change of the workload's template, where it is asked for and replaces no pod, or may.
fn template(snapshot: &Snapshot, settings: &ResizeAction) -> Result<Option<Step>, Refusal> {
    let owner = snapshot
        .top_owner()
        .filter(|owner| owner.workload.is_some());
    let Some(owner) = owner.filter(|_| settings.follow_template) else {
        return Ok(None);
    };
    let rolls =
        owner.content.pointer("/spec/updateStrategy/type") != Some(&Value::from("OnDelete"));
    if rolls && !settings.allow_rollout {
        return Ok(None);
    }
    let spec = ["spec", "template", "spec"];
    let spec = spec
        .iter()
        .fold(Path::default(), |path, name| path.field(name));
    let changes = sized(owner, &spec, settings)?;
    let call = format!("give the template of {} the same size", owner.target);
    Ok((!changes.is_empty()).then(|| changing(snapshot, owner, call, changes)))
}

/// The fields that change in the pod's or the template's spec at `spec`.
fn sized(
    object: &Object,
    spec: &Path,
    settings: &ResizeAction,
) -> Result<Vec<FieldChange>, Refusal> {
    let containers = change::at(&object.content, &spec.field("containers"));
    let containers = containers.and_then(Value::as_array);
    let containers = containers.map(Vec::as_slice).unwrap_or_default();
    let name = container(object, containers, settings)?;
    let at = spec.field("containers").item("name", &name);
    let now = Amounts::read(change::at(&object.content, &at.field("resources")));
    let next = now.resized(settings)?;
    if now.class(containers.len()) != next.class(containers.len()) {
        let title = object.title();
        let message = format!(
            "the new size would change the quality of service of {title}, which a running pod cannot: keep requests equal to limits, or below them, as they are now"
        );
        return Err(Refusal::new(Reason::SizeNotAllowed, message));
    }
    let mut changes = Vec::new();
    for (part, before, after) in [
        ("requests", &now.requests, &next.requests),
        ("limits", &now.limits, &next.limits),
    ] {
        for (resource, text) in after
            .iter()
            .filter(|(name, text)| before.get(*name) != Some(*text))
        {
            let path = at.field("resources").field(part).field(resource);
            let from = change::at(&object.content, &path);
            changes.push(change::field(
                &path,
                from,
                Some(&Value::String(text.clone())),
            ));
        }
    }
    Ok(changes)
}

/// The container that is meant: the named one, or the only one.
fn container(
    object: &Object,
    containers: &[Value],
    settings: &ResizeAction,
) -> Result<String, Refusal> {
    let names: Vec<_> = containers
        .iter()
        .filter_map(|container| container.get("name")?.as_str())
        .collect();
    let found = match (&settings.container, names.as_slice()) {
        (Some(wanted), names) => names.iter().find(|name| *name == wanted),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    found.map(ToString::to_string).ok_or_else(|| {
        let (title, names) = (object.title(), names.join(", "));
        let message =
            format!("which container of {title} is meant? write container: one of {names}");
        Refusal::new(Reason::UnsupportedTarget, message)
    })
}

/// Requests and limits of a container.
#[derive(Clone, Debug, Default, PartialEq)]
struct Amounts {
    requests: BTreeMap<String, String>,
    limits: BTreeMap<String, String>,
}

impl Amounts {
    fn read(resources: Option<&Value>) -> Self {
        let part = |name: &str| {
            let part = resources.and_then(|resources| resources.get(name));
            let part = part.and_then(Value::as_object).cloned().unwrap_or_default();
            part.into_iter()
                .filter_map(|(name, text)| Some((name, text.as_str()?.to_owned())))
                .collect()
        };
        Self {
            requests: part("requests"),
            limits: part("limits"),
        }
    }

    /// The amounts that the action asks for, within its maximum, no limit below its request.
    fn resized(&self, settings: &ResizeAction) -> Result<Self, Refusal> {
        let mut next = self.clone();
        if let Some(percent) = settings.increase_percent {
            for part in [&mut next.requests, &mut next.limits] {
                for (name, text) in part.iter_mut().filter(|(name, _)| is_resizable(name)) {
                    *text = grown(name, text, percent)?;
                }
            }
        }
        next.requests.extend(settings.requests.clone());
        next.limits.extend(settings.limits.clone());
        for (name, text) in next.requests.iter().chain(&next.limits) {
            amount(text)?;
            let changes =
                self.requests.get(name) != Some(text) && self.limits.get(name) != Some(text);
            if changes && !is_resizable(name) {
                let message =
                    format!("{name} cannot be changed while a pod runs; cpu and memory can");
                return Err(Refusal::new(Reason::SizeNotAllowed, message));
            }
        }
        for part in [&mut next.requests, &mut next.limits] {
            for (name, most) in &settings.maximum {
                if let Some(text) = part.get_mut(name)
                    && amount(text)? > amount(most)?
                {
                    text.clone_from(most);
                }
            }
        }
        for (name, request) in &next.requests {
            if let Some(limit) = next.limits.get(name)
                && amount(limit)? < amount(request)?
            {
                let message =
                    format!("the limit of {name}, {limit}, would be below its request, {request}");
                return Err(Refusal::new(Reason::SizeNotAllowed, message));
            }
        }
        Ok(next)
    }

    /// What decides the quality of service, of a pod with so many containers: the
    /// kubelet's classes differ only in whether all, some or no amounts are set and equal.
    fn class(&self, containers: usize) -> &'static str {
        let is_full = RESIZABLE.iter().all(|name| {
            let request = self.requests.get(*name).or_else(|| self.limits.get(*name));
            self.limits.get(*name).is_some_and(|limit| {
                request.is_some_and(|request| quantity::parse(limit) == quantity::parse(request))
            })
        });
        match (is_full, self.requests.is_empty() && self.limits.is_empty()) {
            (true, _) => "full",
            (false, true) if containers == 1 => "none",
            (false, _) => "part",
        }
    }
}

fn is_resizable(name: &str) -> bool {
    RESIZABLE.contains(&name)
}

fn amount(text: &str) -> Result<f64, Refusal> {
    quantity::parse(text).map_err(|error| Refusal::new(Reason::SizeNotAllowed, error.to_string()))
}

/// A quantity raised by so many percent, in whole bytes or thousandths of a core, rounded up.
fn grown(name: &str, text: &str, percent: u32) -> Result<String, Refusal> {
    let value = amount(text)? * (1.0 + f64::from(percent) / 100.0);
    // The smallest step that is worth telling apart; it also keeps sums of doubles from rounding up.
    Ok(if name == "cpu" {
        format!("{:.0}m", (value * 1000.0 - 1e-6).ceil())
    } else {
        let mebibyte = 1024.0 * 1024.0;
        format!("{:.0}Mi", (value / mebibyte - 1e-6).ceil())
    })
}

#[cfg(test)]
mod tests;
