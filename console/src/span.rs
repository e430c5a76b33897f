//! Spans of time as people read them: `42s`, `5m`, `2h10m`, `3d`.
//!
//! Pure: no IO, no clock.

use jiff::SignedDuration;

/// `span` in its one or two largest units; nothing when it is negative.
pub(crate) fn words(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m"),
        (0, _, _) if minutes % 60 == 0 => format!("{hours}h"),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        (_, _, _) => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_its_largest_units() {
        let told = |seconds| words(SignedDuration::from_secs(seconds));
        assert_eq!(
            [-5, 42, 300, 7200, 7800, 300_000].map(told),
            ["0s", "42s", "5m", "2h", "2h10m", "3d"]
        );
    }
}
