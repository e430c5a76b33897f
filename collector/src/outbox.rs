//! What waits to be published, and what is under way.
//!
//! In: objects that changed, events, scrapes; which of them were acknowledged.
//! Out: the next one to send. Everything here is bounded:
//!
//! - Of an object only the fact that it changed is kept; its state is read from
//!   the inventory when it is sent, so the newest is never lost. One message per
//!   object is under way at a time, so an older state never overtakes a newer.
//! - Events and scrapes wait in rows of limited length; the oldest make room
//!   and are counted. A lost scrape is told in the header of the next one.
//!
//! Pure: no IO, no clock.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use schemas::sample::{Cut, Shard};

use crate::reading::{Key, event::EventReading};

/// How long a scrape waits for the objects and events that came before it.
const SETTLES: SignedDuration = SignedDuration::from_secs(2);

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Messages under way at once.
    pub in_flight: usize,
    /// Events that wait.
    pub events: usize,
    /// Bytes of scrapes that wait.
    pub scrape_bytes: usize,
}

/// One message of a scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its schema.
    pub schema: &'static str,
    /// The last token of its subject.
    pub subject: u32,
    /// Its place among the batches of the same schema and tick.
    pub shard: Shard,
    /// The Arrow IPC stream.
    pub payload: Bytes,
}

/// All messages of one tick.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// The instant of the scrape.
    pub tick: Timestamp,
    /// Rows in all batches.
    pub rows: usize,
    /// Batches that are not under way.
    pub batches: VecDeque<Batch>,
}

/// What the headers of a scrape's messages say beside its tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heading {
    /// How far objects and events had come.
    pub cut: Cut,
    /// Scrapes lost before this one.
    pub gap: u64,
}

/// Something that is being published.
#[derive(Clone, Debug, PartialEq)]
pub enum Parcel {
    /// The state of an object, to be read from the inventory.
    Object(Key),
    /// An event.
    Event(Box<EventReading>),
    /// A message of the scrape at this tick.
    Batch(Timestamp, Heading, Batch),
}

/// The scrape that is being sent.
#[derive(Debug)]
struct Sending {
    scrape: Scrape,
    heading: Heading,
    flying: usize,
}

/// What waits, and what is under way.
#[derive(Debug)]
pub struct Outbox {
    limits: Limits,
    changed: VecDeque<Key>,
    waiting: HashSet<Key>,
    flying: HashSet<Key>,
    events: VecDeque<EventReading>,
    flying_events: usize,
    scrapes: VecDeque<Scrape>,
    sending: Option<Sending>,
    /// Since when the next scrape could have been sent.
    held_since: Option<Timestamp>,
    gap: u64,
}

