//! Writes lines into the chain, each once.
//!
//! A line is stored only as the one that follows the end that was read, so two writers never
//! fork the chain, and a repeat is seen before it is stored again: the last line about the same
//! action then says the same.

use jiff::Timestamp;
use runtime::{bus, bus::Bus};
use schemas::{
    action::{Feedback, HealingAction},
    digest,
    envelope::Envelope,
    journal::{self, Head},
    subject::Stream,
};
use serde::{Deserialize, de::IgnoredAny};

use super::{
    PROGRAM, Told,
    anchor::{self, Anchors},
};
use crate::report::Entry;

/// How often a line is tried against other writers before it counts as failed.
const TRIES: u32 = 16;

/// Why a line is not in the journal.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The bus did not answer, or refused.
    #[error("failed to tell the bus")]
    Bus(#[source] bus::Error),
    /// The anchor is unknown, so the chain could be continued from the wrong end.
    #[error("failed to learn how far the journal reached")]
    Anchor(#[source] anchor::Error),
    /// The line cannot be written as JSON.
    #[error("failed to encode a line")]
    Encode(#[source] serde_json::Error),
    /// Others were faster each time.
    #[error("others write to the journal without a break")]
    Contended,
}

/// Where an action was in its life, and what people thought of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Story {
    pub(super) action_uid: String,
    pub(super) phase: String,
    pub(super) reason: String,
    #[serde(default)]
    pub(super) feedback: Vec<Feedback>,
}

impl Story {
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            action_uid: entry.action_uid.clone(),
            phase: entry.phase.clone(),
            reason: entry.reason.clone(),
            feedback: entry.feedback.clone(),
        }
    }

    /// Where `action` is by its status; `None` before its first transition.
    pub(super) fn now(action: &HealingAction) -> Option<Self> {
        let status = action.status.as_ref()?;
        Some(Self {
            action_uid: action.metadata.uid.clone()?,
            phase: status.phase.as_str().to_owned(),
            reason: status.reason.clone()?,
            feedback: action.spec.feedback.clone(),
        })
    }

    /// Whether `self` says no more than `before` but what people think.
    pub(super) fn adds_feedback_alone(&self, before: &Self) -> bool {
        let moved = |one: &Self| {
            (
                one.action_uid.clone(),
                one.phase.clone(),
                one.reason.clone(),
            )
        };
        moved(self) == moved(before) && self.feedback != before.feedback
    }
}

/// The story that a line tells.
pub(super) fn story(line: &[u8]) -> Option<Story> {
    Some(serde_json::from_slice::<Envelope<Story>>(line).ok()?.data)
}

/// When a line was written.
pub(super) fn time(line: &[u8]) -> Option<Timestamp> {
    Some(
        serde_json::from_slice::<Envelope<IgnoredAny>>(line)
            .ok()?
            .time,
    )
}

/// The end of the stream, and the head of the chain there.
struct End {
    sequence: u64,
    head: Option<Head>,
}

/// Writes lines, and anchors them.
pub(super) struct Writer {
    bus: Bus,
    anchors: Anchors,
    /// As this writer left it; unknown at first and after any failure.
    end: Option<End>,
    /// The furthest head that was seen: the chain goes on from here even when the stream was cut.
    furthest: Option<Head>,
    anchored: u64,
}

impl Writer {
    pub(super) fn new(bus: Bus, anchors: Anchors) -> Self {
        Self {
            bus,
            anchors,
            end: None,
            furthest: None,
            anchored: 0,
        }
    }

    /// Publishes the alert and appends the line, unless that was done before.
    pub(super) async fn deliver(&mut self, told: &Told) -> Result<(), Error> {
        for _ in 0..TRIES {
            // Taken: after a failure nobody knows where the end is.
            let end = match self.end.take() {
                Some(end) => end,
                None => self.read_end().await?,
            };
            let (bus, entry) = (&self.bus, &told.entry);
            let subject = bus.subjects.journal(&entry.namespace, &entry.action);
            let before = bus.leader_last(Stream::Journal, &subject).await;
            let before = before.map_err(Error::Bus)?.map(|message| message.payload);
            if before.as_deref().and_then(story) == Some(Story::of(entry)) {
                self.end = Some(end);
                return Ok(());
            }
            if let Some(alert) = told.alert.clone() {
                let sent = bus.publish_alert(alert, PROGRAM, told.time).await;
                sent.map_err(Error::Bus)?;
            }
            let event = envelope(told, before.as_deref(), &bus.cluster);
            let sealed = journal::seal(&event, end.head.as_ref());
            let (line, head) = sealed.map_err(Error::Encode)?;
            let stored = bus.append(&subject, line.into(), end.sequence).await;
            if let Some(sequence) = stored.map_err(Error::Bus)? {
                self.furthest = Some(head.clone());
                let head = Some(head);
                self.end = Some(End { sequence, head });
                return Ok(());
            }
        }
        Err(Error::Contended)
    }

