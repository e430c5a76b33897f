//! The metrics that queries may name.
//!
//! Pure: no IO, no clock.

use super::error::Error;
use crate::window::{CPU, EMPTY, MEMORY, Reading};

/// Metrics with their readings; each reading with the value of the label `resource`.
const METRICS: [(&str, &[(Reading, u32)]); 18] = [
    (
        "container_memory_working_set_bytes",
        &[(Reading::Memory, EMPTY)],
    ),
    ("container_cpu_usage_cores", &[(Reading::Cpu, EMPTY)]),
    (
        "kube_pod_container_resource_limits",
        &[(Reading::CpuLimit, CPU), (Reading::MemoryLimit, MEMORY)],
    ),
    (
        "kube_pod_container_resource_requests",
        &[(Reading::CpuRequest, CPU), (Reading::MemoryRequest, MEMORY)],
    ),
    (
        "kube_pod_container_status_restarts_total",
        &[(Reading::Restarts, EMPTY)],
    ),
    (
        "kube_pod_container_status_ready",
        &[(Reading::Ready, EMPTY)],
    ),
    ("kube_pod_status_ready", &[(Reading::PodReady, EMPTY)]),
    ("memory_usage_bytes", &[(Reading::Memory, EMPTY)]),
    ("cpu_usage_cores", &[(Reading::Cpu, EMPTY)]),
    ("memory_usage_percent", &[(Reading::MemoryPercent, EMPTY)]),
    ("cpu_usage_percent", &[(Reading::CpuPercent, EMPTY)]),
    // A node's limit is what it can give.
    ("node_memory_usage_bytes", &[(Reading::Memory, EMPTY)]),
    ("node_cpu_usage_cores", &[(Reading::Cpu, EMPTY)]),
    (
        "node_memory_usage_percent",
        &[(Reading::MemoryPercent, EMPTY)],
    ),
    ("node_cpu_usage_percent", &[(Reading::CpuPercent, EMPTY)]),
    (
        "node_memory_allocatable_bytes",
        &[(Reading::MemoryLimit, EMPTY)],
    ),
    ("node_cpu_allocatable_cores", &[(Reading::CpuLimit, EMPTY)]),
    ("node_ready", &[(Reading::PodReady, EMPTY)]),
];

/// What the names of metrics of nodes begin with.
const OF_NODES: &str = "node_";

/// Whether a metric is of nodes.
pub(super) fn is_of_nodes(name: &str) -> bool {
    name.starts_with(OF_NODES)
}

/// Short names that look at a whole window, not at an instant.
pub(super) const RECORDED: [&str; 3] = ["restart_count", "availability", "error_rate"];

/// The labels that queries may name; `resource` is of limits and requests only.
pub(super) const LABELS: [&str; 8] = [
    "namespace",
    "pod",
    "container",
    "node",
    "owner_kind",
    "owner_name",
    "qos",
    "resource",
];

/// The readings of a metric.
pub(super) fn readings(name: &str) -> Result<&'static [(Reading, u32)], Error> {
    let found = METRICS.iter().find(|(known, _)| *known == name);
    found.map(|(_, readings)| *readings).ok_or_else(|| {
        let known = METRICS.iter().map(|(known, _)| *known).chain(RECORDED);
        Error::UnknownMetric {
            name: name.to_owned(),
            nearest: nearest(name, known.clone()),
            known: known.collect::<Vec<_>>().join(", "),
        }
    })
}

/// The label of that name, or an error that lists them.
pub(super) fn label(name: &str) -> Result<&'static str, Error> {
    let found = LABELS.iter().find(|known| **known == name);
    found.copied().ok_or_else(|| Error::UnknownLabel {
        name: name.to_owned(),
        nearest: nearest(name, LABELS.into_iter()),
        known: LABELS.join(", "),
    })
}

/// The known name that takes the fewest edits, if it is less than half of the name.
fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<String> {
    let distances = known.map(|known| (distance(name, known), known));
    let (distance, nearest) = distances.min()?;
    (2 * distance <= name.chars().count()).then(|| nearest.to_owned())
}

/// Levenshtein's distance: how many characters to insert, remove or replace.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, from) in from.chars().enumerate() {
        let mut left = row + 1;
        let mut line = vec![left];
        for (to, pair) in to.iter().zip(above.windows(2)) {
            let [diagonal, up] = pair else { continue };
            left = (diagonal + usize::from(from != *to))
                .min(up + 1)
                .min(left + 1);
            line.push(left);
        }
        above = line;
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_metric_names_the_nearest() {
        let error = readings("memory_usage_percnt").unwrap_err().to_string();
        assert!(
            error.contains("did you mean memory_usage_percent?"),
            "{error}"
        );
        assert!(error.contains("kube_pod_status_ready"), "{error}");
    }

    #[test]
    fn a_name_like_no_other_suggests_nothing() {
        let error = readings("http_requests_total").unwrap_err();
        assert!(
            matches!(error, Error::UnknownMetric { nearest: None, .. }),
            "{error}"
        );
    }
}