impl Outbox {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            changed: VecDeque::new(),
            waiting: HashSet::new(),
            flying: HashSet::new(),
            events: VecDeque::new(),
            flying_events: 0,
            scrapes: VecDeque::new(),
            sending: None,
            held_since: None,
            gap: 0,
        }
    }

    /// Notes that there is something new to tell of an object.
    pub fn changed(&mut self, key: Key) {
        if self.waiting.insert(key.clone()) {
            self.changed.push_back(key);
        }
    }

    /// Adds an event; returns how many older ones made room for it.
    pub fn event(&mut self, event: EventReading) -> usize {
        self.events.push_back(event);
        let excess = self.events.len().saturating_sub(self.limits.events);
        self.events.drain(..excess).count()
    }

    /// Adds a scrape; returns how many older ones made room for it.
    pub fn scrape(&mut self, scrape: Scrape) -> usize {
        self.scrapes.push_back(scrape);
        let mut dropped = 0;
        while self.scrapes.len() > 1 && self.scrape_bytes() > self.limits.scrape_bytes {
            self.scrapes.pop_front();
            dropped += 1;
        }
        self.lost(dropped as u64);
        dropped
    }

    /// Counts scrapes that were not taken at all.
    pub fn lost(&mut self, scrapes: u64) {
        self.gap = self.gap.saturating_add(scrapes);
    }

    /// Forgets events that occurred before `limit`, and every scrape: a standby
    /// keeps only what its predecessor may not have told.
    pub fn stand_by(&mut self, limit: Timestamp) {
        self.scrapes.clear();
        self.sending = None;
        self.held_since = None;
        self.events.retain(|event| event.event.occurred_at >= limit);
    }

    /// The next thing to send at `now`, when `cut` is acknowledged.
    pub fn next(&mut self, cut: Cut, now: Timestamp) -> Option<Parcel> {
        if self.in_flight() >= self.limits.in_flight {
            return None;
        }
        // A scrape whose time has come, or that is half sent, is not held back by ever new changes.
        if (self.sending.is_some() || self.is_overdue(now))
            && let Some(parcel) = self.next_batch(cut)
        {
            return Some(parcel);
        }
        if let Some(key) = self.next_object() {
            return Some(Parcel::Object(key));
        }
        if let Some(event) = self.events.pop_front() {
            self.flying_events += 1;
            return Some(Parcel::Event(Box::new(event)));
        }
        if self.sending.is_none() && !self.is_settled() {
            return None;
        }
        self.next_batch(cut)
    }

    /// Takes note of what became of a parcel: whether it was acknowledged.
    /// What failed waits again.
    ///
    /// Returns the tick of a scrape whose last message this was, with its rows.
    pub fn landed(&mut self, parcel: Parcel, acked: bool) -> Option<(Timestamp, usize)> {
        match parcel {
            Parcel::Object(key) => {
                self.flying.remove(&key);
                if !acked {
                    self.changed(key);
                }
            }
            Parcel::Event(event) => {
                self.flying_events = self.flying_events.saturating_sub(1);
                if !acked {
                    self.events.push_front(*event);
                }
            }
            Parcel::Batch(tick, _, batch) => return self.landed_batch(tick, batch, acked),
        }
        None
    }

    /// How many messages are under way.
    pub fn in_flight(&self) -> usize {
        let batches = self.sending.as_ref().map_or(0, |sending| sending.flying);
        self.flying.len() + self.flying_events + batches
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.is_settled() && self.sending.is_none() && self.scrapes.is_empty()
    }

    /// How many scrapes wait.
    pub fn scrapes_waiting(&self) -> usize {
        self.scrapes.len() + usize::from(self.sending.is_some())
    }

    /// How many objects and events wait.
    pub fn messages_waiting(&self) -> usize {
        self.changed.len() + self.events.len()
    }

    /// Bytes of the scrapes that wait.
    pub fn scrape_bytes(&self) -> usize {
        let of = |scrape: &Scrape| {
            scrape
                .batches
                .iter()
                .map(|b| b.payload.len())
                .sum::<usize>()
        };
        self.scrapes.iter().map(of).sum()
    }

    /// Whether every object and event has been acknowledged.
    fn is_settled(&self) -> bool {
        self.changed.is_empty()
            && self.flying.is_empty()
            && self.events.is_empty()
            && self.flying_events == 0
    }

    /// The object that has waited longest and is not under way.
    fn next_object(&mut self) -> Option<Key> {
        for _ in 0..self.changed.len() {
            let key = self.changed.pop_front()?;
            if self.flying.contains(&key) {
                self.changed.push_back(key);
                continue;
            }
            self.waiting.remove(&key);
            self.flying.insert(key.clone());
            return Some(key);
        }
        None
    }

    /// Whether the next scrape has been held back for long enough, counted from when it could first be sent.
    fn is_overdue(&mut self, now: Timestamp) -> bool {
        if self.scrapes.is_empty() {
            return false;
        }
        let since = *self.held_since.get_or_insert(now);
        now.duration_since(since) >= SETTLES
    }

    fn next_batch(&mut self, cut: Cut) -> Option<Parcel> {
        if self.sending.is_none() {
            let scrape = self.scrapes.pop_front()?;
            self.held_since = None;
            self.sending = Some(Sending {
                scrape,
                heading: Heading {
                    cut,
                    gap: std::mem::take(&mut self.gap),
                },
                flying: 0,
            });
        }
        let sending = self.sending.as_mut()?;
        let batch = sending.scrape.batches.pop_front()?;
        sending.flying += 1;
        Some(Parcel::Batch(sending.scrape.tick, sending.heading, batch))
    }

    fn landed_batch(
        &mut self,
        tick: Timestamp,
        batch: Batch,
        acked: bool,
    ) -> Option<(Timestamp, usize)> {
        let sending = self.sending.as_mut()?;
        if sending.scrape.tick != tick {
            return None;
        }
        sending.flying = sending.flying.saturating_sub(1);
        if !acked {
            sending.scrape.batches.push_back(batch);
        }
        if sending.flying > 0 || !sending.scrape.batches.is_empty() {
            return None;
        }
        let done = self.sending.take()?;
        Some((done.scrape.tick, done.scrape.rows))
    }
}

#[cfg(test)]
mod tests;
