//! The findings of a case: the triggers that hold, the first of each owner standing first.
//!
//! Pure: no IO, no clock.

use schemas::diagnosis::Provenance;

use super::Draft;
use crate::{
    accepted::Source,
    case::{Found, group::Group},
    evidence::{Fact, Finding},
};

/// The most findings of a case that are told one by one.
const MOST: usize = 8;

/// What the most useful findings are worth, and how much less each further one.
const WORTH: u8 = 100;

/// The findings of a group. One of each owner comes before the second of any.
pub(super) fn of(group: &Group<'_>) -> Vec<Draft> {
    let most = group.ailing.iter().map(|one| one.findings.len()).max();
    let rounds = 0..most.unwrap_or(0).min(MOST);
    let found = rounds.flat_map(|round| {
        let nth = group.ailing.iter();
        nth.filter_map(move |one| one.findings.get(round).copied())
    });
    (0_u8..)
        .zip(found.take(MOST))
        .map(|(place, found)| draft(found, WORTH - place))
        .collect()
}

fn draft(found: &Found<'_>, worth: u8) -> Draft {
    let (subject, provenance) = match &found.watched.source {
        Source::Metric { text, .. } => (text.as_str(), Provenance::Metric),
        Source::Trend { trend, .. } => (trend.text(), Provenance::Metric),
        // Whoever may create Events may write any.
        Source::Events { reason, .. } => (reason.as_str(), Provenance::Text),
        Source::Condition { kind, .. } => (kind.as_str(), Provenance::ControlPlane),
    };
    Draft {
        worth,
        about: found.offender.target.clone(),
        provenance,
        since: found.episode.since,
        fact: Fact::Finding(Finding {
            policy: (found.policy.0.to_owned(), found.policy.1.to_owned()),
            trigger: found.watched.name.clone(),
            subject: subject.to_owned(),
            value: found.measured.map_or(f64::NAN, |measured| measured.value),
            threshold: found.watched.threshold,
            fired_at: found.episode.fired_at,
        }),
    }
}
