//! How much CPU and memory the containers of each owner need.
//!
//! In: what the containers of each scrape used. Out: for a container of a
//! workload, the amount that covers what it used, with the numbers that this
//! rests on. The method is that of the Vertical Pod Autoscaler's recommender
//! (`kubernetes/autoscaler`, `vertical-pod-autoscaler/pkg/recommender`): a
//! decaying histogram of what was used for CPU, one of the peaks for memory, the
//! 90th percentile of either, and a margin on top. What heals must not be too
//! small for what was seen an hour ago, so an amount is, beyond that method,
//! never below the highest value of the last day plus the margin.
//!
//! It is kept per container of an owner, since the pods of an owner are alike
//! and come and go. The number of containers is capped; the one that was not
//! seen for longest makes room. All of it is made anew from the retained stream
//! of samples after a start. The order of samples of one day does not matter.
//!
//! Pure: no IO, no clock.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use schemas::policy::{HealingPolicy, Recommended};

use crate::window::SeriesLabels;

use self::{
    histogram::{Decaying, HALF_LIFE, Scale},
    peaks::{Peaks, Raised},
};

mod histogram;
mod peaks;
pub mod resize;
#[cfg(test)]
mod tests;

/// How far back samples are worth reading after a start: the peaks reach no further.
pub const HISTORY: SignedDuration = SignedDuration::from_hours(24);

/// The most containers of owners that are kept. One takes about 5 kB, so all of them about 50 MB.
pub const MOST_CONTAINERS: usize = 10_000;

/// The share of the weight that an amount covers, as in the recommender (`--target-cpu-percentile`).
const PERCENTILE: f64 = 0.9;

/// Half-lives after which what was seen last counts for nothing: a week and a
/// day, as long as the recommender remembers.
const FORGET_AFTER: i64 = 8 * HALF_LIFE;

/// Of how many parts of the containers one makes room when there are too many.
const PARTS: usize = 8;

/// What a container uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// CPU, in cores.
    Cpu,
    /// Memory working set, in bytes.
    Memory,
}

impl Resource {
    /// The resource as pods spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

/// A container of an owner, or of a pod without one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Container {
    /// Namespace of the owner.
    pub namespace: Arc<str>,
    /// Kind of the top-most owner; `Pod` for a pod without one.
    pub kind: Arc<str>,
    /// Name of that owner.
    pub name: Arc<str>,
    /// Name of the container.
    pub container: Arc<str>,
}

impl From<SeriesLabels> for Container {
    fn from(labels: SeriesLabels) -> Self {
        let SeriesLabels {
            namespace,
            pod,
            pod_uid: _,
            container,
            node: _,
            owner_kind,
            owner_name,
            qos: _,
        } = labels;
        // A static pod is owned by its node, whose other pods are nothing like it.
        let (kind, name) = match &*owner_kind {
            "" | "Node" => (Arc::from("Pod"), pod),
            _ => (owner_kind, owner_name),
        };
        Self {
            namespace,
            kind,
            name,
            container,
        }
    }
}

/// One measurement of a container.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// Of which container.
    pub of: Container,
    /// When it was measured.
    pub at: Timestamp,
    /// What was measured.
    pub resource: Resource,
    /// Cores, or bytes.
    pub value: f64,
}

/// An amount, and what it rests on. Cores for CPU, bytes for memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Basis {
    /// What covers what was seen, with the margin.
    pub amount: f64,
    /// The highest value of the last day that was seen.
    pub peak: f64,
    /// The 90th percentile: of what was used for CPU, of the peaks for memory.
    pub percentile: f64,
    /// How many measurements that is of.
    pub samples: u32,
    /// When the first of them was made.
    pub since: Timestamp,
}

/// There are not enough samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Short {
    /// How many there are.
    pub samples: u32,
}

