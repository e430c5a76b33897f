//! The cluster events of the window, counted per target.
//!
//! A note is kept as its template alone: variable parts are taken out as it
//! comes in, each template is held once, and there are only so many.
//!
//! Pure: no IO, no clock.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use schemas::{cluster_event::ClusterEvent, policy::EventType, target::Target};

use crate::evidence::template;

/// The most distinct texts that are held, some 4 MB: whoever floods a cluster with Events does not fill
/// memory. Beyond it a note is told as nothing but a variable part.
const MOST_TEXTS: usize = 16_384;

/// The events, ordered by when they happened.
#[derive(Debug, Default)]
pub(super) struct Events {
    rows: BTreeMap<(i64, String, u32), Row>,
    /// Which counts of which Event are held.
    seen: HashSet<(String, u32)>,
    /// Templates of notes, and reporters.
    texts: HashSet<Arc<str>>,
}

#[derive(Debug)]
struct Row {
    target: Target,
    kind: String,
    reason: String,
    reporter: Arc<str>,
    template: Arc<str>,
    increase: u32,
}

/// One occurrence, or several of one Event at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happened<'a> {
    /// When, in milliseconds.
    pub(crate) at: i64,
    /// What it is about.
    pub(crate) target: &'a Target,
    /// `Normal` or `Warning`.
    pub(crate) kind: &'a str,
    /// The reason.
    pub(crate) reason: &'a str,
    /// Who reported it, as it says itself.
    pub(crate) reporter: &'a str,
    /// The note without its variable parts.
    pub(crate) template: &'a str,
    /// How many occurrences.
    pub(crate) increase: u32,
}

/// Which events are asked for.
pub(crate) struct Wanted<'a> {
    /// What the reason must match; made by [`whole`].
    pub(crate) reason: Option<&'a regex::Regex>,
    /// The type, or any.
    pub(crate) kind: Option<EventType>,
    /// After when, in milliseconds.
    pub(crate) after: i64,
    /// Until when, inclusive, in milliseconds.
    pub(crate) until: i64,
}

impl Events {
    pub(super) fn append(&mut self, event: &ClusterEvent, max_rows: usize) {
        let at = event.occurred_at.as_millisecond();
        let seen = (event.uid.clone(), event.count);
        if !self.seen.insert(seen) {
            return;
        }
        let row = Row {
            target: event.regarding.clone(),
            kind: event.kind.clone(),
            reason: event.reason.clone(),
            reporter: self.hold(&template::plain(&event.reporter)),
            template: self.hold(&template::mask(&event.note)),
            increase: event.increase,
        };
        self.rows.insert((at, event.uid.clone(), event.count), row);
        while self.rows.len() > max_rows {
            self.drop_oldest();
        }
    }

    fn hold(&mut self, text: &str) -> Arc<str> {
        if let Some(held) = self.texts.get(text) {
            return Arc::clone(held);
        }
        let full = self.texts.len() >= MOST_TEXTS;
        let held: Arc<str> = Arc::from(if full { template::VARIABLE } else { text });
        self.texts.insert(Arc::clone(&held));
        held
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Drops what is not after `horizon`, and what lies beyond `future`.
    pub(super) fn evict(&mut self, horizon: i64, future: i64) {
        while self
            .rows
            .first_key_value()
            .is_some_and(|((at, ..), _)| *at <= horizon)
        {
            self.drop_oldest();
        }
        while self
            .rows
            .last_key_value()
            .is_some_and(|((at, ..), _)| *at > future)
        {
            if let Some(((_, uid, count), _)) = self.rows.pop_last() {
                self.seen.remove(&(uid, count));
            }
        }
        self.texts.retain(|text| Arc::strong_count(text) > 1);
    }

    /// What happened to those whose UID, or, as kubelets have it for their node, whose name is asked for, the oldest first.
    pub(super) fn about<'a>(&'a self, uids: &BTreeSet<&str>) -> Vec<Happened<'a>> {
        let mut found = Vec::new();
        for ((at, ..), row) in &self.rows {
            if uids.contains(row.target.uid.as_str()) {
                found.push(Happened {
                    at: *at,
                    target: &row.target,
                    kind: &row.kind,
                    reason: &row.reason,
                    reporter: &row.reporter,
                    template: &row.template,
                    increase: row.increase,
                });
            }
        }
        found
    }

    fn drop_oldest(&mut self) {
        if let Some(((_, uid, count), _)) = self.rows.pop_first() {
            self.seen.remove(&(uid, count));
        }
    }

    /// Occurrences per target.
    pub(super) fn count(&self, wanted: &Wanted<'_>) -> BTreeMap<&Target, u64> {
        let mut counts = BTreeMap::new();
        let after = wanted.after.saturating_add(1);
        let end = wanted.until.saturating_add(1).max(after);
        let rows = self
            .rows
            .range((after, String::new(), 0)..(end, String::new(), 0));
        for (_, row) in rows {
            let kind = wanted.kind.is_none_or(|kind| kind.as_str() == row.kind);
            let reason = wanted.reason;
            if kind && reason.is_none_or(|reason| reason.is_match(&row.reason)) {
                *counts.entry(&row.target).or_default() += u64::from(row.increase);
            }
        }
        counts
    }
}

/// The same pattern, matching a text as a whole or not at all.
pub(crate) fn whole(pattern: &regex::Regex) -> Option<regex::Regex> {
    regex::Regex::new(&format!("^(?:{})$", pattern.as_str())).ok()
}

/// The instant `span` before `at`, in milliseconds.
pub(crate) fn before(at: Timestamp, span: SignedDuration) -> i64 {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    at.as_millisecond().saturating_sub(span.max(0))
}
