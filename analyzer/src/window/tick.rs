//! The samples of one scrape, as columns.
//!
//! Pure: no IO, no clock.

use std::collections::{HashMap, HashSet};

use schemas::sample::Shard;

use super::decode::Batch;

/// A count that is not known.
const NO_COUNT: u32 = u32::MAX;
/// A usage whose time is not known: it is taken to be the scrape's.
const AT_TICK: i32 = 0;

/// A reading that a window holds, or derives from others of the same container at the same instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reading {
    /// CPU in use, cores.
    Cpu,
    /// Memory working set, bytes.
    Memory,
    /// CPU limit, cores.
    CpuLimit,
    /// Memory limit, bytes.
    MemoryLimit,
    /// CPU request, cores.
    CpuRequest,
    /// Memory request, bytes.
    MemoryRequest,
    /// CPU in use, percent of the limit.
    CpuPercent,
    /// Memory working set, percent of the limit.
    MemoryPercent,
    /// Restarts since the pod was created.
    Restarts,
    /// 1 while the container is ready.
    Ready,
    /// 1 while the pod is ready.
    PodReady,
}

/// One scrape. A row takes 33 bytes, and a pod 5 more.
#[derive(Debug, Default)]
pub(super) struct Tick {
    shards: Vec<Shard>,
    ids: Vec<u32>,
    cpu: Vec<f64>,
    memory: Vec<f64>,
    /// How many milliseconds before the scrape the usage was measured.
    behind: Vec<i32>,
    /// Limits and requests, by their number.
    specs: Vec<u32>,
    restarts: Vec<u32>,
    ready: Vec<Answer>,
    pods: Vec<u32>,
    pods_ready: Vec<Answer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    Unknown,
}

impl Tick {
    pub(super) fn has(&self, shard: Shard) -> bool {
        self.shards.contains(&shard)
    }

    pub(super) fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Takes a shard's rows in; returns how many. A container that is named twice keeps its first row.
    pub(super) fn append(
        &mut self,
        at: i64,
        shard: Shard,
        batch: &Batch,
        keys: &mut Keys<'_>,
    ) -> usize {
        self.shards.push(shard);
        self.reserve(batch.rows);
        let mut containers = HashSet::with_capacity(batch.rows);
        let mut pods = HashSet::new();
        let before = self.rows();
        for (row, &(container, pod)) in keys.series.iter().enumerate() {
            if !containers.insert(container) {
                continue;
            }
            self.ids.push(container);
            self.cpu.push(float(&batch.cpu, row));
            self.memory.push(float(&batch.memory, row));
            self.behind
                .push(behind(at, batch.measured.get(row).copied().flatten()));
            let spec = batch.specs.each_ref().map(|column| float(column, row));
            self.specs.push(keys.specs.number(spec));
            let restarts = batch.restarts.get(row).copied().flatten();
            self.restarts.push(restarts.unwrap_or(NO_COUNT));
            self.ready.push(answer(&batch.ready, row));
            if pods.insert(pod) {
                self.pods.push(pod);
                self.pods_ready.push(answer(&batch.pod_ready, row));
            }
        }
        self.pods.shrink_to_fit();
        self.pods_ready.shrink_to_fit();
        self.rows() - before
    }

    /// Makes room for exactly a shard's rows: growing by doubling would hold up to twice what is needed.
    fn reserve(&mut self, rows: usize) {
        self.ids.reserve_exact(rows);
        self.cpu.reserve_exact(rows);
        self.memory.reserve_exact(rows);
        self.behind.reserve_exact(rows);
        self.specs.reserve_exact(rows);
        self.restarts.reserve_exact(rows);
        self.ready.reserve_exact(rows);
    }

    /// Renumbers the limits and requests; the numbers in use are given to `renumber`.
    pub(super) fn renumber_specs(&mut self, mut renumber: impl FnMut(u32) -> u32) {
        for spec in &mut self.specs {
            *spec = renumber(*spec);
        }
    }

    /// Gives `take` each series that has a row, with its value if it is known
    /// and how many milliseconds before the scrape it was measured.
    pub(super) fn each(
        &self,
        reading: Reading,
        specs: &Specs,
        mut take: impl FnMut(u32, Option<f64>, i32),
    ) {
        let known = |value: f64| (!value.is_nan()).then_some(value);
        if reading == Reading::PodReady {
            for (&id, answer) in self.pods.iter().zip(&self.pods_ready) {
                take(id, answer.value(), AT_TICK);
            }
            return;
        }
        for (row, &id) in self.ids.iter().enumerate() {
            let cpu = || float(&self.cpu, row);
            let memory = || float(&self.memory, row);
            let spec = || specs.get(self.specs.get(row).copied());
            let behind = || self.behind.get(row).copied().unwrap_or(AT_TICK);
            let (value, behind) = match reading {
                Reading::Cpu => (known(cpu()), behind()),
                Reading::Memory => (known(memory()), behind()),
                Reading::CpuPercent => (percent(cpu(), spec()[0]), behind()),
                Reading::MemoryPercent => (percent(memory(), spec()[1]), behind()),
                Reading::CpuLimit => (known(spec()[0]), AT_TICK),
                Reading::MemoryLimit => (known(spec()[1]), AT_TICK),
                Reading::CpuRequest => (known(spec()[2]), AT_TICK),
                Reading::MemoryRequest => (known(spec()[3]), AT_TICK),
                Reading::Restarts => (self.restarts(row), AT_TICK),
                Reading::Ready | Reading::PodReady => (
                    self.ready.get(row).and_then(|answer| answer.value()),
                    AT_TICK,
                ),
            };
            take(id, value, behind);
        }
    }

