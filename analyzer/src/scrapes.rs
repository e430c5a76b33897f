//! Puts the shards of a scrape together again.
//!
//! In: sample messages in any order. Out: scrapes in the order of their ticks.
//! A scrape is whole when all its shards are there; one that a later tick has
//! overtaken is handed out as it is, and what lacks is counted.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use schemas::sample::{self, Cut, Shard};

/// One shard of a scrape, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardMessage {
    /// The instant of the scrape.
    pub tick: Timestamp,
    /// Which of how many.
    pub shard: Shard,
    /// What the collector had published before.
    pub cut: Cut,
    /// Scrapes that were lost before this one.
    pub gap: u64,
    /// Time between two scrapes.
    pub interval: SignedDuration,
    /// The rows, as an Arrow IPC stream.
    pub payload: Bytes,
}

/// All there is of a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrape {
    /// The instant of the scrape.
    pub at: Timestamp,
    /// What the collector had published before.
    pub cut: Cut,
    /// Scrapes that were lost before this one.
    pub gap: u64,
    /// Time between two scrapes.
    pub interval: SignedDuration,
    /// The shards, by index.
    pub shards: BTreeMap<u32, Bytes>,
    /// How many there should be.
    pub count: u32,
}

impl Scrape {
    /// How many shards lack.
    pub fn missing(&self) -> u32 {
        let there = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
        self.count.saturating_sub(there)
    }
}

/// Why a message is no shard of a scrape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A header is missing.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// A header cannot be read.
    #[error("header {0} is malformed")]
    Malformed(&'static str),
    /// The schema is of another kind, or of a major version that is not known here.
    #[error("schema {0:?} is not known")]
    Schema(String),
}

impl Error {
    /// A short, bounded label for metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => "MissingHeader",
            Self::Malformed(_) => "MalformedHeader",
            Self::Schema(_) => "UnknownSchema",
        }
    }
}

/// The interval of a collector that does not say it.
const USUAL_INTERVAL: SignedDuration = SignedDuration::from_secs(15);

/// The nodes of a scrape, as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodesMessage {
    /// The instant of the scrape.
    pub tick: Timestamp,
    /// The rows, as an Arrow IPC stream.
    pub payload: Bytes,
}

/// A sample message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Some of the containers of a scrape.
    Containers(ShardMessage),
    /// The nodes of a scrape.
    Nodes(NodesMessage),
}

/// Reads the headers of a sample message, which `header` looks up.
///
/// # Errors
/// When a header lacks or cannot be read.
pub fn read<'a>(
    header: impl Fn(&'static str) -> Option<&'a str>,
    payload: Bytes,
) -> Result<Message, Error> {
    let needed = |name| header(name).ok_or(Error::Missing(name));
    let schema = needed(sample::SCHEMA)?;
    let is_of_nodes = schema == sample::NODE_SCHEMA_VERSION;
    if schema != sample::SCHEMA_VERSION && !is_of_nodes {
        return Err(Error::Schema(schema.chars().take(64).collect()));
    }
    let malformed = Error::Malformed;
    let tick = needed(sample::TICK)?
        .parse()
        .ok()
        .and_then(|tick| Timestamp::from_millisecond(tick).ok())
        .ok_or(malformed(sample::TICK))?;
    if is_of_nodes {
        return Ok(Message::Nodes(NodesMessage { tick, payload }));
    }
    let shard = needed(sample::SHARD)?
        .parse()
        .map_err(|_| malformed(sample::SHARD))?;
    let cut = needed(sample::CUT)?
        .parse()
        .map_err(|_| malformed(sample::CUT))?;
    let optional = |name| header(name).map(|text| text.parse::<u32>().map_err(|_| malformed(name)));
    let gap = optional(sample::GAP).transpose()?.unwrap_or(0);
    let interval = optional(sample::INTERVAL).transpose()?.filter(|ms| *ms > 0);
    Ok(Message::Containers(ShardMessage {
        tick,
        shard,
        cut,
        gap: u64::from(gap),
        interval: interval.map_or(USUAL_INTERVAL, |ms| {
            SignedDuration::from_millis(i64::from(ms))
        }),
        payload,
    }))
}

/// Scrapes that are not whole yet, at most. A collector sends a tick at a time;
/// more than a few open ones means that shards got lost.
const MOST_OPEN: usize = 4;

/// The scrapes that are not whole yet.
#[derive(Debug, Default)]
pub struct Scrapes {
    open: BTreeMap<Timestamp, Scrape>,
    passed: Option<Timestamp>,
}

/// What became of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The scrapes that are whole now, or were overtaken, in the order of their ticks.
    pub scrapes: Vec<Scrape>,
    /// The shard belongs to a tick that was handed out already.
    pub late: bool,
}

