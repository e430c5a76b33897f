//! The driver: readings in, messages out, one scrape per tick.
//!
//! One task owns the inventory and the outbox, so nothing here is locked. It
//! never waits for the bus: messages under way are futures it looks at between
//! readings.

use std::time::Duration;

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jiff::{SignedDuration, Timestamp};
use runtime::{bus::Bus, clock, lease::Lease, shutdown::Shutdown};
use schemas::{object::ObjectState, sample::Cut};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};

use crate::{
    config::Options,
    dedup::EventCounts,
    gates::Gates,
    inventory::Inventory,
    kind::Kind,
    outbox::{Limits, Outbox, Parcel},
    publish::{self, HEADROOM, Landed},
    reading::{Reading, Scope, usage::Usage},
    staleness::Staleness,
    telemetry::{Because, OfKind, OfStream, Telemetry},
};

mod take;
mod tick;

/// How often waiting messages, readiness and the lease are looked at when nothing else happens.
const PULSE: Duration = Duration::from_millis(250);
/// Readings taken at once before messages are looked at again.
const READINGS: usize = 512;
/// How long messages under way may take to land at shutdown.
const FAREWELL: Duration = Duration::from_secs(5);
/// Pauses after failures to publish.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// Events this long before the start are told too: they may have been written while no collector ran.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);

/// What the driver works with.
pub(crate) struct Parts {
    /// The bus.
    pub bus: Bus,
    /// Whether this replica publishes.
    pub lease: Lease,
    /// Its instruments.
    pub telemetry: Telemetry,
    /// What readiness waits for.
    pub gates: Gates,
    /// The watches that must have been listed.
    pub scopes: Vec<Scope>,
    /// The watches of Events that must work.
    pub events: Vec<String>,
}

/// The driver's state.
pub(crate) struct Collector {
    parts: Parts,
    options: Options,
    inventory: Inventory,
    usage: Usage,
    counts: EventCounts,
    outbox: Outbox,
    staleness: Staleness,
    cut: Cut,
    flights: FuturesUnordered<BoxFuture<'static, Landed>>,
    /// What an earlier collector told, while that is being asked for.
    inquiries: FuturesUnordered<BoxFuture<'static, Vec<ObjectState>>>,
    has_inquired: bool,
    /// The last tick that anyone published, while that is being asked for after the lease was gained.
    last_ticks: FuturesUnordered<BoxFuture<'static, (Timestamp, Option<i64>)>>,
    /// Failures to publish in a row, and when to try again.
    failures: u32,
    paused_until: Option<Instant>,
    is_synced: bool,
    events_missing: Vec<String>,
    usage_error: Option<String>,
    was_holding: bool,
    last_tick: Timestamp,
    last_published: Option<Timestamp>,
    /// Pulses so far: which part of the objects is told anew.
    pulses: u64,
}

impl Collector {
    /// A collector that knows nothing yet.
    pub(crate) fn new(parts: Parts, options: Options) -> Self {
        let now = clock::now();
        let limits = Limits {
            in_flight: usize::from(options.in_flight),
            events: usize::try_from(options.buffer_events).unwrap_or(usize::MAX),
            scrape_bytes: usize::try_from(options.buffer_kilobytes)
                .unwrap_or(usize::MAX)
                .saturating_mul(1024),
        };
        let events_missing = parts.events.clone();
        let usage_error = (options.usage == crate::config::UsageSource::Metrics)
            .then(|| "not polled yet".to_owned());
        Self {
            parts,
            options,
            inventory: Inventory::default(),
            usage: Usage::default(),
            counts: EventCounts::new(now - OVERLAP),
            outbox: Outbox::new(limits),
            staleness: Staleness::default(),
            cut: Cut::default(),
            flights: FuturesUnordered::new(),
            inquiries: FuturesUnordered::new(),
            has_inquired: false,
            last_ticks: FuturesUnordered::new(),
            failures: 0,
            paused_until: None,
            is_synced: false,
            events_missing,
            usage_error,
            was_holding: false,
            last_tick: now,
            last_published: None,
            pulses: 0,
        }
    }

    /// Takes readings and publishes until shutdown, then lets what is under way land.
    pub(crate) async fn run(mut self, mut readings: mpsc::Receiver<Reading>, shutdown: Shutdown) {
        let mut pulse = interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut taken = Vec::with_capacity(READINGS);
        loop {
            self.dispatch();
            tokio::select! {
                () = shutdown.wait() => break,
                Some(landed) = self.flights.next(), if !self.flights.is_empty() => self.landed(landed),
                Some(states) = self.inquiries.next(), if !self.inquiries.is_empty() => self.end_left_behind(states),
                Some((gained, last)) = self.last_ticks.next(), if !self.last_ticks.is_empty() => self.resume(gained, last),
                count = readings.recv_many(&mut taken, READINGS) => {
                    if count == 0 {
                        break;
                    }
                    let now = clock::now();
                    for reading in taken.drain(..) {
                        self.take(reading, now);
                    }
                }
                _ = pulse.tick() => self.pulse(clock::now()),
            }
        }
        self.farewell().await;
    }

    /// Sends as much as may be under way.
    fn dispatch(&mut self) {
        let is_paused = self
            .paused_until
            .is_some_and(|until| Instant::now() < until);
        if is_paused
            || !self.is_synced
            || !self.parts.bus.is_connected()
            || !self.parts.lease.holds()
        {
            return;
        }
        self.paused_until = None;
        let now = clock::now();
        while let Some(parcel) = self.outbox.next(self.cut, now) {
            self.send(parcel);
        }
    }

