//! What happens by the clock: scrapes, re-publishing, readiness.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use schemas::sample::{self, Shard};
use tokio::time::Instant;

use super::{Collector, OVERLAP, PULSE};
use crate::{
    config::UsageSource,
    encode,
    outbox::{Batch, Scrape},
    predecessor,
    reading::{Key, usage::Freshness},
    scrape,
    telemetry::Because,
};

/// Size above which a batch is split; well below NATS's default limit of 1 MB.
const BATCH_BYTES: usize = 900_000;
/// Shards beyond which splitting no longer helps.
const MOST_SHARDS: u32 = 4096;

impl Collector {
    /// Looks at everything that happens by the clock.
    pub(super) fn pulse(&mut self, now: Timestamp) {
        let health = self.staleness.check(now);
        if !self.is_synced && self.inventory.has_listed(&self.parts.scopes) {
            self.is_synced = true;
            tracing::info!("every watch has listed");
        }
        self.follow_lease(now);
        self.republish(now);
        let interval_ms = self.interval_ms();
        let tick = scrape::tick_at(now, interval_ms);
        if tick > self.last_tick {
            let missed =
                (tick.as_millisecond() - self.last_tick.as_millisecond()) / interval_ms - 1;
            self.skipped("Late", u64::try_from(missed).unwrap_or(0));
            self.last_tick = tick;
            self.tick(tick);
        }
        self.show(health, now);
    }

