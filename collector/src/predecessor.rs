//! What an earlier collector told of objects that are gone by now.
//!
//! An object that ends while no collector runs is missed by every watch, and
//! its last state would stand in the stream as if it were true. So once, after
//! everything was listed, the subjects of the stream are compared with what is
//! there.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use runtime::bus::{self, Bus};
use schemas::{
    object::ObjectState,
    sample::{NODE_SUBJECT, TICK},
    subject::{Stream, decode},
};
use tokio::time::sleep;

/// Last messages that are asked for at once.
const AT_ONCE: usize = 32;
/// Rest after a question that was not answered.
const PAUSE: Duration = Duration::from_secs(10);

/// Why it is not known what an earlier collector told.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The stream cannot be found.
    #[error("failed to find the objects stream")]
    Stream(#[source] async_nats::jetstream::context::GetStreamError),
    /// Its subjects cannot be listed.
    #[error("failed to list the subjects of the objects stream")]
    Subjects(#[source] async_nats::jetstream::stream::InfoError),
    /// A last message cannot be read.
    #[error("failed to read the last state of an object")]
    Last(#[source] Box<bus::Error>),
}

/// The last states that stand in the stream as present, of objects whose subjects are not `known`.
pub(crate) async fn left_behind(bus: Bus, known: HashSet<String>) -> Vec<ObjectState> {
    loop {
        match ask(&bus, &known).await {
            Ok(states) => return states,
            Err(error) => {
                tracing::warn!(error = runtime::chain(&error), "earlier states not read");
                sleep(PAUSE).await;
            }
        }
    }
}

/// The tick of the last scrape in the stream, whoever published it; none when there is none or it is not to be had.
pub(crate) async fn last_tick(bus: Bus) -> Option<i64> {
    let subject = bus.subjects.samples(NODE_SUBJECT);
    match bus.last(Stream::Samples, &subject).await {
        Ok(message) => message?.headers.get(TICK)?.as_str().parse().ok(),
        Err(error) => {
            tracing::warn!(error = runtime::chain(&error), "last scrape not read");
            None
        }
    }
}

async fn ask(bus: &Bus, known: &HashSet<String>) -> Result<Vec<ObjectState>, Error> {
    let name = bus.subjects.stream_name(Stream::Objects);
    let objects = bus.js.get_stream(name).await.map_err(Error::Stream)?;
    let filter = bus.subjects.all(Stream::Objects);
    let subjects = objects.info_with_subjects(filter.as_str()).await;
    let unknown: Vec<String> = subjects
        .map_err(Error::Subjects)?
        .map_ok(|(subject, _)| subject)
        .try_filter(|subject| std::future::ready(!known.contains(subject)))
        .try_collect()
        .await
        .map_err(Error::Subjects)?;
    let last = |subject: String| async move {
        let answer = objects_last(bus, &subject).await?;
        // What does not parse is not ours to end.
        let state = answer.and_then(|payload| serde_json::from_slice::<ObjectState>(&payload).ok());
        Ok(state.filter(|state| !state.deleted))
    };
    stream::iter(unknown)
        .map(last)
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|state| std::future::ready(Ok(state)))
        .try_collect()
        .await
}

async fn objects_last(bus: &Bus, subject: &str) -> Result<Option<bytes::Bytes>, Error> {
    let tokens: Option<Vec<_>> = subject.split('.').skip(3).map(decode).collect();
    let Some([kind, namespace, name]) = tokens.as_deref() else {
        return Ok(None);
    };
    let subject = bus.subjects.object(kind, namespace, name);
    let last = bus.last(Stream::Objects, &subject).await;
    let last = last.map_err(|source| Error::Last(Box::new(source)))?;
    Ok(last.map(|message| message.payload))
}
