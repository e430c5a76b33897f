//! What a policy's past actions say about it: which owners need a person, where
//! healing hides a fault that nobody fixes, and which finished actions can go.
//!
//! In: the actions there are, and an instant. Out: what belongs into the
//! policy's status, and what may be removed. It is all derived from the
//! HealingAction objects, of which those that count here, or for a guard, are kept.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemas::{
    action::{HealingAction, Phase},
    policy::HealingDebt,
};

use crate::{
    gather::{changes, past},
    judge::{MEMORY, STRIKES, streak},
    snapshot::Past,
};

/// Successes on one owner within [`SPAN`] from which on healing hides a fault.
const HEALS: usize = 3;

/// How far back healing is counted.
const SPAN: SignedDuration = SignedDuration::from_hours(24);

/// Most owners that a policy's status lists.
const MOST: usize = 20;

/// What is known of one policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The owners on which nothing more is tried without a person, as `Kind/name`.
    pub needs_human: Vec<String>,
    /// The owners that are healed again and again, the worst first.
    pub debt: Vec<HealingDebt>,
}

/// An action as far as it counts here.
#[derive(Clone, Debug)]
pub struct Record {
    /// Namespace of the action.
    pub namespace: String,
    /// Name of the action.
    pub name: String,
    /// What counts when another one is judged.
    pub past: Past,
    /// The owner as `Kind/name`.
    pub owner: String,
    /// When trouble began.
    pub since: Option<Timestamp>,
}

impl Record {
    /// Reads what counts of an action; `None` when it changes nothing.
    pub fn read(action: &HealingAction) -> Option<Self> {
        let status = action.status.as_ref();
        let trigger = action.spec.trigger.as_ref();
        changes(action).then(|| Self {
            namespace: action.metadata.namespace.clone().unwrap_or_default(),
            name: action.metadata.name.clone().unwrap_or_default(),
            past: past(action),
            owner: status
                .and_then(|status| status.owner.clone())
                .unwrap_or_default(),
            since: trigger.map(|trigger| trigger.since),
        })
    }
}

/// What the actions of the policy `name` in `namespace` say at `now`.
pub fn standing(records: &[Record], (namespace, name): (&str, &str), now: Timestamp) -> Standing {
    let mut owners: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records {
        if let Some(uid) = &record.past.owner_uid {
            owners.entry(uid).or_default().push(record);
        }
    }
    let is_ours =
        |record: &&&Record| record.past.namespace == namespace && record.past.policy == name;
    let mut standing = Standing::default();
    for records in owners.values() {
        let Some(last) = records
            .iter()
            .filter(is_ours)
            .max_by_key(|r| r.past.finished_at)
        else {
            continue;
        };
        // Strikes count whatever policy acted, as the guard counts them.
        let recent = records
            .iter()
            .map(|record| &record.past)
            .filter(|past| is_within(past, MEMORY, now));
        if streak(recent).failures >= STRIKES {
            standing.needs_human.push(last.owner.clone());
        }
        let ours: Vec<_> = records.iter().filter(is_ours).copied().collect();
        standing.debt.extend(debt(&ours, now));
    }
    standing.needs_human.sort();
    standing.needs_human.truncate(MOST);
    standing
        .debt
        .sort_by(|one, other| (other.heals, &one.owner).cmp(&(one.heals, &other.owner)));
    standing.debt.truncate(MOST);
    standing
}

/// How often one owner was healed without the fault being gone.
fn debt(records: &[&Record], now: Timestamp) -> Option<HealingDebt> {
    let mut heals: Vec<_> = records
        .iter()
        .filter(|r| r.past.phase == Phase::Succeeded && is_within(&r.past, SPAN, now))
        .collect();
    heals.sort_by_key(|record| record.past.finished_at);
    let (first, last) = (heals.first()?, heals.last()?);
    if heals.len() < HEALS {
        return None;
    }
    let seconds = heals.iter().filter_map(|record| {
        let healed = record.past.finished_at?;
        Some(healed.duration_since(record.since?).as_secs())
    });
    Some(HealingDebt {
        owner: last.owner.clone(),
        heals: u32::try_from(heals.len()).unwrap_or(u32::MAX),
        first_healed: first.past.finished_at?,
        last_healed: last.past.finished_at?,
        unhealthy_seconds: u64::try_from(seconds.sum::<i64>()).unwrap_or(0),
    })
}

fn is_within(past: &Past, span: SignedDuration, now: Timestamp) -> bool {
    past.finished_at
        .is_some_and(|at| now.duration_since(at) < span)
}

/// How many finished actions are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Of one policy.
    pub per_policy: usize,
    /// In the cluster.
    pub in_cluster: usize,
    /// For how long.
    pub span: SignedDuration,
}

/// The finished actions that can go: those that are older than the span, and the
/// oldest beyond the caps. What a guard, or a policy's standing, still counts stays.
pub fn dispensable(records: &[Record], keep: Keep, now: Timestamp) -> Vec<&Record> {
    let mut finished: Vec<_> = records
        .iter()
        .filter(|record| record.past.phase.is_final() && record.past.finished_at.is_some())
        .collect();
    finished.sort_by_key(|record| std::cmp::Reverse((record.past.finished_at, &record.name)));
    let mut of_policy: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut gone = Vec::new();
    for (place, record) in finished.into_iter().enumerate() {
        let key = (record.past.namespace.as_str(), record.past.policy.as_str());
        let count = of_policy.entry(key).or_default();
        *count += 1;
        let is_beyond = *count > keep.per_policy || place >= keep.in_cluster;
        let is_old = !is_within(&record.past, keep.span, now);
        if (is_beyond || is_old) && !still_counts(record, records, now) {
            gone.push(record);
        }
    }
    gone
}

/// Whether a guard or a policy's standing looks at a finished action: one that ran
/// within the longest memory of all, a failure that no later success has ended
/// for its policy and for its owner, or a success that still ends such a row.
fn still_counts(record: &Record, records: &[Record], now: Timestamp) -> bool {
    let own = &record.past;
    if own.started_at.is_none() {
        return false;
    }
    if is_within(own, MEMORY.max(SPAN), now) {
        return true;
    }
    let others = || records.iter().map(|other| &other.past);
    let same_policy =
        |other: &&Past| other.namespace == own.namespace && other.policy == own.policy;
    let same_owner = |other: &&Past| own.owner_uid.is_some() && other.owner_uid == own.owner_uid;
    match own.phase {
        Phase::Failed | Phase::RolledBack => {
            let ends = |other: &Past| {
                other.phase == Phase::Succeeded && other.finished_at > own.finished_at
            };
            let by_policy = others().filter(same_policy).any(ends);
            let by_owner = own.owner_uid.is_none() || others().filter(same_owner).any(ends);
            !(by_policy && by_owner)
        }
        Phase::Succeeded => others().any(|other| {
            let failed = matches!(other.phase, Phase::Failed | Phase::RolledBack);
            let is_related = same_policy(&other) || same_owner(&other);
            failed && is_related && other.finished_at <= own.finished_at
        }),
        Phase::Pending
        | Phase::AwaitingApproval
        | Phase::Approved
        | Phase::InProgress
        | Phase::Verifying
        | Phase::Denied
        | Phase::Cancelled => false,
    }
}

#[cfg(test)]
mod tests;
