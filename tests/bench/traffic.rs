//! What travels on the bus.
//!
//! In: a subscription to the samples stream, headers only, and the state of each
//! stream. Out: when each scrape was stored, how large it was, and how much each
//! stream grew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use async_nats::jetstream::{
    self,
    consumer::{DeliverPolicy, pull::OrderedConfig},
};
use futures::StreamExt as _;
use jiff::Timestamp;
use schemas::sample::TICK;
use schemas::subject::{Stream, Subjects};

use crate::meter::ratio;
use crate::table::Table;
use crate::task::Task;

/// The header by which JetStream tells the size of a payload it leaves out.
const SIZE: &str = "Nats-Msg-Size";

/// One scrape, as the stream stored it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scrape {
    /// When its first message was stored, by the server's clock.
    pub(crate) first: Timestamp,
    /// When its last one was.
    pub(crate) last: Timestamp,
    /// Messages, one for each shard and kind of sample.
    pub(crate) messages: u64,
    /// Bytes of their payloads.
    pub(crate) bytes: u64,
}

/// Scrapes by tick, in milliseconds since 1970 UTC.
pub(crate) type Scrapes = BTreeMap<i64, Scrape>;

/// The samples stream, followed until this is dropped.
#[derive(Debug)]
pub(crate) struct Followed {
    scrapes: Arc<Mutex<Scrapes>>,
    _task: Task,
}

impl Followed {
    /// The scrapes noted so far.
    pub(crate) fn scrapes(&self) -> Scrapes {
        lock(&self.scrapes).clone()
    }
}

/// The bus of one cluster, to look at.
#[derive(Clone, Debug)]
pub(crate) struct Bus {
    js: jetstream::Context,
    subjects: Subjects,
}

/// Last sequence, messages and bytes of each stream.
pub(crate) type State = BTreeMap<Stream, (u64, u64, u64)>;

impl Bus {
    /// The bus behind `client`.
    pub(crate) fn new(client: async_nats::Client, cluster: &str) -> Self {
        Self {
            js: jetstream::new(client),
            subjects: Subjects::new(cluster),
        }
    }

    /// Notes every scrape from now on.
    pub(crate) async fn follow(&self) -> Result<Followed> {
        let name = self.subjects.stream_name(Stream::Samples);
        let stream = self.js.get_stream(&name).await;
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::New,
            headers_only: true,
            ..OrderedConfig::default()
        };
        let consumer = stream
            .with_context(|| format!("there is no stream {name}"))?
            .create_consumer(config)
            .await
            .context("failed to read the samples stream")?;
        let mut messages = consumer
            .messages()
            .await
            .context("failed to read the samples stream")?;
        let scrapes = Arc::<Mutex<Scrapes>>::default();
        let noted = Arc::clone(&scrapes);
        let task = Task::spawn(async move {
            while let Some(Ok(message)) = messages.next().await {
                if let Some((tick, scrape)) = scrape(&message) {
                    lock(&noted)
                        .entry(tick)
                        .and_modify(|known| *known = known.with(scrape))
                        .or_insert(scrape);
                }
            }
        });
        Ok(Followed {
            scrapes,
            _task: task,
        })
    }

    /// How far each stream has come.
    pub(crate) async fn state(&self) -> Result<State> {
        let mut all = State::new();
        for stream in Stream::ALL {
            let name = self.subjects.stream_name(stream);
            let found = self.js.get_stream(&name).await;
            let found = found.with_context(|| format!("there is no stream {name}"))?;
            let state = &found.cached_info().state;
            let look = (state.last_sequence, state.messages, state.bytes);
            all.insert(stream, look);
        }
        Ok(all)
    }
}

impl Scrape {
    fn with(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            messages: self.messages + other.messages,
            bytes: self.bytes + other.bytes,
        }
    }
}

fn scrape(message: &jetstream::Message) -> Option<(i64, Scrape)> {
    let headers = message.headers.as_ref()?;
    let number = |name: &str| headers.get(name)?.as_str().parse::<i64>().ok();
    let stored = message.info().ok()?.published.unix_timestamp_nanos();
    let stored = Timestamp::from_nanosecond(stored).ok()?;
    let scrape = Scrape {
        first: stored,
        last: stored,
        messages: 1,
        bytes: number(SIZE).and_then(|size| u64::try_from(size).ok())?,
    };
    Some((number(TICK)?, scrape))
}

fn lock(scrapes: &Mutex<Scrapes>) -> MutexGuard<'_, Scrapes> {
    scrapes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How much each stream grew within `seconds`. What a message takes is the mean
/// over all that the stream holds, with its subject and headers.
pub(crate) fn table(before: &State, now: &State, seconds: f64) -> Table {
    let head = [
        "stream",
        "messages/s",
        "stored bytes/message",
        "stored bytes/s",
    ];
    let mut table = Table::new("Traffic on the bus", &head);
    for (stream, (sequence, messages, bytes)) in now {
        let then = before.get(stream).map_or(0, |(sequence, _, _)| *sequence);
        let rate = ratio(sequence - then, 1) / seconds;
        let size = if *messages == 0 {
            0.0
        } else {
            ratio(*bytes, *messages)
        };
        table.row([
            stream.token().to_owned(),
            format!("{rate:.2}"),
            format!("{size:.0}"),
            format!("{:.0}", rate * size),
        ]);
    }
    table
}
