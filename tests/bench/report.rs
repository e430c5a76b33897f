//! The parts of a report that both measurements have.

use anyhow::Result;

use crate::args::Scene;
use crate::bed::Bed;
use crate::exposition::Histograms;
use crate::meter::{self, Look, ratio};
use crate::table::Table;
use crate::traffic::Scrapes;

/// What the programs' own histograms say.
pub(crate) fn breakdown(histograms: &Histograms) -> String {
    let head = ["histogram", "count", "mean ms", "p50 ≤ ms", "p99 ≤ ms"];
    let mut table = Table::new("What the programs' own histograms added", &head);
    let millis = |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), bound);
    for (name, histogram) in histograms {
        table.row([
            name.clone(),
            format!("{:.0}", histogram.count),
            millis(histogram.mean()),
            millis(histogram.at_most(0.5)),
            millis(histogram.at_most(0.99)),
        ]);
    }
    table.to_string()
}

fn bound(seconds: f64) -> String {
    if seconds.is_finite() {
        format!("{:.2}", seconds * 1e3)
    } else {
        "beyond the last bound".to_owned()
    }
}

/// How large scrapes were, and how long storing one took.
pub(crate) fn scrapes(scrapes: &Scrapes) -> String {
    let count = u64::try_from(scrapes.len()).unwrap_or(u64::MAX).max(1);
    let messages: u64 = scrapes.values().map(|scrape| scrape.messages).sum();
    let bytes: u64 = scrapes.values().map(|scrape| scrape.bytes).sum();
    let spans = scrapes
        .values()
        .map(|scrape| scrape.last.duration_since(scrape.first).as_secs_f64());
    format!(
        "\n{} scrapes: {:.1} messages and {:.0} bytes of payload each on average; the last message of one was stored at most {:.1} ms after its first.\n",
        scrapes.len(),
        ratio(messages, count),
        ratio(bytes, count),
        spans.fold(0.0, f64::max) * 1e3,
    )
}

/// Under which conditions the figures came about.
pub(crate) fn conditions(bed: &Bed, scene: &Scene, before: &Look, now: &Look) -> Result<String> {
    Ok(format!(
        "\nMachine: {}; it also carried the API server, etcd, KWOK, metrics-server and nats-server, and was {:.0} % busy.\n\
         Programs: {}. Scrapes every {} s. Measured for {:.0} s.\n",
        meter::machine()?,
        now.machine_percent(before),
        bed.profile(),
        scene.interval,
        now.since(before).as_secs_f64(),
    ))
}
