use std::collections::BTreeMap;

use proptest::prelude::*;
use schemas::{cluster_event::ClusterEvent, target::Target};

use super::*;
use crate::kind::Kind;

const LIMITS: Limits = Limits {
    in_flight: 4,
    events: 2,
    scrape_bytes: 25,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn key(name: impl std::fmt::Display) -> Key {
    Key {
        kind: Kind::Pod,
        namespace: "n".to_owned(),
        name: name.to_string(),
    }
}

fn event(count: u32) -> EventReading {
    let target = Target {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        namespace: "n".to_owned(),
        name: "p".to_owned(),
        uid: "u".to_owned(),
    };
    EventReading {
        namespace: "n".to_owned(),
        began_at: at(0),
        event: ClusterEvent {
            uid: "e".to_owned(),
            regarding: target,
            kind: "Normal".to_owned(),
            reason: "r".to_owned(),
            note: String::new(),
            reporter: String::new(),
            occurred_at: at(i64::from(count)),
            count,
            increase: 1,
        },
    }
}

fn scrape(tick: i64, batches: u32) -> Scrape {
    let batch = |index| Batch {
        schema: "containers/1",
        subject: index,
        shard: Shard {
            index,
            count: batches,
        },
        payload: Bytes::from_static(b"0123456789"),
    };
    Scrape {
        tick: at(tick),
        rows: 7,
        batches: (0..batches).map(batch).collect(),
    }
}

fn next(outbox: &mut Outbox) -> Option<Parcel> {
    outbox.next(Cut::default(), at(1000))
}

#[test]
fn one_message_per_object_is_under_way_at_a_time() {
    let mut outbox = Outbox::new(LIMITS);
    outbox.changed(key("p"));
    outbox.changed(key("p"));
    let first = next(&mut outbox).unwrap();
    outbox.changed(key("p"));
    assert_eq!(next(&mut outbox), None, "the newer state waits");
    outbox.landed(first, true);
    assert_eq!(next(&mut outbox), Some(Parcel::Object(key("p"))));
}

#[test]
fn what_failed_is_sent_again() {
    let mut outbox = Outbox::new(LIMITS);
    outbox.changed(key("p"));
    outbox.event(event(1));
    let (object, told) = (next(&mut outbox).unwrap(), next(&mut outbox).unwrap());
    outbox.landed(object.clone(), false);
    outbox.landed(told.clone(), false);
    assert_eq!(next(&mut outbox), Some(object));
    assert_eq!(next(&mut outbox), Some(told));
}

#[test]
fn the_oldest_events_make_room() {
    let mut outbox = Outbox::new(LIMITS);
    let dropped: usize = (1..=5).map(|count| outbox.event(event(count))).sum();
    assert_eq!(dropped, 3);
    assert_eq!(next(&mut outbox), Some(Parcel::Event(Box::new(event(4)))));
}

#[test]
fn lost_scrapes_are_told_with_the_next_one_and_only_once() {
    let mut outbox = Outbox::new(LIMITS);
    let dropped: usize = (1..=4).map(|tick| outbox.scrape(scrape(tick, 1))).sum();
    assert_eq!(dropped, 2);
    outbox.lost(3);
    for (tick, gap) in [(3, 5), (4, 0)] {
        let Some(Parcel::Batch(at_tick, heading, batch)) = next(&mut outbox) else {
            panic!("no batch");
        };
        assert_eq!((at_tick, heading.gap), (at(tick), gap));
        let done = outbox.landed(Parcel::Batch(at_tick, heading, batch), true);
        assert_eq!(done, Some((at(tick), 7)));
    }
    assert!(outbox.is_empty());
}

#[test]
fn all_batches_of_a_scrape_carry_one_cut_and_it_is_done_with_the_last() {
    let mut outbox = Outbox::new(LIMITS);
    outbox.scrape(scrape(1, 2));
    let cut = |objects| Cut { objects, events: 0 };
    let first = outbox.next(cut(5), at(1000)).unwrap();
    let second = outbox.next(cut(9), at(1000)).unwrap();
    for parcel in [&first, &second] {
        assert!(matches!(parcel, Parcel::Batch(_, heading, _) if heading.cut == cut(5)));
    }
    assert_eq!(outbox.landed(first, false), None);
    assert_eq!(outbox.landed(second, true), None);
    let again = outbox.next(cut(12), at(1000)).unwrap();
    assert!(matches!(&again, Parcel::Batch(_, heading, _) if heading.cut == cut(5)));
    assert_eq!(outbox.landed(again, true), Some((at(1), 7)));
}

#[test]
fn a_scrape_waits_for_the_objects_before_it_but_not_for_ever() {
    let mut outbox = Outbox::new(LIMITS);
    outbox.scrape(scrape(10, 1));
    outbox.changed(key("p"));
    let object = outbox.next(Cut::default(), at(100)).unwrap();
    assert_eq!(outbox.next(Cut::default(), at(101)), None);
    outbox.changed(key("q"));
    let next = outbox.next(Cut::default(), at(102));
    assert!(matches!(next, Some(Parcel::Batch(..))), "{next:?}");
    outbox.landed(object, true);
}

#[test]
fn a_standby_keeps_recent_events_and_no_scrapes() {
    let mut outbox = Outbox::new(LIMITS);
    outbox.event(event(1));
    outbox.event(event(9));
    outbox.scrape(scrape(1, 1));
    outbox.stand_by(at(5));
    assert_eq!(next(&mut outbox), Some(Parcel::Event(Box::new(event(9)))));
    assert_eq!(next(&mut outbox), None);
}

proptest! {
    /// However acks fail, every object is told in its newest state in the end and never out of order.
    #[test]
    fn the_newest_state_of_every_object_is_acknowledged_last(steps in prop::collection::vec((0u8..4, 0u8..3, any::<bool>()), 0..200)) {
        let mut outbox = Outbox::new(LIMITS);
        let mut newest: BTreeMap<Key, u32> = BTreeMap::new();
        let mut told: BTreeMap<Key, u32> = BTreeMap::new();
        let mut air: VecDeque<(Key, u32)> = VecDeque::new();
        for (step, name, acked) in steps {
            if step == 0 {
                *newest.entry(key(name)).or_default() += 1;
                outbox.changed(key(name));
            } else if step == 1 {
                if let Some(Parcel::Object(key)) = next(&mut outbox) {
                    air.push_back((key.clone(), newest[&key]));
                }
            } else if let Some((key, version)) = air.pop_front() {
                if acked {
                    let before = told.insert(key.clone(), version);
                    prop_assert!(before.is_none_or(|before| before <= version));
                }
                outbox.landed(Parcel::Object(key), acked);
            }
            prop_assert!(outbox.in_flight() <= LIMITS.in_flight);
        }
        loop {
            while let Some(Parcel::Object(key)) = next(&mut outbox) {
                air.push_back((key.clone(), newest[&key]));
            }
            let Some((key, version)) = air.pop_front() else { break };
            told.insert(key.clone(), version);
            outbox.landed(Parcel::Object(key), true);
        }
        prop_assert_eq!(told, newest);
    }
}
