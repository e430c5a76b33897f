//! The actions about an object, and which guard held each of them back.
//!
//! Pure: no IO, no clock.

use analyzer::actions;
use jiff::Timestamp;
use schemas::action::{GuardVerdict, HealingAction, Phase};
use serde::Serialize;

use super::answer::Facts;
use crate::why::explanation::deciding_first;

/// How many actions are told of, at most.
const MOST: usize = 10;

/// An action about the object.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Acted {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) policy: String,
    pub(crate) target: String,
    pub(crate) phase: Phase,
    pub(crate) reason: Option<String>,
    pub(crate) message: Option<String>,
    /// What held it back when it was last judged, if a guard did.
    pub(crate) guard: Option<GuardVerdict>,
    pub(crate) created_at: Option<Timestamp>,
    /// Whether it may yet act.
    pub(crate) open: bool,
    /// Whether it ended without having acted.
    pub(crate) refused: bool,
}

impl Acted {
    /// Where it stands, in a sentence.
    pub(crate) fn told(&self) -> String {
        let guard = self.guard.as_ref().map(|verdict| {
            let until = verdict.until.map(|until| format!(" (until {until})"));
            let why = verdict.message.clone().unwrap_or_default();
            format!(
                ": the guard {} said {}{}, {why}",
                verdict.guard,
                verdict.verdict,
                until.unwrap_or_default()
            )
        });
        let reason = self.reason.as_deref().map(|reason| format!(" ({reason})"));
        let message = || self.message.as_ref().map(|message| format!(": {message}"));
        format!(
            "the action {} is {}{}{}",
            self.name,
            self.phase,
            reason.unwrap_or_default(),
            guard.or_else(message).unwrap_or_default()
        )
    }
}

/// The actions about the object of `facts` or its owner, the newest first.
pub(super) fn acted(facts: &Facts) -> Vec<Acted> {
    let mut about: Vec<_> = facts
        .actions
        .iter()
        .filter(|one| concerns(facts, one))
        .collect();
    about.sort_by_key(|action| std::cmp::Reverse(action.metadata.creation_timestamp.clone()));
    about.truncate(MOST);
    about.into_iter().map(read).collect()
}

fn read(action: &HealingAction) -> Acted {
    let status = actions::status(action);
    let (namespace, name) = actions::name_of(action);
    let (guards, decided) = deciding_first(&status);
    let wanted = &action.spec.target_resource;
    let created = action.metadata.creation_timestamp.as_ref();
    Acted {
        namespace,
        name,
        policy: action.spec.policy_name.clone(),
        target: format!("{}/{}", wanted.kind, wanted.name),
        phase: status.phase,
        guard: guards.into_iter().next().filter(|_| decided),
        created_at: created.map(|created| created.0),
        open: !status.phase.is_final(),
        refused: matches!(status.phase, Phase::Denied | Phase::Cancelled),
        reason: status.reason,
        message: status.message,
    }
}

/// Whether an action is about the object, by UID where one is known, or about an owner of it.
fn concerns(facts: &Facts, action: &HealingAction) -> bool {
    let status = actions::status(action);
    let wanted = &action.spec.target_resource;
    let home = wanted
        .namespace
        .clone()
        .or_else(|| action.metadata.namespace.clone());
    let by_name = wanted.kind == facts.kind
        && wanted.name == facts.name
        && home.as_deref() == Some(facts.namespace.as_str());
    let trigger = action.spec.trigger.as_ref();
    let offender_named = trigger.is_some_and(|trigger| {
        trigger.offender_kind.as_deref() == Some(facts.kind.as_str())
            && trigger.offender_name.as_deref() == Some(facts.name.as_str())
    });
    let uids = [
        status.target_uid.as_deref(),
        wanted.uid.as_deref(),
        actions::offender_uid(action),
    ];
    let by_uid = facts
        .line()
        .any(|object| uids.contains(&Some(object.target.uid.as_str())));
    let own = facts.object.get().map(|object| object.target.uid.as_str());
    // About a workload, what was done to any of its pods counts, too.
    let of_workload = own.is_some() && status.owner_uid.as_deref() == own;
    by_name || offender_named || by_uid || of_workload
}
