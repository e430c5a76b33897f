//! `PodMetrics` and `NodeMetrics` → usage per container and per node.
//!
//! A reading keeps its own time and the span it was measured over, so that one
//! that has grown old can be told from a fresh one. What does not parse is
//! absent, never zero.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::quantity;

/// A list of the metrics API.
#[derive(Clone, Debug, Deserialize)]
pub struct List<T> {
    /// Its items.
    pub items: Vec<T>,
}

/// Usage of a pod, as the metrics API tells it.
#[derive(Clone, Debug, Deserialize)]
pub struct PodMetrics {
    metadata: Meta,
    timestamp: Timestamp,
    #[serde(default)]
    window: String,
    #[serde(default)]
    containers: Vec<ContainerMetrics>,
}

/// Usage of a node, as the metrics API tells it.
#[derive(Clone, Debug, Deserialize)]
pub struct NodeMetrics {
    metadata: Meta,
    timestamp: Timestamp,
    #[serde(default)]
    window: String,
    usage: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Meta {
    name: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Clone, Debug, Deserialize)]
struct ContainerMetrics {
    name: String,
    #[serde(default)]
    usage: BTreeMap<String, String>,
}

/// What one poll found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// By namespace, then pod.
    pods: HashMap<String, HashMap<String, PodUsage>>,
    /// By node.
    nodes: HashMap<String, (Stamp, Used)>,
}

#[derive(Clone, Debug, PartialEq)]
struct PodUsage {
    stamp: Stamp,
    containers: Vec<(String, Used)>,
}

/// When a reading was taken, and over which span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    at: Timestamp,
    window: SignedDuration,
}

/// What one container or node used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// CPU in cores.
    pub cpu_cores: Option<f64>,
    /// Memory working set in bytes.
    pub memory_bytes: Option<f64>,
}

/// Usage that is fresh enough to tell, and when it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// When.
    pub at: Timestamp,
    /// What.
    pub used: Used,
}

impl Usage {
    /// Adds the pods of one answer.
    pub fn add_pods(&mut self, items: Vec<PodMetrics>) {
        for item in items {
            let usage = PodUsage {
                stamp: Stamp::new(item.timestamp, &item.window),
                containers: item
                    .containers
                    .into_iter()
                    .map(|container| (container.name, Used::read(&container.usage)))
                    .collect(),
            };
            let namespace = self.pods.entry(item.metadata.namespace).or_default();
            namespace.insert(item.metadata.name, usage);
        }
    }

    /// Adds the nodes of one answer.
    pub fn add_nodes(&mut self, items: Vec<NodeMetrics>) {
        for item in items {
            let stamp = Stamp::new(item.timestamp, &item.window);
            self.nodes
                .insert(item.metadata.name, (stamp, Used::read(&item.usage)));
        }
    }

    /// What a container of a pod that exists since `created` used lately.
    ///
    /// The metrics API names pods but not their UIDs: a reading from before the
    /// pod was created is one of its namesake and does not count.
    pub fn of_container(
        &self,
        (namespace, pod, container): (&str, &str, &str),
        created: Option<Timestamp>,
        freshness: &Freshness,
    ) -> Option<Measured> {
        let found = self.pods.get(namespace)?.get(pod)?;
        if created.is_some_and(|created| found.stamp.at < created) || !freshness.admits(found.stamp)
        {
            return None;
        }
        let (_, used) = found
            .containers
            .iter()
            .find(|(name, _)| name == container)?;
        Some(Measured {
            at: found.stamp.at,
            used: *used,
        })
    }

    /// What a node used lately.
    pub fn of_node(&self, name: &str, freshness: &Freshness) -> Option<Measured> {
        let (stamp, used) = self.nodes.get(name)?;
        freshness.admits(*stamp).then_some(Measured {
            at: stamp.at,
            used: *used,
        })
    }
}

impl Used {
    fn read(usage: &BTreeMap<String, String>) -> Self {
        Self {
            cpu_cores: quantity(usage.get("cpu")),
            memory_bytes: quantity(usage.get("memory")),
        }
    }
}

impl Stamp {
    fn new(at: Timestamp, window: &str) -> Self {
        Self {
            at,
            window: go_seconds(window).unwrap_or_default(),
        }
    }
}

/// When usage is too old to tell.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// The instant of the scrape.
    pub now: Timestamp,
    /// The interval between scrapes: a shorter span of measurement counts as this one.
    pub interval: SignedDuration,
}

impl Freshness {
    /// Whether a reading is younger than three spans of measurement.
    fn admits(&self, stamp: Stamp) -> bool {
        // A fresh container is measured over a part of the resolution, a stuck
        // one over ever more: neither may stand for the resolution unbounded.
        let most = SignedDuration::from_mins(2).max(self.interval);
        let span = stamp.window.clamp(self.interval, most);
        self.now.duration_since(stamp.at) <= span.saturating_mul(3)
    }
}

/// Seconds and parts of a second from Go's notation (`1m0.5s`), as far as windows use it.
fn go_seconds(text: &str) -> Option<SignedDuration> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let scale = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    SignedDuration::try_from_secs_f64(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pod(window: &str) -> Usage {
        let json = serde_json::json!({"items": [{
            "metadata": {"name": "p", "namespace": "n"}, "timestamp": "2026-01-01T00:00:00Z", "window": window,
            "containers": [{"name": "c", "usage": {"cpu": "250m", "memory": "106596088"}}, {"name": "d", "usage": {"cpu": "?", "memory": "2Ki"}}],
        }]});
        let list: List<PodMetrics> = serde_json::from_value(json).unwrap();
        let mut usage = Usage::default();
        usage.add_pods(list.items);
        usage
    }

    fn at(second: i64) -> Freshness {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        Freshness {
            now: start + SignedDuration::from_secs(second),
            interval: SignedDuration::from_secs(10),
        }
    }

    #[test]
    fn plain_bytes_and_binary_suffixes_are_both_read() {
        let usage = pod("10s");
        let used = usage
            .of_container(("n", "p", "c"), None, &at(1))
            .unwrap()
            .used;
        assert_eq!(
            (used.cpu_cores, used.memory_bytes),
            (Some(0.25), Some(106_596_088.0))
        );
        let used = usage
            .of_container(("n", "p", "d"), None, &at(1))
            .unwrap()
            .used;
        assert_eq!((used.cpu_cores, used.memory_bytes), (None, Some(2048.0)));
    }

    #[test]
    fn usage_older_than_three_windows_is_no_usage() {
        let usage = pod("20.5s");
        assert!(usage.of_container(("n", "p", "c"), None, &at(61)).is_some());
        assert!(usage.of_container(("n", "p", "c"), None, &at(62)).is_none());
    }

    #[test]
    fn usage_from_before_a_pod_was_created_is_its_namesakes() {
        let created = at(5).now;
        assert!(
            pod("10s")
                .of_container(("n", "p", "c"), Some(created), &at(6))
                .is_none()
        );
    }

    #[test]
    fn windows_are_read_as_go_writes_them() {
        for (text, millis) in [
            ("10s", 10_000),
            ("1m0s", 60_000),
            ("1m0.5s", 60_500),
            ("500ms", 500),
        ] {
            assert_eq!(
                go_seconds(text),
                Some(SignedDuration::from_millis(millis)),
                "{text}"
            );
        }
        for text in ["x", "10", "1y", "s", "1..2s"] {
            assert_eq!(go_seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_window_panics(text in ".*") {
            let _result = go_seconds(&text);
        }
    }
}
