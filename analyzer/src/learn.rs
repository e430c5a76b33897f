//! What earlier actions teach: which remedy helps against which cause, how far
//! a stated confidence can be trusted, and which cases were seen before.
//!
//! In: [`Lesson`]s of finished actions, in any order and any number of times,
//! from the journal or from the objects. Out: posteriors that order remedies of
//! equal priority, calibrated confidence, and recalled cases. The state is a
//! function of the set of lessons alone, so any replay ends in the same one. It
//! holds the newest [`MOST`] lessons of the last [`SPAN`] and forgets the rest.
//!
//! It proposes and orders; what is allowed is the policy's and the guards' to say.
//!
//! Pure: no IO, no clock.

use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use schemas::{
    diagnosis::FailureMode,
    outcome::{Lesson, Opinions, Outcome},
    policy::{Action, Ai, Remedy},
};

pub mod beta;
pub mod calibrate;
mod experience;
mod fit;
mod newest;
mod order;
pub mod read;
pub mod recall;

#[cfg(test)]
mod tests;

pub use calibrate::{Calibrated, Method, Reliability};
pub use experience::{Experience, Posterior};
pub use fit::mends;
pub use order::{Decision, dice};
pub use recall::Recalled;

use experience::Table;
use newest::Newest;

/// Outcomes, and opinions, that are kept: at the cluster's default budget of actions an hour
/// that is weeks of healing without a break. They take about 10 MB.
pub const MOST: usize = 10_000;

/// How long a lesson counts: workloads, images and people change.
pub const SPAN: SignedDuration = SignedDuration::from_hours(24 * 180);

/// What was learned.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    outcomes: Newest<Outcome>,
    opinions: Newest<Opinions>,
    /// What follows from them, once somebody asks.
    known: OnceLock<Known>,
}

/// What follows from the lessons.
#[derive(Clone, Debug)]
struct Known {
    table: Table,
    sources: calibrate::Sources,
    cases: recall::Cases,
}

/// A lesson, and what people made of its cause.
#[derive(Clone, Copy, Debug)]
struct Taught<'a> {
    outcome: Option<&'a Outcome>,
    opinions: Option<&'a Opinions>,
}

/// What people say of a diagnosis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// Nothing, or as much for it as against it.
    Nothing,
    /// It named the cause.
    Right,
    /// It did not; the cause that most of them name instead.
    Wrong(Option<FailureMode>),
}

impl PartialEq for Learned {
    fn eq(&self, other: &Self) -> bool {
        self.outcomes == other.outcomes && self.opinions == other.opinions
    }
}

impl Learned {
    /// Takes in what one action teaches. A repeat changes nothing.
    pub fn hear(&mut self, lesson: Lesson) {
        let Lesson { outcome, opinions } = lesson;
        let news = [
            outcome.is_some_and(|outcome| self.outcomes.take(outcome)),
            opinions.is_some_and(|opinions| self.opinions.take(opinions)),
        ];
        if news.contains(&true) {
            self.known = OnceLock::new();
        }
    }

    /// Forgets what is older than [`SPAN`] at `now`.
    pub fn expire(&mut self, now: Timestamp) {
        let Ok(horizon) = now.checked_sub(SPAN) else {
            return;
        };
        let gone = [
            self.outcomes.forget_before(horizon),
            self.opinions.forget_before(horizon),
        ];
        if gone.contains(&true) {
            self.known = OnceLock::new();
        }
    }

    /// How many outcomes are known.
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Whether no outcome is known.
    pub fn is_empty(&self) -> bool {
        self.outcomes.len() == 0
    }

    /// How well a remedy does against a cause on owners of a kind.
    pub fn posterior(
        &self,
        mode: Option<FailureMode>,
        remedy: Remedy,
        owner_kind: &str,
    ) -> Posterior {
        self.known().table.posterior(mode, remedy, owner_kind)
    }

    /// Every combination of cause, remedy and kind of owner that there is experience with.
    pub fn experiences(&self) -> Vec<Experience> {
        self.known().table.experiences()
    }

    /// The order in which to try `rungs`, which stand in the order of the policy's ladder, as
    /// their indices. Rungs of different priority never change places.
    pub fn order(&self, decision: &Decision<'_>, rungs: &[&Action], ai: &Ai) -> Vec<usize> {
        order::order(&self.known().table, decision, rungs, ai)
    }

    /// What `stated` is worth when `source` states it; none where nothing was ever verified.
    pub fn calibrated(&self, source: &str, stated: f64) -> Option<Calibrated> {
        self.known().sources.calibrated(source, stated)
    }

    /// How reliable each source was.
    pub fn reliabilities(&self) -> Vec<Reliability> {
        self.known().sources.reliabilities()
    }

    /// What mended cases of this structure before; none unless that is well established.
    pub fn recall(&self, fingerprint: &str) -> Option<&Recalled> {
        self.known().cases.recall(fingerprint)
    }

    /// Every structure that is recalled, by its fingerprint.
    pub fn recalls(&self) -> impl Iterator<Item = (&str, &Recalled)> {
        self.known().cases.iter()
    }

    fn known(&self) -> &Known {
        self.known.get_or_init(|| {
            let taught: Vec<_> = self.taught().collect();
            Known {
                table: Table::of(&taught),
                sources: calibrate::Sources::of(&taught),
                cases: recall::Cases::of(&taught),
            }
        })
    }

    /// Every action that taught something, by UID.
    fn taught(&self) -> impl Iterator<Item = Taught<'_>> {
        let with_outcome = self.outcomes.iter().map(|(uid, outcome)| Taught {
            outcome: Some(outcome),
            opinions: self.opinions.get(uid),
        });
        let opinions = self.opinions.iter();
        let without = opinions.filter(|(uid, _)| self.outcomes.get(uid).is_none());
        with_outcome.chain(without.map(|(_, opinions)| Taught {
            outcome: None,
            opinions: Some(opinions),
        }))
    }
}

impl Taught<'_> {
    fn said(&self) -> Said {
        let Some(opinions) = self.opinions else {
            return Said::Nothing;
        };
        match opinions.useful.cmp(&opinions.wrong) {
            std::cmp::Ordering::Equal => Said::Nothing,
            std::cmp::Ordering::Greater => Said::Right,
            std::cmp::Ordering::Less => Said::Wrong(named_most(opinions)),
        }
    }

    /// The cause, as people correct it.
    fn mode(&self) -> Option<FailureMode> {
        match self.said() {
            Said::Wrong(cause) => cause,
            Said::Nothing | Said::Right => self.outcome?.mode.as_deref()?.parse().ok(),
        }
    }
}

/// The failure mode that more people name than any other.
fn named_most(opinions: &Opinions) -> Option<FailureMode> {
    let known = opinions.causes.iter();
    let known = known.filter_map(|(cause, count)| Some((cause.parse().ok()?, *count)));
    let mut known: Vec<(FailureMode, u32)> = known.collect();
    known.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    match known.as_slice() {
        [(_, first), (_, second), ..] if first == second => None,
        [(cause, _), ..] => Some(*cause),
        [] => None,
    }
}
