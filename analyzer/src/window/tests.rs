//! Scrapes in, windows out.

use arrow_array::{ArrayRef, Int64Array};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use schemas::{
    cluster_event::ClusterEvent,
    sample::{Shard, column},
    target::Target,
};
use std::sync::Arc;

use super::{
    Appended, Error, Window, WindowConfig,
    fixture::{Row, columns, row, scrape, stream},
};

const WHOLE: Shard = Shard { index: 0, count: 1 };
const STEP: i64 = 15_000;

fn at(tick: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + tick * STEP).unwrap()
}

fn window(max_rows: usize) -> Window {
    Window::new(WindowConfig {
        max_rows,
        ..WindowConfig::default()
    })
}

fn pods(names: impl IntoIterator<Item = u32>) -> Vec<Row> {
    names
        .into_iter()
        .map(|name| row(&format!("pod-{name}"), "app"))
        .collect()
}

fn event(uid: &str, count: u32, tick: i64) -> ClusterEvent {
    ClusterEvent {
        uid: uid.to_owned(),
        regarding: Target {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            namespace: "shop".to_owned(),
            name: "pod-1".to_owned(),
            uid: "uid-pod-1".to_owned(),
        },
        kind: "Warning".to_owned(),
        reason: "BackOff".to_owned(),
        note: String::new(),
        reporter: "kubelet".to_owned(),
        occurred_at: at(tick),
        count,
        increase: 1,
    }
}

#[test]
fn a_repeated_shard_changes_nothing() {
    let mut window = window(100);
    let message = scrape(&pods([1, 2]));
    let first = window.append(at(0), WHOLE, &message).unwrap();
    assert_eq!(
        first,
        Appended {
            rows: 2,
            ..Appended::default()
        }
    );
    let again = window.append(at(0), WHOLE, &message).unwrap();
    assert_eq!(
        again,
        Appended {
            duplicate: true,
            ..Appended::default()
        }
    );
    assert_eq!(window.rows(), 2);
}

#[test]
fn a_scrape_behind_the_watermark_is_late_and_still_taken_in() {
    let mut window = window(100);
    window.advance(at(10));
    let late = window.append(at(3), WHOLE, &scrape(&pods([1]))).unwrap();
    assert_eq!(
        late,
        Appended {
            rows: 1,
            late: true,
            ..Appended::default()
        }
    );
}

#[test]
fn a_scrape_older_than_the_window_is_not_taken_in() {
    let mut window = window(100);
    window.advance(at(100));
    let late = window.append(at(3), WHOLE, &scrape(&pods([1]))).unwrap();
    assert_eq!(
        late,
        Appended {
            late: true,
            ..Appended::default()
        }
    );
    assert_eq!(window.rows(), 0);
}

#[test]
fn a_clock_that_jumped_ahead_does_not_empty_the_window_for_good() {
    let mut window = window(1_000);
    window.append(at(0), WHOLE, &scrape(&pods([1]))).unwrap();
    window
        .append(at(1_000_000), WHOLE, &scrape(&pods([1])))
        .unwrap();
    window.advance(at(1_000_000));
    window.append(at(1), WHOLE, &scrape(&pods([1]))).unwrap();
    window.advance(at(1));
    let next = window.append(at(2), WHOLE, &scrape(&pods([1]))).unwrap();
    assert_eq!(
        next,
        Appended {
            rows: 1,
            ..Appended::default()
        }
    );
    assert_eq!(window.ticks().collect::<Vec<_>>(), [at(2)]);
}

#[test]
fn more_rows_than_there_may_be_push_out_the_oldest_scrape() {
    let mut window = window(5);
    window.append(at(0), WHOLE, &scrape(&pods([1, 2]))).unwrap();
    window.append(at(1), WHOLE, &scrape(&pods([1, 2]))).unwrap();
    let third = window.append(at(2), WHOLE, &scrape(&pods([1, 2]))).unwrap();
    assert_eq!(third.evicted, 2);
    assert_eq!(window.ticks().collect::<Vec<_>>(), [at(1), at(2)]);
    let refused = window.append(at(3), WHOLE, &scrape(&pods(0..6)));
    assert!(
        matches!(refused, Err(Error::TooManyRows { max: 5 })),
        "{refused:?}"
    );
}

#[test]
fn pods_that_come_and_go_leave_nothing_behind() {
    let mut window = window(100_000);
    for tick in 0_u32..1_000 {
        let mut rows = pods(tick * 20..tick * 20 + 20);
        for row in &mut rows {
            row.memory_limit = Some(f64::from(tick));
        }
        window
            .append(at(i64::from(tick)), WHOLE, &scrape(&rows))
            .unwrap();
        window.advance(at(i64::from(tick)));
    }
    // 11 minutes of 4 scrapes each minute hold 44 scrapes of 20 pods.
    assert_eq!(window.catalog().len(), 44 * 20);
    assert!(window.catalog().slots(super::catalog::Scope::Container) <= 45 * 20);
    assert!(
        window.catalog().texts() < 8_000,
        "{}",
        window.catalog().texts()
    );
    assert!(window.specs() <= 1_024, "{}", window.specs());
}

