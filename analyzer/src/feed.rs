//! One stream of the bus, in order, from an instant on, without end.
//!
//! A task of its own pulls messages by an ephemeral consumer that acknowledges
//! nothing: the stream is the memory. A lost consumer, connection or message
//! means another consumer from the next sequence on; a stream that was put up
//! again is read from its beginning. Messages that cannot be read are counted
//! and skipped.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull},
};
use futures::StreamExt as _;
use jiff::Timestamp;
use runtime::{bus::Bus, chain, health::Gate, shutdown::Shutdown};
use schemas::subject::Stream;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use crate::telemetry::{OfStream, Telemetry};

/// Messages that may wait for the analysis. Objects wait for the next scrape,
/// so it holds what changes in a large cluster within an interval.
const WAITING: usize = 16_384;
/// Messages of one pull.
const BATCH: usize = 500;
/// How long a pull waits: also how soon a stream that was put up again is noticed.
const EXPIRES: Duration = Duration::from_secs(5);
/// Pause before a consumer that failed is begun anew.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a tick waits for the messages of its cut without any coming.
pub(crate) const CUT_PATIENCE: Duration = Duration::from_secs(5);

/// What a feed yields.
#[derive(Debug)]
pub(crate) enum Item<T> {
    /// A message that could be read, and its sequence.
    Message(u64, T),
    /// A message that does not concern us or cannot be read, by its sequence.
    Skipped(u64),
    /// The end of the stream, as it is now; its last sequence.
    Reached(u64),
    /// The stream was put up again; its sequences begin anew.
    Restarted,
}

/// The messages of one stream.
#[derive(Debug)]
pub(crate) struct Feed<T> {
    items: mpsc::Receiver<Item<T>>,
    ahead: Option<(u64, T)>,
    reached: u64,
}

/// Reads a message; `Ok(None)` when it is of no concern.
pub(crate) type Decode<T> = fn(&jetstream::Message, Timestamp) -> Result<Option<T>, &'static str>;

/// What following a stream takes.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The bus.
    pub(crate) bus: Bus,
    /// Which stream.
    pub(crate) stream: Stream,
    /// From when on; all of it without.
    pub(crate) from: Option<Timestamp>,
    /// Passed once the feed has caught up.
    pub(crate) gate: Gate,
    /// The instruments.
    pub(crate) telemetry: Telemetry,
}

impl<T: Send + 'static> Feed<T> {
    /// Follows a stream until shutdown, or until the feed is dropped.
    pub(crate) fn follow(source: Source, decode: Decode<T>, shutdown: Shutdown) -> Self {
        let (to, items) = mpsc::channel(WAITING);
        let follower = Follower {
            source,
            decode,
            to,
            last: 0,
        };
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.wait() => {}
                () = follower.run() => {}
            }
        });
        Self {
            items,
            ahead: None,
            reached: 0,
        }
    }

    /// The next item; pending for ever once the feed has ended.
    pub(crate) async fn next(&mut self) -> Item<T> {
        match self.items.recv().await {
            Some(item) => item,
            None => std::future::pending().await,
        }
    }

    /// The next item if one is there.
    pub(crate) fn try_next(&mut self) -> Option<Item<T>> {
        self.items.try_recv().ok()
    }

    /// Hands every message up to sequence `cut` to `take`, and none beyond.
    /// Returns whether all of them were there in time.
    pub(crate) async fn up_to(&mut self, cut: u64, mut take: impl FnMut(T)) -> bool {
        if let Some((sequence, message)) = self.ahead.take() {
            if sequence > cut {
                self.ahead = Some((sequence, message));
                return true;
            }
            self.reached = sequence;
            take(message);
        }
        while self.reached < cut {
            let Ok(item) = timeout_at(Instant::now() + CUT_PATIENCE, self.next()).await else {
                return false;
            };
            match item {
                Item::Message(sequence, message) if sequence > cut => {
                    self.reached = cut;
                    self.ahead = Some((sequence, message));
                }
                Item::Message(sequence, message) => {
                    self.reached = sequence;
                    take(message);
                }
                Item::Skipped(sequence) | Item::Reached(sequence) => {
                    self.reached = self.reached.max(sequence);
                }
                Item::Restarted => self.reached = 0,
            }
        }
        true
    }
}

struct Follower<T> {
    source: Source,
    decode: Decode<T>,
    to: mpsc::Sender<Item<T>>,
    last: u64,
}

