//! The chain that makes the journal tamper-evident.
//!
//! In: an event, and the head of the chain before it. Out: its line, sealed. A line is the
//! `CloudEvents` event as JSON, ending in four extension attributes of fixed length:
//! `"chainversion":1,"sequence":"…","previous":"…","hash":"…"}`. `previous` is the hash of the line
//! before; `hash` is the SHA-256 of every byte of the line that comes before it. The bytes as stored
//! are the canonical form, so that a reader in any language needs a hash function and no JSON
//! writer, and not even a change of white space passes.
//!
//! There is no key: who can write the bus and the anchor can forge both. [`verify`] says what
//! does not fit together, not who did it.
//!
//! Pure: no IO, no clock.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::envelope::Envelope;

#[cfg(test)]
mod tests;

/// The `ConfigMap` in the system namespace that anchors the journal.
pub const ANCHOR: &str = "kubeskippy-journal";

/// What `previous` says in the first line.
pub const NOTHING_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Hex digits of a SHA-256.
const HASH: usize = 64;

/// Decimal digits of the largest sequence, so that sequences sort as text.
const SEQUENCE: usize = 20;

const VERSIONED: &str = ",\"chainversion\":1,\"sequence\":\"";
const PREVIOUS: &str = "\",\"previous\":\"";
const HASHED: &str = "\",\"hash\":\"";
const END: &str = "\"}";

/// How far a chain reaches: its last line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The line's place in the chain; the first is 1.
    pub sequence: u64,
    /// The line's hash.
    pub hash: String,
}

/// What is known of a chain from outside the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// How far the chain reached when the anchor was last written; nothing up to here may be missing.
    pub head: Option<Head>,
    /// The oldest line that must still be there: 1, unless older ones were taken away on purpose.
    pub oldest: u64,
}

impl Default for Anchor {
    fn default() -> Self {
        Self {
            head: None,
            oldest: 1,
        }
    }
}

impl Anchor {
    /// Reads the data of the anchor's `ConfigMap`. What cannot be read reads as absent.
    pub fn of(data: &BTreeMap<String, String>) -> Self {
        let number = |key: &str| data.get(key)?.parse().ok();
        let hash = data.get("hash").filter(|hash| hash.len() == HASH);
        Self {
            head: number("sequence").zip(hash).map(|(sequence, hash)| Head {
                sequence,
                hash: hash.clone(),
            }),
            oldest: number("oldest").unwrap_or(1),
        }
    }
}

impl Head {
    /// Writes the head into the data of the anchor's `ConfigMap`.
    pub fn write_to(&self, data: &mut BTreeMap<String, String>) {
        data.insert("sequence".to_owned(), self.sequence.to_string());
        data.insert("hash".to_owned(), self.hash.clone());
    }
}

/// What a line says about its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The line itself.
    pub head: Head,
    /// Hash of the line before.
    pub previous: String,
    /// Whether the hash is that of the bytes.
    pub is_whole: bool,
}

/// Seals `event` as the line that follows `after`, and says what the head is then.
///
/// # Errors
/// When the event cannot be written as JSON.
pub fn seal<T: Serialize>(
    event: &Envelope<T>,
    after: Option<&Head>,
) -> Result<(Vec<u8>, Head), serde_json::Error> {
    let mut line = serde_json::to_string(event)?;
    let sequence = after.map_or(1, |head| head.sequence.saturating_add(1));
    let previous = after.map_or(NOTHING_BEFORE, |head| &head.hash);
    // The object's closing brace; the chain's attributes go before it.
    line.pop();
    line.push_str(VERSIONED);
    // Writing to a string cannot fail.
    let _infallible = write!(line, "{sequence:0SEQUENCE$}");
    line.push_str(PREVIOUS);
    line.push_str(previous);
    line.push_str(HASHED);
    let hash = hash(line.as_bytes());
    line.push_str(&hash);
    line.push_str(END);
    Ok((line.into_bytes(), Head { sequence, hash }))
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// Reads the end of a line; `None` when it is not one of the journal.
pub fn link(line: &[u8]) -> Option<Link> {
    let rest = line.strip_suffix(END.as_bytes())?;
    let (sealed, hash_text) = rest.split_at_checked(rest.len().checked_sub(HASH)?)?;
    let rest = sealed.strip_suffix(HASHED.as_bytes())?;
    let (rest, previous) = rest.split_at_checked(rest.len().checked_sub(HASH)?)?;
    let rest = rest.strip_suffix(PREVIOUS.as_bytes())?;
    let (rest, sequence) = rest.split_at_checked(rest.len().checked_sub(SEQUENCE)?)?;
    rest.strip_suffix(VERSIONED.as_bytes())?;
    let stated = std::str::from_utf8(hash_text).ok()?;
    Some(Link {
        is_whole: hash(sealed) == stated,
        previous: std::str::from_utf8(previous).ok()?.to_owned(),
        head: Head {
            sequence: std::str::from_utf8(sequence).ok()?.parse().ok()?,
            hash: stated.to_owned(),
        },
    })
}

/// What does not fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not a line of the journal: something foreign, or a line altered beyond recognition.
    NotALine,
    /// The bytes are not those that were sealed.
    Altered,
    /// Lines are gone, from this sequence up to that one.
    Missing {
        /// The first that is gone.
        from: u64,
        /// The last that is gone.
        to: u64,
    },
    /// A line that does not belong here: inserted, repeated or out of order.
    OutOfPlace {
        /// The sequence that belongs here.
        expected: u64,
    },
    /// It was sealed after another line than the one before it.
    Unlinked,
    /// It is not the line that the anchor names.
    NotAnchored,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotALine => f.write_str("not a line of the journal (inserted, or altered)"),
            Self::Altered => f.write_str("altered: its bytes are not those that were sealed"),
            Self::Missing { from, to } if from == to => write!(f, "line {from} is missing"),
            Self::Missing { from, to } => write!(f, "lines {from} to {to} are missing"),
            Self::OutOfPlace { expected } => {
                write!(
                    f,
                    "inserted, repeated or out of order: {expected} belongs here"
                )
            }
            Self::Unlinked => f.write_str("sealed after another line than the one before it"),
            Self::NotAnchored => f.write_str("not the line that the anchor names"),
        }
    }
}

