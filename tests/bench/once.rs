//! Killed and troubled actuators, hundreds of times, counted in the audit log.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use futures::StreamExt as _;
use harness::once::{Run, Servers, Tally, seeded};
use harness::{ControlPlane, Nats, Options};

use crate::args::Once;
use crate::bed::say;
use crate::meter;
use crate::quantile::Sorted;
use crate::table::Table;

/// Makes the runs, and answers with the report.
pub(crate) async fn run(once: &Once) -> Result<String> {
    let Once { seeds, first, jobs } = *once;
    let control_plane = ControlPlane::start(&Options::default());
    let nats = Nats::start();
    let servers = Servers::install(&control_plane, nats.url()).await;
    let mut done = 0u64;
    let mut all = Report::default();
    let mut runs = futures::stream::iter(first..first + seeds)
        .map(|seed| seeded(&servers, seed))
        .buffer_unordered(usize::from(jobs));
    // Counted as they end, so that namespaces go away and the cluster stays small.
    while let Some(run) = runs.next().await {
        done += 1;
        all.add(&run, run.tally(&control_plane.audit_entries()));
        if done.is_multiple_of(10) {
            say(&format!(
                "{done} of {seeds} runs, {} wrong",
                all.tally.wrong.len()
            ));
        }
    }
    let report = format!(
        "{}\nMachine: {}; it also carried the API server, etcd, KWOK and nats-server.\n",
        all.tables(seeds),
        meter::machine()?,
    );
    if !all.tally.wrong.is_empty() {
        bail!("{report}\n{}", all.tally.wrong.join("\n"));
    }
    Ok(report)
}

#[derive(Default)]
struct Report {
    tally: Tally,
    struck: BTreeMap<String, usize>,
    troubles: BTreeMap<&'static str, usize>,
    took: Vec<Duration>,
}

impl Report {
    fn add(&mut self, run: &Run<'_>, tally: Tally) {
        self.tally.add(tally);
        self.took.push(run.took);
        for label in &run.struck {
            *self.struck.entry(label.to_string()).or_default() += 1;
        }
        for (fault, _) in &run.troubles {
            *self.troubles.entry(fault.name()).or_default() += 1;
        }
    }

    fn tables(&self, seeds: u64) -> String {
        let Tally {
            asked,
            begun,
            effects,
            repeats,
            phases,
            wrong,
        } = &self.tally;
        let mut table = Table::new("Exactly once", &["what", "count"]);
        let mut row = |what: &str, count: usize| table.row([what.to_owned(), count.to_string()]);
        row("runs", usize::try_from(seeds).unwrap_or(usize::MAX));
        row("actions asked for", *asked);
        row("actions begun", *begun);
        for (phase, count) in phases {
            row(&format!("… that ended as {phase}"), *count);
        }
        row("effects that the API server stored", *effects);
        row(
            "further evictions of a pod that was going already",
            *repeats,
        );
        row("wrong", wrong.len());
        let took: Sorted = self.took.iter().copied().collect();
        let seconds = |q| took.quantile(q).unwrap_or_default().as_secs_f64();
        format!(
            "{table}{}{}\nA run took {:.1} s (p50), {:.1} s at most.\n",
            counts("Killed, or stopped past its lease", &self.struck),
            counts("What went wrong on the way", &self.troubles),
            seconds(0.5),
            seconds(1.0),
        )
    }
}

fn counts<K: ToString>(title: &str, counts: &BTreeMap<K, usize>) -> String {
    let mut table = Table::new(title, &["what", "count"]);
    for (what, count) in counts {
        table.row([what.to_string(), count.to_string()]);
    }
    table.row([
        "together".to_owned(),
        counts.values().sum::<usize>().to_string(),
    ]);
    table.to_string()
}
