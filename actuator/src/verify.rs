//! Whether the target recovered.
//!
//! In: a [`Snapshot`] taken after the change. Out: recovered, not yet, or why
//! not. An accepted call is not a recovery; and what has no data is
//! inconclusive, never recovered.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};
use schemas::{
    action::{Baseline, Effect, Verification},
    observation::{Observation, Reading},
    policy::{CordonOperation, Remedy},
    step::Verb,
};

use crate::{
    judge::matching,
    object::Object,
    plan::{evictable, operation},
    reason::Reason,
    snapshot::Snapshot,
    undo::{changed_since, restores},
};

mod effect;

use effect::{Sense, effect, sense};

/// How many siblings a baseline holds.
const SIBLINGS: usize = 20;

/// What verification says at one instant.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// Neither recovered nor out of time.
    Waiting(Verification),
    /// It is over: `Recovered`, `NotRecovered`, `Harmed`, `Inconclusive`, or `SpecDrift`.
    Done(Reason, Verification),
}

/// How things stand before the change of the action in `snapshot`.
pub fn baseline(snapshot: &Snapshot) -> Baseline {
    let owner = snapshot.top_owner();
    let workload = owner.and_then(|owner| owner.workload.as_ref());
    let observation = matching(snapshot);
    let readings = observation
        .map(|seen| seen.readings.as_slice())
        .unwrap_or_default();
    let offender = snapshot.offender_uid();
    let is_offender = |reading: &&Reading| Some(reading.target.uid.as_str()) == offender;
    let is_pod = snapshot.action.spec.target_resource.kind == "Pod";
    let siblings = readings
        .iter()
        .filter(|reading| is_pod && !is_offender(reading))
        .filter_map(|reading| Some((reading.target.uid.clone(), reading.value?)));
    Baseline {
        ready: workload.map(|workload| workload.ready),
        value: readings.iter().find(is_offender).and_then(|r| r.value),
        siblings: siblings.take(SIBLINGS).collect(),
    }
}

/// Whether the change of the action in `snapshot` was taken back, and its target
/// is as ready as it was before.
pub fn verify_undo(snapshot: &Snapshot, now: Timestamp) -> Check {
    let status = &snapshot.action.status;
    let mut verification = status.verification.clone().unwrap_or_default();
    let drift: Vec<_> = status
        .undo
        .iter()
        .flat_map(|step| changed_since(snapshot, step))
        .collect();
    if !drift.is_empty() {
        let message = format!("taken back, but somebody else changed {}", drift.join(", "));
        verification.message = Some(message);
        verification.drift = drift;
        return Check::Done(Reason::SpecDrift, verification);
    }
    let before = status.baseline.as_ref().and_then(|baseline| baseline.ready);
    let owner = snapshot.top_owner();
    let workload = owner.and_then(|owner| owner.workload.as_ref());
    let is_back = workload.is_none_or(|workload| {
        workload.settled && workload.ready >= before.unwrap_or(workload.desired)
    });
    if is_back {
        verification.message = Some("the change was taken back".to_owned());
        return Check::Done(Reason::Undone, verification);
    }
    let ready = workload.map_or(0, |workload| workload.ready);
    let title = owner.map(Object::title).unwrap_or_default();
    let message = format!("taken back; {ready} replicas of {title} are ready so far");
    verification.message = Some(message);
    let made = status.undo.iter().filter_map(|step| step.done_at).max();
    let deadline = made.unwrap_or(now).saturating_add(timeout(snapshot));
    if now >= deadline.unwrap_or(Timestamp::MAX) {
        return Check::Done(Reason::UndoFailed, verification);
    }
    Check::Waiting(verification)
}

fn timeout(snapshot: &Snapshot) -> SignedDuration {
    let rules = snapshot.policy.as_ref();
    let rules = rules.map(|policy| policy.spec.safety_rules.clone());
    rules.unwrap_or_default().health_check_timeout.get()
}

