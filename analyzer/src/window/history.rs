//! What chosen containers and pods did over the window, read in one pass.
//!
//! In: containers by the UID of their pod and their name. Out: their usage,
//! restarts and readiness, the oldest first. However many are chosen, every
//! scrape is walked once, and only the rows that are asked for are looked at.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use super::{
    Window,
    catalog::Scope,
    frame::{NOT_CHOSEN, Span, place},
    tick::Row,
};

/// A container, by the UID of its pod and its own name; a pod as a whole where the name is empty.
pub(crate) type ContainerName<'a> = (&'a str, &'a str);

/// Values with their instants in milliseconds, the oldest first, one for each instant.
pub(crate) type Values = Vec<(i64, f64)>;

/// What a container, or a pod, did.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct History {
    /// CPU in use in cores, at the instant of measuring: a value that several scrapes repeat is there once.
    pub(crate) cpu: Values,
    /// Memory working set in bytes, likewise.
    pub(crate) memory: Values,
    /// Restarts so far.
    pub(crate) restarts: Values,
    /// Of a pod: 1 while it is ready, 0 while it is not.
    pub(crate) ready: Values,
}

/// What is known of whom.
pub(crate) type Histories<'a> = BTreeMap<ContainerName<'a>, History>;

impl Window {
    /// What each of these did within the span; nothing of one that has no samples.
    pub(crate) fn histories<'a>(
        &self,
        wanted: impl IntoIterator<Item = ContainerName<'a>>,
        span: Span,
    ) -> Histories<'a> {
        let mut histories: Histories<'a> = wanted
            .into_iter()
            .map(|name| (name, History::default()))
            .collect();
        let names: Vec<ContainerName<'_>> = histories.keys().copied().collect();
        let containers = self.slots(Scope::Container, &names);
        let pods = self.slots(Scope::Pod, &names);
        let mut found: Vec<&mut History> = histories.values_mut().collect();
        for (at, tick) in self.ticks_in(span) {
            tick.rows_of(
                |id| place(&containers, id),
                |place, row| {
                    if let Some(history) = found.get_mut(place) {
                        history.take(at, row);
                    }
                },
            );
            tick.ready_of(
                |id| place(&pods, id),
                |place, ready| {
                    if let Some(history) = found.get_mut(place) {
                        history.ready.push((at, ready));
                    }
                },
            );
        }
        for history in found {
            for values in [&mut history.cpu, &mut history.memory] {
                values.sort_by_key(|(at, _)| *at);
                values.dedup_by_key(|(at, _)| *at);
            }
        }
        histories
    }

    /// For each series of a scope, its place among the names, if it is there.
    fn slots(&self, scope: Scope, names: &[ContainerName<'_>]) -> Vec<u32> {
        let mut slots = vec![NOT_CHOSEN; self.catalog().slots(scope)];
        for (place, (uid, container)) in (0_u32..).zip(names) {
            let is_of = (scope == Scope::Pod) == container.is_empty();
            let id = self.catalog().find(scope, uid, container);
            if let Some(slot) = id
                .filter(|_| is_of)
                .and_then(|id| slots.get_mut(id as usize))
            {
                *slot = place;
            }
        }
        slots
    }
}

impl History {
    fn take(&mut self, at: i64, row: Row) {
        let measured = at.saturating_sub(i64::from(row.behind));
        let (cpu, memory) = (row.cpu, row.memory);
        self.cpu.extend(cpu.map(|value| (measured, value)));
        self.memory.extend(memory.map(|value| (measured, value)));
        let restarts = row.restarts.map(|value| (at, value));
        self.restarts.extend(restarts);
    }
}
