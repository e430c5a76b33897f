//! Message ids, and which repeats to drop.
//!
//! In: states and events as they were seen. Out: an id that is the same for a
//! repeat of the same statement, and by how much an Event's count grew.
//!
//! An object that changes and changes back says the same thing twice; the
//! resource version in the id keeps the bus from taking the second for a repeat
//! of the first.
//!
//! Pure: no IO, no clock.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use schemas::{cluster_event::ClusterEvent, digest};

use crate::{inventory::Telling, reading::event::EventReading};

/// How long an Event is remembered after it was last seen; the API server keeps Events for an hour.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(2);

/// The id of what is told of an object, whose JSON is `payload`.
pub fn object_id(telling: &Telling, payload: &[u8]) -> String {
    format!(
        "object-{}-{}-{}",
        telling.state.target.uid,
        telling.version,
        digest::short([payload], 16)
    )
}

/// The id of one version of an Event.
pub fn event_id(event: &ClusterEvent) -> String {
    format!("event-{}-{}", event.uid, event.count)
}

/// The id of one message of a scrape.
pub fn sample_id(schema: &str, tick_ms: i64, shard: impl std::fmt::Display) -> String {
    format!("{schema}-{tick_ms}-{shard}")
}

/// The counts of Events as they were last seen.
#[derive(Debug)]
pub struct EventCounts {
    /// Occurrences before this instant are history and not told.
    since: Timestamp,
    seen: HashMap<String, (u32, Timestamp)>,
}

impl EventCounts {
    /// Counts that tell only what happens from `since` on.
    pub fn new(since: Timestamp) -> Self {
        Self {
            since,
            seen: HashMap::new(),
        }
    }

    /// What to tell of an Event; none when it is history or says nothing new.
    ///
    /// Of an Event seen for the first time all occurrences count when it began
    /// lately; else only the last one is known to be recent.
    pub fn tell(&mut self, reading: EventReading) -> Option<EventReading> {
        let EventReading {
            namespace,
            began_at,
            mut event,
        } = reading;
        let now = (event.count, event.occurred_at);
        let before = self.seen.insert(event.uid.clone(), now);
        event.increase = match before {
            // A count that fell was started anew by the Event's writer.
            Some((count, _)) if event.count < count => event.count,
            Some((count, _)) => event.count - count,
            None if event.occurred_at < self.since => 0,
            None if began_at < self.since => 1,
            None => event.count,
        };
        (event.increase > 0).then_some(EventReading {
            namespace,
            began_at,
            event,
        })
    }

    /// Forgets Events that have not been seen for longer than the API server keeps them.
    pub fn forget(&mut self, now: Timestamp) {
        self.seen
            .retain(|_, (_, at)| now.duration_since(*at) < REMEMBERED);
    }

    /// How many Events are remembered.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::target::Target;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn event(count: u32, began: i64, occurred: i64) -> EventReading {
        EventReading {
            namespace: "n".to_owned(),
            began_at: at(began),
            event: ClusterEvent {
                uid: "u".to_owned(),
                regarding: Target {
                    api_version: "v1".to_owned(),
                    kind: "Pod".to_owned(),
                    namespace: "n".to_owned(),
                    name: "p".to_owned(),
                    uid: "pu".to_owned(),
                },
                kind: "Warning".to_owned(),
                reason: "BackOff".to_owned(),
                note: String::new(),
                reporter: "kubelet".to_owned(),
                occurred_at: at(occurred),
                count,
                increase: 0,
            },
        }
    }

    fn increase(told: Option<EventReading>) -> u32 {
        told.map_or(0, |reading| reading.event.increase)
    }

    #[test]
    fn a_fresh_event_counts_all_its_occurrences() {
        let mut counts = EventCounts::new(at(100));
        assert_eq!(increase(counts.tell(event(3, 110, 120))), 3);
        assert_eq!(increase(counts.tell(event(5, 110, 130))), 2);
        assert_eq!(increase(counts.tell(event(5, 110, 130))), 0);
    }

    #[test]
    fn history_is_not_told_but_its_growth_is() {
        let mut counts = EventCounts::new(at(100));
        assert_eq!(increase(counts.tell(event(57, 1, 90))), 0);
        assert_eq!(increase(counts.tell(event(58, 1, 101))), 1);
    }

    #[test]
    fn an_old_series_that_goes_on_counts_once_at_first_sight() {
        let mut counts = EventCounts::new(at(100));
        assert_eq!(increase(counts.tell(event(57, 1, 105))), 1);
    }

    #[test]
    fn events_are_forgotten_after_their_time() {
        let mut counts = EventCounts::new(at(0));
        counts.tell(event(1, 1, 1));
        counts.forget(at(3600));
        assert_eq!(counts.len(), 1);
        counts.forget(at(3 * 3600));
        assert!(counts.is_empty());
    }

    proptest! {
        #[test]
        fn increases_add_up_to_the_last_count(counts in prop::collection::vec(1u32..1000, 1..20)) {
            let mut sorted = counts;
            sorted.sort_unstable();
            let mut memory = EventCounts::new(at(0));
            let told: u32 = sorted.iter().map(|count| increase(memory.tell(event(*count, 1, 1)))).sum();
            prop_assert_eq!(Some(&told), sorted.last());
        }

        #[test]
        fn a_repeat_tells_nothing(count in 1u32.., began in 0i64..200, occurred in 0i64..200) {
            let mut memory = EventCounts::new(at(100));
            let _first = memory.tell(event(count, began, occurred));
            prop_assert_eq!(memory.tell(event(count, began, occurred)), None);
        }
    }
}
