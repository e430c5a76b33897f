//! The samples of the last period, in event time and bounded memory.
//!
//! Scrapes and cluster events go in; frames for queries come out. A scrape is
//! kept as columns, one set per tick: an append touches nothing older, a late
//! scrape takes its place among the others, and eviction drops whole scrapes.
//! What a query answers depends on which scrapes are held, never on the order
//! they came in. Nothing reads a clock: the watermark is the last tick that
//! [`Window::advance`] was told. Why the state has this shape, with figures:
//! `docs/adr/0001-window-state.md`.
//!
//! Pure: no IO, no clock.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, OnceLock},
};

use jiff::{SignedDuration, Timestamp};
use schemas::{cluster_event::ClusterEvent, sample::Shard, target::Target};

use crate::sizing::{Resource, Usage};

pub use self::{
    catalog::{Catalog, SeriesLabels},
    decode::Error,
};

mod catalog;
mod decode;
mod envelope;
mod events;
#[cfg(test)]
pub(crate) mod fixture;
mod frame;
mod history;
#[cfg(test)]
mod tests;
mod tick;

pub(crate) use self::{
    catalog::{CPU, EMPTY, MEMORY, label},
    events::{Happened, Wanted, before, whole},
    frame::{SAMPLED_AT, SERIES, Span, TIME, VALUE},
    history::{ContainerName, Histories, History, Values},
    tick::Reading,
};
use self::{
    decode::Batch,
    events::Events,
    tick::{Keys, Specs, Tick},
};

/// How much a window holds.
#[derive(Clone, Copy, Debug)]
pub struct WindowConfig {
    /// The span of samples that queries need: the largest [`crate::promql::Query::span`] of them all.
    pub period: SignedDuration,
    /// How old the newest sample of a series may be to still stand for it: 60 s unless there is a reason.
    pub lookback: SignedDuration,
    /// The most rows, one per container and scrape, and the most events. The oldest go first.
    pub max_rows: usize,
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self {
            period: SignedDuration::from_mins(10),
            lookback: SignedDuration::from_secs(60),
            // 150,000 pods for 10 minutes at 15 s, which take about 200 MB.
            max_rows: 6_000_000,
        }
    }
}

/// What became of a scrape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Rows taken in.
    pub rows: usize,
    /// It lies behind the watermark. One that is older than all the window holds is not taken in.
    pub late: bool,
    /// This shard of this tick was there already; nothing was taken in.
    pub duplicate: bool,
    /// Rows of the oldest scrapes that had to go to keep within the most there may be.
    pub evicted: usize,
}

/// The samples of the last period.
#[derive(Debug)]
pub struct Window {
    config: WindowConfig,
    catalog: Catalog,
    ticks: BTreeMap<i64, Tick>,
    specs: Specs,
    rows: usize,
    events: Events,
    /// Pods that are gone, by UID, and since when.
    gone: HashMap<Arc<str>, i64>,
    watermark: Option<i64>,
    /// The samples of nodes, in which a node stands where a container does here.
    nodes: OnceLock<Box<Self>>,
}

impl Window {
    /// An empty window.
    pub fn new(config: WindowConfig) -> Self {
        Self {
            config,
            catalog: Catalog::default(),
            ticks: BTreeMap::new(),
            specs: Specs::default(),
            rows: 0,
            events: Events::default(),
            gone: HashMap::new(),
            watermark: None,
            nodes: OnceLock::new(),
        }
    }

    /// Takes in one shard of a scrape, an Arrow IPC stream as `schemas::sample`
    /// describes it. On an error the window is as it was before.
    pub fn append(&mut self, tick: Timestamp, shard: Shard, ipc: &[u8]) -> Result<Appended, Error> {
        let batch = decode::decode(ipc, self.config.max_rows)?;
        Ok(self.take(tick, shard, &batch))
    }

    /// Takes in the nodes of a scrape. On an error the window is as it was before.
    pub fn append_nodes(&mut self, tick: Timestamp, ipc: &[u8]) -> Result<Appended, Error> {
        let batch = decode::decode_nodes(ipc, self.config.max_rows)?;
        let only = Shard { index: 0, count: 1 };
        self.nodes();
        let nodes = self.nodes.get_mut();
        Ok(nodes.map_or_else(Appended::default, |nodes| nodes.take(tick, only, &batch)))
    }

    /// Gives `take` what the containers of the scrape at `tick` used, except
    /// what the scrape before it had told already: usage is measured less often
    /// than it may be asked for.
    pub fn each_usage(&self, tick: Timestamp, mut take: impl FnMut(Usage)) {
        let at = tick.as_millisecond();
        let Some(scrape) = self.ticks.get(&at) else {
            return;
        };
        let before = self.ticks.range(..at).next_back();
        for (reading, resource) in [
            (Reading::Cpu, Resource::Cpu),
            (Reading::Memory, Resource::Memory),
        ] {
            let mut told: HashMap<u32, i64> = HashMap::new();
            if let Some((before, scrape)) = before {
                scrape.each(reading, &self.specs, |id, _, behind| {
                    told.insert(id, before.saturating_sub(i64::from(behind)));
                });
            }
            scrape.each(reading, &self.specs, |id, value, behind| {
                let measured = at.saturating_sub(i64::from(behind));
                let is_new = told.get(&id) != Some(&measured);
                let labels = || self.catalog.labels(id);
                if let Some(value) = value.filter(|_| is_new)
                    && let Some(labels) = labels()
                    && let Ok(at) = Timestamp::from_millisecond(measured)
                {
                    let of = labels.into();
                    take(Usage {
                        of,
                        at,
                        resource,
                        value,
                    });
                }
            });
        }
    }

