//! Quantiles of a few measured values.
//!
//! Pure: no IO, no clock.

use std::time::Duration;

/// Measured values in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sorted(Vec<Duration>);

impl Sorted {
    /// The value that a share `q` of all values does not exceed (nearest rank),
    /// so it is always one that was measured. None without values.
    pub(crate) fn quantile(&self, q: f64) -> Option<Duration> {
        let rank = rank(self.0.len(), q);
        self.0.get(rank).or(self.0.last()).copied()
    }

    /// The largest.
    pub(crate) fn max(&self) -> Option<Duration> {
        self.0.last().copied()
    }
}

impl FromIterator<Duration> for Sorted {
    fn from_iter<I: IntoIterator<Item = Duration>>(values: I) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_unstable();
        Self(values)
    }
}

/// The index of the nearest rank: ⌈q·n⌉ − 1, and the first for q = 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a few thousand values at most, and a rank is never negative"
)]
fn rank(count: usize, q: f64) -> usize {
    ((count as f64 * q).ceil() as usize).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_measured_value() {
        let sorted: Sorted = (1..=40).rev().map(Duration::from_millis).collect();
        let millis = |q| sorted.quantile(q).map(|value| value.as_millis());
        assert_eq!(millis(0.5), Some(20));
        assert_eq!(millis(0.9), Some(36));
        assert_eq!(millis(0.99), Some(40));
        assert_eq!(millis(0.0), Some(1));
        assert_eq!(sorted.max(), sorted.quantile(1.0));
    }

    #[test]
    fn without_values_there_is_no_quantile() {
        assert_eq!(Sorted::default().quantile(0.5), None);
    }
}
