//! What the advisors together make of one offence, and which action that leads to.
//!
//! In: the cause that was found, how sure, and who says so; the actions of the
//! policy that were not tried yet. Out: one of them, or why none is taken. The
//! envelope is here: whatever was said, the answer is an action of the policy,
//! or a reason.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::{
    diagnosis::Diagnosis,
    policy::{Action, Remedy},
    target::Target,
};

use super::{
    Choice, Hypothesis,
    rules::{self, Counsel},
};

/// What the advisors make of one offence.
#[derive(Clone, Debug, Default)]
pub struct Opinion {
    /// What an action says of its cause.
    pub diagnosis: Diagnosis,
    /// Until when a model's answer is awaited.
    pub awaits: Option<Timestamp>,
    /// The cause, where it may pick the action, and the owner in trouble that the offender belongs to.
    pub cause: Option<(Hypothesis, Target)>,
    /// The action that a model picked, where it may.
    pub picked: Option<Picked>,
    /// What each remedy is expected to do, from how it did before.
    pub expected: BTreeMap<Remedy, String>,
    /// Names of actions of equal priority, the one that did best before standing first.
    pub learned: Vec<String>,
}

/// An action that a model picked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picked {
    /// Its name in the policy.
    pub action: String,
    /// Whether it counts against the rules: verified outcomes bear the model's confidence out.
    pub overrides: bool,
}

/// Why no action is taken although one is left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Abstained {
    /// A model was asked, and may still answer.
    #[error("a model is asked until {until}")]
    Awaiting {
        /// Until when.
        until: Timestamp,
    },
    /// Nothing is to be done here.
    #[error("nothing is to be done: {reason}")]
    LeaveAlone {
        /// Why.
        reason: String,
    },
    /// No action of the policy answers the cause.
    #[error("no action of the policy answers the cause: {reason}")]
    NothingFits {
        /// Which cause.
        reason: String,
    },
}

impl Opinion {
    /// Which of the actions that were not tried yet is taken; they stand in the
    /// order of the policy's ladder.
    ///
    /// # Errors
    /// Why none is.
    pub fn pick<'a>(
        &self,
        untried: &[(usize, &'a Action)],
    ) -> Result<Option<(usize, &'a Action)>, Abstained> {
        if let Some(until) = self.awaits {
            return Err(Abstained::Awaiting { until });
        }
        let ordered = self.ordered(untried);
        if let Some((cause, member)) = &self.cause {
            let choices: Vec<Choice> = ordered.iter().map(|(_, action)| choice(action)).collect();
            match rules::advice_for(cause, member, &choices) {
                Counsel::Choose(_) if self.overrides(&ordered) => {}
                Counsel::Choose(name) => return Ok(named(&ordered, &name)),
                Counsel::LeaveAlone(reason) => return Err(Abstained::LeaveAlone { reason }),
                Counsel::NoneFits(reason) => return Err(Abstained::NothingFits { reason }),
                Counsel::NoOpinion(_) => {}
            }
        }
        Ok(self
            .picks_among(&ordered)
            .or_else(|| ordered.first().copied()))
    }

    fn picks_among<'a>(&self, ordered: &[(usize, &'a Action)]) -> Option<(usize, &'a Action)> {
        named(ordered, &self.picked.as_ref()?.action)
    }

    fn overrides(&self, ordered: &[(usize, &Action)]) -> bool {
        let overrides = self.picked.as_ref().is_some_and(|picked| picked.overrides);
        overrides && self.picks_among(ordered).is_some()
    }

    /// Those of equal priority in the order of what was learned.
    fn ordered<'a>(&self, untried: &[(usize, &'a Action)]) -> Vec<(usize, &'a Action)> {
        let mut ordered = untried.to_vec();
        let rank = |action: &Action| {
            let found = self.learned.iter().position(|name| *name == action.name);
            found.unwrap_or(self.learned.len())
        };
        ordered.sort_by_key(|(_, action)| (std::cmp::Reverse(action.priority), rank(action)));
        ordered
    }
}

/// An action as advisors see it.
pub fn choice(action: &Action) -> Choice {
    Choice {
        action: action.name.clone(),
        remedy: action.kind,
        description: action.description.clone(),
    }
}

fn named<'a>(ordered: &[(usize, &'a Action)], name: &str) -> Option<(usize, &'a Action)> {
    ordered
        .iter()
        .find(|(_, action)| action.name == name)
        .copied()
}
