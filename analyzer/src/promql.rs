//! A subset of PromQL over the window.
//!
//! A text becomes a [`Query`]: parsed, and checked to be something that can be
//! answered here; what cannot is refused by name, with what to write instead.
//! [`evaluate`] answers it at an instant of event time, with the meaning that
//! Prometheus gives it. `docs/metrics-and-queries.md` says which metrics there
//! are, which part of the language, and where the two differ.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemas::policy::EventType;

pub use self::{
    error::Error,
    vector::{Labels, Owner, Reading, Sample, Vector},
};
use crate::window::{self, Wanted, Window};

mod error;
mod vector;

/// A query that was parsed and found answerable.
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    span: SignedDuration,
}

impl Query {
    /// Reads PromQL, or one of the short names.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Err(Error::Unsupported {
            what: text.to_owned(),
            instead: "",
        })
    }

    /// How far back from the instant of evaluation samples are needed, beside the window's lookback.
    pub fn span(&self) -> SignedDuration {
        self.span
    }

    /// The query as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The answer at an instant.
pub fn evaluate(query: &Query, _window: &Window, _at: Timestamp) -> Result<Vector, Error> {
    Err(Error::Unsupported {
        what: query.text.clone(),
        instead: "",
    })
}

/// Occurrences of cluster events per UID of their target, in the `span` that
/// ends at `at`. The pattern must match all of the reason.
pub fn count_events(
    window: &Window,
    reason: &regex::Regex,
    kind: Option<EventType>,
    span: SignedDuration,
    at: Timestamp,
) -> BTreeMap<String, u64> {
    let whole = window::whole(reason);
    let wanted = Wanted {
        reason: Some(whole.as_ref().unwrap_or(reason)),
        kind,
        after: window::before(at, span),
        until: at.as_millisecond(),
    };
    let mut counts = BTreeMap::new();
    for (target, (count, _)) in window.event_counts(&wanted) {
        *counts.entry(target.uid.clone()).or_default() += count;
    }
    counts
}