#[test]
fn labels_follow_the_newest_sample() {
    let mut window = window(100);
    let mut rows = pods([1]);
    window.append(at(1), WHOLE, &scrape(&rows)).unwrap();
    rows[0].owner = "other".to_owned();
    window.append(at(0), WHOLE, &scrape(&rows)).unwrap();
    assert_eq!(&*window.catalog().labels(0).unwrap().owner_name, "cart");
    window.append(at(2), WHOLE, &scrape(&rows)).unwrap();
    assert_eq!(&*window.catalog().labels(0).unwrap().owner_name, "other");
}

#[test]
fn an_unknown_column_is_ignored_and_a_missing_or_mistyped_one_is_named() {
    let rows = pods([1]);
    let mut more = columns(&rows);
    let extra: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    more.push(("gpu_usage", Arc::clone(&extra)));
    assert_eq!(
        window(9)
            .append(at(0), WHOLE, &stream(more, false))
            .unwrap()
            .rows,
        1
    );

    let mut fewer = columns(&rows);
    fewer.retain(|(name, _)| *name != column::READY);
    let error = window(9)
        .append(at(0), WHOLE, &stream(fewer, false))
        .unwrap_err();
    assert_eq!(error.to_string(), "the samples have no column ready");

    let mut wrong = columns(&rows);
    for (name, array) in &mut wrong {
        if *name == column::CPU_USAGE_CORES {
            *array = Arc::clone(&extra);
        }
    }
    let error = window(9)
        .append(at(0), WHOLE, &stream(wrong, false))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "column cpu_usage_cores of the samples is Int64, not float64"
    );
}

#[test]
fn an_event_told_twice_counts_once_and_old_events_go() {
    let mut window = window(3);
    window.append_events(&[event("a", 1, 0), event("a", 1, 0), event("a", 2, 1)]);
    assert_eq!(window.events(), 2);
    window.append_events(&[event("b", 1, 2), event("b", 2, 3)]);
    assert_eq!(window.events(), 3);
    window.advance(at(46));
    assert_eq!(window.events(), 1);
}

/// A message with every byte of it tried in turn would take minutes; a seeded choice takes seconds.
fn hostile(message: &[u8], cut: Option<usize>, flips: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for (position, mask) in flips {
        let length = bytes.len();
        bytes[position % length] ^= mask;
    }
    bytes.truncate(cut.map_or(bytes.len(), |cut| cut % (message.len() + 1)));
    bytes
}

#[test]
fn a_length_that_is_no_whole_number_of_values_is_refused() {
    let message = stream(columns(&pods([1, 2, 3])), false);
    let bytes = hostile(&message, None, &[(12_201_599_984_072_717_384, 253)]);
    let error = window(100).append(at(1), WHOLE, &bytes).unwrap_err();
    assert!(
        error.to_string().contains("not an Arrow IPC stream"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn no_bytes_panic_and_no_error_changes_the_window(
        lz4: bool,
        cut in proptest::option::of(any::<usize>()),
        flips in proptest::collection::vec((any::<usize>(), 1_u8..), 0..4),
    ) {
        let message = stream(columns(&pods([1, 2, 3])), lz4);
        let bytes = hostile(&message, cut, &flips);
        let mut window = window(100);
        window.append(at(0), WHOLE, &scrape(&pods([1]))).unwrap();
        let before = format!("{:?}", (&window.ticks, window.rows, window.catalog.len(), window.catalog.texts()));
        if window.append(at(1), WHOLE, &bytes).is_err() {
            let after = format!("{:?}", (&window.ticks, window.rows, window.catalog.len(), window.catalog.texts()));
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn no_random_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        prop_assert!(bytes.is_empty() || window(100).append(at(0), WHOLE, &bytes).is_err() || bytes.len() >= 8);
    }

    #[test]
    fn eviction_keeps_what_is_held_within_period_and_bounds(
        ticks in proptest::collection::vec((0_i64..200, 1_u32..6), 1..60),
        max_rows in 6_usize..60,
    ) {
        let mut window = window(max_rows);
        for (tick, pods_of) in ticks {
            window.append(at(tick), WHOLE, &scrape(&pods(0..pods_of))).unwrap();
            prop_assert!(window.rows() <= max_rows);
            window.advance(at(tick));
            let reach = SignedDuration::from_mins(11);
            for held in window.ticks() {
                prop_assert!(held > at(tick) - reach && held <= at(tick) + reach);
            }
            prop_assert_eq!(window.rows(), window.ticks.values().map(super::Tick::rows).sum::<usize>());
        }
    }
}
