//! How well each remedy did against each cause.
//!
//! The unit is a *trial*: all outcomes of one remedy in one case count as one,
//! however many pods it was applied to, because they helped or failed together.
//! A cell is cause, remedy and kind of owner. Its belief starts from Jeffreys's
//! prior and from its neighbours, as a power prior (Ibrahim and Chen 2000) with
//! a cap: the same cause and remedy on other kinds of owners count as
//! [`KIN`] trials at most, the same remedy against other causes as [`REMEDY`]. So an
//! empty cell backs off to what is nearest to it, and is soon its own.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use schemas::{diagnosis::FailureMode, policy::Remedy};

use super::{Taught, beta::Beta};

/// What the same cause and remedy on other kinds of owners are worth, at most, in trials.
const KIN: f64 = 4.0;

/// What the same remedy against other causes is worth, at most, in trials.
const REMEDY: f64 = 2.0;

/// Cause, remedy and kind of owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    mode: Option<FailureMode>,
    remedy: Remedy,
    owner_kind: String,
}

/// Trials that helped, and trials that did not; shares where a case had both.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    helped: f64,
    did_not: f64,
}

/// What is believed of a remedy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Posterior {
    /// Trials of just this cause, remedy and kind of owner that helped.
    pub helped: f64,
    /// Those that did not.
    pub did_not: f64,
    /// The expected share of trials that help.
    pub mean: f64,
    /// The share that is exceeded with a probability of 90 %.
    pub lower: f64,
    /// The share that is not reached with a probability of 90 %.
    pub upper: f64,
}

/// What is known of one combination.
#[derive(Clone, Debug, PartialEq)]
pub struct Experience {
    /// The cause; none where none was named.
    pub mode: Option<FailureMode>,
    /// What was done.
    pub remedy: Remedy,
    /// To owners of which kind.
    pub owner_kind: String,
    /// How well it did.
    pub posterior: Posterior,
}

/// How well every remedy did.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    cells: BTreeMap<Cell, Tally>,
    kin: BTreeMap<(Option<FailureMode>, Remedy), Tally>,
    remedies: BTreeMap<Remedy, Tally>,
}

impl Table {
    pub(super) fn of(taught: &[Taught<'_>]) -> Self {
        let mut trials: BTreeMap<(Cell, &str), (u32, u32)> = BTreeMap::new();
        for one in taught {
            let Some(outcome) = one.outcome else {
                continue;
            };
            let cell = Cell {
                mode: one.mode(),
                remedy: outcome.remedy,
                owner_kind: outcome.owner_kind.clone(),
            };
            let case = outcome.case.as_deref().unwrap_or(&outcome.action_uid);
            let (helped, all) = trials.entry((cell, case)).or_default();
            *helped += u32::from(outcome.result.helped());
            *all += 1;
        }
        let mut table = Self::default();
        for ((cell, _), (helped, all)) in trials {
            let share = f64::from(helped) / f64::from(all);
            table.remedies.entry(cell.remedy).or_default().add(share);
            let kin = table.kin.entry((cell.mode, cell.remedy)).or_default();
            kin.add(share);
            table.cells.entry(cell).or_default().add(share);
        }
        table
    }

    pub(super) fn posterior(
        &self,
        mode: Option<FailureMode>,
        remedy: Remedy,
        owner_kind: &str,
    ) -> Posterior {
        let cell = Cell {
            mode,
            remedy,
            owner_kind: owner_kind.to_owned(),
        };
        let own = self.cells.get(&cell).copied().unwrap_or_default();
        let kin = self.kin.get(&(mode, remedy)).copied().unwrap_or_default();
        let all = self.remedies.get(&remedy).copied().unwrap_or_default();
        let (near, far) = (
            kin.without(own).capped(KIN),
            all.without(kin).capped(REMEDY),
        );
        let belief = [near, far, own]
            .into_iter()
            .fold(Beta::JEFFREYS, |belief, tally| {
                belief.after(tally.helped, tally.did_not)
            });
        Posterior {
            helped: own.helped,
            did_not: own.did_not,
            mean: belief.mean(),
            lower: belief.lower(),
            upper: belief.upper(),
        }
    }

    pub(super) fn experiences(&self) -> Vec<Experience> {
        let cells = self.cells.keys();
        let experiences = cells.map(|cell| Experience {
            mode: cell.mode,
            remedy: cell.remedy,
            owner_kind: cell.owner_kind.clone(),
            posterior: self.posterior(cell.mode, cell.remedy, &cell.owner_kind),
        });
        experiences.collect()
    }
}

impl Tally {
    /// One trial more, of which this share helped.
    fn add(&mut self, share: f64) {
        self.helped += share;
        self.did_not += 1.0 - share;
    }

    fn without(self, part: Self) -> Self {
        Self {
            helped: (self.helped - part.helped).max(0.0),
            did_not: (self.did_not - part.did_not).max(0.0),
        }
    }

    /// The same shares, worth so many trials at most.
    fn capped(self, most: f64) -> Self {
        let trials = self.helped + self.did_not;
        if trials <= most {
            return self;
        }
        let weight = most / trials;
        Self {
            helped: self.helped * weight,
            did_not: self.did_not * weight,
        }
    }
}
