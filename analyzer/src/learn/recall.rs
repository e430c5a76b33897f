//! Cases that were seen before, and what mended them.
//!
//! In: outcomes of cases with a fingerprint. Out: the cause and the remedy of
//! cases of the same structure, once they are well established: at least
//! [`CASES`] different cases were seen recovered by it, and it helps in more than
//! [`BAR`] of them with a probability of 90 %. Two that recovered and none that did not are
//! just enough. A recall that was followed and did not help, and a remedy that did
//! harm, count the other way: what was known before is void, and the recall
//! stays silent until it was earned anew.
//!
//! A confident recall needs no model. It proposes; guards and verification
//! treat its actions like any others.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemas::{
    diagnosis::FailureMode,
    outcome::{Help, Outcome},
    policy::Remedy,
};

use super::{Taught, beta::Beta};
use crate::{
    advise::{Ground, Hypothesis},
    case::Case,
};

/// Who says so, in a diagnosis.
pub const SOURCE: &str = "recall";

/// Different cases that must have been seen recovered.
pub const CASES: u32 = 2;

/// The share of cases that the remedy must help in, with a probability of 90 %.
pub const BAR: f64 = 0.5;

/// Names of earlier actions that are told.
const EXAMPLES: usize = 3;

/// What mended earlier cases of the same structure.
#[derive(Clone, Debug, PartialEq)]
pub struct Recalled {
    /// Their cause.
    pub mode: FailureMode,
    /// What mended them.
    pub remedy: Remedy,
    /// The name of that action in its policy.
    pub action_name: String,
    /// Kind of the owner that it was applied to.
    pub owner_kind: String,
    /// Cases in which it helped.
    pub helped: u32,
    /// Cases in which it did not.
    pub did_not: u32,
    /// The share of cases in which it can be expected to help.
    pub confidence: f64,
    /// The share that is exceeded with a probability of 90 %.
    pub lower: f64,
    /// When it helped last.
    pub last: Timestamp,
    /// Actions that helped, as `namespace/name`, the newest first; at most three.
    pub examples: Vec<String>,
}

/// What mended cases, by fingerprint.
#[derive(Clone, Debug, Default)]
pub(super) struct Cases {
    known: BTreeMap<String, Recalled>,
}

/// One remedy for one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way<'a> {
    mode: FailureMode,
    remedy: Remedy,
    action_name: &'a str,
    owner_kind: &'a str,
}

impl Cases {
    pub(super) fn of(taught: &[Taught<'_>]) -> Self {
        let mut ways: BTreeMap<(&str, Way<'_>), Vec<&Outcome>> = BTreeMap::new();
        for one in taught {
            let Some((outcome, mode)) = one.outcome.zip(one.mode()) else {
                continue;
            };
            let Some(fingerprint) = outcome.fingerprint.as_deref() else {
                continue;
            };
            let way = Way {
                mode,
                remedy: outcome.remedy,
                action_name: &outcome.action_name,
                owner_kind: &outcome.owner_kind,
            };
            ways.entry((fingerprint, way)).or_default().push(outcome);
        }
        let mut known: BTreeMap<String, Recalled> = BTreeMap::new();
        for ((fingerprint, way), outcomes) in ways {
            let Some(recalled) = established(way, &outcomes) else {
                continue;
            };
            let better = known
                .get(fingerprint)
                .is_none_or(|best| (recalled.lower, recalled.last) > (best.lower, best.last));
            if better {
                known.insert(fingerprint.to_owned(), recalled);
            }
        }
        Self { known }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Recalled)> {
        let known = self.known.iter();
        known.map(|(fingerprint, recalled)| (fingerprint.as_str(), recalled))
    }

    pub(super) fn recall(&self, fingerprint: &str) -> Option<&Recalled> {
        self.known.get(fingerprint)
    }
}

fn established(way: Way<'_>, outcomes: &[&Outcome]) -> Option<Recalled> {
    let void = void_until(outcomes);
    let counts = |outcome: &&&Outcome| void.is_none_or(|void| outcome.at > void);
    let since: Vec<&Outcome> = outcomes.iter().filter(counts).copied().collect();
    let mut cases: BTreeMap<&str, bool> = BTreeMap::new();
    for outcome in &since {
        let case = outcome.case.as_deref().unwrap_or(&outcome.action_uid);
        // A case in which it failed once was not mended by it alone.
        let all_helped = cases.entry(case).or_insert(true);
        *all_helped = *all_helped && outcome.result.helped();
    }
    let count = |wanted: bool| {
        let of = cases.values().filter(|helped| **helped == wanted);
        u32::try_from(of.count()).unwrap_or(u32::MAX)
    };
    let (helped, did_not) = (count(true), count(false) + u32::from(void.is_some()));
    let belief = Beta::JEFFREYS.after(f64::from(helped), f64::from(did_not));
    let lower = belief.lower();
    if helped < CASES || lower <= BAR {
        return None;
    }
    let good: BTreeSet<(Timestamp, String)> = since
        .iter()
        .filter(|outcome| outcome.result.helped())
        .map(|outcome| {
            (
                outcome.at,
                format!("{}/{}", outcome.namespace, outcome.action),
            )
        })
        .collect();
    let newest = good.iter().rev();
    Some(Recalled {
        mode: way.mode,
        remedy: way.remedy,
        action_name: way.action_name.to_owned(),
        owner_kind: way.owner_kind.to_owned(),
        helped,
        did_not,
        confidence: belief.mean(),
        lower,
        last: good.last()?.0,
        examples: newest
            .take(EXAMPLES)
            .map(|(_, name)| name.clone())
            .collect(),
    })
}

/// Up to when what was learned is void: the last time that the remedy did harm, or that a recall
/// was followed and it did not help.
fn void_until(outcomes: &[&Outcome]) -> Option<Timestamp> {
    let voids = |outcome: &&&Outcome| match outcome.result {
        Help::Helped => false,
        Help::DidNotHelp => outcome.source == SOURCE,
        Help::Harmed => true,
    };
    outcomes
        .iter()
        .filter(voids)
        .map(|outcome| outcome.at)
        .max()
}

impl Recalled {
    /// What it makes likely about `case`: the same cause, at the owner of the same kind
    /// whose trouble began first. None where the case has no owner.
    pub fn hypothesis(&self, case: &Case) -> Option<Hypothesis> {
        let mut owners = case.owners.iter().map(|member| &member.owner);
        let same = owners.clone().find(|owner| owner.kind == self.owner_kind);
        let about = same.or_else(|| owners.next())?.clone();
        Some(Hypothesis {
            rule: SOURCE,
            mode: self.mode,
            about,
            score: self.confidence,
            support: vec![Ground {
                evidence: Vec::new(),
                text: self.text(),
                weight: (self.confidence / (1.0 - self.confidence)).ln(),
            }],
            against: Vec::new(),
            fits: vec![self.remedy],
            leave_alone: false,
        })
    }

    /// In a sentence.
    pub fn text(&self) -> String {
        let all = self.helped.saturating_add(self.did_not);
        let (helped, remedy, last) = (self.helped, self.remedy.as_str(), self.last);
        let examples = self.examples.join(", ");
        format!(
            "{remedy} ({}) mended {helped} of {all} earlier cases of this structure, the last at {last}: {examples}",
            self.action_name
        )
    }
}