/// What the readings taken after the change say.
enum Value<'a> {
    /// Each object has one, and none breaches the trigger.
    Back(Option<&'a Reading>),
    /// One breaches it.
    Breaching(&'a Reading),
    /// One object has none.
    Missing,
}

/// Looks whether the target of an executed action, or its replacement, is ready and its trigger's value back.
pub fn verify(snapshot: &Snapshot, now: Timestamp) -> Check {
    let executed = snapshot.action.status.executed_at.unwrap_or(now);
    let treated = treated(snapshot);
    let unready = unready(snapshot, &treated);
    let settled_at = unready.is_none().then(|| settled_at(snapshot, now));
    let (outcome, reading, message) = judged(snapshot, &treated, (unready.as_ref(), settled_at));
    let seen = matching(snapshot);
    let value = reading.and_then(|reading| reading.value);
    let effect = effect_of(snapshot, value);
    let mut verification = Verification {
        outcome: outcome.as_str().to_owned(),
        object: reading
            .map(|reading| format!("{}/{}", reading.target.kind, reading.target.name))
            .or_else(|| treated.first().map(|object| object.title())),
        value,
        sampled_at: reading.and_then(|reading| reading.sampled_at),
        ready: unready.is_none(),
        settled_at,
        effect,
        drift: drift(snapshot),
        message: Some(message),
    };
    if !verification.drift.is_empty() {
        let fields = verification.drift.join(", ");
        let message =
            format!("somebody else has changed {fields} since: nothing can be said of the change");
        return done(Reason::SpecDrift, verification, message);
    }
    if outcome == Reason::Recovered {
        let sense = effect
            .zip(seen)
            .map(|(effect, seen)| (effect, sense(effect, seen.operator)));
        let message = verification.message.take().unwrap_or_default();
        return done(
            outcome,
            verification,
            format!("{message}{}", compared(sense)),
        );
    }
    let spent = now.duration_since(executed);
    if let Some(harm) = harm(snapshot, &verification, spent) {
        return done(Reason::Harmed, verification, harm);
    }
    if spent >= timeout(snapshot) {
        if unready.is_none() && contains(snapshot) {
            let why = verification.message.take().unwrap_or_default();
            let message = format!("no new pods come to the node, and it stays so; {why}");
            return done(Reason::Contained, verification, message);
        }
        return Check::Done(outcome, verification);
    }
    Check::Waiting(verification)
}

/// Whether the action keeps pods from a node rather than healing it. To take that back
/// because the node is still sick would do harm, so being closed is all that is asked of it.
fn contains(snapshot: &Snapshot) -> bool {
    let spec = &snapshot.action.spec;
    spec.action.kind == Remedy::Cordon && operation(snapshot) != CordonOperation::Uncordon
}

fn done(outcome: Reason, verification: Verification, message: String) -> Check {
    let verification = Verification {
        outcome: if outcome == Reason::SpecDrift {
            Reason::Inconclusive.as_str().to_owned()
        } else {
            outcome.as_str().to_owned()
        },
        message: Some(message),
        ..verification
    };
    Check::Done(outcome, verification)
}

/// What readiness and the trigger's value say, at this instant.
fn judged<'a>(
    snapshot: &'a Snapshot,
    treated: &[&Object],
    (unready, settled_at): (Option<&String>, Option<Timestamp>),
) -> (Reason, Option<&'a Reading>, String) {
    let rules = snapshot
        .policy
        .as_ref()
        .map(|policy| &policy.spec.safety_rules);
    let is_checked = rules.is_none_or(|rules| rules.require_health_check);
    // Of what is gone there is no reading.
    let is_read = snapshot.action.spec.trigger.is_some() && !is_removed(snapshot);
    let value = if is_checked && is_read {
        value(snapshot, treated, since(snapshot, settled_at))
    } else {
        Value::Back(None)
    };
    match (unready, value) {
        (None, Value::Back(reading)) => (Reason::Recovered, reading, recovered(snapshot, reading)),
        (Some(why), Value::Back(reading)) => (Reason::NotRecovered, reading, why.clone()),
        (_, Value::Breaching(reading)) => {
            let value = reading.value.unwrap_or(f64::NAN);
            let message = format!("the trigger still holds: {value} on {}", reading.target);
            (Reason::NotRecovered, Some(reading), message)
        }
        (Some(why), Value::Missing) => (Reason::NotRecovered, None, why.clone()),
        (None, Value::Missing) => {
            let message = "there is no reading of the trigger taken after the change".to_owned();
            (Reason::Inconclusive, None, message)
        }
    }
}

