//! One cause under weighing: what speaks for it, what against, and how much that makes.
//!
//! In: grounds with their weights, from one rule. Out: a hypothesis. A ground
//! that rests on text, even in part, is a hint: it counts little, it never
//! counts against a cause, and it carries nothing over the line from which a
//! cause is acted upon.
//!
//! Pure: no IO, no clock.

use schemas::{
    diagnosis::{FailureMode, Provenance},
    policy::Remedy,
    target::Target,
};

use crate::{
    advise::{Ground, Hypothesis},
    evidence::{Fact, Piece},
};

/// Log-odds of a cause before the case is looked at: there are 27, so about one in 20.
const PRIOR: f64 = -3.0;
/// The most that one hint counts. Decisive grounds count 3 and more.
const ONE_HINT: f64 = 0.8;
/// The most that all hints of a cause count together, however many events are told.
const ALL_HINTS: f64 = 1.5;
/// Score from which a cause is acted upon: a little more likely than not. Below it the policy's
/// ladder decides, as it would without rules.
pub const ENOUGH: f64 = 0.6;

/// A cause under weighing.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) mode: FailureMode,
    /// The object that the cause lies with.
    pub(super) about: Target,
    /// Remedies that suit it, the best first.
    pub(super) fits: Vec<Remedy>,
    /// Whether nothing is to be done.
    pub(super) leave_alone: bool,
    prior: f64,
    firm: Vec<Ground>,
    hints: Vec<Ground>,
}

impl Claim {
    pub(super) fn new(mode: FailureMode, about: &Target) -> Self {
        Self {
            mode,
            about: about.clone(),
            fits: Vec::new(),
            leave_alone: false,
            prior: PRIOR,
            firm: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// The same, of a cause that is rarer than most, or commoner.
    pub(super) fn shifted(mut self, by: f64) -> Self {
        self.prior += by;
        self
    }

    pub(super) fn fitting(mut self, remedies: &[Remedy]) -> Self {
        self.fits = remedies.to_vec();
        self
    }

    /// Adds a ground: in favour where the weight is positive. It may rest on no evidence
    /// at all, where it says that something is missing.
    pub(super) fn ground(&mut self, weight: f64, on: &[&Piece], text: impl Into<String>) {
        if on.iter().any(|piece| is_text(piece)) {
            self.hint(weight, on, text);
            return;
        }
        self.firm.push(made(weight, on, text));
    }

    /// Adds a ground of text: it counts little, and never against.
    pub(super) fn hint(&mut self, weight: f64, on: &[&Piece], text: impl Into<String>) {
        if weight > 0.0 && !on.is_empty() {
            self.hints.push(made(weight.min(ONE_HINT), on, text));
        }
    }

    /// The log-odds of all that is no text.
    pub(super) fn firm(&self) -> f64 {
        self.prior + self.firm.iter().map(|ground| ground.weight).sum::<f64>()
    }

    /// Whether anything but text speaks for it.
    pub(super) fn is_supported(&self) -> bool {
        let speaks = |ground: &Ground| ground.weight > 0.0 && !ground.evidence.is_empty();
        self.firm.iter().any(speaks)
    }

    /// How likely it is, from 0 to 1, text included.
    pub(super) fn score(&self) -> f64 {
        let hints: f64 = self.hints.iter().map(|ground| ground.weight).sum();
        let firm = logistic(self.firm());
        let all = logistic(self.firm() + hints.min(ALL_HINTS));
        if firm < ENOUGH {
            all.min(ENOUGH - 0.01)
        } else {
            all
        }
    }

    /// The hypothesis, its grounds in the order of their weight.
    pub(super) fn into_hypothesis(self, score: f64) -> Hypothesis {
        let (mut support, mut against): (Vec<_>, Vec<_>) = self
            .firm
            .into_iter()
            .chain(self.hints)
            .partition(|ground| ground.weight > 0.0);
        support.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        against.sort_by(|a, b| a.weight.total_cmp(&b.weight));
        Hypothesis {
            rule: self.mode.as_str(),
            mode: self.mode,
            about: self.about,
            score,
            support,
            against,
            fits: self.fits,
            leave_alone: self.leave_alone,
        }
    }
}

fn made(weight: f64, on: &[&Piece], text: impl Into<String>) -> Ground {
    let mut evidence: Vec<_> = on.iter().map(|piece| piece.id).collect();
    evidence.sort_unstable();
    evidence.dedup();
    Ground {
        evidence,
        text: text.into(),
        weight,
    }
}

/// Whether somebody could have written it into the cluster. Events and logs are, whatever they
/// are marked as.
pub(super) fn is_text(piece: &Piece) -> bool {
    let written = matches!(piece.fact, Fact::Events(_) | Fact::Log { .. });
    written || piece.provenance == Provenance::Text
}

/// From log-odds to a probability.
fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}