    /// Gives `take` the rows of chosen containers, each with the place that `place` has for it.
    pub(super) fn rows_of(
        &self,
        place: impl Fn(u32) -> Option<usize>,
        mut take: impl FnMut(usize, Row),
    ) {
        let known = |value: f64| (!value.is_nan()).then_some(value);
        for (row, &id) in self.ids.iter().enumerate() {
            if let Some(place) = place(id) {
                let found = Row {
                    cpu: known(float(&self.cpu, row)),
                    memory: known(float(&self.memory, row)),
                    restarts: self.restarts(row),
                    behind: self.behind.get(row).copied().unwrap_or(AT_TICK),
                };
                take(place, found);
            }
        }
    }

    /// Gives `take` the readiness of chosen pods, 1 or 0, where it is known.
    pub(super) fn ready_of(
        &self,
        place: impl Fn(u32) -> Option<usize>,
        mut take: impl FnMut(usize, f64),
    ) {
        for (&id, answer) in self.pods.iter().zip(&self.pods_ready) {
            if let (Some(place), Some(ready)) = (place(id), answer.value()) {
                take(place, ready);
            }
        }
    }

    fn restarts(&self, row: usize) -> Option<f64> {
        let count = self.restarts.get(row).copied();
        count.filter(|count| *count != NO_COUNT).map(f64::from)
    }
}

/// What a scrape says of one container.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// CPU in use, cores.
    pub(super) cpu: Option<f64>,
    /// Memory working set, bytes.
    pub(super) memory: Option<f64>,
    /// Restarts so far.
    pub(super) restarts: Option<f64>,
    /// How many milliseconds before the scrape the usage was measured.
    pub(super) behind: i32,
}

/// The numbers that a shard's rows are filed under.
pub(super) struct Keys<'a> {
    /// Container and pod of each row.
    pub(super) series: &'a [(u32, u32)],
    /// Where limits and requests are held.
    pub(super) specs: &'a mut Specs,
}

impl Answer {
    fn value(self) -> Option<f64> {
        match self {
            Self::Yes => Some(1.0),
            Self::No => Some(0.0),
            Self::Unknown => None,
        }
    }
}

fn answer(column: &[Option<bool>], row: usize) -> Answer {
    match column.get(row).copied().flatten() {
        Some(true) => Answer::Yes,
        Some(false) => Answer::No,
        None => Answer::Unknown,
    }
}

fn float(column: &[f64], row: usize) -> f64 {
    column.get(row).copied().unwrap_or(f64::NAN)
}

fn behind(tick: i64, measured: Option<i64>) -> i32 {
    let behind = measured.map_or(0, |measured| tick.saturating_sub(measured));
    i32::try_from(behind).unwrap_or(if behind < 0 { i32::MIN } else { i32::MAX })
}

/// Usage of a limit in percent. Divided first: a value over itself is exactly 1,
/// so that a container at its limit reads exactly 100.
fn percent(used: f64, limit: f64) -> Option<f64> {
    let percent = used / limit * 100.0;
    (limit > 0.0 && !percent.is_nan()).then_some(percent)
}

/// Sets of limits and requests, each held once: they rarely change, and the
/// containers of one owner share them.
#[derive(Debug, Default)]
pub(super) struct Specs {
    all: Vec<[f64; 4]>,
    index: HashMap<[u64; 4], u32>,
    enough: usize,
}

/// Below this many sets of limits and requests, unused ones are not looked for (32 kB).
const FEW_SPECS: usize = 1024;

impl Specs {
    fn number(&mut self, spec: [f64; 4]) -> u32 {
        let bits = spec.map(f64::to_bits);
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        *self.index.entry(bits).or_insert_with(|| {
            self.all.push(spec);
            next
        })
    }

    fn get(&self, number: Option<u32>) -> [f64; 4] {
        let spec = number.and_then(|number| self.all.get(number as usize));
        spec.copied().unwrap_or([f64::NAN; 4])
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Drops the sets that no row uses, once there are twice as many as after the last time.
    pub(super) fn compact<'a>(&mut self, ticks: impl Iterator<Item = &'a mut Tick>) {
        if self.all.len() <= self.enough.max(FEW_SPECS) {
            return;
        }
        let old = std::mem::take(self);
        for tick in ticks {
            tick.renumber_specs(|spec| self.number(old.get(Some(spec))));
        }
        self.enough = 2 * self.all.len();
    }
}
