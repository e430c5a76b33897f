//! What to do about a trigger that fired: which rung of the policy's ladder, on which object.
//!
//! In: the firing trigger, its policy, and the HealingActions that exist. Out:
//! one HealingAction to create, or why none is. An episode leads to at most
//! one action per rung, and the name of an action is a function of the
//! episode, so two analyzers or a replay create one object.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use schemas::{
    action::{self, HealingAction, HealingActionSpec, Phase, TargetResource},
    diagnosis::Diagnosis,
    object::ObjectState,
    policy::{Action, AiMode, Mode, Remedy},
    target::Target,
};

use crate::{
    accepted::{Accepted, Watched},
    actions::{self, ActionName, Actions},
    advise::opinion::{Abstained, Opinion},
    explain,
    inventory::Inventory,
    measure::Measured,
    sizing::{Sizing, resize::Unsized},
    told::Proposals,
    trigger::Episode,
};

mod sizes;

/// How long after a change that helped the others of a case may take to follow: a probe or two.
const FOLLOWING: SignedDuration = SignedDuration::from_secs(60);

/// A trigger that fired on an object.
#[derive(Clone, Copy, Debug)]
pub struct Offence<'a> {
    /// The policy.
    pub policy: &'a Accepted,
    /// Its trigger.
    pub watched: &'a Watched,
    /// The object it fired on.
    pub offender: &'a ObjectState,
    /// Since when.
    pub episode: Episode,
    /// The value seen last.
    pub measured: &'a Measured,
    /// What the advisors make of it, where they were asked.
    pub opinion: Option<&'a Opinion>,
}

/// What deciding takes into account, beside the offence.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// What exists.
    pub inventory: &'a Inventory,
    /// The HealingActions that exist.
    pub actions: &'a Actions,
    /// What was proposed under the policy before.
    pub proposals: Option<&'a Proposals>,
    /// What the containers used, from which sizes are recommended.
    pub sizing: &'a Sizing,
    /// The most HealingActions of one policy that may be open.
    pub most_open: usize,
    /// Event time of the decision.
    pub at: Timestamp,
}

/// A HealingAction to create.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// Namespace and name of the object.
    pub name: ActionName,
    /// What to do, to what, why.
    pub spec: HealingActionSpec,
}

