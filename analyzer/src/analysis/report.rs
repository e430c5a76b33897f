//! What the status of a policy says.
//!
//! Pure: no IO, no clock.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;
use schemas::{
    condition::{self, Setting, policy},
    object::ObjectState,
    policy::{ActiveTrigger, CaseSummary, HealingPolicy, HealingPolicyStatus, NoData},
};

use super::{
    Tracked, View,
    inquiry::{self, ModelName},
};
use crate::{
    accepted::{self, Accepted, Watched},
    explain,
    measure::{Measured, Value},
    recommend::Held,
};

/// Active triggers that a status lists, at most: it is read by people.
const MOST_ACTIVE: usize = 50;

/// The status of one policy.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyReport {
    /// Namespace of the policy.
    pub namespace: String,
    /// Name of the policy.
    pub name: String,
    /// UID of the policy.
    pub uid: String,
    /// What its status says.
    pub status: HealingPolicyStatus,
}

/// A status in the making.
#[derive(Debug)]
pub(super) struct Report {
    targets: usize,
    values: usize,
    gaps: usize,
    active: Vec<Ranked>,
    no_data: BTreeMap<(String, String), (u32, String)>,
    worst: Option<(Rank, String)>,
    cases: Vec<CaseSummary>,
}

#[derive(Debug)]
struct Ranked {
    rank: Rank,
    trigger: ActiveTrigger,
}

/// How bad a reading is: breaching before not, then by how far it is on its way to the threshold.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Rank {
    breaching: bool,
    share: f64,
}

impl Report {
    pub(super) fn new(targets: usize) -> Self {
        Self {
            targets,
            values: 0,
            gaps: 0,
            active: Vec::new(),
            no_data: BTreeMap::new(),
            worst: None,
            cases: Vec::new(),
        }
    }

    /// Takes in what one trigger read of every target, and its episodes.
    pub(super) fn read(
        &mut self,
        watched: &Watched,
        values: &[(&ObjectState, Value)],
        tracked: &BTreeMap<String, Tracked>,
    ) {
        for (state, value) in values {
            match value {
                Ok(measured) => {
                    self.values += 1;
                    self.compare(watched, state, measured);
                }
                Err(reason) => {
                    self.gaps += 1;
                    let key = (watched.name.clone(), reason.clone());
                    let example = || (0, state.target.name.clone());
                    self.no_data.entry(key).or_insert_with(example).0 += 1;
                }
            }
            if let Some(tracked) = tracked.get(&state.target.uid) {
                self.add_active(watched, tracked);
            }
        }
    }

    fn compare(&mut self, watched: &Watched, state: &ObjectState, measured: &Measured) {
        let rank = rank(watched, measured.value);
        if self.worst.as_ref().is_none_or(|(worst, _)| rank > *worst) {
            let speaker = explain::speaker(state, Some(measured));
            let compared = explain::compared(watched, Some(measured));
            self.worst = Some((rank, format!("{speaker} {compared}")));
        }
    }

    fn add_active(&mut self, watched: &Watched, tracked: &Tracked) {
        let Tracked {
            episode,
            target,
            last,
            told: _,
        } = tracked;
        let state = match episode.fired_at {
            Some(_) => "FIRED",
            None => "EVALUATING",
        };
        let value = last.as_ref().map(|measured| measured.value);
        let trigger = ActiveTrigger {
            trigger: watched.name.clone(),
            state: state.to_owned(),
            kind: target.kind.clone(),
            namespace: target.namespace.clone(),
            name: target.name.clone(),
            uid: target.uid.clone(),
            value,
            threshold: Some(watched.threshold),
            since: episode.since,
            fired_at: episode.fired_at,
            held: None,
        };
        self.active.push(Ranked {
            rank: rank(watched, value.unwrap_or(f64::NAN)),
            trigger,
        });
    }

    /// Notes why no action follows on a target.
    pub(super) fn hold(&mut self, watched: &Watched, target_uid: &str, held: &Held) {
        let about = |ranked: &&mut Ranked| {
            ranked.trigger.trigger == watched.name && ranked.trigger.uid == target_uid
        };
        if let Some(ranked) = self.active.iter_mut().find(about) {
            ranked.trigger.held = Some(held.to_string());
        }
    }

    /// Takes in what is wrong.
    pub(super) fn diagnosed(&mut self, cases: Vec<CaseSummary>) {
        self.cases = cases;
    }

