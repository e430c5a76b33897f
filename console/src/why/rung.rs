//! Why an action stands on the rung of its policy's ladder that it stands on.
//!
//! Pure: no IO, no clock.

use analyzer::{
    accepted::{answers, ladder},
    actions,
};
use schemas::{
    action::{HealingAction, Phase},
    policy::{Action, HealingPolicy},
};
use serde::Serialize;

use super::explanation::Facts;
use crate::ask::Known;

/// Where on the ladder an action stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rung {
    /// Name of the policy's action.
    pub(crate) action: String,
    /// Its type.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Its place on the ladder for this trigger, counted from 1, as the policy is now.
    pub(crate) place: Option<usize>,
    /// How many rungs there are.
    pub(crate) rungs: Option<usize>,
    /// Why this one, in a sentence.
    pub(crate) why: String,
    /// What is tried when this does not help.
    pub(crate) next: Option<String>,
}

/// The rungs of `policy` for a trigger, what is tried first standing first.
fn rungs(policy: &HealingPolicy, trigger: Option<&str>) -> Vec<Action> {
    let mut rungs = ladder(&policy.spec.actions);
    rungs.retain(|action| trigger.is_none_or(|trigger| answers(action, trigger)));
    rungs
}

/// Where the action of `facts` stands, as far as its policy still tells.
pub(super) fn rung(facts: &Facts) -> Rung {
    let spec = &facts.action.spec;
    let trigger = spec.trigger.as_ref().map(|trigger| trigger.name.as_str());
    let rungs = facts.policy.get().map(|policy| rungs(policy, trigger));
    let rungs = rungs.as_deref();
    let place = rungs.and_then(|rungs| rungs.iter().position(|one| one.name == spec.action.name));
    let next = rungs.zip(place).and_then(|(rungs, place)| {
        let next = rungs.get(place.checked_add(1)?)?;
        Some(format!("{} ({})", next.name, next.kind.as_str()))
    });
    Rung {
        action: spec.action.name.clone(),
        kind: spec.action.kind.as_str().to_owned(),
        place: place.map(|place| place.saturating_add(1)),
        rungs: rungs.map(<[Action]>::len),
        why: why(facts, place),
        next,
    }
}

fn why(facts: &Facts, place: Option<usize>) -> String {
    let action = &facts.action;
    if action.spec.trigger.is_none() {
        return "somebody asked for it by hand: no trigger chose it".to_owned();
    }
    match (&facts.policy, place) {
        (Known::Gone, _) => {
            "the policy is gone, and with it the ladder that it stood on".to_owned()
        }
        (Known::Unknown(_), _) => "the ladder that it stands on cannot be read".to_owned(),
        (Known::Is(_), None) => {
            "the policy has no action of this name for this trigger any more".to_owned()
        }
        (Known::Is(_), Some(0)) => "it is the first rung of the ladder".to_owned(),
        (Known::Is(_), Some(_)) => match before(facts) {
            Some((name, what, phase)) => {
                format!("the rung before, {what}, did not help: {name} ended as {phase}")
            }
            None => "the rungs before were tried; their actions are not there any more".to_owned(),
        },
    }
}

/// The last action of the same policy and trigger about the same owner, or offender, that ended before this one began.
fn before(facts: &Facts) -> Option<(String, String, Phase)> {
    let action = &facts.action;
    let trigger = |action: &HealingAction| action.spec.trigger.as_ref().map(|t| t.name.clone());
    let owner = |action: &HealingAction| actions::status(action).owner_uid;
    let is_before = |other: &&HealingAction| {
        let same_owner = owner(other).is_some() && owner(other) == owner(action);
        let offender = actions::offender_uid(other);
        let same_offender = offender.is_some() && offender == actions::offender_uid(action);
        other.spec.policy_name == action.spec.policy_name
            && trigger(other) == trigger(action)
            && (same_owner || same_offender)
            && other.metadata.name != action.metadata.name
            && matches!(actions::phase(other), Phase::Failed | Phase::RolledBack)
            && other.metadata.creation_timestamp <= action.metadata.creation_timestamp
    };
    let others = facts.others.get()?.iter().filter(is_before);
    let last = others.max_by_key(|other| actions::ended_at(other))?;
    let what = format!(
        "{} ({})",
        last.spec.action.name,
        last.spec.action.kind.as_str()
    );
    Some((actions::name_of(last).1, what, actions::phase(last)))
}