/// Why a consumer has to be begun anew.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("failed to read the stream")]
    Stream(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("failed to create a consumer")]
    Consumer(#[source] jetstream::stream::ConsumerError),
    #[error("failed to pull messages")]
    Pull(#[source] async_nats::Error),
    #[error("a message was lost on the way")]
    Skipped,
    #[error("the stream was put up again")]
    Restarted,
}

impl<T> Follower<T> {
    async fn run(mut self) {
        let stream = self.source.stream.token();
        while !self.to.is_closed() {
            let Err(lost) = self.session().await else {
                return;
            };
            let labels = OfStream { stream };
            self.source.telemetry.restarts.get_or_create(&labels).inc();
            let error = chain(&lost);
            if matches!(lost, Lost::Skipped) {
                tracing::debug!(stream, error, "consumer begun anew");
            } else {
                tracing::warn!(stream, error, "consumer begun anew");
                self.source.gate.fail(&error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads by one consumer for as long as it is good. Ends well when nobody listens any more.
    async fn session(&mut self) -> Result<(), Lost> {
        let bus = self.source.bus.clone();
        let name = bus.subjects.stream_name(self.source.stream);
        let stream = bus.js.get_stream(name).await;
        let stream = stream.map_err(|source| Lost::Stream(Box::new(source)))?;
        let newest = stream.cached_info().state.last_sequence;
        if newest < self.last && !self.restarted().await {
            return Ok(());
        }
        let config = pull::Config {
            deliver_policy: self.position(),
            ack_policy: AckPolicy::None,
            inactive_threshold: Duration::from_mins(1),
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer = stream
            .create_consumer(config)
            .await
            .map_err(Lost::Consumer)?;
        if consumer.cached_info().num_pending == 0 {
            self.source.gate.pass();
            self.last = self.last.max(newest);
            if self.to.send(Item::Reached(newest)).await.is_err() {
                return Ok(());
            }
        }
        let mut expected = 1;
        loop {
            let batch = consumer.batch().max_messages(BATCH).expires(EXPIRES);
            let batch = batch.messages().await;
            let mut batch = batch.map_err(|source| Lost::Pull(Box::new(source)))?;
            let mut empty = true;
            while let Some(message) = batch.next().await {
                empty = false;
                let message = message.map_err(Lost::Pull)?;
                if !self.take(&message, &mut expected).await? {
                    return Ok(());
                }
            }
            if empty {
                let info = stream.get_info().await;
                let info = info.map_err(|source| Lost::Stream(Box::new(source)))?;
                if info.state.last_sequence < self.last {
                    return Err(Lost::Restarted);
                }
            }
        }
    }

    /// Passes a message on. Returns whether anybody listens.
    async fn take(
        &mut self,
        message: &jetstream::Message,
        expected: &mut u64,
    ) -> Result<bool, Lost> {
        let info = message.info().map_err(Lost::Pull)?;
        if info.consumer_sequence != *expected {
            return Err(Lost::Skipped);
        }
        *expected += 1;
        let sequence = info.stream_sequence;
        if info.pending == 0 {
            self.source.gate.pass();
        }
        let nanoseconds = info.published.unix_timestamp_nanos();
        let published = Timestamp::from_nanosecond(nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH);
        let item = match (self.decode)(message, published) {
            Ok(Some(value)) => Item::Message(sequence, value),
            Ok(None) => Item::Skipped(sequence),
            Err(reason) => {
                let stream = self.source.stream.token();
                self.source.telemetry.count_malformed(stream, reason);
                tracing::debug!(stream, sequence, reason, "message skipped");
                Item::Skipped(sequence)
            }
        };
        let listens = self.to.send(item).await.is_ok();
        self.last = sequence;
        if listens && info.pending == 0 {
            return Ok(self.to.send(Item::Reached(sequence)).await.is_ok());
        }
        Ok(listens)
    }

    async fn restarted(&mut self) -> bool {
        self.last = 0;
        self.source.from = None;
        self.to.send(Item::Restarted).await.is_ok()
    }

    fn position(&self) -> DeliverPolicy {
        if self.last > 0 {
            return DeliverPolicy::ByStartSequence {
                start_sequence: self.last + 1,
            };
        }
        let from = self.source.from.map(Timestamp::as_nanosecond);
        let from = from.map(async_nats::datetime::DateTime::from_unix_timestamp_nanos);
        match from {
            Some(Ok(start_time)) => DeliverPolicy::ByStartTime { start_time },
            Some(Err(_)) | None => DeliverPolicy::All,
        }
    }
}
