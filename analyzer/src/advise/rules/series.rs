//! What memory and CPU do over time, as rules ask it.
//!
//! In: a measurement, its shape and its thinned values. Out: climbs, lows, and
//! whether growth has come to its end. Short series say nothing.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;

use crate::evidence::Measurement;

/// Fewest values from which a trend is read; the same as forecasts ask for.
pub(super) const LEAST: u32 = crate::forecast::LEAST_SAMPLES;

/// The longest stretch in which a series does not fall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Climb {
    /// Its share of the time seen, from 0 to 1.
    pub(super) share: f64,
    /// How much it gained.
    pub(super) gain: f64,
    /// Share of the variance that a straight line explains.
    pub(super) linearity: f64,
}

/// Values with the seconds since the first.
type Timed = Vec<(f64, f64)>;

/// What a measurement is held against: its limit, else the most it reached.
pub(super) fn reference(series: &Measurement) -> f64 {
    let limit = series.limit.filter(|limit| *limit > 0.0);
    limit.unwrap_or(series.shape.max)
}

/// The level now as a share of the limit, where there is one.
pub(super) fn of_limit(series: &Measurement) -> Option<f64> {
    let limit = series.limit.filter(|limit| *limit > 0.0)?;
    Some(series.shape.level / limit)
}

/// The longest climb, from the values; from the shape where none are kept.
pub(super) fn climb(series: &Measurement) -> Option<Climb> {
    let shape = &series.shape;
    if shape.count < LEAST {
        return None;
    }
    let stretches = stretches(series);
    let whole = stretches.iter().flatten().map(|(at, _)| *at);
    let span = whole.fold(0.0_f64, f64::max);
    let by_line = Climb {
        share: 1.0,
        gain: shape.max - shape.min,
        linearity: shape.linearity,
    };
    if span <= 0.0 {
        let steady = shape.rising >= 0.6 && shape.slope_per_hour > 0.0;
        return steady.then_some(by_line);
    }
    let found = stretches.iter().filter_map(|stretch| {
        let ((from, low), (to, high)) = (*stretch.first()?, *stretch.last()?);
        let enough = stretch.len() >= 4 && high > low;
        enough.then(|| Climb {
            share: (to - from) / span,
            gain: high - low,
            linearity: linearity(stretch),
        })
    });
    found.max_by(|a, b| a.share.total_cmp(&b.share))
}

/// Whether growth has come to its end: the last third gained next to nothing over the middle one.
pub(super) fn has_levelled_off(series: &Measurement) -> bool {
    let values: Vec<f64> = timed(series).into_iter().map(|(_, value)| value).collect();
    let third = values.len() / 3;
    let newest = values.get(values.len() - 3 * third..).unwrap_or_default();
    if third < 2 {
        return false;
    }
    let mean = |part: &[f64]| {
        let count = u32::try_from(part.len()).map_or(1.0, f64::from);
        part.iter().sum::<f64>() / count
    };
    let mut parts = newest.chunks(third).map(mean);
    let (Some(first), Some(middle), Some(last)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    // A straight line gains half of it between the middle and the last third.
    last > first && (last - middle) < 0.15 * (last - first)
}

/// Whether the lows to which it falls rise themselves: what is freed is less each time.
pub(super) fn lows_rise(series: &Measurement) -> bool {
    let stretches = stretches(series);
    let lows: Vec<f64> = stretches
        .iter()
        .skip(1)
        .filter_map(|stretch| stretch.first().map(|(_, value)| *value))
        .collect();
    let (Some(first), Some(last)) = (lows.first(), lows.last()) else {
        return false;
    };
    let reference = reference(series);
    let steady = lows
        .windows(2)
        .all(|two| matches!(two, [a, b] if b - a >= -0.02 * reference));
    lows.len() >= 2 && steady && last - first >= 0.1 * reference
}

/// Whether it has come down from its peak and goes on falling, or has stayed down.
pub(super) fn falls_back(series: &Measurement) -> bool {
    let shape = &series.shape;
    let range = shape.max - shape.min;
    let down =
        shape.max > 0.0 && range >= 0.2 * shape.max && shape.level <= shape.max - 0.6 * range;
    shape.count >= LEAST && down && shape.drops <= 1 && shape.last <= shape.max - 0.5 * range
}

/// Whether it has sunk from its peak, step by step and not at once, and went on to do so until now.
pub(super) fn sinks(series: &Measurement) -> bool {
    let values = timed(series);
    let Some(top) = values.iter().map(|(_, value)| *value).reduce(f64::max) else {
        return false;
    };
    let after: Vec<f64> = values
        .iter()
        .map(|(_, value)| *value)
        .skip_while(|value| *value < top)
        .collect();
    let low = values.iter().map(|(_, value)| *value).fold(top, f64::min);
    let range = top - low;
    let last = after.last().copied().unwrap_or(top);
    // A scrape may come twice within one measurement, so equal values are no rest.
    let falls = after
        .windows(2)
        .filter(|two| matches!(two, [a, b] if b < a));
    let steady = after
        .windows(2)
        .all(|two| matches!(two, [a, b] if *b <= *a && a - b <= 0.2 * range));
    let enough = range >= 0.2 * top && top - last >= 0.1 * range;
    series.shape.count >= LEAST && enough && steady && falls.count() >= 2
}

fn timed(series: &Measurement) -> Timed {
    let known =
        |point: &(Timestamp, Option<f64>)| Some((point.0, point.1.filter(|v| v.is_finite())?));
    let mut points: Vec<_> = series.points.iter().filter_map(known).collect();
    points.sort_by_key(|(at, _)| *at);
    let Some((start, _)) = points.first().copied() else {
        return Vec::new();
    };
    let seconds = |at: Timestamp| at.duration_since(start).as_secs_f64();
    let timed = points.into_iter().map(|(at, value)| (seconds(at), value));
    timed.collect()
}

/// The values, cut where they fall by more than a fifth of their range.
fn stretches(series: &Measurement) -> Vec<Timed> {
    let timed = timed(series);
    let values = || timed.iter().map(|(_, value)| *value);
    let range = values().fold(f64::MIN, f64::max) - values().fold(f64::MAX, f64::min);
    let mut stretches: Vec<Timed> = Vec::new();
    let mut top = f64::MIN;
    for (at, value) in timed {
        let falls = value < top - 0.2 * range;
        match stretches.last_mut() {
            Some(stretch) if !falls => {
                stretch.push((at, value));
                top = top.max(value);
            }
            Some(_) | None => {
                stretches.push(vec![(at, value)]);
                top = value;
            }
        }
    }
    stretches
}

/// Share of the variance that the line of least squares explains.
fn linearity(points: &[(f64, f64)]) -> f64 {
    let count = u32::try_from(points.len()).map_or(1.0, f64::from);
    let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / count;
    let (middle, level) = (mean(|point| point.0), mean(|point| point.1));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in points {
        xx += (x - middle) * (x - middle);
        xy += (x - middle) * (y - level);
        yy += (y - level) * (y - level);
    }
    if xx > 0.0 && yy > 0.0 {
        xy * xy / (xx * yy)
    } else {
        0.0
    }
}
