//! What one policy has to do with an object.
//!
//! Pure: no IO, no clock.

use actuator::{
    judge::{Place, protection},
    object::Object,
};
use analyzer::scope::Scope;
use jiff::{SignedDuration, Timestamp};
use schemas::{
    object::ObjectState,
    policy::{HealingPolicy, Mode},
};
use serde::Serialize;

use super::{
    answer::Facts,
    trigger::{Standing, standing},
};
use crate::why::explanation::mode;

/// A status that is older than this is of an analyzer that does not evaluate any more.
const STALE: SignedDuration = SignedDuration::from_mins(2);

/// What a policy has to do with the object.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Watching {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) mode: String,
    /// The objects that it selects: the object itself, owners of it, or pods of it.
    pub(crate) through: Vec<String>,
    /// Why it does not select the object.
    pub(crate) misses: Vec<String>,
    /// Why nothing follows from it at all.
    pub(crate) obstacle: Option<String>,
    /// Event time of its last evaluation.
    pub(crate) evaluated_at: Option<Timestamp>,
    pub(crate) triggers: Vec<Standing>,
    /// What would have to change in the policy.
    pub(crate) needs: Vec<String>,
}

/// What `policy` has to do with the object of `facts`.
pub(super) fn watching(facts: &Facts, policy: &HealingPolicy, now: Timestamp) -> Watching {
    let meta = &policy.metadata;
    let namespace = meta.namespace.clone().unwrap_or_default();
    let mut watching = Watching {
        name: meta.name.clone().unwrap_or_default(),
        mode: mode(policy),
        through: Vec::new(),
        misses: Vec::new(),
        obstacle: None,
        evaluated_at: policy
            .status
            .as_ref()
            .and_then(|status| status.last_evaluated),
        triggers: Vec::new(),
        needs: Vec::new(),
        namespace,
    };
    let scope = match Scope::new(&policy.spec.selector, &watching.namespace, &facts.system) {
        Ok(scope) => scope,
        Err(error) => {
            watching
                .misses
                .push(format!("its selector is not accepted: {error}"));
            return watching;
        }
    };
    let pods = facts.pods.get().map(Vec::as_slice).unwrap_or_default();
    let line = facts.line().chain(pods);
    let selected: Vec<&Object> = line.filter(|one| scope.selects(&state(one))).collect();
    if selected.is_empty() {
        watching.misses = match facts.object.get() {
            Some(object) => scope.misses(&state(object)),
            None => Vec::new(),
        };
        return watching;
    }
    watching.through = selected.iter().map(|one| one.title()).collect();
    let names = selected
        .iter()
        .map(|one| (one.target.uid.as_str(), one.target.name.as_str()));
    let names: Vec<_> = names.collect();
    let triggers = policy.spec.triggers.iter();
    let triggers = triggers.map(|trigger| standing(policy, trigger, &names, now));
    watching.triggers = triggers.collect();
    if let Some((obstacle, need)) = obstacle(facts, policy, now) {
        let name = &watching.name;
        watching.obstacle = Some(format!("the policy {name} {obstacle}"));
        watching.needs.push(format!("{name}: {need}"));
    }
    watching
}

/// Why nothing follows from a policy, whatever its triggers say, and what to do about it.
fn obstacle(facts: &Facts, policy: &HealingPolicy, now: Timestamp) -> Option<(String, String)> {
    if policy.spec.mode == Mode::Monitor {
        return Some((
            "only watches (mode: monitor)".to_owned(),
            "a mode that acts: automatic, manual or dryrun".to_owned(),
        ));
    }
    let none = std::collections::BTreeMap::new();
    let place = Place {
        namespace: &facts.namespace,
        marks: facts.marks.get().unwrap_or(&none),
        system: &facts.system,
    };
    let rules = &policy.spec.safety_rules.protected_resources;
    if let Some((_, message)) = protection(&place, facts.line(), rules) {
        return Some((
            format!("does not act on it: {message}"),
            "protectedResources does not name it".to_owned(),
        ));
    }
    let Some(status) = &policy.status else {
        return Some((
            "was never evaluated: no analyzer has written its status".to_owned(),
            "an analyzer runs and may write its status".to_owned(),
        ));
    };
    let failed = status
        .conditions
        .iter()
        .find(|condition| condition.status == "False");
    if let Some(failed) = failed {
        let (kind, reason, message) = (&failed.type_, &failed.reason, &failed.message);
        return Some((
            format!("is not {kind} ({reason}): {message}"),
            format!("{kind} is True"),
        ));
    }
    let evaluated = status.last_evaluated;
    if evaluated.is_none_or(|at| now.duration_since(at) > STALE) {
        let at = evaluated.map_or_else(|| "never".to_owned(), |at| format!("last at {at}"));
        return Some((
            format!("was evaluated {at}: its status may not be how things stand"),
            "the analyzer evaluates it".to_owned(),
        ));
    }
    None
}

/// The object as the analyzer's selectors see it.
fn state(object: &Object) -> ObjectState {
    ObjectState {
        target: object.target.clone(),
        observed_at: object.created_at.unwrap_or_default(),
        deleted: false,
        created_at: object.created_at,
        terminating: object.terminating,
        labels: object.labels.clone(),
        annotations: object.annotations.clone(),
        owners: object.controller.iter().cloned().collect(),
        conditions: Vec::new(),
        pod: None,
        ..ObjectState::default()
    }
}