/// Why no action follows a trigger that fired.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// The policy only watches.
    #[error("the policy only watches (mode: monitor)")]
    Monitor,
    /// No action of the policy is for this trigger.
    #[error("no action of the policy answers this trigger")]
    NoAction,
    /// The action of this episode is still open.
    #[error("{action} is {phase}")]
    Open {
        /// Name of the HealingAction.
        action: String,
        /// Where it is in its life.
        phase: Phase,
    },
    /// The action of this episode was refused.
    #[error("{action} was {phase}: {reason}")]
    Refused {
        /// Name of the HealingAction.
        action: String,
        /// Denied or Cancelled.
        phase: Phase,
        /// Its reason.
        reason: String,
    },
    /// The action of this episode ended well, and the trigger has not resolved yet.
    #[error("{action} succeeded; the trigger has yet to resolve")]
    Succeeded {
        /// Name of the HealingAction.
        action: String,
    },
    /// The action of this episode was deleted.
    #[error("{action} was deleted")]
    Deleted {
        /// Name of the HealingAction.
        action: String,
    },
    /// No rung is left.
    #[error("every action was tried")]
    EveryActionTried,
    /// What was found of the cause speaks against acting, or an answer is awaited.
    #[error(transparent)]
    Abstained(#[from] Abstained),
    /// The target rests after an action.
    #[error("cooldown until {until}")]
    Cooldown {
        /// Until when.
        until: Timestamp,
    },
    /// Another action is under way on the target.
    #[error("{action} is under way on the same target")]
    TargetBusy {
        /// Name of that HealingAction.
        action: String,
    },
    /// What the trouble comes from was changed elsewhere, and what follows from it takes a moment to recover.
    #[error("{action} is about the cause; what follows from it is given time")]
    CauseTreated {
        /// Name of that HealingAction.
        action: String,
    },
    /// Too many actions of the policy are open.
    #[error("the policy already has {open} open actions")]
    TooManyOpen {
        /// How many.
        open: usize,
    },
    /// The action is about a workload and the pod belongs to none.
    #[error("the pod has no owner to {remedy}")]
    NoOwner {
        /// What was to be done.
        remedy: &'static str,
    },
    /// The action is about a node and the object runs on none.
    #[error("the target runs on no known node")]
    NoNode,
    /// The action asks for a recommended size, and there is none.
    #[error(transparent)]
    NoSize(#[from] Unsized),
}

/// What to do about an offence.
///
/// # Errors
/// Why nothing is to be done, now or at all.
pub fn recommend<'a>(
    offence: &Offence<'a>,
    around: &Circumstances<'a>,
) -> Result<Recommendation, Held> {
    let policy = offence.policy;
    if policy.mode == Mode::Monitor {
        return Err(Held::Monitor);
    }
    let (rung, chosen) = next_rung(offence, around)?;
    let target = target_of(chosen.kind, offence.offender, around.inventory)?;
    let name = name_of(offence, rung);
    if let Some(until) = resting_until(offence, &target, around) {
        return Err(Held::Cooldown { until });
    }
    if let Some(action) = treats_the_cause(offence, around) {
        return Err(Held::CauseTreated { action });
    }
    if let Some(action) = around.actions.open_on(&target.uid, &name) {
        return Err(Held::TargetBusy { action });
    }
    let open = around.actions.open(&policy.namespace, &policy.name);
    if open >= around.most_open && !around.actions.is_in_flight(&name) {
        return Err(Held::TooManyOpen { open });
    }
    let (chosen, basis) = sizes::in_numbers(offence, chosen, around.inventory, around.sizing)?;
    let spec = HealingActionSpec {
        policy_name: policy.name.clone(),
        target_resource: TargetResource {
            api_version: Some(target.api_version.clone()).filter(|text| !text.is_empty()),
            kind: target.kind.clone(),
            namespace: Some(target.namespace.clone()).filter(|text| !text.is_empty()),
            name: target.name.clone(),
            uid: Some(target.uid.clone()),
        },
        trigger: Some(explain::reading(offence, &target)),
        diagnosis: Some(explain::sized(diagnosis(offence, chosen.kind), basis)),
        action: chosen,
        dry_run: policy.mode == Mode::Dryrun,
        approval: None,
        feedback: Vec::new(),
    };
    Ok(Recommendation { name, spec })
}

/// The change to another owner of the same case that is under way, or helped just now: those that
/// failed because of it are not touched before they had time to follow.
fn treats_the_cause(offence: &Offence<'_>, around: &Circumstances<'_>) -> Option<String> {
    let ai = offence.policy.ai.as_ref();
    let opinion = offence
        .opinion
        .filter(|_| ai.is_some_and(|ai| ai.mode == AiMode::Choose));
    let case = opinion?.diagnosis.case.as_deref()?;
    let owner = offence.offender.top_owner().uid;
    let treats = |action: &&HealingAction| {
        let HealingAction { spec, .. } = action;
        let status = actions::status(action);
        let of_case = spec.diagnosis.as_ref().and_then(|it| it.case.as_deref()) == Some(case);
        let elsewhere = status
            .owner_uid
            .or(status.target_uid)
            .is_some_and(|uid| uid != owner);
        let fresh = status.finished_at.is_none_or(|ended| {
            status.phase == Phase::Succeeded && around.at.duration_since(ended) <= FOLLOWING
        });
        let changes = spec.action.kind != Remedy::Notify && !spec.dry_run;
        of_case && elsewhere && changes && status.started_at.is_some() && fresh
    };
    let found = around.actions.iter().find(treats);
    found.map(|action| actions::name_of(action).1)
}

/// What the advisors say, or else what the trigger itself does, and what the remedy is expected to do.
fn diagnosis(offence: &Offence<'_>, remedy: Remedy) -> Diagnosis {
    let Some(opinion) = offence.opinion else {
        return explain::diagnosis(offence);
    };
    if opinion.diagnosis.cause.is_empty() {
        return explain::diagnosis(offence);
    }
    Diagnosis {
        expected_effect: opinion.expected.get(&remedy).cloned(),
        ..opinion.diagnosis.clone()
    }
}

