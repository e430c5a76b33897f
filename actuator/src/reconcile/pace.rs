//! When an action is looked at again.
//!
//! Pure: no IO, no clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schemas::action::{HealingAction, Phase};

use crate::snapshot::Snapshot;

/// How long a refused call need not be tried again; a restart does not shorten
/// it. An action that has not begun is judged whenever its turn comes, because
/// an approval, or a trigger that resolved, is to be seen.
pub(super) fn rest(action: &HealingAction, now: Timestamp) -> Option<Duration> {
    let status = action.status.as_ref()?;
    let until = status.next_attempt_at.filter(|until| now < *until)?;
    (status.phase == Phase::InProgress).then(|| wait(until, now))
}

/// When to look again at an action that waits. The longer it has waited, the
/// less often: a tenth of its age keeps a thousand actions that a budget holds
/// back from asking the API server all the time, and delays none by more than that.
pub(super) fn next_look(snapshot: &Snapshot, until: Timestamp, now: Timestamp) -> Timestamp {
    let is_waiting = matches!(
        snapshot.action.status.phase,
        Phase::Pending | Phase::AwaitingApproval
    );
    let age = snapshot.action.created_at.map(|at| now.duration_since(at));
    let pause = age
        .filter(|_| is_waiting && until > now)
        .unwrap_or_default()
        / 10;
    until.max(now.saturating_add(pause).unwrap_or(Timestamp::MAX))
}

/// The time from `now` to `until`, at most a minute: a kill switch, or a policy
/// that changed, is noticed within that.
pub(super) fn wait(until: Timestamp, now: Timestamp) -> Duration {
    let left = until.duration_since(now).max(SignedDuration::ZERO);
    let left = Duration::try_from(left).unwrap_or_default();
    left.min(Duration::from_mins(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, snapshot};

    #[test]
    fn what_has_waited_long_is_looked_at_less_often_but_within_a_minute() {
        let mut snapshot = snapshot();
        let soon = NOW + SignedDuration::from_secs(5);
        let seconds =
            |snapshot: &Snapshot, until| wait(next_look(snapshot, until, NOW), NOW).as_secs();
        assert_eq!(seconds(&snapshot, soon), 5);
        snapshot.action.created_at = Some(NOW - SignedDuration::from_mins(5));
        assert_eq!(seconds(&snapshot, soon), 30);
        snapshot.action.created_at = Some(NOW - SignedDuration::from_hours(5));
        assert_eq!(seconds(&snapshot, soon), 60);
        assert_eq!(seconds(&snapshot, NOW), 0);
    }
}
