//! The collector's options.

use std::time::Duration;

use clap::{Args, ValueEnum};
use runtime::config::CommonArgs;

/// Everything the collector can be told.
#[derive(Clone, Debug, Args)]
pub struct Config {
    /// What every program has.
    #[command(flatten)]
    pub common: CommonArgs,
    /// What only the collector has.
    #[command(flatten)]
    pub options: Options,
}

/// What only the collector has.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub struct Options {
    /// Seconds between two scrapes. Shorter than the resolution of the metrics
    /// API (15 s by default) brings no newer usage.
    #[arg(long = "interval", env = "KUBESKIPPY_INTERVAL_SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=300))]
    pub interval_seconds: u16,

    /// Seconds within which the state of every object is told anew, spread over
    /// that time. An analyzer that starts reads as far back as this.
    #[arg(long = "resync", env = "KUBESKIPPY_RESYNC_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(60..=86400))]
    pub resync_seconds: u32,

    /// Messages that one scrape is split into. 0: one for every 2,000 pods. A
    /// message that is larger than NATS takes is split further in any case.
    #[arg(long, env = "KUBESKIPPY_SHARDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1024))]
    pub shards: u32,

    /// Where CPU and memory usage come from. `off`: nowhere; rows then tell
    /// limits, restarts and readiness, and no usage.
    #[arg(long, env = "KUBESKIPPY_USAGE", default_value = "metrics", value_enum)]
    pub usage: UsageSource,

    /// Messages that may wait for their ack at once.
    #[arg(long, env = "KUBESKIPPY_IN_FLIGHT", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub in_flight: u16,

    /// Kilobytes of scrapes that are kept while NATS is away. The oldest are
    /// dropped first, counted, and told to the analyzer as a gap.
    #[arg(long, env = "KUBESKIPPY_BUFFER_KILOBYTES", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..=4_194_304))]
    pub buffer_kilobytes: u32,

    /// Kubernetes Events that are kept while NATS is away; the oldest are dropped first.
    #[arg(long, env = "KUBESKIPPY_BUFFER_EVENTS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub buffer_events: u32,
}

/// Where usage comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UsageSource {
    /// The metrics API, as metrics-server serves it.
    Metrics,
    /// Nowhere.
    Off,
}

impl Options {
    /// Time between two scrapes.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval_seconds))
    }

    /// Time within which every object is told anew.
    pub fn resync(&self) -> Duration {
        Duration::from_secs(u64::from(self.resync_seconds))
    }
}
