//! The kill switch.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;

use super::Verdict;
use crate::{
    reason::Reason,
    snapshot::{RECHECK, Snapshot},
};

/// Holds every action back while the kill switch is on.
pub(super) fn pause(snapshot: &Snapshot, now: Timestamp) -> Verdict {
    match &snapshot.paused {
        None => Verdict::Allow,
        Some(why) => Verdict::defer(
            Reason::Paused,
            now.saturating_add(RECHECK).unwrap_or(Timestamp::MAX),
            format!("all healing is paused: {why}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, snapshot};

    #[test]
    fn the_kill_switch_holds_everything_back() {
        let mut snapshot = snapshot();
        assert_eq!(pause(&snapshot, NOW), Verdict::Allow);
        snapshot.paused = Some("investigating".to_owned());
        assert!(matches!(pause(&snapshot, NOW), Verdict::Defer { .. }));
    }
}
