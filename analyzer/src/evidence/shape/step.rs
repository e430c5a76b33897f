//! Where the level of a series changed most.
//!
//! Pettitt's test: at each place, how many pairs of a value before and a value
//! after are in order (Mann and Whitney's two-sample statistic); the change is
//! where that departs most from chance. It asks for the order of the values
//! alone, so outliers and scale do not matter (A. N. Pettitt, *A
//! non-parametric approach to the change-point problem*, Applied Statistics
//! 1979). That neighbouring values are alike is not allowed for: of a series
//! that wanders, the confidence says too much.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;

use super::{Point, trend::median};
use crate::evidence::Change;

/// Fewest values on either side of a change.
const LEAST: usize = 3;

/// The change, however unsure; none of a series that is too short or does not vary.
pub(super) fn change(points: &[Point]) -> Option<Change> {
    let n = points.len();
    if n < 2 * LEAST {
        return None;
    }
    let ranks = ranks(points);
    let number = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
    let mut sum = 0.0;
    let mut most = (0.0_f64, 0.0_f64, 0_usize);
    for (before, rank) in (1..).zip(&ranks) {
        sum += rank;
        let departs = 2.0 * sum - number(before) * (number(n) + 1.0);
        let (_, far, _) = most;
        if before >= LEAST && n - before >= LEAST && departs.abs() > far {
            most = (departs, departs.abs(), before);
        }
    }
    let (_, far, place) = most;
    let (earlier, later) = points.split_at_checked(place)?;
    let values = |part: &[Point]| part.iter().map(|(_, value)| *value).collect::<Vec<_>>();
    let by = median(&values(later))? - median(&values(earlier))?;
    let by_chance = (-6.0 * far * far / (number(n).powi(3) + number(n).powi(2))).exp() * 2.0;
    let (at, _) = later.first()?;
    let told = place > 0 && by.is_finite() && by.abs() > 0.0;
    told.then(|| Change {
        at: *at,
        by,
        confidence: (1.0 - by_chance).clamp(0.0, 1.0),
    })
}

/// The share of the variance that two levels explain, one before an instant and one from it on.
pub(super) fn explains(points: &[Point], at: Timestamp) -> f64 {
    let place = points.partition_point(|(when, _)| *when < at);
    let (before, after) = points.split_at_checked(place).unwrap_or((points, &[]));
    let share = 1.0 - (variation(before) + variation(after)) / variation(points);
    if share.is_finite() { share } else { 0.0 }
}

/// The sum of the squares of what lies between the values and their mean.
fn variation(points: &[Point]) -> f64 {
    let count = u32::try_from(points.len()).map_or(f64::MAX, f64::from);
    let mean = points.iter().map(|(_, value)| value).sum::<f64>() / count;
    let squares = points
        .iter()
        .map(|(_, value)| (value - mean) * (value - mean));
    squares.sum()
}

/// The place of each value in their order, from 1; equal values share the middle of their places.
fn ranks(points: &[Point]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = points.iter().map(|(_, value)| *value).enumerate().collect();
    order.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let mut ranks = vec![0.0; points.len()];
    let mut below = 0_u32;
    for equal in order.chunk_by(|(_, one), (_, other)| one.total_cmp(other).is_eq()) {
        let many = u32::try_from(equal.len()).unwrap_or(u32::MAX);
        let rank = f64::from(below) + f64::midpoint(f64::from(many), 1.0);
        for (place, _) in equal {
            if let Some(slot) = ranks.get_mut(*place) {
                *slot = rank;
            }
        }
        below = below.saturating_add(many);
    }
    ranks
}
