//! The CloudEvents 1.0 envelope around alerts and journal entries.
//!
//! In: what happened, when, and its identity. Out: the JSON event that
//! subscribers in any language can read. The id is chosen by the caller and is
//! the same for a repeat of the same event, so that receivers can drop repeats.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A CloudEvents 1.0 event in its JSON form (structured mode).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// Version of the CloudEvents specification: "1.0".
    pub specversion: String,
    /// Identity of the event; a repeat carries the same.
    pub id: String,
    /// Who says so: `/kubeskippy/<cluster>/<program>`.
    pub source: String,
    /// What happened: `io.kubeskippy.<noun>.<verb>.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The object it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened, in event time.
    pub time: Timestamp,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// W3C trace context, so that one trace runs from the scrape to the healed pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What is said.
    pub data: T,
}

impl<T> Envelope<T> {
    /// Wraps `data`.
    pub fn new(id: String, source: String, kind: String, time: Timestamp, data: T) -> Self {
        Self {
            specversion: "1.0".to_owned(),
            id,
            source,
            kind,
            subject: None,
            time,
            datacontenttype: "application/json".to_owned(),
            traceparent: None,
            data,
        }
    }

    /// Names the object that the event is about.
    #[must_use]
    pub fn about(mut self, subject: String) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Joins the event to a trace.
    #[must_use]
    pub fn traced(mut self, traceparent: Option<String>) -> Self {
        self.traceparent = traceparent;
        self
    }
}

/// A W3C `traceparent` derived from an identity, so that every program that
/// handles the same episode writes the same trace without passing state.
pub fn traceparent(identity: &str) -> String {
    let trace = crate::digest::short(["trace", identity], 32);
    let span = crate::digest::short(["span", identity], 16);
    format!("00-{trace}-{span}-01")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_has_the_form_w3c_gives_it() {
        let text = traceparent("episode");
        let lengths: Vec<_> = text.split('-').map(str::len).collect();
        assert_eq!(lengths, [2, 32, 16, 2]);
        assert_eq!(text, traceparent("episode"));
    }
}