/// Usage of all containers.
#[derive(Debug)]
pub struct Sizing {
    most: usize,
    scales: [Scale; 2],
    containers: BTreeMap<Container, Tracked>,
    /// The instant at which there was no room: nothing that was seen since can make any.
    full_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Tracked {
    seen_at: Timestamp,
    resources: [Option<Seen>; 2],
}

/// One resource of one container.
#[derive(Clone, Debug)]
struct Seen {
    samples: u32,
    since: Timestamp,
    peaks: Peaks,
    histogram: Decaying,
}

impl Default for Sizing {
    fn default() -> Self {
        Self::new(MOST_CONTAINERS)
    }
}

impl Sizing {
    /// Knows nothing yet, and of so many containers at most.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            // From 10 millicores to 1,000 cores, and from 10 MB to 1 TB, as in the
            // recommender's `aggregations_config.go`.
            scales: [Scale::new(0.01, 1e3), Scale::new(1e7, 1e12)],
            containers: BTreeMap::new(),
            full_at: None,
        }
    }

    /// Takes one measurement in; what is no amount is passed over.
    pub fn take(&mut self, usage: Usage) {
        let Usage {
            of,
            at,
            resource,
            value,
        } = usage;
        if !value.is_finite() || value < 0.0 {
            return;
        }
        if !self.containers.contains_key(&of) && !self.has_room(at) {
            return;
        }
        let tracked = self.containers.entry(of).or_insert_with(|| Tracked {
            seen_at: at,
            resources: [None, None],
        });
        tracked.seen_at = tracked.seen_at.max(at);
        let [cpu, memory] = &mut tracked.resources;
        let [cores, bytes] = &self.scales;
        match resource {
            Resource::Cpu => Seen::of(cpu, at).take_use(cores, at, value),
            Resource::Memory => Seen::of(memory, at).take_peak(bytes, at, value),
        }
    }

    /// Forgets what was not seen for so long that it would weigh nothing.
    pub fn advance(&mut self, now: Timestamp) {
        let gone = SignedDuration::from_secs(FORGET_AFTER);
        self.containers
            .retain(|_, tracked| now.duration_since(tracked.seen_at) < gone);
    }

    /// How many containers are kept.
    pub fn len(&self) -> usize {
        self.containers.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty()
    }

    /// What a container needs of a resource.
    ///
    /// # Errors
    /// When there are fewer samples than were asked for.
    pub fn amount(
        &self,
        of: &Container,
        resource: Resource,
        asked: &Recommended,
    ) -> Result<Basis, Short> {
        let tracked = self.containers.get(of).ok_or_else(Short::default)?;
        let [cpu, memory] = &tracked.resources;
        let [cores, bytes] = &self.scales;
        let (seen, scale) = match resource {
            Resource::Cpu => (cpu, cores),
            Resource::Memory => (memory, bytes),
        };
        let seen = seen.as_ref().ok_or_else(Short::default)?;
        let samples = seen.samples;
        let highest = (
            seen.peaks.highest(),
            seen.histogram.percentile(scale, PERCENTILE),
        );
        let (Some(peak), Some(percentile)) = highest else {
            return Err(Short { samples });
        };
        if samples < asked.min_samples {
            return Err(Short { samples });
        }
        let margin = 1.0 + f64::from(asked.margin_percent) / 100.0;
        Ok(Basis {
            amount: peak.max(percentile) * margin,
            peak,
            percentile,
            samples,
            since: seen.since,
        })
    }

    /// Whether one more container fits, after those that were not seen for longest have made room.
    fn has_room(&mut self, at: Timestamp) -> bool {
        if self.containers.len() < self.most {
            return true;
        }
        if self.full_at.is_some_and(|full_at| at <= full_at) {
            return false;
        }
        let mut seen: Vec<Timestamp> = self
            .containers
            .values()
            .map(|tracked| tracked.seen_at)
            .filter(|seen_at| *seen_at < at)
            .collect();
        seen.sort_unstable();
        let Some(oldest) = seen.get(seen.len() / PARTS).copied() else {
            self.full_at = Some(at);
            return false;
        };
        self.containers
            .retain(|_, tracked| tracked.seen_at > oldest);
        self.containers.len() < self.most
    }
}

impl Seen {
    fn of(seen: &mut Option<Self>, at: Timestamp) -> &mut Self {
        let seen = seen.get_or_insert_with(|| Self {
            samples: 0,
            since: at,
            peaks: Peaks::default(),
            histogram: Decaying::default(),
        });
        seen.samples = seen.samples.saturating_add(1);
        seen.since = seen.since.min(at);
        seen
    }

    /// CPU can be had later, so how often it was used counts.
    fn take_use(&mut self, scale: &Scale, at: Timestamp, value: f64) {
        self.histogram.add(scale, at, value);
        self.peaks.raise(at, value);
    }

    /// Memory that is not there kills, so the peak of each hour counts.
    fn take_peak(&mut self, scale: &Scale, at: Timestamp, value: f64) {
        let Raised::Yes { start, before } = self.peaks.raise(at, value) else {
            return;
        };
        if let Some(before) = before {
            self.histogram.subtract(scale, start, before);
        }
        self.histogram.add(scale, start, value);
    }
}

/// Whether any policy asks for recommended sizes, without which none are worked out.
pub fn is_asked_for<'a>(policies: impl IntoIterator<Item = &'a Arc<HealingPolicy>>) -> bool {
    let mut actions = policies.into_iter().flat_map(|policy| &policy.spec.actions);
    actions.any(|action| {
        let resize = action.resize_action.as_ref();
        resize.is_some_and(|resize| resize.recommended.is_some())
    })
}
