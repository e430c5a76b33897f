use super::*;
use crate::{
    judge::judge,
    testing::{NOW, ended, snapshot},
};
use proptest::prelude::*;

fn record(name: usize, phase: Phase, hours_ago: i64, owner: u8) -> Record {
    let at = NOW - SignedDuration::from_hours(hours_ago);
    Record {
        namespace: "shop".to_owned(),
        name: format!("a{name}"),
        past: Past {
            uid: format!("uid-of-{name}"),
            owner_uid: Some(if owner == 0 {
                "web-uid".to_owned()
            } else {
                format!("owner-{owner}")
            }),
            ..ended(phase, at)
        },
        owner: format!("Deployment/web-{owner}"),
        since: Some(at - SignedDuration::from_mins(5)),
    }
}

const OURS: (&str, &str) = ("shop", "leaks");

#[test]
fn three_failures_in_a_row_need_a_person_until_one_helps() {
    let mut records: Vec<_> = (0..3).map(|n| record(n, Phase::Failed, 3, 0)).collect();
    assert_eq!(
        standing(&records, OURS, NOW).needs_human,
        ["Deployment/web-0"]
    );
    records.push(record(3, Phase::Succeeded, 1, 0));
    assert_eq!(standing(&records, OURS, NOW), Standing::default());
    records.truncate(2);
    assert_eq!(standing(&records, OURS, NOW), Standing::default());
    let tomorrow = NOW + SignedDuration::from_hours(24);
    records.push(record(2, Phase::Failed, 3, 0));
    assert_eq!(standing(&records, OURS, tomorrow), Standing::default());
}

#[test]
fn three_heals_within_a_day_are_a_debt_the_worst_first() {
    let mut records: Vec<_> = (0..3).map(|n| record(n, Phase::Succeeded, 20, 1)).collect();
    records.extend((3..7).map(|n| record(n, Phase::Succeeded, 2, 2)));
    records.extend((7..9).map(|n| record(n, Phase::Succeeded, 2, 3)));
    let debt = standing(&records, OURS, NOW).debt;
    let told: Vec<_> = debt.iter().map(|d| (d.owner.as_str(), d.heals)).collect();
    assert_eq!(told, [("Deployment/web-2", 4), ("Deployment/web-1", 3)]);
    assert_eq!(debt[0].unhealthy_seconds, 4 * 300);
    assert_eq!(
        standing(&records, ("shop", "other"), NOW),
        Standing::default()
    );
}

fn keep(per_policy: usize) -> Keep {
    Keep {
        per_policy,
        in_cluster: 1000,
        span: SignedDuration::from_hours(168),
    }
}

#[test]
fn the_oldest_beyond_the_cap_go_and_the_recent_stay() {
    let mut records: Vec<_> = (0..10)
        .map(|n| record(n, Phase::Succeeded, 30 + i64::try_from(n).unwrap(), 1))
        .collect();
    let gone = |records: &[Record]| -> Vec<String> {
        let gone = dispensable(records, keep(8), NOW);
        gone.into_iter().map(|record| record.name.clone()).collect()
    };
    assert_eq!(gone(&records), ["a8", "a9"]);
    for record in &mut records {
        record.past.finished_at = Some(NOW);
    }
    assert_eq!(gone(&records), [""; 0]);
}

#[test]
fn what_is_not_finished_never_goes() {
    let mut open = record(0, Phase::Verifying, 400, 1);
    open.past.finished_at = None;
    assert!(dispensable(&[open], keep(0), NOW).is_empty());
}

proptest! {
    /// What goes was counted by no guard: each of them says the same without it.
    #[test]
    fn no_guards_answer_changes(
        parts in proptest::collection::vec((0usize..4, 0i64..300, 0u8..3), 0..25), cap in 0usize..10,
    ) {
        let phases = [Phase::Succeeded, Phase::Failed, Phase::RolledBack, Phase::Cancelled];
        let records: Vec<_> = parts
            .into_iter()
            .enumerate()
            .map(|(n, (phase, hours, owner))| record(n, phases[phase], hours, owner))
            .collect();
        let gone: Vec<_> = dispensable(&records, keep(cap), NOW)
            .into_iter()
            .map(|record| record.name.clone())
            .collect();
        let answers = |left: &[Record]| {
            let mut snapshot = snapshot();
            snapshot.history = left.iter().map(|record| record.past.clone()).collect();
            judge(&snapshot, NOW).verdicts
        };
        let left: Vec<_> = records.iter().filter(|r| !gone.contains(&r.name)).cloned().collect();
        prop_assert_eq!(answers(&records), answers(&left));
        prop_assert_eq!(standing(&records, OURS, NOW), standing(&left, OURS, NOW));
    }
}
