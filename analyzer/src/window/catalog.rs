//! Which series there are, and what their labels say.
//!
//! A series is a container of a pod (or the pod itself, for what is said of
//! pods); samples name it by a small number. Texts are held once and named by
//! number too. Numbers of series that left the window are given out again and
//! texts that nobody uses any more are dropped, so a cluster that replaces its
//! pods all day does not grow the catalog.
//!
//! Pure: no IO, no clock.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use super::decode::{Batch, Names};

/// Position of each label among the labels of a series.
pub(crate) mod label {
    /// How many labels there are.
    pub(crate) const COUNT: usize = 8;
    /// The UID of the pod stands here: carried, never shown to a query.
    pub(crate) const POD_UID: usize = 2;
    /// The container stands here.
    pub(crate) const CONTAINER: usize = 3;
}

/// The number of the empty text: a label that is not set, as in Prometheus.
pub(crate) const EMPTY: u32 = 0;
/// The number of the text `cpu`.
pub(crate) const CPU: u32 = 1;
/// The number of the text `memory`.
pub(crate) const MEMORY: u32 = 2;

/// Below this many texts, unused ones are not looked for: 1,024 of them weigh less than 100 kB.
const FEW_TEXTS: usize = 1024;

/// The labels of one series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesLabels {
    /// Namespace of the pod.
    pub namespace: Arc<str>,
    /// Name of the pod.
    pub pod: Arc<str>,
    /// UID of the pod.
    pub pod_uid: Arc<str>,
    /// Name of the container; empty for a series about the pod as a whole.
    pub container: Arc<str>,
    /// Name of the node, empty before scheduling.
    pub node: Arc<str>,
    /// Kind of the top-most known owner, empty when there is none.
    pub owner_kind: Arc<str>,
    /// Name of that owner.
    pub owner_name: Arc<str>,
    /// Quality-of-service class.
    pub qos: Arc<str>,
}

/// Whom a series is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One container.
    Container,
    /// A pod as a whole.
    Pod,
}

/// Every series in the window, with its labels.
#[derive(Debug)]
pub struct Catalog {
    texts: Texts,
    containers: Space,
    pods: Space,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            texts: Texts::new(),
            containers: Space::default(),
            pods: Space::default(),
        }
    }
}

impl Catalog {
    /// How many containers have samples in the window.
    pub fn len(&self) -> usize {
        self.containers.live()
    }

    /// Whether no container has a sample in the window.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels of the container series `id`.
    pub fn labels(&self, id: u32) -> Option<SeriesLabels> {
        let labels = self.containers.labels(id)?;
        let text = |position: usize| self.texts.text(labels.get(position).copied());
        Some(SeriesLabels {
            namespace: text(0),
            pod: text(1),
            pod_uid: text(2),
            container: text(3),
            node: text(4),
            owner_kind: text(5),
            owner_name: text(6),
            qos: text(7),
        })
    }

    /// Every container series with its labels, in the order of their numbers.
    pub fn series(&self) -> impl Iterator<Item = (u32, SeriesLabels)> + '_ {
        (0..self.containers.slots()).filter_map(|id| Some((id, self.labels(id)?)))
    }

    /// How many texts are held.
    pub fn texts(&self) -> usize {
        self.texts.all.len()
    }

    /// Every text by its number; valid for frames made before the next change of the catalog.
    pub(crate) fn all_texts(&self) -> Arc<Vec<Arc<str>>> {
        Arc::clone(&self.texts.all)
    }

    /// The number of a text, if it is known.
    pub(crate) fn number(&self, text: &str) -> Option<u32> {
        self.texts.index.get(text).copied()
    }

    /// The numbers of the labels of a series.
    pub(crate) fn numbers(&self, scope: Scope, id: u32) -> Option<&[u32; label::COUNT]> {
        self.space(scope).labels(id)
    }

    /// The series of a container of the pod with this UID; of the pod itself, where the name is empty.
    pub(crate) fn find(&self, scope: Scope, pod_uid: &str, container: &str) -> Option<u32> {
        let key = (self.number(pod_uid)?, self.number(container)?);
        self.space(scope).index.get(&key).copied()
    }

    /// How many numbers of series are or were given out.
    pub(crate) fn slots(&self, scope: Scope) -> usize {
        self.space(scope).series.len()
    }

    /// Every series of a scope, ordered by namespace, pod, UID and container:
    /// the same order whatever order the samples came in.
    pub(crate) fn ordered(&self, scope: Scope) -> &[u32] {
        let space = self.space(scope);
        space.order.get_or_init(|| space.sorted(&self.texts))
    }

    /// Gives each row of a batch its container series and its pod series.
    pub(crate) fn assign(&mut self, batch: &Batch, tick: i64) -> Vec<(u32, u32)> {
        let columns: Vec<Vec<u32>> = batch
            .labels
            .iter()
            .map(|names| self.texts.intern_all(names))
            .collect();
        (0..batch.rows)
            .map(|row| {
                let mut labels = [EMPTY; label::COUNT];
                for (label, column) in labels.iter_mut().zip(&columns) {
                    *label = column.get(row).copied().unwrap_or(EMPTY);
                }
                let container = self.containers.assign(labels, tick);
                labels[label::CONTAINER] = EMPTY;
                (container, self.pods.assign(labels, tick))
            })
            .collect()
    }

    /// Forgets the series whose newest sample is not after `horizon`, then unused texts.
    pub(crate) fn evict(&mut self, horizon: i64) {
        self.containers.evict(horizon);
        self.pods.evict(horizon);
        if self.texts.all.len() > self.texts.enough {
            self.texts
                .compact(&mut [&mut self.containers, &mut self.pods]);
        }
    }

    fn space(&self, scope: Scope) -> &Space {
        match scope {
            Scope::Container => &self.containers,
            Scope::Pod => &self.pods,
        }
    }
}

