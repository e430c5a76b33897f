//! Which of several actions of equal priority is tried first.
//!
//! The one that helps most surely: by the lower bound of what is believed of
//! it, and where that is equal as the policy lists them. Now and then, in no
//! more than the share of decisions that the policy allows, another one is
//! tried instead, so that its record can grow; only one that can be taken back.
//! Which decisions those are follows from the episode's name, so a replay and
//! every replica decide the same.
//!
//! Pure: no IO, no clock.

use std::ops::Range;

use schemas::{
    diagnosis::FailureMode,
    digest,
    policy::{Action, Ai, Learning, Remedy},
};

use super::experience::Table;

/// Faces of the dice that tells whether to explore.
const FACES: u64 = 10_000;

/// Faces for each percent.
const PERCENT: u64 = FACES / 100;

/// What is to be decided.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// The cause; none where none was named.
    pub mode: Option<FailureMode>,
    /// Kind of the top-most owner that is in trouble, or of the object without one.
    pub owner_kind: &'a str,
    /// Thrown once for the episode: [`dice`].
    pub dice: u64,
}

/// The dice of an episode, evenly spread over all episodes. `episode` must name it wholly:
/// the name of the HealingAction of its first rung does.
pub fn dice(episode: &str) -> u64 {
    let hex = digest::short(["dice", episode], 16);
    u64::from_str_radix(&hex, 16).unwrap_or_default()
}

pub(super) fn order(
    table: &Table,
    decision: &Decision<'_>,
    rungs: &[&Action],
    ai: &Ai,
) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rungs.len()).collect();
    match ai.learning {
        Learning::Off | Learning::Advisory => return order,
        Learning::Active => {}
    }
    let mut explore = decision.dice % FACES < u64::from(ai.exploration_percent) * PERCENT;
    for group in groups(rungs) {
        let Some(equals) = order.get_mut(group) else {
            continue;
        };
        best_first(equals, table, decision, rungs);
        // Once an episode: what comes after the first choice is tried anyway where that fails.
        explore = explore && !try_another(equals, decision.dice / FACES, rungs);
    }
    order
}

/// Stretches of neighbours of equal priority, of two or more.
fn groups(rungs: &[&Action]) -> Vec<Range<usize>> {
    let mut start = 0;
    let chunks = rungs.chunk_by(|a, b| a.priority == b.priority);
    let ranges = chunks.map(|chunk| {
        let range = start..start + chunk.len();
        start = range.end;
        range
    });
    ranges.filter(|range| range.len() > 1).collect()
}

fn best_first(equals: &mut [usize], table: &Table, decision: &Decision<'_>, rungs: &[&Action]) {
    let lower = |rung: usize| {
        let remedy = rungs.get(rung).map(|rung| rung.kind)?;
        let known = table.posterior(decision.mode, remedy, decision.owner_kind);
        Some(known.lower)
    };
    let mut bounds: Vec<(usize, f64)> = equals
        .iter()
        .map(|rung| (*rung, lower(*rung).unwrap_or_default()))
        .collect();
    // Stable: equals stay as the policy lists them.
    bounds.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    for (place, (rung, _)) in equals.iter_mut().zip(bounds) {
        *place = rung;
    }
}

/// Moves one with another remedy that can be taken back to the front; whether there is one.
fn try_another(equals: &mut [usize], dice: u64, rungs: &[&Action]) -> bool {
    let remedy = |place: usize| {
        let rung = equals.get(place).and_then(|rung| rungs.get(*rung));
        rung.map(|rung| rung.kind)
    };
    let first = remedy(0);
    let teaches = |place: &usize| {
        let other = remedy(*place).filter(|_| remedy(*place) != first);
        other.is_some_and(Remedy::is_reversible)
    };
    let others: Vec<usize> = (1..equals.len()).filter(teaches).collect();
    let count = u64::try_from(others.len()).unwrap_or(u64::MAX);
    let pick = dice
        .checked_rem(count)
        .and_then(|pick| usize::try_from(pick).ok());
    let Some(place) = pick.and_then(|pick| others.get(pick)) else {
        return false;
    };
    if let Some(front) = equals.get_mut(..=*place) {
        front.rotate_right(1);
    }
    true
}
