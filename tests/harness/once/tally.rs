//! Counts what the API server stored for each action, and holds it against what
//! the action says of itself.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use schemas::action::{HealingAction, Phase};

use super::scene::{Remedy, Scene, Wanted, status_of};
use crate::proxy::{Asked, Effect, Fault, Write};
use crate::{AuditEntry, AuditLog};

/// What came of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Actions that were asked for.
    pub asked: usize,
    /// Actions that were begun.
    pub begun: usize,
    /// Writes on targets that the API server stored.
    pub effects: usize,
    /// Further evictions of a pod that was going already, which take nothing
    /// away: the network sent one twice, or an old answer hid the first.
    pub repeats: usize,
    /// How actions ended; what waits for the budget is `Pending`.
    pub phases: BTreeMap<String, usize>,
    /// What must not be.
    pub wrong: Vec<String>,
}

impl Tally {
    /// Adds another run's.
    pub fn add(&mut self, other: Self) {
        let Self {
            asked,
            begun,
            effects,
            repeats,
            phases,
            wrong,
        } = other;
        self.asked += asked;
        self.begun += begun;
        self.effects += effects;
        self.repeats += repeats;
        for (phase, count) in phases {
            *self.phases.entry(phase).or_default() += count;
        }
        self.wrong.extend(wrong);
    }
}

/// Counts for one scene: `actions` as they ended, after `troubles`.
pub fn tally(
    scene: &Scene<'_>,
    actions: &[HealingAction],
    troubles: &[(Fault, Asked)],
    log: &AuditLog,
) -> Tally {
    let stored = log.clone().effective().keep(|entry| scene.is_effect(entry));
    let mut tally = Tally::default();
    for action in actions {
        let name = action.metadata.name.as_deref().unwrap_or_default();
        let Some(wanted) = scene.wanted.iter().find(|wanted| wanted.name == name) else {
            tally.wrong.push(format!("nobody asked for {name}"));
            continue;
        };
        count(&mut tally, wanted, action, (&stored, troubles));
    }
    let known = |entry: &AuditEntry| scene.wanted.iter().any(|wanted| is_of(wanted, entry));
    let foreign = stored.keep(|entry| !known(entry));
    let foreign = foreign.entries().iter();
    tally
        .wrong
        .extend(foreign.map(|entry| format!("nobody asked for {entry:?}")));
    if tally.begun > scene.budget {
        let (begun, budget) = (tally.begun, scene.budget);
        tally
            .wrong
            .push(format!("{begun} actions were begun, {budget} are allowed"));
    }
    if !tally.wrong.is_empty() {
        let all = log.clone().keep(|entry| scene.is_effect(entry));
        let all = all.entries().iter().map(|entry| {
            let AuditEntry {
                at,
                verb,
                resource,
                subresource,
                name,
                code,
                dry_run,
                ..
            } = entry;
            format!("{at} {verb} {resource} {subresource} {name} {code} {dry_run}")
        });
        let all: Vec<_> = all.collect();
        tally.wrong.push(format!("asked for: {}", all.join("; ")));
    }
    for wrong in &mut tally.wrong {
        *wrong = format!("{}: {wrong}", scene.namespace());
    }
    tally
}

fn count(
    tally: &mut Tally,
    wanted: &Wanted,
    action: &HealingAction,
    (stored, troubles): (&AuditLog, &[(Fault, Asked)]),
) {
    let status = status_of(action);
    let name = &wanted.name;
    tally.asked += 1;
    tally.begun += usize::from(status.started_at.is_some());
    *tally.phases.entry(status.phase.to_string()).or_default() += 1;
    let verified = status
        .verification
        .as_ref()
        .map(|seen| seen.outcome.as_str());
    if status.phase == Phase::Succeeded && verified != Some("Recovered") {
        let text = format!("{name} succeeded, and its verification saw {verified:?}");
        tally.wrong.push(text);
    }
    let recorded = |effect: Effect| {
        let steps = status.plan.iter().filter(|step| step.called_at.is_some());
        steps
            .filter(|step| format!("{:?}", step.verb) == verb_of(effect))
            .count()
    };
    for effect in wanted.remedy.effects() {
        let entries = stored.entries().iter();
        let mut made = entries
            .filter(|entry| is_of(wanted, entry) && effect_of(entry) == Some(*effect))
            .count();
        if *effect == Effect::Evict && made > 1 {
            let excused = excuses(wanted, troubles).min(made - 1);
            tally.repeats += excused;
            made -= excused;
        }
        tally.effects += made;
        let said = recorded(*effect);
        if made > 1 {
            let text = format!("{name}: {effect:?} was stored {made} times");
            tally.wrong.push(text);
        }
        if made != said {
            let (phase, reason) = (status.phase, status.reason.clone().unwrap_or_default());
            let text = format!(
                "{name} ended as {phase} {reason} and tells of {said} {effect:?}, {made} were stored"
            );
            tally.wrong.push(text);
        }
        if status.phase == Phase::Succeeded && made != 1 {
            let text = format!("{name} succeeded with {made} {effect:?}");
            tally.wrong.push(text);
        }
    }
}

/// How many further evictions of a pod that is going the network itself called for.
fn excuses(wanted: &Wanted, troubles: &[(Fault, Asked)]) -> usize {
    let of_target = troubles
        .iter()
        .filter(|(_, asked)| asked.name == wanted.target);
    let excused = of_target.filter(|(fault, asked)| match fault {
        Fault::Twice => asked.write() == Some(Write::Effect(Effect::Evict)),
        Fault::Stale => true,
        Fault::TooMany { .. }
        | Fault::ServerError
        | Fault::LoseAnswer
        | Fault::CutAnswer
        | Fault::Delay => false,
    });
    excused.count()
}

fn is_of(wanted: &Wanted, entry: &AuditEntry) -> bool {
    let resource = match wanted.remedy {
        Remedy::Evict | Remedy::Remove => "pods",
        Remedy::Roll | Remedy::Scale => "deployments",
    };
    entry.resource == resource && entry.name == wanted.target
}

/// What a stored write did.
fn effect_of(entry: &AuditEntry) -> Option<Effect> {
    match (entry.verb.as_str(), entry.subresource.as_str()) {
        ("create", "eviction") => Some(Effect::Evict),
        ("patch", "") => Some(Effect::Patch),
        ("update" | "patch", "scale") => Some(Effect::Scale),
        ("delete", "") => Some(Effect::Delete),
        _ => None,
    }
}

/// As the plan records it.
const fn verb_of(effect: Effect) -> &'static str {
    match effect {
        Effect::Evict => "Evict",
        Effect::Patch => "Change",
        Effect::Scale => "Scale",
        Effect::Delete => "Delete",
    }
}