/// From when on readings count: for an object that stays, from when all came to
/// rest; for a pod that was replaced, from the change on, since it is another pod.
fn since(snapshot: &Snapshot, settled_at: Option<Timestamp>) -> Timestamp {
    let executed = snapshot.action.status.executed_at;
    let executed = executed.unwrap_or(Timestamp::MAX);
    if is_replaced(snapshot) {
        executed
    } else {
        settled_at.unwrap_or(executed).max(executed)
    }
}

/// Since when all has been at rest: as noted before, or from now on.
fn settled_at(snapshot: &Snapshot, now: Timestamp) -> Timestamp {
    let seen = snapshot.action.status.verification.as_ref();
    seen.and_then(|seen| seen.settled_at).unwrap_or(now)
}

/// Whether the change takes the target away, and another takes its place.
fn is_replaced(snapshot: &Snapshot) -> bool {
    let target = snapshot.pinned_uid();
    let mut steps = snapshot.action.status.plan.iter();
    steps.any(|step| {
        matches!(step.verb, Verb::Evict | Verb::Delete) && Some(step.object.uid.as_str()) == target
    })
}

/// The fields of the change that somebody else has changed since.
fn drift(snapshot: &Snapshot) -> Vec<String> {
    if !snapshot.action.spec.action.kind.is_reversible() {
        return Vec::new();
    }
    let made = snapshot.action.status.plan.iter();
    let made = made.filter(|step| step.called_at.is_some() && restores(step));
    made.flat_map(|step| changed_since(snapshot, step))
        .collect()
}

fn effect_of(snapshot: &Snapshot, value: Option<f64>) -> Option<Effect> {
    let before = snapshot.action.status.baseline.as_ref()?;
    effect(before, value?, matching(snapshot)?)
}

fn compared(effect: Option<(Effect, Sense)>) -> String {
    let Some((effect, sense)) = effect else {
        return String::new();
    };
    let Effect {
        estimate,
        low: Some(low),
        high: Some(high),
        siblings,
    } = effect
    else {
        return String::new();
    };
    let numbers = format!("{estimate:.1}, 95 % from {low:.1} to {high:.1}, {siblings} siblings");
    match sense {
        Sense::Better => format!("; untreated siblings did not recover alike (effect {numbers})"),
        Sense::Worse | Sense::Unclear => {
            format!(
                "; untreated siblings changed as much, so it may have recovered anyway (effect {numbers})"
            )
        }
    }
}

/// In what the target is worse than before, if that can be said by now. A change
/// that can be taken back is stopped at half time when replicas are missing.
fn harm(snapshot: &Snapshot, seen: &Verification, spent: SignedDuration) -> Option<String> {
    let timeout = timeout(snapshot);
    let is_late = spent >= timeout;
    let is_early = spent >= timeout / 2 && snapshot.action.spec.action.kind.is_reversible();
    let before = snapshot.action.status.baseline.as_ref()?;
    let owner = snapshot.top_owner()?;
    if let (Some(was), Some(workload)) = (before.ready, &owner.workload)
        && (is_late || is_early)
    {
        // Who asked for fewer replicas has fewer.
        let was = was.min(workload.desired);
        let away = if is_late { 0 } else { workload.rollout_takes };
        let ready = workload.ready;
        if ready.saturating_add(away) < was {
            let title = owner.title();
            return Some(format!(
                "{ready} replicas of {title} are ready, {was} were before"
            ));
        }
    }
    let operator = matching(snapshot)?.operator;
    let worse = seen
        .effect
        .filter(|effect| is_late && sense(*effect, operator) == Sense::Worse)?;
    let by = worse.estimate;
    Some(format!(
        "the trigger's value became worse than that of untreated siblings, by {by:.1}"
    ))
}

fn recovered(snapshot: &Snapshot, reading: Option<&Reading>) -> String {
    match reading.and_then(|reading| reading.value) {
        None if is_removed(snapshot) => "it is gone".to_owned(),
        Some(value) => format!("ready, and the trigger's value is back: {value:.1}"),
        None if snapshot.action.spec.trigger.is_none() => {
            "ready; there is no trigger whose value could be looked at".to_owned()
        }
        None => "ready; the policy asks for no health check".to_owned(),
    }
}