impl Scrapes {
    /// Takes in a shard.
    pub fn take(&mut self, message: ShardMessage) -> Taken {
        if self.passed.is_some_and(|passed| message.tick <= passed) {
            return Taken {
                scrapes: Vec::new(),
                late: true,
            };
        }
        let tick = message.tick;
        let scrape = self.open.entry(tick).or_insert_with(|| Scrape {
            at: tick,
            cut: message.cut,
            gap: message.gap,
            interval: message.interval,
            shards: BTreeMap::new(),
            count: message.shard.count,
        });
        // Of two answers the larger one holds, whichever came first.
        scrape.count = scrape.count.max(message.shard.count);
        scrape.gap = scrape.gap.max(message.gap);
        scrape.cut = Cut {
            objects: scrape.cut.objects.max(message.cut.objects),
            events: scrape.cut.events.max(message.cut.events),
        };
        scrape
            .shards
            .entry(message.shard.index)
            .or_insert(message.payload);
        let whole = scrape.missing() == 0;
        let upto = if whole { Some(tick) } else { self.overtaken() };
        Taken {
            scrapes: upto.map(|upto| self.hand_out(upto)).unwrap_or_default(),
            late: false,
        }
    }

    /// The newest tick that must not wait any longer.
    fn overtaken(&self) -> Option<Timestamp> {
        let surplus = self.open.len().saturating_sub(MOST_OPEN);
        self.open.keys().take(surplus).next_back().copied()
    }

    fn hand_out(&mut self, upto: Timestamp) -> Vec<Scrape> {
        self.passed = Some(upto);
        let mut scrapes = Vec::new();
        while let Some(entry) = self.open.first_entry() {
            if *entry.key() > upto {
                break;
            }
            scrapes.push(entry.remove());
        }
        scrapes
    }

    /// Starts anew, for a stream that was put up again.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;
    use proptest::prelude::*;

    fn shard(tick: i64, index: u32, count: u32) -> ShardMessage {
        ShardMessage {
            tick: at(tick),
            shard: Shard { index, count },
            cut: Cut::default(),
            gap: 0,
            interval: SignedDuration::from_secs(15),
            payload: Bytes::from(format!("{tick}/{index}")),
        }
    }

    #[test]
    fn a_scrape_is_whole_with_its_last_shard() {
        let mut scrapes = Scrapes::default();
        assert!(scrapes.take(shard(15, 1, 2)).scrapes.is_empty());
        let whole = scrapes.take(shard(15, 0, 2)).scrapes;
        assert_eq!(whole.len(), 1);
        assert_eq!(whole[0].missing(), 0);
        assert!(scrapes.take(shard(15, 0, 2)).late);
    }

    #[test]
    fn a_later_whole_tick_hands_out_what_lacks_shards() {
        let mut scrapes = Scrapes::default();
        assert!(scrapes.take(shard(15, 0, 2)).scrapes.is_empty());
        let both = scrapes.take(shard(30, 0, 1)).scrapes;
        let seen: Vec<_> = both.iter().map(|one| (one.at, one.missing())).collect();
        assert_eq!(seen, [(at(15), 1), (at(30), 0)]);
    }

    #[test]
    fn scrapes_that_are_never_whole_do_not_pile_up() {
        let mut scrapes = Scrapes::default();
        let handed_out: usize = (1..=20)
            .map(|n| scrapes.take(shard(n * 15, 0, 2)).scrapes.len())
            .sum();
        assert_eq!(handed_out, 20 - MOST_OPEN);
    }

    #[test]
    fn headers_are_read_or_named() {
        let headers = |name: &'static str| match name {
            sample::SCHEMA => Some("containers/1"),
            sample::TICK => Some("15000"),
            sample::SHARD => Some("0/1"),
            sample::CUT => Some("objects=4,events=2"),
            _ => None,
        };
        let Message::Containers(message) = read(headers, Bytes::new()).unwrap() else {
            panic!("not of containers");
        };
        assert_eq!((message.tick, message.cut.objects), (at(15), 4));
        let none = read(|_| None, Bytes::new()).unwrap_err();
        assert_eq!(none, Error::Missing(sample::SCHEMA));
        let wrong = |name: &'static str| match name {
            sample::TICK => Some("soon"),
            other => headers(other),
        };
        let error = read(wrong, Bytes::new()).unwrap_err();
        assert_eq!(error, Error::Malformed(sample::TICK));
        let newer = |_: &'static str| Some("containers/2");
        assert_eq!(
            read(newer, Bytes::new()).unwrap_err().reason(),
            "UnknownSchema"
        );
        let nodes = |name: &'static str| match name {
            sample::SCHEMA => Some("nodes/1"),
            other => headers(other),
        };
        let Message::Nodes(message) = read(nodes, Bytes::new()).unwrap() else {
            panic!("not of nodes");
        };
        assert_eq!(message.tick, at(15));
    }

    proptest! {
        #[test]
        fn shards_in_any_order_make_the_same_scrapes(
            order in Just((0..12).collect::<Vec<u32>>()).prop_shuffle(),
        ) {
            let mut scrapes = Scrapes::default();
            let mut seen = Vec::new();
            for tick in [15, 30, 45] {
                for index in &order {
                    seen.extend(scrapes.take(shard(tick, *index, 12)).scrapes);
                }
            }
            prop_assert_eq!(seen.len(), 3);
            for scrape in seen {
                let indices: Vec<_> = scrape.shards.keys().copied().collect();
                prop_assert_eq!(indices, (0..12).collect::<Vec<_>>());
            }
        }
    }
}