    fn send(&mut self, parcel: Parcel) {
        let bus = &self.parts.bus;
        let most = self.most_bytes();
        let mut ended = None;
        let letter = match &parcel {
            Parcel::Object(key) => {
                let Some(telling) = self.inventory.telling(key) else {
                    self.outbox.landed(parcel, true);
                    return;
                };
                ended = telling.is_end.then(|| telling.state.target.uid.clone());
                publish::object(&bus.subjects, &telling, most)
            }
            Parcel::Event(event) => publish::event(&bus.subjects, event, most),
            Parcel::Batch(tick, heading, batch) => {
                let interval = self.options.interval();
                let tick = tick.as_millisecond();
                Ok(publish::batch(bus, tick, *heading, interval, batch))
            }
        };
        match letter {
            Ok(letter) => {
                let sent = publish::send(bus.clone(), letter, parcel, ended);
                self.flights.push(Box::pin(sent));
            }
            Err(error) => self.give_up(parcel, ended, &error),
        }
    }

    /// Drops what can never be published.
    fn give_up(&mut self, parcel: Parcel, ended: Option<String>, error: &publish::Error) {
        tracing::warn!(error = runtime::chain(error), "message dropped");
        let because = Because {
            reason: error.reason(),
        };
        self.parts.telemetry.drops.get_or_create(&because).inc();
        self.settle(parcel, ended);
    }

    /// Takes note of what became of a message.
    fn landed(&mut self, landed: Landed) {
        let Landed {
            parcel,
            ended,
            bytes,
            ack,
        } = landed;
        let telemetry = &self.parts.telemetry;
        match ack {
            Ok(ack) => {
                self.failures = 0;
                publish::advance(&mut self.cut, &parcel, ack.sequence);
                let of = OfStream {
                    stream: stream_of(&parcel),
                };
                telemetry.messages.get_or_create(&of).inc();
                telemetry.bytes.get_or_create(&of).inc_by(bytes as u64);
                telemetry.repeats.inc_by(u64::from(ack.is_repeat));
                self.settle(parcel, ended);
            }
            Err(error) => {
                let because = Because {
                    reason: error.reason(),
                };
                telemetry.failures.get_or_create(&because).inc();
                self.outbox.landed(parcel, false);
                self.pause(&error);
            }
        }
    }

    /// A parcel that is over: the next end of the same key, or the state that followed it, is due.
    fn settle(&mut self, parcel: Parcel, ended: Option<String>) {
        if let (Parcel::Object(key), Some(uid)) = (&parcel, ended)
            && self.inventory.told_end(key, &uid)
        {
            self.outbox.changed(key.clone());
        }
        if let Some((tick, rows)) = self.outbox.landed(parcel, true) {
            self.published(tick, rows);
        }
    }

    fn published(&mut self, tick: Timestamp, rows: usize) {
        let telemetry = &self.parts.telemetry;
        let took = clock::now().duration_since(tick).as_secs_f64();
        telemetry.scrapes.inc();
        telemetry.rows.inc_by(rows as u64);
        telemetry.scrape_seconds.observe(took);
        self.last_published = Some(tick);
        tracing::debug!(%tick, rows, seconds = took, cut = %self.cut, "scrape published");
    }

    /// Waits before the next attempt, longer after each failure, by a random part less.
    fn pause(&mut self, error: &publish::Error) {
        let now = Instant::now();
        if self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        let (least, most) = PAUSES;
        let full = least.saturating_mul(1 << self.failures.min(10)).min(most);
        let pause = full.mul_f64(fastrand::f64().mul_add(0.5, 0.5));
        if self.failures == 0 {
            tracing::warn!(error = runtime::chain(error), "publishing failed");
        }
        self.failures = self.failures.saturating_add(1);
        self.paused_until = Some(now + pause);
    }

    /// Bytes of the largest payload the server takes.
    fn most_bytes(&self) -> usize {
        let most = self.parts.bus.client.server_info().max_payload;
        most.saturating_sub(HEADROOM)
    }

    /// Sends what waits and lets it land, within a bounded time.
    async fn farewell(mut self) {
        let deadline = Instant::now() + FAREWELL;
        loop {
            self.dispatch();
            if self.flights.is_empty() {
                break;
            }
            match timeout_at(deadline, self.flights.next()).await {
                Ok(Some(landed)) => self.landed(landed),
                Ok(None) => {}
                Err(_) => break,
            }
        }
        let (messages, scrapes) = (
            self.outbox.messages_waiting(),
            self.outbox.scrapes_waiting(),
        );
        let under_way = self.flights.len();
        if self.outbox.is_empty() || !self.was_holding {
            tracing::info!("collector ended");
        } else {
            tracing::warn!(
                messages,
                scrapes,
                under_way,
                "collector ended with messages unsent"
            );
        }
    }

    fn count_objects(&self) {
        let telemetry = &self.parts.telemetry;
        for kind in Kind::ALL {
            let of = OfKind { kind: kind.name() };
            let count = i64::try_from(self.inventory.count(kind)).unwrap_or(i64::MAX);
            telemetry.objects.get_or_create(&of).set(count);
        }
    }
}

fn stream_of(parcel: &Parcel) -> &'static str {
    use schemas::subject::Stream;
    match parcel {
        Parcel::Object(_) => Stream::Objects.token(),
        Parcel::Event(_) => Stream::Events.token(),
        Parcel::Batch(..) => Stream::Samples.token(),
    }
}