    /// Where the next line goes. The chain continues from the furthest head that is known: when
    /// lines were cut off the end, what is missing then shows for ever.
    async fn read_end(&mut self) -> Result<End, Error> {
        let anchored = self.anchors.read().await;
        let anchored = match anchored {
            Ok(anchor) => anchor.head,
            Err(error) if error.is_absent() => None,
            Err(error) => return Err(Error::Anchor(error)),
        };
        let tail = self.bus.tail(Stream::Journal).await.map_err(Error::Bus)?;
        let stored = tail.last.and_then(|last| journal::link(&last.payload));
        let stored = stored.filter(|link| link.is_whole).map(|link| link.head);
        self.furthest = furthest([anchored, self.furthest.take(), stored]);
        Ok(End {
            sequence: tail.sequence,
            head: self.furthest.clone(),
        })
    }

    /// Moves the anchor on to the last line of this writer.
    pub(super) async fn anchor(&mut self) -> Result<(), anchor::Error> {
        if let Some(head) = &self.furthest
            && head.sequence > self.anchored
        {
            self.anchors.write(head).await?;
            self.anchored = head.sequence;
        }
        Ok(())
    }
}

/// The head with the highest sequence; of equals, the one that is trusted more.
fn furthest(most_trusted_first: [Option<Head>; 3]) -> Option<Head> {
    let mut heads = most_trusted_first.into_iter().flatten();
    let first = heads.next()?;
    Some(heads.fold(first, |best, head| {
        if head.sequence > best.sequence {
            head
        } else {
            best
        }
    }))
}

/// The event around an entry. Its id follows from the transition and from the line before it about
/// the same action, so a repeat has the same and a later return to the same phase another.
fn envelope(told: &Told, before: Option<&[u8]>, cluster: &str) -> Envelope<Entry> {
    let entry = told.entry.clone();
    let before = before.and_then(|line| serde_json::from_slice::<Envelope<IgnoredAny>>(line).ok());
    let before = before.map(|event| event.id).unwrap_or_default();
    let identity = [&entry.action_uid, &entry.phase, &entry.reason, &before];
    let id = digest::short(identity, 32);
    let source = format!("/kubeskippy/{cluster}/{PROGRAM}");
    let kind = "io.kubeskippy.journal.transition.v1".to_owned();
    let about = format!("HealingAction {}/{}", entry.namespace, entry.action);
    Envelope::new(id, source, kind, told.time, entry)
        .about(about)
        .traced(Some(told.trace.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report, testing::snapshot};

    fn told() -> Told {
        let snapshot = snapshot();
        Told {
            alert: None,
            entry: report::entry(&snapshot, &snapshot.action.status, "c"),
            trace: "t".to_owned(),
            time: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_line_tells_the_story_it_was_made_of() {
        let told = told();
        let (line, _) = journal::seal(&envelope(&told, None, "c"), None).unwrap();
        assert_eq!(story(&line), Some(Story::of(&told.entry)));
        assert_eq!(time(&line), Some(told.time));
        assert_eq!(story(b"{}"), None);
    }

    #[test]
    fn what_people_think_later_is_news_and_the_same_word_again_is_none() {
        let mut told = told();
        let before = Story::of(&told.entry);
        assert!(!before.adds_feedback_alone(&before));
        told.entry.feedback = vec![Feedback {
            by: "ada".to_owned(),
            opinion: schemas::action::Opinion::Useful,
            cause: None,
            comment: None,
        }];
        let (line, _) = journal::seal(&envelope(&told, None, "c"), None).unwrap();
        let after = story(&line).unwrap();
        assert!(after.adds_feedback_alone(&before));
        assert!(!Story::of(&told.entry).adds_feedback_alone(&after));
        let mut moved = after.clone();
        "Succeeded".clone_into(&mut moved.phase);
        assert!(!moved.adds_feedback_alone(&before));
    }

    #[test]
    fn a_repeat_has_the_same_id_and_a_return_another() {
        let told = told();
        let first = envelope(&told, None, "c");
        assert_eq!(envelope(&told, None, "c").id, first.id);
        let (line, _) = journal::seal(&first, None).unwrap();
        assert_ne!(envelope(&told, Some(&line), "c").id, first.id);
    }

    #[test]
    fn the_furthest_head_counts_and_of_equals_the_most_trusted() {
        let head = |sequence, hash: &str| {
            let hash = hash.to_owned();
            Some(Head { sequence, hash })
        };
        assert_eq!(furthest([head(2, "a"), None, head(2, "b")]), head(2, "a"));
        assert_eq!(furthest([head(2, "a"), None, head(3, "b")]), head(3, "b"));
        assert_eq!(furthest([None, None, None]), None);
    }
}
