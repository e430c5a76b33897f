//! What deciding about one action takes, by how many actions there were before.
//!
//! `cargo bench --workspace --bench judge` asks [`actuator::life::next`] about a
//! leaking pod that every guard allows to be restarted: all guards, the plan and
//! the status that is to be recorded. Nothing is read or written.

use std::hint::black_box;

use actuator::{
    life::{Next, next},
    object, plan,
    snapshot::{self, Past, Snapshot},
    webhook,
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use jiff::SignedDuration;
use schemas::action::Phase;

#[path = "../src/testing.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "the unit tests' own case, of which a part is used"
)]
mod testing;

use testing::{NOW, ended};

const SIZES: [i64; 4] = [0, 100, 1_000, 10_000];

/// A case that is allowed, after so many actions on other pods of the namespace,
/// ten minutes apart, of which each tenth failed.
fn after(count: i64) -> Snapshot {
    let past = |number: i64| Past {
        uid: format!("action-{number}"),
        target_uid: Some(format!("pod-{number}")),
        owner_uid: Some(format!("owner-{}", number % 50)),
        offender_uid: Some(format!("pod-{number}")),
        ..ended(
            if number % 10 == 0 {
                Phase::Failed
            } else {
                Phase::Succeeded
            },
            NOW - SignedDuration::from_mins(10 * (number + 1)),
        )
    };
    Snapshot {
        history: (0..count).map(past).collect(),
        ..testing::snapshot()
    }
}

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decision");
    for count in SIZES {
        let snapshot = after(count);
        let Next::Record(outcome) = next(&snapshot, NOW) else {
            panic!("there is a status to record");
        };
        assert_eq!(outcome.status.phase, Phase::InProgress, "{outcome:?}");
        group.bench_with_input(BenchmarkId::from_parameter(count), &snapshot, |b, input| {
            b.iter(|| next(black_box(input), NOW));
        });
    }
    group.finish();
}

criterion_group! {
    name = judge;
    config = Criterion::default();
    targets = decide
}
criterion_main!(judge);
