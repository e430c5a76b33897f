//! Level and trend.
//!
//! The slope is Theil and Sen's: the median of the slopes of all pairs, which
//! nearly three values in ten may be wrong about without moving it far
//! (P. K. Sen, *Estimates of the regression coefficient based on Kendall's
//! tau*, JASA 1968).
//!
//! Pure: no IO, no clock.

use super::Point;

/// The median, if there is any value.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if !even {
        return Some(upper);
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // Halved first: the sum of two large values is not a number.
    Some(lower / 2.0 + upper / 2.0)
}

/// The slope in units per hour; of n values, n (n − 1) / 2 pairs are looked at.
pub(super) fn slope_per_hour(points: &[Point]) -> f64 {
    let mut slopes = Vec::new();
    for (place, (from, low)) in points.iter().enumerate() {
        for (to, high) in points.iter().skip(place + 1) {
            let hours = to.duration_since(*from).as_secs_f64() / 3600.0;
            let slope = (high - low) / hours;
            if slope.is_finite() {
                slopes.push(slope);
            }
        }
    }
    median(&slopes).unwrap_or_default()
}

/// The share of the variance that the line of least squares explains, from 0 to 1; 0 where nothing varies.
pub(super) fn linearity(points: &[Point]) -> f64 {
    line(points).map_or(0.0, |line| line.explains)
}

/// A line of least squares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Its slope per second.
    slope: f64,
    middle: f64,
    level: f64,
    explains: f64,
}

impl Line {
    /// The value of the line at so many seconds after the first point.
    pub(super) fn at(self, seconds: f64) -> f64 {
        self.level + self.slope * (seconds - self.middle)
    }
}

/// Seconds since the first point, with the values.
pub(super) fn timed(points: &[Point]) -> Vec<(f64, f64)> {
    let Some((start, _)) = points.first().copied() else {
        return Vec::new();
    };
    let seconds = |(at, value): &Point| (at.duration_since(start).as_secs_f64(), *value);
    points.iter().map(seconds).collect()
}

/// The line of least squares, if time passes.
pub(super) fn line(points: &[Point]) -> Option<Line> {
    let timed = timed(points);
    let count = u32::try_from(timed.len()).map_or(f64::MAX, f64::from);
    let mean = |pick: fn(&(f64, f64)) -> f64| timed.iter().map(pick).sum::<f64>() / count;
    let (middle, level) = (mean(|point| point.0), mean(|point| point.1));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in &timed {
        let (dx, dy) = (x - middle, y - level);
        xx += dx * dx;
        xy += dx * dy;
        yy += dy * dy;
    }
    let slope = xy / xx;
    let share = xy / xx * (xy / yy);
    slope.is_finite().then(|| Line {
        slope,
        middle,
        level,
        explains: if share.is_finite() {
            share.clamp(0.0, 1.0)
        } else {
            0.0
        },
    })
}