/// Where the chain is broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// Which line, counted from 1 as they were read; one past the last when the end is missing.
    pub position: u64,
    /// What the line says its sequence is.
    pub sequence: Option<u64>,
    /// How.
    pub fault: Fault,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many lines were read.
    pub lines: u64,
    /// The first sequence that was read.
    pub first: Option<u64>,
    /// The last line.
    pub head: Option<Head>,
    /// The first breaks, at most [`MOST_BREAKS`].
    pub breaks: Vec<Break>,
    /// How many breaks there are.
    pub broken: u64,
}

/// How many breaks a report lists; the first is what counts, and a rewritten journal has one a line.
pub const MOST_BREAKS: usize = 20;

impl Report {
    /// Whether everything fits together.
    pub const fn is_intact(&self) -> bool {
        self.broken == 0
    }
}

/// Checks lines one by one, in the order in which they are stored.
#[derive(Clone, Debug)]
pub struct Verifier {
    anchor: Anchor,
    last: Option<Head>,
    report: Report,
}

impl Verifier {
    /// A verifier that has read nothing.
    pub fn new(anchor: Anchor) -> Self {
        Self {
            anchor,
            last: None,
            report: Report::default(),
        }
    }

    /// Takes the next line, without its line feed.
    pub fn line(&mut self, line: &[u8]) {
        self.report.lines += 1;
        let Some(place) = link(line) else {
            return self.found(None, Fault::NotALine);
        };
        let sequence = place.head.sequence;
        if self.report.first.is_none() {
            self.report.first = Some(sequence);
        }
        match self.fault(&place) {
            Some(fault @ Fault::OutOfPlace { .. }) => {
                // Go on from where the chain was: what is foreign here must not hide what follows.
                self.found(Some(sequence), fault);
            }
            Some(fault) => {
                self.found(Some(sequence), fault);
                self.last = Some(place.head);
            }
            None => self.last = Some(place.head),
        }
    }

    fn fault(&self, link: &Link) -> Option<Fault> {
        let Head { sequence, hash } = &link.head;
        let expected = match &self.last {
            Some(last) => last.sequence.saturating_add(1),
            // Older ones may be gone, and need not be.
            None => (*sequence).clamp(1, self.anchor.oldest.max(1)),
        };
        if !link.is_whole {
            return Some(Fault::Altered);
        }
        if *sequence < expected {
            return Some(Fault::OutOfPlace { expected });
        }
        if *sequence > expected {
            let to = sequence.saturating_sub(1);
            return Some(Fault::Missing { from: expected, to });
        }
        let before = match &self.last {
            Some(last) => Some(last.hash.as_str()),
            None if *sequence == 1 => Some(NOTHING_BEFORE),
            // What was taken away on purpose cannot be compared with.
            None => None,
        };
        if before.is_some_and(|before| before != link.previous) {
            return Some(Fault::Unlinked);
        }
        let anchored = self.anchor.head.as_ref();
        let differs =
            anchored.is_some_and(|anchor| anchor.sequence == *sequence && anchor.hash != *hash);
        differs.then_some(Fault::NotAnchored)
    }

    fn found(&mut self, sequence: Option<u64>, fault: Fault) {
        self.report.broken += 1;
        if self.report.breaks.len() < MOST_BREAKS {
            self.report.breaks.push(Break {
                position: self.report.lines,
                sequence,
                fault,
            });
        }
    }

    /// Whether everything so far fits together.
    pub const fn is_intact(&self) -> bool {
        self.report.is_intact()
    }

    /// Compares the end with the anchor, and says what was found.
    pub fn finish(mut self) -> Report {
        let reached = self.last.as_ref().map_or(0, |last| last.sequence);
        let promised = self.anchor.head.as_ref().map_or(0, |head| head.sequence);
        if promised > reached {
            let from = match &self.last {
                Some(last) => last.sequence.saturating_add(1),
                None => self.anchor.oldest.clamp(1, promised),
            };
            self.report.lines += 1;
            self.found(None, Fault::Missing { from, to: promised });
            self.report.lines -= 1;
        }
        self.report.head = self.last;
        self.report
    }
}

/// Checks all lines of a journal against each other and against the anchor.
pub fn verify<'a>(lines: impl IntoIterator<Item = &'a [u8]>, anchor: Anchor) -> Report {
    let mut verifier = Verifier::new(anchor);
    for line in lines {
        verifier.line(line);
    }
    verifier.finish()
}
