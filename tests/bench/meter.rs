//! What processes and the bus have used between two looks.
//!
//! In: process ids and `/proc`. Out: CPU time as a share of one core, and resident memory.

use std::fs::read_to_string;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::proc::{self, MachineTicks, TICKS_PER_SECOND};
use crate::table::Table;

/// One look at some processes and at the machine.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    at: Instant,
    machine: MachineTicks,
    processes: Vec<Process>,
}

#[derive(Clone, Debug)]
struct Process {
    name: String,
    cpu_ticks: u64,
    resident_kib: u64,
    peak_kib: u64,
}

impl Look {
    /// Looks at the processes of these names and ids.
    pub(crate) fn at(processes: &[(String, u32)]) -> Result<Self> {
        let machine = read_to_string("/proc/stat").context("failed to read /proc/stat")?;
        Ok(Self {
            at: Instant::now(),
            machine: proc::machine_ticks(&machine).context("/proc/stat has no line cpu")?,
            processes: processes
                .iter()
                .map(|(name, id)| process(name, *id))
                .collect::<Result<_>>()?,
        })
    }

    /// How much time passed since `before`.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        self.at - before.at
    }

    /// Share of all cores that was busy since `before`, in percent.
    pub(crate) fn machine_percent(&self, before: &Self) -> f64 {
        let all = self.machine.all - before.machine.all;
        ratio(self.machine.busy - before.machine.busy, all) * 100.0
    }

    /// CPU and memory of each process since `before`.
    pub(crate) fn table(&self, before: &Self, title: &str) -> Table {
        let head = ["program", "CPU, % of one core", "resident MiB", "peak MiB"];
        let mut table = Table::new(title, &head);
        let seconds = self.since(before).as_secs_f64();
        for (now, then) in self.processes.iter().zip(&before.processes) {
            let used = ratio(now.cpu_ticks - then.cpu_ticks, 1) / TICKS_PER_SECOND;
            table.row([
                now.name.clone(),
                format!("{:.2}", used / seconds * 100.0),
                format!("{:.1}", ratio(now.resident_kib, 1024)),
                format!("{:.1}", ratio(now.peak_kib, 1024)),
            ]);
        }
        table
    }
}

fn process(name: &str, id: u32) -> Result<Process> {
    let gone = || format!("the {name} is gone");
    let stat = read_to_string(format!("/proc/{id}/stat")).with_context(gone)?;
    let status = read_to_string(format!("/proc/{id}/status")).with_context(gone)?;
    Ok(Process {
        name: name.to_owned(),
        cpu_ticks: proc::cpu_ticks(&stat).with_context(gone)?,
        resident_kib: proc::kib(&status, "VmRSS").with_context(gone)?,
        peak_kib: proc::kib(&status, "VmHWM").with_context(gone)?,
    })
}

/// Cores and memory of this machine, in words.
pub(crate) fn machine() -> Result<String> {
    let cores = std::thread::available_parallelism().context("failed to count cores")?;
    let memory = read_to_string("/proc/meminfo").context("failed to read /proc/meminfo")?;
    let memory = proc::kib(&memory, "MemTotal").context("/proc/meminfo has no MemTotal")?;
    Ok(format!(
        "{cores} cores, {:.0} GiB",
        ratio(memory, 1024 * 1024)
    ))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
