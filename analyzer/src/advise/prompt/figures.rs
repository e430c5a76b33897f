//! Numbers, spans and counts as a prompt spells them.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};
use schemas::object::Resources;

use crate::evidence::{Measurement, Scheduling};

/// Values of a series that are shown.
const MOST_POINTS: usize = 12;

pub(super) fn scheduling(counts: &Scheduling) -> String {
    let Scheduling {
        nodes,
        insufficient,
        tainted,
        unmatched,
        unbound,
    } = counts;
    let unbound = if *unbound {
        "; a volume claim is not bound"
    } else {
        ""
    };
    format!(
        "of {nodes} nodes {insufficient} lack resources, {tainted} have a taint it does not tolerate, {unmatched} do not match it{unbound}"
    )
}

pub(super) fn resources(resources: &Resources) -> String {
    let shown = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), number);
    format!(
        "memory limit {} request {} bytes; CPU limit {} request {} cores",
        shown(resources.memory_limit_bytes),
        shown(resources.memory_request_bytes),
        shown(resources.cpu_limit_cores),
        shown(resources.cpu_request_cores)
    )
}

pub(super) fn points(series: &Measurement) -> String {
    let points = &series.points;
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    let values = points.iter().step_by(step);
    let values = values.map(|(_, value)| value.map_or_else(|| "gap".to_owned(), number));
    values.collect::<Vec<_>>().join(" ")
}

/// How long something lasts, coarsely.
pub(super) fn age(since: Timestamp, at: Timestamp) -> String {
    span(at.duration_since(since))
}

pub(super) fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A number with three digits that count.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "unknown".to_owned();
    }
    let scale = [(1e9, "G"), (1e6, "M"), (1e4, "k")];
    let scaled = scale.iter().find(|(least, _)| value.abs() >= *least);
    let (value, unit) = match scaled {
        Some((1e4, unit)) => (value / 1e3, *unit),
        Some((least, unit)) => (value / least, *unit),
        None => (value, ""),
    };
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 || size == 0.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    let short = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{short}{unit}")
}
