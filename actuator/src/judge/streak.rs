//! How often actions failed in a row.
//!
//! An outcome that could not be told counts as a failure: what is not known to
//! help is not tried for ever. What was cancelled or denied changed nothing,
//! so it neither adds to the row nor ends it.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::action::Phase;

use crate::snapshot::Past;

/// The failures since the last success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Streak {
    /// How many.
    pub failures: u32,
    /// When the last of them ended.
    pub last: Option<Timestamp>,
}

/// The failures at the end of `history`, whatever its order.
pub(crate) fn streak<'a>(history: impl Iterator<Item = &'a Past>) -> Streak {
    let mut ended: Vec<_> = history
        .filter_map(|past| Some((past.finished_at?, failed(past)?)))
        .collect();
    // Of two that ended at the same instant, the failure counts as the later one.
    ended.sort_unstable();
    let row: Vec<_> = ended
        .into_iter()
        .rev()
        .take_while(|(_, failed)| *failed)
        .collect();
    Streak {
        failures: u32::try_from(row.len()).unwrap_or(u32::MAX),
        last: row.first().map(|(at, _)| *at),
    }
}

/// Whether an action failed; `None` when it did not run, or has not ended.
fn failed(past: &Past) -> Option<bool> {
    past.started_at?;
    match past.phase {
        Phase::Failed | Phase::RolledBack => Some(true),
        Phase::Succeeded => Some(false),
        Phase::Pending
        | Phase::AwaitingApproval
        | Phase::Approved
        | Phase::InProgress
        | Phase::Verifying
        | Phase::Denied
        | Phase::Cancelled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, ended};
    use jiff::SignedDuration;

    #[test]
    fn a_success_ends_the_row_and_a_cancelled_action_does_not() {
        let history = [
            ended(Phase::Failed, NOW),
            ended(Phase::Cancelled, NOW - SignedDuration::from_mins(1)),
            ended(Phase::RolledBack, NOW - SignedDuration::from_mins(2)),
            ended(Phase::Succeeded, NOW - SignedDuration::from_mins(3)),
            ended(Phase::Failed, NOW - SignedDuration::from_mins(4)),
        ];
        let row = Streak {
            failures: 2,
            last: Some(NOW),
        };
        assert_eq!(streak(history.iter()), row);
        assert_eq!(streak(history.iter().rev()), row);
    }

    #[test]
    fn what_never_began_is_no_failure() {
        let mut refused = ended(Phase::Failed, NOW);
        refused.started_at = None;
        assert_eq!(streak([refused].iter()), Streak::default());
    }
}
