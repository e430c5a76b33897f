//! The highest value of each hour of the last day.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Seconds of one span whose highest value is kept. The Vertical Pod
/// Autoscaler takes days (`--memory-aggregation-interval`), of which the
/// retained stream of samples has none to speak of.
const SPAN: i64 = 60 * 60;
/// How many spans are kept: a day.
const SPANS: i64 = 24;

/// The highest value of each span.
#[derive(Clone, Debug, Default)]
pub(super) struct Peaks(BTreeMap<i64, f64>);

/// What a value did to the peaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Raised {
    /// It is no peak, or of a span that is kept no longer.
    No,
    /// It is the highest of its span, which begins at that instant, so far, and
    /// stands in the place of the value before it, if there was one.
    Yes {
        start: Timestamp,
        before: Option<f64>,
    },
}

impl Peaks {
    /// Takes a value in.
    pub(super) fn raise(&mut self, at: Timestamp, value: f64) -> Raised {
        let span = at.as_second().div_euclid(SPAN);
        let newest = self.0.last_key_value().map_or(span, |(newest, _)| *newest);
        if span <= newest - SPANS {
            return Raised::No;
        }
        let before = self.0.get(&span).copied();
        if before.is_some_and(|before| before >= value) {
            return Raised::No;
        }
        self.0.insert(span, value);
        self.0 = self.0.split_off(&(newest.max(span) - SPANS + 1));
        let start = Timestamp::from_second(span * SPAN).unwrap_or(at);
        Raised::Yes { start, before }
    }

    /// The highest of all.
    pub(super) fn highest(&self) -> Option<f64> {
        self.0.values().copied().reduce(f64::max)
    }
}