    /// The status of a policy that was evaluated.
    pub(super) fn finish(
        mut self,
        accepted: &Accepted,
        policy: &HealingPolicy,
        (view, models): (&View<'_>, &[ModelName]),
        at: Timestamp,
    ) -> PolicyReport {
        let fired = |ranked: &Ranked| ranked.trigger.fired_at.is_some();
        let firing = self.active.iter().filter(|ranked| fired(ranked)).count();
        let pending = self.active.len() - firing;
        self.active.sort_by(|one, other| {
            let key = |ranked: &Ranked| (Reverse(fired(ranked)), ranked.trigger.name.clone());
            let worse = other.rank.partial_cmp(&one.rank);
            let same = std::cmp::Ordering::Equal;
            (key(one).0.cmp(&key(other).0))
                .then(worse.unwrap_or(same))
                .then_with(|| key(one).1.cmp(&key(other).1))
        });
        let ready = self.ready();
        let proposals = view.told.proposals(&accepted.uid);
        let status = HealingPolicyStatus {
            targets: count(self.targets),
            pending: count(pending),
            firing: count(firing),
            worst: self.worst.map(|(_, text)| text),
            last_evaluated: Some(at),
            active_triggers: (self.active.into_iter().take(MOST_ACTIVE))
                .map(|ranked| ranked.trigger)
                .collect(),
            no_data: no_data(self.no_data),
            cases: self.cases,
            advisors: inquiry::advisors(accepted.ai.as_ref(), models),
            actions_proposed: proposals.map_or(0, |proposals| proposals.names.len() as u64),
            last_action: proposals.and_then(|proposals| proposals.last),
            ..HealingPolicyStatus::default()
        };
        let makes_sense = "every query parses and every pattern compiles".to_owned();
        let accepted = setting(policy::ACCEPTED, true, "Accepted", makes_sense);
        with_conditions(policy, status, [accepted, ready], at)
    }

    fn ready(&self) -> Setting {
        let (holds, reason, message) = if self.targets == 0 {
            (true, "NoTargets", "the selector matches no object")
        } else if self.values == 0 && self.gaps > 0 {
            (
                false,
                "NoData",
                "no trigger has data for any target; noData says why",
            )
        } else {
            (true, "Evaluating", "evaluated over fresh samples")
        };
        setting(policy::READY, holds, reason, message.to_owned())
    }
}

/// The status of a policy that is not accepted.
pub(super) fn refused(
    policy: &HealingPolicy,
    error: &accepted::Error,
    at: Timestamp,
) -> PolicyReport {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    let settings = [
        setting(policy::ACCEPTED, false, error.reason(), message),
        setting(
            policy::READY,
            false,
            "NotAccepted",
            "a policy that is not accepted is not evaluated".to_owned(),
        ),
    ];
    with_conditions(policy, HealingPolicyStatus::default(), settings, at)
}

/// The status of a policy while no scrape comes.
pub(super) fn overdue(
    policy: &HealingPolicy,
    last: Option<Timestamp>,
    at: Timestamp,
) -> PolicyReport {
    let (reason, message) = match last {
        None => (
            "NoSamples",
            "no scrape has come yet: does the collector run?".to_owned(),
        ),
        Some(last) => (
            "StaleSamples",
            format!("the last scrape came at {last}: does the collector run, and the bus?"),
        ),
    };
    let status = policy.status.clone().unwrap_or_default();
    let ready = setting(policy::READY, false, reason, message);
    with_conditions(policy, status, [ready], at)
}

fn setting(kind: &'static str, holds: bool, reason: &str, message: String) -> Setting {
    Setting {
        kind,
        status: Some(holds),
        reason: reason.to_owned(),
        message,
    }
}

fn with_conditions(
    policy: &HealingPolicy,
    mut status: HealingPolicyStatus,
    settings: impl IntoIterator<Item = Setting>,
    at: Timestamp,
) -> PolicyReport {
    let metadata = &policy.metadata;
    let before = policy.status.as_ref();
    status.observed_generation = metadata.generation;
    status.conditions = before.map_or_else(Vec::new, |status| status.conditions.clone());
    for setting in settings {
        condition::set(&mut status.conditions, setting, metadata.generation, at);
    }
    PolicyReport {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
        status,
    }
}

fn no_data(gaps: BTreeMap<(String, String), (u32, String)>) -> Vec<NoData> {
    gaps.into_iter()
        .map(|((trigger, reason), (targets, example))| NoData {
            trigger,
            targets,
            example,
            reason,
        })
        .collect()
}

fn rank(watched: &Watched, value: f64) -> Rank {
    let threshold = watched.threshold;
    let (part, whole) = if watched.operator.worse_is_larger() {
        (value, threshold)
    } else {
        (threshold, value)
    };
    let share = if whole == 0.0 { part } else { part / whole };
    Rank {
        breaching: watched.operator.breaches(value, threshold),
        share: if share.is_nan() {
            f64::NEG_INFINITY
        } else {
            share
        },
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