    /// The samples of nodes.
    pub fn nodes(&self) -> &Self {
        self.nodes.get_or_init(|| Box::new(Self::new(self.config)))
    }

    fn take(&mut self, tick: Timestamp, shard: Shard, batch: &Batch) -> Appended {
        let at = tick.as_millisecond();
        let late = self.watermark.is_some_and(|watermark| at <= watermark);
        let too_old = self.horizon().is_some_and(|horizon| at <= horizon);
        let duplicate = self.ticks.get(&at).is_some_and(|tick| tick.has(shard));
        if too_old || duplicate {
            return Appended {
                late,
                duplicate,
                ..Appended::default()
            };
        }
        let series = self.catalog.assign(batch, at);
        let mut keys = Keys {
            series: &series,
            specs: &mut self.specs,
        };
        let slot = self.ticks.entry(at).or_default();
        let rows = slot.append(at, shard, batch, &mut keys);
        self.rows += rows;
        Appended {
            rows,
            late,
            duplicate,
            evicted: self.shrink(),
        }
    }

    /// Takes in cluster events. An Event's UID and count make a repeat harmless.
    pub fn append_events(&mut self, events: &[ClusterEvent]) {
        for event in events {
            self.events.append(event, self.config.max_rows);
        }
    }

    /// Notes that a pod is gone: none of its series has a value at or after `at`.
    pub fn forget_pod(&mut self, uid: &str, at: Timestamp) {
        let at = at.as_millisecond();
        if let Some(since) = self.gone.get_mut(uid) {
            *since = at.min(*since);
        } else if self.gone.len() < self.config.max_rows {
            self.gone.insert(Arc::from(uid), at);
        }
    }

    /// Moves the watermark to `tick` and evicts what no query at or after it
    /// needs, and what lies so far ahead of it that a clock must have jumped.
    /// Moving back is allowed: a clock that was wrong is put right.
    pub fn advance(&mut self, tick: Timestamp) {
        if let Some(nodes) = self.nodes.get_mut() {
            nodes.advance(tick);
        }
        let at = tick.as_millisecond();
        self.watermark = Some(at);
        let horizon = at.saturating_sub(self.retention());
        let future = at.saturating_add(self.retention());
        let mut kept = self.ticks.split_off(&horizon.saturating_add(1));
        kept.split_off(&future.saturating_add(1));
        self.ticks = kept;
        self.rows = self.ticks.values().map(Tick::rows).sum();
        self.events.evict(horizon, future);
        self.gone.retain(|_, since| *since > horizon);
        self.catalog.evict(horizon);
        self.specs.compact(self.ticks.values_mut());
    }

    /// The series of the window and their labels.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Sets the span of samples that queries need. A longer one fills up as scrapes come in.
    pub fn set_period(&mut self, period: SignedDuration) {
        self.config.period = period;
        if let Some(nodes) = self.nodes.get_mut() {
            nodes.set_period(period);
        }
    }

    /// The span of samples that is kept for queries.
    pub fn period(&self) -> SignedDuration {
        self.config.period
    }

    /// How old the newest sample of a series may be to still stand for it.
    pub fn lookback(&self) -> SignedDuration {
        self.config.lookback
    }

    /// How many rows are held.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many events are held.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// How many distinct sets of limits and requests are held.
    pub fn specs(&self) -> usize {
        self.specs.len()
    }

    /// The instants of the scrapes that are held, oldest first.
    pub fn ticks(&self) -> impl DoubleEndedIterator<Item = Timestamp> + '_ {
        let at = |at: &i64| Timestamp::from_millisecond(*at).ok();
        self.ticks.keys().filter_map(at)
    }

    /// Since when a pod is gone, if it is.
    pub(crate) fn gone_since(&self, uid: &str) -> Option<i64> {
        self.gone.get(uid).copied()
    }

    /// Whether any pod is known to be gone.
    pub(crate) fn any_gone(&self) -> bool {
        !self.gone.is_empty()
    }

    /// Occurrences of events per target.
    pub(crate) fn event_counts(&self, wanted: &Wanted<'_>) -> BTreeMap<&Target, u64> {
        self.events.count(wanted)
    }

    /// Events about the objects with these UIDs, the oldest first.
    pub(crate) fn events_about<'a>(&'a self, uids: &BTreeSet<&str>) -> Vec<Happened<'a>> {
        self.events.about(uids)
    }

    /// Period and lookback together, in milliseconds: an instant value at the start of a range looks back from there.
    fn retention(&self) -> i64 {
        let milliseconds =
            |span: SignedDuration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let period = milliseconds(self.config.period).max(0);
        period.saturating_add(milliseconds(self.config.lookback).max(0))
    }

    fn horizon(&self) -> Option<i64> {
        self.watermark
            .map(|watermark| watermark.saturating_sub(self.retention()))
    }

    /// Drops the oldest scrapes until the rows are within bounds; returns how many rows went.
    fn shrink(&mut self) -> usize {
        let mut evicted = 0;
        while self.rows > self.config.max_rows {
            let Some((at, tick)) = self.ticks.pop_first() else {
                break;
            };
            self.rows -= tick.rows();
            evicted += tick.rows();
            self.catalog.evict(at);
        }
        evicted
    }
}