/// What names rung number `rung` of the ladder of an episode that began at `since`.
pub fn episode(since: Timestamp, rung: usize) -> String {
    let starts_at = since.as_millisecond();
    match rung {
        0 => starts_at.to_string(),
        _ => format!("{starts_at}/{rung}"),
    }
}

/// The name of the action that is rung number `rung` of the episode's ladder.
fn name_of(offence: &Offence<'_>, rung: usize) -> ActionName {
    let episode = episode(offence.episode.since, rung);
    let policy = offence.policy;
    let name = action::name(
        &policy.name,
        &policy.uid,
        &offence.watched.name,
        &offence.offender.target.uid,
        &episode,
    );
    (policy.namespace.clone(), name)
}

/// The rung to try: one that was not tried, when every one that was tried ended in failure.
fn next_rung<'a>(
    offence: &Offence<'a>,
    around: &Circumstances<'a>,
) -> Result<(usize, &'a Action), Held> {
    let rungs: Vec<&Action> = offence.policy.rungs(&offence.watched.name).collect();
    if rungs.is_empty() {
        return Err(Held::NoAction);
    }
    let tried = tried_before(offence, around);
    let mut untried = Vec::new();
    let mut flying = None;
    for (rung, chosen) in rungs.into_iter().enumerate() {
        let name = name_of(offence, rung);
        match around.actions.get(&name) {
            Some(existing) => goes_on_after(existing, &name)?,
            None if was_deleted(&name, around) => return Err(Held::Deleted { action: name.1 }),
            None if around.actions.is_in_flight(&name) => flying = Some((rung, chosen)),
            None if tried.contains(chosen.name.as_str()) => {}
            None => untried.push((rung, chosen)),
        }
    }
    // What was asked for is asked for again until it is seen, whatever is thought of it by now.
    if let Some(flying) = flying {
        return Ok(flying);
    }
    let picked = match offence.opinion {
        Some(opinion) if !untried.is_empty() => opinion.pick(&untried)?,
        Some(_) | None => untried.first().copied(),
    };
    picked.ok_or(Held::EveryActionTried)
}

/// Whether the ladder goes on after an action: only when it was verified as not having helped.
fn goes_on_after(existing: &HealingAction, name: &ActionName) -> Result<(), Held> {
    let action = name.1.clone();
    let phase = actions::phase(existing);
    match phase {
        Phase::Failed | Phase::RolledBack => Ok(()),
        Phase::Succeeded => Err(Held::Succeeded { action }),
        Phase::Denied | Phase::Cancelled => Err(Held::Refused {
            action,
            phase,
            reason: actions::status(existing).reason.unwrap_or_default(),
        }),
        Phase::Pending
        | Phase::AwaitingApproval
        | Phase::Approved
        | Phase::InProgress
        | Phase::Verifying => Err(Held::Open { action, phase }),
    }
}

fn was_deleted(name: &ActionName, around: &Circumstances<'_>) -> bool {
    let proposed = around
        .proposals
        .is_some_and(|proposals| proposals.names.contains(&name.1));
    proposed && !around.actions.is_in_flight(name)
}

/// The action whose replacement the offender is: it came into being after the
/// action began, under the same owner, and was in trouble before the action's
/// target had rested. Without this a ladder would never be climbed on pods,
/// each of which is a new one after every restart.
fn predecessor<'a>(offence: &Offence<'a>, around: &Circumstances<'a>) -> Option<&'a HealingAction> {
    let created_at = offence.offender.created_at?;
    let is_before = |before: &&HealingAction| {
        // Creation times of objects are whole seconds.
        let replaced = actions::status(before)
            .started_at
            .is_some_and(|started| created_at.as_second() >= started.as_second());
        let other = actions::offender_uid(before) != Some(offence.offender.target.uid.as_str());
        replaced
            && other
            && is_about_the_same(offence, before)
            && is_soon_after(offence, before, offence.episode.since)
    };
    around
        .actions
        .of_policy(&offence.policy.namespace, &offence.policy.name)
        .filter(is_before)
        .max_by_key(|action| actions::ended_at(action))
}