    /// Takes the scrape of `tick`, when what is known can be trusted.
    fn tick(&mut self, tick: Timestamp) {
        self.counts.forget(tick);
        self.inventory.prune();
        self.count_objects();
        if !self.parts.lease.holds() {
            return;
        }
        if !self.is_synced || !self.staleness.is_tolerable(tick) {
            let reason = if self.is_synced { "Stale" } else { "NotListed" };
            self.skipped(reason, 1);
            return;
        }
        let begun = Instant::now();
        match self.scrape(tick) {
            Ok(scrape) => {
                let dropped = self.outbox.scrape(scrape);
                self.count_gap("BufferFull", dropped as u64);
            }
            Err(error) => {
                tracing::warn!(error = runtime::chain(&error), "scrape not encoded");
                self.skipped(error.reason(), 1);
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        self.parts.telemetry.encode_seconds.set(seconds);
    }

    fn scrape(&self, tick: Timestamp) -> Result<Scrape, encode::Error> {
        let freshness = Freshness {
            now: tick,
            interval: SignedDuration::from_millis(self.interval_ms()),
        };
        let nodes = scrape::nodes(&self.inventory, &self.usage, &freshness);
        let mut batches = VecDeque::from([Batch {
            schema: sample::NODE_SCHEMA_VERSION,
            subject: sample::NODE_SUBJECT,
            shard: Shard { index: 0, count: 1 },
            payload: encode::nodes(&nodes)?,
        }]);
        let (rows, containers) = self.containers(&freshness)?;
        batches.extend(containers);
        Ok(Scrape {
            tick,
            rows,
            batches,
        })
    }

    /// The rows of all containers, in shards that are small enough.
    fn containers(&self, freshness: &Freshness) -> Result<(usize, Vec<Batch>), encode::Error> {
        let most = BATCH_BYTES.min(self.most_bytes());
        let mut shards = match self.options.shards {
            0 => scrape::shards(self.inventory.count(crate::kind::Kind::Pod)),
            configured => configured,
        };
        loop {
            let groups = scrape::containers(&self.inventory, &self.usage, freshness, shards);
            let rows = groups.iter().map(Vec::len).sum();
            let payloads: Vec<_> = groups
                .iter()
                .map(|rows| encode::containers(rows))
                .collect::<Result<_, _>>()?;
            let fits = payloads.iter().all(|payload| payload.len() <= most);
            if !fits && shards < MOST_SHARDS {
                shards *= 2;
                continue;
            }
            let batches = payloads.into_iter().zip(0..).map(|(payload, index)| Batch {
                schema: sample::SCHEMA_VERSION,
                subject: index,
                shard: Shard {
                    index,
                    count: shards,
                },
                payload,
            });
            return Ok((rows, batches.collect()));
        }
    }

    /// Begins anew when the lease is gained, and holds back when it is lost.
    fn follow_lease(&mut self, now: Timestamp) {
        let holds = self.parts.lease.holds();
        if !holds {
            self.outbox.stand_by(now - OVERLAP);
        }
        if holds && !self.was_holding {
            let last = predecessor::last_tick(self.parts.bus.clone());
            self.last_ticks
                .push(Box::pin(async move { (now, last.await) }));
            // A predecessor may have ended before it told the newest states.
            for key in self.inventory.published().cloned().collect::<Vec<_>>() {
                self.outbox.changed(key);
            }
        }
        if holds && self.is_synced && !self.has_inquired {
            self.has_inquired = true;
            let bus = self.parts.bus.clone();
            let subject = |key: &Key| {
                bus.subjects
                    .object(key.kind.name(), &key.namespace, &key.name)
            };
            let known = self
                .inventory
                .published()
                .map(|key| subject(key).to_string())
                .collect();
            self.inquiries
                .push(Box::pin(predecessor::left_behind(bus.clone(), known)));
        }
        self.was_holding = holds;
        self.parts.telemetry.holds_lease.set(i64::from(holds));
    }

    /// Counts the scrapes that nobody took before the lease was gained.
    pub(super) fn resume(&mut self, gained: Timestamp, last_ms: Option<i64>) {
        let interval_ms = self.interval_ms();
        let reached = scrape::tick_at(gained, interval_ms).as_millisecond();
        let missed = last_ms.map_or(0, |last| (reached - last) / interval_ms);
        self.skipped("NoLease", u64::try_from(missed).unwrap_or(0));
    }

    /// Tells objects anew, spread over the time that is configured for all of them.
    fn republish(&mut self, now: Timestamp) {
        if !self.is_synced || !self.was_holding {
            return;
        }
        let per_pulse = PULSE.as_millis().max(1);
        let slots = u64::try_from(self.options.resync().as_millis() / per_pulse).unwrap_or(1);
        self.pulses = self.pulses.wrapping_add(1);
        let slot = self.pulses % slots.max(1);
        let is_due = |key: &&Key| scrape::slot(key, slots) == slot;
        let due: Vec<_> = self.inventory.published().filter(is_due).cloned().collect();
        for key in due {
            self.inventory.confirm(&key, now);
            self.outbox.changed(key);
        }
    }

    fn skipped(&mut self, reason: &'static str, scrapes: u64) {
        if scrapes > 0 && self.was_holding {
            self.outbox.lost(scrapes);
            self.count_gap(reason, scrapes);
        }
    }

    fn count_gap(&self, reason: &'static str, scrapes: u64) {
        if scrapes > 0 {
            tracing::warn!(reason, scrapes, "scrapes lost");
            let gap = &self.parts.telemetry.gap_scrapes;
            gap.get_or_create(&Because { reason }).inc_by(scrapes);
        }
    }

    /// Shows readiness as it is.
    fn show(&self, health: Result<(), String>, now: Timestamp) {
        let gates = &self.parts.gates;
        let watches = match self.events_missing.first() {
            _ if !self.is_synced => Err("not every watch has listed".to_owned()),
            Some(missing) => Err(format!("{missing} have not been listed")),
            None => health.clone(),
        };
        gates.watches(match health {
            Err(why) => Err(why),
            Ok(()) => watches,
        });
        gates.bus(self.parts.bus.is_connected());
        if self.options.usage == UsageSource::Metrics {
            gates.usage(self.usage_error.as_deref());
        }
        let fresh = SignedDuration::from_millis(self.interval_ms() * 3);
        let is_published = self
            .last_published
            .is_some_and(|at| now.duration_since(at) <= fresh);
        gates.samples(is_published, &self.parts.lease);
        let telemetry = &self.parts.telemetry;
        let count = |waiting: usize| i64::try_from(waiting).unwrap_or(i64::MAX);
        telemetry.waiting.set(count(self.outbox.messages_waiting()));
        telemetry
            .scrapes_waiting
            .set(count(self.outbox.scrapes_waiting()));
    }

    fn interval_ms(&self) -> i64 {
        i64::from(self.options.interval_seconds) * 1000
    }
}
