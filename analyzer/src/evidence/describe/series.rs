//! A measurement in a sentence.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;

use super::number::{percent, quoted, span, value};
use crate::evidence::{Measurement, Metric, Shape};

/// What a measurement shows.
pub(super) fn sentence(series: &Measurement, since: Timestamp) -> String {
    let shape = &series.shape;
    let of = match series.container.as_str() {
        "" => String::new(),
        container => format!(" of container {}", quoted(container)),
    };
    match series.metric {
        Metric::MemoryBytes => format!("memory{of}: {}", usage(series, since)),
        Metric::CpuCores => format!("CPU{of}: {}", usage(series, since)),
        Metric::Restarts => {
            let (from, to) = (
                value(series.metric, shape.min),
                value(series.metric, shape.last),
            );
            format!("restarts{of}: from {from} to {to} in the window")
        }
        Metric::Ready => {
            let now = if shape.last >= 0.5 {
                "ready"
            } else {
                "not ready"
            };
            let flips = shape.flips;
            format!("{now} now; readiness changed {flips} times in the window")
        }
    }
}

fn usage(series: &Measurement, since: Timestamp) -> String {
    let shape = &series.shape;
    let told = |number| value(series.metric, number);
    let mut parts = vec![match series.limit.filter(|limit| *limit > 0.0) {
        Some(limit) => {
            let percent = percent(shape.level / limit);
            format!("{} now, {percent} of {}", told(shape.level), told(limit))
        }
        None => format!("{} now", told(shape.level)),
    }];
    let (min, max) = (told(shape.min), told(shape.max));
    parts.push(format!(
        "between {min} and {max} in {} samples",
        shape.count
    ));
    parts.extend(trend(series, shape, since));
    parts.join("; ")
}

/// What it does over time, as far as that is clear.
fn trend(series: &Measurement, shape: &Shape, since: Timestamp) -> Vec<String> {
    let told = |number| value(series.metric, number);
    let mut parts = Vec::new();
    if shape.linearity >= 0.5 && shape.slope_per_hour.abs() > 0.0 {
        let word = if shape.slope_per_hour > 0.0 {
            "climbs"
        } else {
            "falls"
        };
        let slope = told(shape.slope_per_hour.abs());
        let line = percent(shape.linearity);
        parts.push(format!(
            "{word} by {slope} an hour since {since} (a line explains {line})"
        ));
    } else if let Some(change) = shape.change {
        let word = if change.by > 0.0 { "rose" } else { "fell" };
        let (by, at) = (told(change.by.abs()), change.at);
        let sure = percent(change.confidence);
        parts.push(format!("{word} by {by} at {at} ({sure} sure)"));
    }
    if shape.drops > 0 {
        parts.push(format!(
            "fell suddenly {} times without a restart",
            shape.drops
        ));
    }
    if let Some((period, strength)) = shape.season {
        let strength = percent(strength);
        parts.push(format!("repeats every {} ({strength} alike)", span(period)));
    }
    parts
}