/// Whether an action was about the same trigger, under the same owner, and in earnest.
fn is_about_the_same(offence: &Offence<'_>, before: &HealingAction) -> bool {
    let Some(owner) = offence.offender.owners.last() else {
        return false;
    };
    let trigger = before.spec.trigger.as_ref();
    trigger.is_some_and(|trigger| trigger.name == offence.watched.name)
        && actions::status(before).owner_uid.as_deref() == Some(owner.uid.as_str())
        && !before.spec.dry_run
}

/// Whether trouble that began at `since` began before the target of an action had rested.
fn is_soon_after(offence: &Offence<'_>, before: &HealingAction, since: Timestamp) -> bool {
    actions::ended_at(before)
        .is_some_and(|ended| since.duration_since(ended) <= offence.watched.cooldown)
}

/// Names of the rungs that were tried in vain on what the offender replaces, and on what that replaced.
fn tried_before<'a>(offence: &Offence<'a>, around: &Circumstances<'a>) -> BTreeSet<&'a str> {
    let mut tried = BTreeSet::new();
    let mut next = predecessor(offence, around).filter(|before| has_failed(before));
    while let Some(before) = next {
        tried.insert(before.spec.action.name.as_str());
        let Some(trigger) = &before.spec.trigger else {
            break;
        };
        next = around
            .actions
            .of_policy(&offence.policy.namespace, &offence.policy.name)
            .filter(|earlier| has_failed(earlier) && is_about_the_same(offence, earlier))
            .filter(|earlier| actions::ended_at(earlier) < actions::ended_at(before))
            .filter(|earlier| is_soon_after(offence, earlier, trigger.since))
            .max_by_key(|earlier| actions::ended_at(earlier));
    }
    tried
}

fn has_failed(action: &HealingAction) -> bool {
    matches!(actions::phase(action), Phase::Failed | Phase::RolledBack)
}

/// Until when the target rests: the cooldown after the last action that
/// touched it, the offender, or what the offender replaced.
fn resting_until<'a>(
    offence: &Offence<'a>,
    target: &Target,
    around: &Circumstances<'a>,
) -> Option<Timestamp> {
    let offender = offence.offender.target.uid.as_str();
    let touched = around.actions.iter().filter(|action| {
        !action.spec.dry_run
            && actions::status(action).started_at.is_some()
            && (actions::targets(action, &target.uid)
                || actions::offender_uid(action) == Some(offender))
    });
    let ended = touched
        .chain(predecessor(offence, around))
        .filter_map(actions::ended_at)
        .max()?;
    let until = ended.checked_add(offence.watched.cooldown).ok()?;
    (around.at.duration_since(until) < SignedDuration::ZERO).then_some(until)
}

/// The object that a remedy is applied to: the offender itself, its workload, or its node.
fn target_of(
    remedy: Remedy,
    offender: &ObjectState,
    inventory: &Inventory,
) -> Result<Target, Held> {
    match remedy {
        Remedy::Restart | Remedy::Delete | Remedy::Resize | Remedy::Notify | Remedy::Custom => {
            Ok(offender.target.clone())
        }
        Remedy::Scale | Remedy::Rollback | Remedy::Patch => workload_of(remedy, offender),
        Remedy::Cordon => node_of(offender, inventory),
    }
}

fn workload_of(remedy: Remedy, offender: &ObjectState) -> Result<Target, Held> {
    if offender.pod.is_none() {
        return Ok(offender.target.clone());
    }
    // A static pod is owned by its node, which is no workload.
    let owner = offender.owners.last().filter(|owner| owner.kind != "Node");
    let owner = owner.ok_or(Held::NoOwner {
        remedy: remedy.as_str(),
    })?;
    Ok(Target {
        api_version: owner.api_version.clone(),
        kind: owner.kind.clone(),
        namespace: offender.target.namespace.clone(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
    })
}

fn node_of(offender: &ObjectState, inventory: &Inventory) -> Result<Target, Held> {
    if offender.target.kind == "Node" {
        return Ok(offender.target.clone());
    }
    let node = offender.pod.as_ref().map(|pod| pod.node.as_str());
    node.and_then(|name| inventory.find("Node", "", name))
        .map(|node| node.target.clone())
        .ok_or(Held::NoNode)
}

#[cfg(test)]
mod tests;