/// One range of series numbers.
#[derive(Debug, Default)]
struct Space {
    series: Vec<Option<Entry>>,
    index: HashMap<(u32, u32), u32>,
    free: Vec<u32>,
    order: OnceLock<Vec<u32>>,
}

#[derive(Clone, Debug)]
struct Entry {
    labels: [u32; label::COUNT],
    newest: i64,
}

impl Space {
    fn live(&self) -> usize {
        self.index.len()
    }

    fn slots(&self) -> u32 {
        u32::try_from(self.series.len()).unwrap_or(u32::MAX)
    }

    fn labels(&self, id: u32) -> Option<&[u32; label::COUNT]> {
        let entry = self.series.get(usize::try_from(id).ok()?)?;
        entry.as_ref().map(|entry| &entry.labels)
    }

    /// The series of a pod's UID and container. Labels that change (a pod is scheduled) follow the newest sample.
    fn assign(&mut self, labels: [u32; label::COUNT], tick: i64) -> u32 {
        let key = (labels[label::POD_UID], labels[label::CONTAINER]);
        if let Some(&id) = self.index.get(&key) {
            if let Some(Some(entry)) = self.series.get_mut(id as usize)
                && tick >= entry.newest
            {
                entry.newest = tick;
                if entry.labels != labels {
                    entry.labels = labels;
                    self.order = OnceLock::new();
                }
            }
            return id;
        }
        let entry = Some(Entry {
            labels,
            newest: tick,
        });
        let id = self.free.pop().unwrap_or_else(|| {
            self.series.push(None);
            self.slots() - 1
        });
        if let Some(slot) = self.series.get_mut(id as usize) {
            *slot = entry;
        }
        self.index.insert(key, id);
        self.order = OnceLock::new();
        id
    }

    fn evict(&mut self, horizon: i64) {
        for (id, slot) in (0_u32..).zip(&mut self.series) {
            if slot.as_ref().is_some_and(|entry| entry.newest <= horizon)
                && let Some(entry) = slot.take()
            {
                self.index
                    .remove(&(entry.labels[label::POD_UID], entry.labels[label::CONTAINER]));
                self.free.push(id);
                self.order = OnceLock::new();
            }
        }
    }

    fn sorted(&self, texts: &Texts) -> Vec<u32> {
        let mut order: Vec<(u32, &[u32; label::COUNT])> = (0_u32..)
            .zip(&self.series)
            .filter_map(|(id, slot)| Some((id, &slot.as_ref()?.labels)))
            .collect();
        let key = |labels: &[u32; label::COUNT]| {
            [labels[0], labels[1], labels[2], labels[3]].map(|number| texts.str(number))
        };
        order.sort_by_cached_key(|(_, labels)| key(labels));
        order.into_iter().map(|(id, _)| id).collect()
    }
}

/// Texts, each held once.
#[derive(Debug)]
struct Texts {
    all: Arc<Vec<Arc<str>>>,
    index: HashMap<Arc<str>, u32>,
    enough: usize,
}

impl Texts {
    fn new() -> Self {
        let mut texts = Self {
            all: Arc::default(),
            index: HashMap::new(),
            enough: FEW_TEXTS,
        };
        for reserved in ["", "cpu", "memory"] {
            texts.intern(reserved);
        }
        texts
    }

    fn intern(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.index.get(text) {
            return number;
        }
        let held: Arc<str> = Arc::from(text);
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        Arc::make_mut(&mut self.all).push(Arc::clone(&held));
        self.index.insert(held, number);
        number
    }

    fn intern_all(&mut self, names: &Names) -> Vec<u32> {
        let numbers: Vec<u32> = names.values.iter().map(|text| self.intern(text)).collect();
        names
            .keys
            .iter()
            .map(|&key| numbers.get(key as usize).copied().unwrap_or(EMPTY))
            .collect()
    }

    fn str(&self, number: u32) -> &str {
        self.all.get(number as usize).map_or("", AsRef::as_ref)
    }

    fn text(&self, number: Option<u32>) -> Arc<str> {
        let found = number.and_then(|number| self.all.get(number as usize));
        found.map_or_else(|| Arc::from(""), Arc::clone)
    }

    /// Drops unused texts and renumbers the rest; looks again when there are twice as many.
    fn compact(&mut self, spaces: &mut [&mut Space]) {
        let old = std::mem::replace(self, Self::new());
        for space in spaces {
            for entry in space.series.iter_mut().flatten() {
                for label in &mut entry.labels {
                    *label = self.intern(old.str(*label));
                }
            }
            space.index = (0_u32..)
                .zip(&space.series)
                .filter_map(|(id, slot)| {
                    let labels = &slot.as_ref()?.labels;
                    Some(((labels[label::POD_UID], labels[label::CONTAINER]), id))
                })
                .collect();
        }
        self.enough = FEW_TEXTS.max(2 * self.all.len());
    }
}
