//! To JetStream, awaiting acks.
//!
//! In: a parcel. Out: the message it becomes, and later what became of it. A
//! message that is larger than the server takes is never sent: it would fail
//! for ever.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use runtime::bus::{self, Bus};
use schemas::{
    envelope,
    sample::{self, Cut},
    subject::{Subject, Subjects},
};
use serde::Serialize;

use crate::{
    dedup,
    inventory::Telling,
    outbox::{Batch, Heading, Parcel},
    reading::event::EventReading,
};

/// Bytes of a message that are left for subject and headers.
pub(crate) const HEADROOM: usize = 8 * 1024;
/// How long an ack may take. Longer than the client's own patience, so that its reason is told.
const PATIENCE: Duration = Duration::from_secs(12);

/// A message, ready to be sent.
#[derive(Debug)]
pub(crate) struct Letter {
    subject: Subject,
    headers: HeaderMap,
    payload: Bytes,
    id: String,
}

/// What became of a parcel.
#[derive(Debug)]
pub(crate) struct Landed {
    /// The parcel.
    pub parcel: Parcel,
    /// The UID of an object whose end it told.
    pub ended: Option<String>,
    /// Bytes of its payload.
    pub bytes: usize,
    /// Its sequence in the stream, or why it was not acknowledged.
    pub ack: Result<Ack, Error>,
}

/// The server's word that it has a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack {
    /// Sequence in the stream.
    pub sequence: u64,
    /// Whether the server had the message already.
    pub is_repeat: bool,
}

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It cannot be written as JSON.
    #[error("failed to encode a message")]
    Encode(#[source] serde_json::Error),
    /// It is larger than the server takes.
    #[error("a message of {bytes} bytes for {subject} is larger than the server takes")]
    Oversized {
        /// Where to.
        subject: Subject,
        /// Its size.
        bytes: usize,
    },
    /// The bus did not acknowledge it.
    #[error("failed to publish")]
    Bus(#[source] Box<bus::Error>),
    /// The bus did not answer.
    #[error("no ack in time")]
    Timeout,
}

impl Error {
    /// A short, bounded label for metrics.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Encode(_) => "Encode",
            Self::Oversized { .. } => "Oversized",
            Self::Bus(_) => "NotAcknowledged",
            Self::Timeout => "Timeout",
        }
    }
}

/// The message that tells of an object.
pub(crate) fn object(subjects: &Subjects, telling: &Telling, most: usize) -> Result<Letter, Error> {
    let target = &telling.state.target;
    let subject = subjects.object(&target.kind, &target.namespace, &target.name);
    let mut letter = json(subject, &telling.state)?;
    letter.id = dedup::object_id(telling, &letter.payload);
    letter.within(most)
}

/// The message that tells of an event.
pub(crate) fn event(
    subjects: &Subjects,
    reading: &EventReading,
    most: usize,
) -> Result<Letter, Error> {
    let mut letter = json(subjects.event(&reading.namespace), &reading.event)?;
    letter.id = dedup::event_id(&reading.event);
    letter.within(most)
}

/// One message of a scrape.
pub(crate) fn batch(
    bus: &Bus,
    tick_ms: i64,
    heading: Heading,
    interval: Duration,
    batch: &Batch,
) -> Letter {
    let Heading { cut, gap } = heading;
    let trace = envelope::traceparent(&format!("{}/{tick_ms}", bus.cluster));
    let mut headers = HeaderMap::new();
    headers.insert(sample::SCHEMA, batch.schema);
    headers.insert(sample::TICK, tick_ms.to_string());
    headers.insert(sample::SHARD, batch.shard.to_string());
    headers.insert(sample::CUT, cut.to_string());
    headers.insert(sample::GAP, gap.to_string());
    headers.insert(sample::INTERVAL, interval.as_millis().to_string());
    headers.insert(sample::TRACEPARENT, trace);
    Letter {
        subject: bus.subjects.samples(batch.subject),
        headers,
        payload: batch.payload.clone(),
        id: dedup::sample_id(batch.schema, tick_ms, batch.shard),
    }
}

fn json(subject: Subject, message: &impl Serialize) -> Result<Letter, Error> {
    Ok(Letter {
        subject,
        headers: HeaderMap::new(),
        payload: serde_json::to_vec(message).map_err(Error::Encode)?.into(),
        id: String::new(),
    })
}

impl Letter {
    fn within(self, most: usize) -> Result<Self, Error> {
        let bytes = self.payload.len();
        if bytes > most {
            let subject = self.subject;
            return Err(Error::Oversized { subject, bytes });
        }
        Ok(self)
    }
}

/// Sends a message and awaits its ack.
pub(crate) async fn send(
    bus: Bus,
    letter: Letter,
    parcel: Parcel,
    ended: Option<String>,
) -> Landed {
    let Letter {
        subject,
        headers,
        payload,
        id,
    } = letter;
    let bytes = payload.len();
    let sent = bus.publish(&subject, headers, payload, Some(&id));
    let ack = match tokio::time::timeout(PATIENCE, sent).await {
        Ok(Ok(ack)) => Ok(Ack {
            sequence: ack.sequence,
            is_repeat: ack.duplicate,
        }),
        Ok(Err(error)) => Err(Error::Bus(Box::new(error))),
        Err(_) => Err(Error::Timeout),
    };
    Landed {
        parcel,
        ended,
        bytes,
        ack,
    }
}

/// The larger of two cuts, by stream.
pub(crate) fn advance(cut: &mut Cut, parcel: &Parcel, sequence: u64) {
    match parcel {
        Parcel::Object(_) => cut.objects = cut.objects.max(sequence),
        Parcel::Event(_) => cut.events = cut.events.max(sequence),
        Parcel::Batch(..) => {}
    }
}
