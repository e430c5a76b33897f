//! Appending to a stream only if nobody else has since it was read.
//!
//! The condition is the server's: of two writers that read the same end, one is
//! told that it is too late. Reads go to the stream's leader, never to a copy that lags.

use async_nats::{
    HeaderMap,
    jetstream::{
        context::PublishErrorKind,
        message::StreamMessage,
        stream::{LastRawMessageErrorKind, Stream as Handle},
    },
};
use bytes::Bytes;
use schemas::subject::{Stream, Subject};

use super::{Bus, Error};

/// How far a stream reaches.
#[derive(Debug)]
pub struct Tail {
    /// The sequence of the last message that was ever stored.
    pub sequence: u64,
    /// The last message that is there.
    pub last: Option<StreamMessage>,
}

impl Bus {
    /// The end of `stream`. When it grew in between, the message may be newer than the sequence.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn tail(&self, stream: Stream) -> Result<Tail, Error> {
        let all = self.subjects.all(stream);
        let handle = self.handle(stream, &all).await?;
        let info = handle.get_info().await;
        let info = info.map_err(|source| last_failed(&all, source))?;
        Ok(Tail {
            sequence: info.state.last_sequence,
            last: last(&handle, &all).await?,
        })
    }

    /// The last message on `subject`, as the stream's leader has it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn leader_last(
        &self,
        stream: Stream,
        subject: &Subject,
    ) -> Result<Option<StreamMessage>, Error> {
        let handle = self.handle(stream, subject).await?;
        last(&handle, subject).await
    }

    /// Stores a message as the one that follows `after` in its stream, and says at which
    /// sequence; `None` when something else follows it already.
    ///
    /// # Errors
    /// When no ack came in time. The message may be stored all the same.
    pub async fn append(
        &self,
        subject: &Subject,
        payload: Bytes,
        after: u64,
    ) -> Result<Option<u64>, Error> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/cloudevents+json");
        headers.insert(
            async_nats::header::NATS_EXPECTED_LAST_SEQUENCE,
            after.to_string().as_str(),
        );
        let sent = self
            .js
            .publish_with_headers(subject.to_string(), headers, payload);
        let stored = match sent.await {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(ack) => Ok(Some(ack.sequence)),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
            Err(source) => Err(Error::Publish {
                subject: subject.to_string(),
                source,
            }),
        }
    }

    async fn handle(&self, stream: Stream, subject: &Subject) -> Result<Handle<()>, Error> {
        let name = self.subjects.stream_name(stream);
        let handle = self.js.get_stream_no_info(name).await;
        handle.map_err(|source| last_failed(subject, source))
    }
}

async fn last(handle: &Handle<()>, subject: &Subject) -> Result<Option<StreamMessage>, Error> {
    match handle
        .get_last_raw_message_by_subject(subject.as_str())
        .await
    {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(source) => Err(last_failed(subject, source)),
    }
}

fn last_failed(subject: &Subject, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Last {
        subject: subject.to_string(),
        source: Box::new(source),
    }
}
