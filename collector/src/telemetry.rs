//! The collector's instruments.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use runtime::telemetry::Registry;

/// Of which stream a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfStream {
    /// Token of the stream.
    pub stream: &'static str,
}

/// Why something was lost or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Because {
    /// From a bounded set.
    pub reason: &'static str,
}

/// Of which kind objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfKind {
    /// Their kind.
    pub kind: &'static str,
}

/// The collector's instruments. Clones share them.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Messages acknowledged.
    pub messages: Family<OfStream, Counter>,
    /// Bytes of their payloads.
    pub bytes: Family<OfStream, Counter>,
    /// Messages that the server had already.
    pub repeats: Counter,
    /// Attempts to publish that failed and are made again.
    pub failures: Family<Because, Counter>,
    /// Messages given up for good.
    pub drops: Family<Because, Counter>,
    /// Scrapes published completely.
    pub scrapes: Counter,
    /// Rows in them.
    pub rows: Counter,
    /// Scrapes that the analyzer will never see.
    pub gap_scrapes: Family<Because, Counter>,
    /// Failures of watches.
    pub watch_failures: Counter,
    /// Polls of the metrics API that failed.
    pub usage_failures: Counter,
    /// Objects known.
    pub objects: Family<OfKind, Gauge>,
    /// Objects and events that wait.
    pub waiting: Gauge,
    /// Scrapes that wait.
    pub scrapes_waiting: Gauge,
    /// Seconds from the tick to the last ack of a scrape.
    pub scrape_seconds: Histogram,
    /// Seconds to join and encode a scrape.
    pub encode_seconds: Gauge<f64, AtomicU64>,
    /// Whether this replica publishes.
    pub holds_lease: Gauge,
}

impl Telemetry {
    /// Registers every instrument under `kubeskippy_collector`.
    pub fn register(registry: &mut Registry) -> Self {
        let of = registry.sub_registry_with_prefix("kubeskippy_collector");
        let telemetry = Self {
            messages: Family::default(),
            bytes: Family::default(),
            repeats: Counter::default(),
            failures: Family::default(),
            drops: Family::default(),
            scrapes: Counter::default(),
            rows: Counter::default(),
            gap_scrapes: Family::default(),
            watch_failures: Counter::default(),
            usage_failures: Counter::default(),
            objects: Family::default(),
            waiting: Gauge::default(),
            scrapes_waiting: Gauge::default(),
            scrape_seconds: Histogram::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 15.0, 60.0]),
            encode_seconds: Gauge::default(),
            holds_lease: Gauge::default(),
        };
        telemetry.register_messages(of);
        telemetry.register_state(of);
        telemetry
    }

    fn register_messages(&self, of: &mut Registry) {
        of.register(
            "messages",
            "Messages acknowledged, by stream",
            self.messages.clone(),
        );
        of.register(
            "message_bytes",
            "Bytes of their payloads, by stream",
            self.bytes.clone(),
        );
        of.register(
            "repeats",
            "Messages that the server had already",
            self.repeats.clone(),
        );
        of.register(
            "publish_failures",
            "Attempts to publish that failed, by reason",
            self.failures.clone(),
        );
        of.register(
            "drops",
            "Messages given up for good, by reason",
            self.drops.clone(),
        );
        of.register(
            "scrapes",
            "Scrapes published completely",
            self.scrapes.clone(),
        );
        of.register("rows", "Rows of published scrapes", self.rows.clone());
        of.register(
            "gap_scrapes",
            "Scrapes that were lost, by reason",
            self.gap_scrapes.clone(),
        );
    }

    fn register_state(&self, of: &mut Registry) {
        of.register(
            "watch_failures",
            "Failures of watches, each tried again",
            self.watch_failures.clone(),
        );
        of.register(
            "usage_failures",
            "Polls of the metrics API that failed",
            self.usage_failures.clone(),
        );
        of.register("objects", "Objects known, by kind", self.objects.clone());
        of.register(
            "messages_waiting",
            "Objects and events that wait to be published",
            self.waiting.clone(),
        );
        of.register(
            "scrapes_waiting",
            "Scrapes that wait to be published",
            self.scrapes_waiting.clone(),
        );
        of.register(
            "scrape_seconds",
            "From the tick to the last ack of a scrape",
            self.scrape_seconds.clone(),
        );
        of.register(
            "encode_seconds",
            "Time to join and encode the last scrape",
            self.encode_seconds.clone(),
        );
        of.register(
            "holds_lease",
            "Whether this replica publishes (1) or stands by (0)",
            self.holds_lease.clone(),
        );
    }
}
