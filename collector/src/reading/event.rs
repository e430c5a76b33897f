//! Kubernetes Event → what of it may become a `ClusterEvent`.
//!
//! The count and the times of an Event live in three places, by which library
//! wrote it: the series, the deprecated fields, or the event time alone.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use k8s_openapi::api::{core::v1::ObjectReference, events::v1::Event};
use schemas::{cluster_event::ClusterEvent, target::Target};

use super::cut;

/// Most bytes of a note that are kept.
const NOTE_BYTES: usize = 1024;
/// Most bytes of any other text of an Event: four times what Kubernetes allows in a name.
const TEXT_BYTES: usize = 1024;

/// One version of a Kubernetes Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventReading {
    /// Where the Event object lives.
    pub namespace: String,
    /// When it was first seen, by the Event's own clock.
    pub began_at: Timestamp,
    /// What would be told of it; the increase is not known yet and zero.
    pub event: ClusterEvent,
}

/// What an Event says; none when it names no time or has no UID.
pub fn read(event: &Event) -> Option<EventReading> {
    let created = event.metadata.creation_timestamp.as_ref().map(|t| t.0);
    let first = event.deprecated_first_timestamp.as_ref().map(|t| t.0);
    let last = event.deprecated_last_timestamp.as_ref().map(|t| t.0);
    let at = event.event_time.as_ref().map(|t| t.0);
    let series = event.series.as_ref();
    let occurred_at = series
        .map(|series| series.last_observed_time.0)
        .or(last)
        .or(at)
        .or(created)?;
    let count = series
        .map(|series| series.count)
        .or(event.deprecated_count)
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or(1);
    let source = event.deprecated_source.as_ref();
    let reporter = event
        .reporting_controller
        .as_deref()
        .filter(|name| !name.is_empty())
        .or(source.and_then(|source| source.component.as_deref()));
    let text = |text: Option<&str>| cut(text.unwrap_or_default(), TEXT_BYTES);
    Some(EventReading {
        namespace: event.metadata.namespace.clone().unwrap_or_default(),
        began_at: first.or(at).or(created).unwrap_or(occurred_at),
        event: ClusterEvent {
            uid: event.metadata.uid.clone()?,
            regarding: target(event.regarding.as_ref()),
            kind: text(event.type_.as_deref()),
            reason: text(event.reason.as_deref()),
            note: cut(event.note.as_deref().unwrap_or_default(), NOTE_BYTES),
            reporter: text(reporter),
            occurred_at,
            count: count.max(1),
            increase: 0,
        },
    })
}

fn target(reference: Option<&ObjectReference>) -> Target {
    let text = |pick: fn(&ObjectReference) -> Option<&String>| {
        let found = reference.and_then(pick).map(String::as_str);
        cut(found.unwrap_or_default(), TEXT_BYTES)
    };
    Target {
        api_version: text(|r| r.api_version.as_ref()),
        kind: text(|r| r.kind.as_ref()),
        namespace: text(|r| r.namespace.as_ref()),
        name: text(|r| r.name.as_ref()),
        uid: text(|r| r.uid.as_ref()),
    }
}
