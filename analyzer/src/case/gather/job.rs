//! What became of the pods of a Job in trouble.
//!
//! Pure: no IO, no clock.

use super::{Draft, tick::Tick, view::View};
use crate::evidence::Fact;

/// The Job that is the owner, or that is in trouble under it.
pub(super) fn of<'a>(view: &View<'a>, _: &Tick<'a>) -> Vec<Draft> {
    let jobs = view.others().into_iter().filter_map(|state| {
        let job = state.job?;
        let failed = state.condition("Failed").and_then(|failed| failed.since);
        let since = failed.or(state.created_at).unwrap_or(state.observed_at);
        let worth = if job.failed > 0 { 92 } else { 60 };
        Some(Draft::new(worth, &state.target, since, Fact::Job(job)).later(view.place, 0))
    });
    jobs.collect()
}