/// The objects on which recovery must show: for a pod that was replaced, each
/// pod of its owner that was created since; for a workload, each of its pods;
/// for a pod that was changed in place, itself.
fn treated(snapshot: &Snapshot) -> Vec<&Object> {
    let status = &snapshot.action.status;
    let pods = snapshot.pods.iter().filter(|pod| !pod.terminating);
    if snapshot.action.spec.target_resource.kind != "Pod" {
        return pods.collect();
    }
    let old = snapshot.pinned_uid();
    if !is_replaced(snapshot) {
        return pods
            .filter(|pod| Some(pod.target.uid.as_str()) == old)
            .collect();
    }
    // Creation times have whole seconds only, so a replacement may seem to precede its cause.
    let since = status
        .started_at
        .map(|at| at - SignedDuration::from_secs(1));
    pods.filter(|pod| Some(pod.target.uid.as_str()) != old && pod.created_at >= since)
        .collect()
}

/// Why the treated objects are not ready, if they are not.
fn unready(snapshot: &Snapshot, treated: &[&Object]) -> Option<String> {
    if snapshot.action.spec.target_resource.kind == "Node" {
        return undrained(snapshot);
    }
    if is_removed(snapshot) {
        let left = snapshot.target.as_ref();
        let left = left.filter(|left| snapshot.pinned_uid() == Some(left.target.uid.as_str()));
        return left.map(|left| format!("{} is still there", left.title()));
    }
    if treated.is_empty() && snapshot.action.spec.target_resource.kind == "Pod" {
        return Some("the replacement is not there yet".to_owned());
    }
    if let Some(pod) = treated.iter().find(|pod| !pod.ready) {
        return Some(format!("{} is not ready", pod.title()));
    }
    let Some(owner) = snapshot.top_owner() else {
        return Some("the owner is gone".to_owned());
    };
    let workload = owner.workload.as_ref()?;
    if !workload.settled {
        return Some(format!("the rollout of {} is not complete", owner.title()));
    }
    (workload.ready < workload.desired).then(|| {
        let (ready, desired) = (workload.ready, workload.desired);
        format!("{} has {ready} of {desired} replicas ready", owner.title())
    })
}

/// Whether the change takes away an object that nothing has to replace, or that was replaced long ago.
fn is_removed(snapshot: &Snapshot) -> bool {
    let spec = &snapshot.action.spec;
    let mut steps = snapshot.action.status.plan.iter();
    spec.action.kind == Remedy::Delete
        && (spec.target_resource.kind != "Pod" || steps.any(|step| step.verb == Verb::Release))
}

/// Why a drained node is not empty yet, if it is not.
fn undrained(snapshot: &Snapshot) -> Option<String> {
    let drains = operation(snapshot) == CordonOperation::Drain;
    let left = evictable(snapshot).filter(|_| drains).count();
    (left > 0).then(|| format!("{left} pods are left on the node"))
}

/// The trigger's value on the treated objects, or on the workload when the trigger is about that.
fn value<'a>(snapshot: &'a Snapshot, treated: &[&Object], executed: Timestamp) -> Value<'a> {
    let Some(observation) = matching(snapshot) else {
        return Value::Missing;
    };
    let trigger = snapshot.action.spec.trigger.as_ref();
    let target_kind = snapshot.action.spec.target_resource.kind.as_str();
    let kind = trigger.and_then(|trigger| trigger.offender_kind.as_deref());
    let uids: Vec<&str> = if kind.unwrap_or(target_kind) == "Pod" {
        treated.iter().map(|pod| pod.target.uid.as_str()).collect()
    } else {
        snapshot.offender_uid().into_iter().collect()
    };
    let readings: Vec<_> = uids
        .iter()
        .map(|uid| fresh(observation, uid, executed))
        .collect();
    if let Some(reading) = readings.iter().flatten().find(|reading| reading.breaching) {
        return Value::Breaching(reading);
    }
    if readings.is_empty() || readings.contains(&None) {
        return Value::Missing;
    }
    Value::Back(readings.into_iter().flatten().next())
}

/// The reading of an object, if it has a value that was sampled after the change.
fn fresh<'a>(observation: &'a Observation, uid: &str, executed: Timestamp) -> Option<&'a Reading> {
    let mut readings = observation.readings.iter();
    readings.find(|reading| {
        let sampled = reading.sampled_at.unwrap_or(observation.evaluated_at);
        reading.target.uid == uid && reading.value.is_some() && sampled > executed
    })
}

#[cfg(test)]
mod tests;
