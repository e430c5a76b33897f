//! Memory, CPU, restarts and readiness of the pods in trouble, over time.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::{
    diagnosis::Provenance,
    object::{ContainerState, ObjectState},
};

use super::{
    Draft,
    tick::Tick,
    view::{View, containers, main_container},
};
use crate::{
    evidence::{Fact, Measurement, Metric, Shape, shape},
    window::{History, Values},
};

/// The measurements of the pods that stand for an owner.
pub(super) fn of<'a>(view: &View<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let of_pods = view.placed().flat_map(|(place, pod)| {
        let drafts = of_pod(view, tick, pod);
        drafts
            .into_iter()
            .map(move |draft| draft.later(view.place, place))
    });
    of_pods.collect()
}

fn of_pod<'a>(view: &View<'a>, tick: &Tick<'a>, pod: &'a ObjectState) -> Vec<Draft> {
    let main = main_container(view, pod).map(|one| one.name.as_str());
    let mut drafts = Vec::new();
    for container in containers(pod) {
        let Some(history) = tick.history(&pod.target, &container.name) else {
            continue;
        };
        let restarts = restarts(container, history);
        let is_main = main == Some(container.name.as_str());
        for metric in [Metric::MemoryBytes, Metric::CpuCores, Metric::Restarts] {
            let values = match metric {
                Metric::MemoryBytes => &history.memory,
                Metric::CpuCores => &history.cpu,
                Metric::Restarts | Metric::Ready => &history.restarts,
            };
            let series = measured(
                metric,
                &container.name,
                (values, &restarts),
                limit(metric, container, pod, tick),
            );
            drafts.extend(series.and_then(|series| draft(pod, series, is_main)));
        }
    }
    if let Some(history) = tick.history(&pod.target, "") {
        let series = measured(Metric::Ready, "", (&history.ready, &[]), None);
        drafts.extend(series.and_then(|series| draft(pod, series, true)));
    }
    drafts
}

/// A measurement with its onset.
type Onset = (Measurement, Timestamp);

fn measured(
    metric: Metric,
    container: &str,
    (values, restarts): (&Values, &[Timestamp]),
    limit: Option<f64>,
) -> Option<Onset> {
    let points = points(values);
    let shape = shape::shape(&points, restarts);
    let since = shape::onset(&points, &shape)?;
    let measurement = Measurement {
        metric,
        container: container.to_owned(),
        limit,
        shape,
        points: shape::thinned(&points),
    };
    Some((measurement, since))
}

/// Values with their instants.
pub(super) fn points(values: &Values) -> Vec<shape::Point> {
    let point = |(at, value): &(i64, f64)| Some((Timestamp::from_millisecond(*at).ok()?, *value));
    values.iter().filter_map(point).collect()
}

/// When the container was restarted, as far as the window and its last end tell.
fn restarts(container: &ContainerState, history: &History) -> Vec<Timestamp> {
    let grown = history.restarts.windows(2).filter_map(|two| match two {
        [(_, before), (at, after)] if after > before => Timestamp::from_millisecond(*at).ok(),
        _ => None,
    });
    let last = container.last_termination.as_ref();
    grown.chain(last.and_then(|end| end.finished_at)).collect()
}

/// The container's limit, else what its node can give.
fn limit(
    metric: Metric,
    container: &ContainerState,
    pod: &ObjectState,
    tick: &Tick<'_>,
) -> Option<f64> {
    let node = || {
        let name = &pod.pod.as_ref()?.node;
        tick.node(name)?.node.as_ref()
    };
    match metric {
        Metric::MemoryBytes => container
            .resources
            .memory_limit_bytes
            .or_else(|| node().map(|node| node.memory_allocatable_bytes)),
        Metric::CpuCores => container
            .resources
            .cpu_limit_cores
            .or_else(|| node().map(|node| node.cpu_allocatable_cores)),
        Metric::Restarts | Metric::Ready => None,
    }
}

/// What a measurement is worth; none where there is nothing to see.
fn draft(pod: &ObjectState, (series, since): Onset, is_main: bool) -> Option<Draft> {
    let worth = worth(&series, is_main)?;
    let draft = Draft::new(worth, &pod.target, since, Fact::Series(series));
    Some(draft.of(Provenance::Metric))
}

fn worth(series: &Measurement, is_main: bool) -> Option<u8> {
    let shape = &series.shape;
    let reference = series
        .limit
        .filter(|limit| *limit > 0.0)
        .unwrap_or(shape.max);
    let quiet = |worth: u8| is_main.then_some(worth);
    match series.metric {
        Metric::MemoryBytes => {
            if moves(shape, reference) || shape.level >= 0.8 * reference {
                Some(88)
            } else {
                quiet(56)
            }
        }
        Metric::CpuCores if shape.level >= 0.8 * reference => Some(86),
        Metric::CpuCores if moves(shape, reference) => quiet(60),
        Metric::CpuCores => quiet(48),
        Metric::Restarts => (shape.last > shape.min).then_some(74),
        Metric::Ready if shape.flips > 0 => Some(85),
        Metric::Ready => (shape.last < 0.5).then_some(66),
    }
}

/// Whether a series climbs, falls again and again, or has come down from a peak.
fn moves(shape: &Shape, reference: f64) -> bool {
    let range = shape.max - shape.min;
    let climbs = shape.slope_per_hour > 0.0 && shape.linearity >= 0.5 && range >= 0.1 * reference;
    let fell = range >= 0.2 * shape.max && shape.level <= shape.max - 0.6 * range;
    climbs || fell || shape.drops >= 2
}
