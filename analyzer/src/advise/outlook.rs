//! What is expected when nothing is done.
//!
//! In: the evidence about an owner. Out: a sentence, where the evidence bears one. It is a
//! straight line carried on, or what happened so far: no more is claimed.
//!
//! Pure: no IO, no clock.

use jiff::SignedDuration;
use schemas::{duration::Duration, target::Target};

use crate::{
    case::Case,
    evidence::{Fact, Measurement, Metric},
};

/// Least share of the variance that a straight line must explain before it is carried on.
const STRAIGHT: f64 = 0.7;
/// A line that meets its limit later than this says nothing useful.
const HORIZON_HOURS: f64 = 24.0;

/// What is expected of an owner when nothing is done.
pub fn if_nothing_is_done(case: &Case, member: &Target) -> Option<String> {
    let sick = |uid: &str| {
        let owners = case.owners.iter();
        let mut owners = owners.filter(|one| one.owner.uid == member.uid);
        uid == member.uid || owners.any(|one| one.sick.iter().any(|target| target.uid == uid))
    };
    let facts = || {
        let pieces = case.evidence.iter();
        pieces.filter(|piece| sick(&piece.about.uid))
    };
    let runs_full = facts().find_map(|piece| {
        let Fact::Series(series) = &piece.fact else {
            return None;
        };
        runs_full(series)
    });
    let crashes = || {
        facts().find_map(|piece| {
            let Fact::Termination(end) = &piece.fact else {
                return None;
            };
            (end.restarts > 1).then(|| {
                format!(
                    "it goes on ending with {} as it has {} times so far",
                    end.reason, end.restarts
                )
            })
        })
    };
    runs_full.or_else(crashes)
}

fn runs_full(series: &Measurement) -> Option<String> {
    let shape = &series.shape;
    let limit = series.limit?;
    if series.metric != Metric::MemoryBytes
        || shape.linearity < STRAIGHT
        || shape.slope_per_hour <= 0.0
    {
        return None;
    }
    let hours = (limit - shape.last) / shape.slope_per_hour;
    if !(0.0..=HORIZON_HOURS).contains(&hours) {
        return None;
    }
    let left = SignedDuration::try_from_secs_f64(hours * 3600.0).ok()?;
    let left = Duration::from_secs(u32::try_from(left.as_secs()).ok()?);
    Some(format!(
        "at this pace the memory of {} reaches its limit in about {left}, and the kernel ends it",
        series.container
    ))
}
