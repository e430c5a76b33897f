//! What a series looks like: its level, its trend, its steps, and whether it repeats itself.
//!
//! In: values with their instants, and the instants of restarts. Out: the
//! shape, when what it shows began, and the values thinned for people. One
//! outlier moves none of it far. What takes more than a walk over the values
//! is done on at most 120 of them, so that a shape takes microseconds however
//! long the series is.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};

use super::{Change, Shape};

mod season;
mod step;
mod trend;

/// A value and its instant.
pub type Point = (Timestamp, f64);

/// The most values that are looked at, the newest ones.
const MOST_VALUES: usize = 1024;
/// The most values that are looked at in pairs.
const MOST_PAIRED: usize = 120;
/// The most values that are kept for people.
pub const MOST_POINTS: usize = 48;
/// A fall by more than this share of the range, within two steps, is a drop.
const DROP: f64 = 0.2;
/// A range below this share of the largest value is noise, and nothing in it is a drop.
const NOISE: f64 = 0.05;
/// How far from a restart a fall may be and still be due to it: usage is measured up to a minute
/// late, and the new container starts to be measured late as well.
const AT_RESTART: SignedDuration = SignedDuration::from_secs(90);
/// A change of level that is less sure than this is not told.
const SURE: f64 = 0.5;

/// The shape of a series. Values that are no numbers are left out; `points` may come in any order.
pub fn shape(points: &[Point], restarts: &[Timestamp]) -> Shape {
    let points = sorted(points);
    let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    let Some(&last) = values.last() else {
        return Shape::default();
    };
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let quarter = values.len() - values.len().div_ceil(4);
    let paired = every_nth(&points, MOST_PAIRED);
    Shape {
        count: u32::try_from(points.len()).unwrap_or(u32::MAX),
        last,
        level: trend::median(values.get(quarter..).unwrap_or_default()).unwrap_or(last),
        min,
        max,
        slope_per_hour: trend::slope_per_hour(&every_nth(&points, MOST_POINTS)),
        linearity: trend::linearity(&points),
        rising: rising(&values),
        drops: drops(&points, max - min, max, restarts),
        change: step::change(&paired).filter(|change| change.confidence >= SURE),
        season: season::season(&paired),
        flips: flips(&values),
    }
}

/// When what a shape shows began: at the change of level where there is one, else with the
/// climb, else with the first value.
pub fn onset(points: &[Point], shape: &Shape) -> Option<Timestamp> {
    let points = sorted(points);
    let (first, _) = points.first().copied()?;
    let step = shape
        .change
        .filter(|change| is_step(&points, change, shape));
    if let Some(step) = step {
        return Some(step.at);
    }
    if shape.slope_per_hour <= 0.0 {
        return Some(first);
    }
    // The lowest value starts the climb; the newest of several as low.
    let low = shape.min + NOISE * (shape.max - shape.min);
    let lowest = points.iter().rev().find(|(_, value)| *value <= low);
    Some(lowest.map_or(first, |(at, _)| *at))
}

/// Whether a change of level is a step rather than the middle of a climb: two levels explain more of
/// the variance than a line does. In its middle a step looks like a line that explains three quarters.
fn is_step(points: &[Point], change: &Change, shape: &Shape) -> bool {
    let range = shape.max - shape.min;
    let sure = change.confidence >= 0.8 && change.by.abs() >= 0.5 * range;
    sure && step::explains(points, change.at) > shape.linearity
}

/// At most 48 values in which the extremes are kept: the least and the greatest of each of 24
/// stretches, in the order in which they came (U. Jugel, Z. Jerzak, G. Hackenbroich and
/// V. Markl, *M4: a visualization-oriented time series data aggregation*, VLDB 2014, which keeps
/// the first and last of each stretch as well).
pub fn thinned(points: &[Point]) -> Vec<(Timestamp, Option<f64>)> {
    let points = sorted(points);
    let told = |(at, value): &Point| (*at, Some(*value));
    if points.len() <= MOST_POINTS {
        return points.iter().map(told).collect();
    }
    let size = points.len().div_ceil(MOST_POINTS / 2);
    let extremes = points.chunks(size).flat_map(|stretch| {
        let by_value = |one: &&Point, other: &&Point| one.1.total_cmp(&other.1);
        let low = stretch.iter().min_by(by_value);
        let high = stretch.iter().max_by(by_value);
        let mut both: Vec<&Point> = low.into_iter().chain(high).collect();
        both.sort_by_key(|(at, _)| *at);
        both.dedup_by_key(|(at, _)| *at);
        both
    });
    extremes.map(told).collect()
}

fn sorted(points: &[Point]) -> Vec<Point> {
    let finite = points.iter().filter(|(_, value)| value.is_finite());
    let mut sorted: Vec<Point> = finite.copied().collect();
    sorted.sort_by_key(|(at, _)| *at);
    sorted.dedup_by_key(|(at, _)| *at);
    sorted.drain(..sorted.len().saturating_sub(MOST_VALUES));
    sorted
}

/// At most so many of the points, at equal distances, the newest among them.
fn every_nth(points: &[Point], most: usize) -> Vec<Point> {
    let step = points.len().div_ceil(most).max(1);
    let mut kept: Vec<Point> = points.iter().rev().step_by(step).copied().collect();
    kept.reverse();
    kept
}

fn rising(values: &[f64]) -> f64 {
    let steps = values.windows(2);
    let count = steps.len();
    let up = steps
        .filter(|two| matches!(two, [from, to] if to >= from))
        .count();
    ratio(up, count)
}

fn ratio(part: usize, whole: usize) -> f64 {
    let number = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
    if whole == 0 {
        0.0
    } else {
        number(part) / number(whole)
    }
}

/// Falls, each of which counts once however many steps it takes, if it is steep in any two of them.
fn drops(points: &[Point], range: f64, max: f64, restarts: &[Timestamp]) -> u32 {
    if range <= NOISE * max.abs() {
        return 0;
    }
    let falls = points.chunk_by(|from, to| to.1 < from.1);
    let steep = falls.filter(|fall| {
        let two = fall
            .windows(3)
            .filter_map(|steps| Some((steps.first()?, steps.last()?)));
        let one = fall
            .windows(2)
            .filter_map(|steps| Some((steps.first()?, steps.last()?)));
        let mut falls = two.chain(one);
        falls.any(|(from, to)| from.1 - to.1 > DROP * range) && !is_at_restart(fall, restarts)
    });
    u32::try_from(steep.count()).unwrap_or(u32::MAX)
}

fn is_at_restart(fall: &[Point], restarts: &[Timestamp]) -> bool {
    let (Some((from, _)), Some((to, _))) = (fall.first(), fall.last()) else {
        return false;
    };
    restarts
        .iter()
        .any(|at| at.duration_since(*from) >= -AT_RESTART && to.duration_since(*at) >= -AT_RESTART)
}

/// Changes of a series that has no more than two values.
fn flips(values: &[f64]) -> u32 {
    let changes = values
        .windows(2)
        .filter(|two| matches!(two, [from, to] if !same(*from, *to)));
    let (Some(first), Some(other)) = (
        values.first(),
        values
            .iter()
            .find(|value| !same(**value, values.first().copied().unwrap_or_default())),
    ) else {
        return 0;
    };
    let two = values
        .iter()
        .all(|value| same(*value, *first) || same(*value, *other));
    if two {
        u32::try_from(changes.count()).unwrap_or(u32::MAX)
    } else {
        0
    }
}

fn same(one: f64, other: f64) -> bool {
    one.total_cmp(&other).is_eq()
}

#[cfg(test)]
mod tests;
