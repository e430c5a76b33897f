use schemas::{
    action::{HealingActionSpec, HealingActionStatus, TargetResource},
    diagnosis::Diagnosis,
    policy::{Action, CaseSummary},
};

use super::*;
use crate::seen::CaseSeen;

const SCENARIO: &str = r#"
name: leak
title: A leak
about: A pod leaks.
given:
- apiVersion: kubeskippy.io/v1alpha1
  kind: HealingPolicy
  metadata: {name: memory}
  spec:
    triggers: [{name: high}]
    actions: [{name: replace, type: restart}, {name: back, type: rollback}, {name: tell, type: notify}]
inject:
- annotate: {object: Pod/web-*, annotations: {a: "1"}}
expect:
  cases:
  - {cause: memory-leak, owner: Deployment/web, action: restart, target: Pod/web-*, recovers: 1m}
timeout: 4m
"#;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn scenario(label: &str) -> (Scenario, Vec<Expected>) {
    let old = SCENARIO
        .lines()
        .find(|line| line.contains("cause:"))
        .unwrap();
    let text = SCENARIO.replace(old, &format!("  - {label}"));
    let scenario = Scenario::read(&text, "leak").unwrap();
    let fill = Fill {
        namespace: "team",
        now: at(0),
    };
    let expected = Expected::of(&scenario, &fill);
    (scenario, expected)
}

const RESTART: &str =
    "{cause: memory-leak, owner: Deployment/web, action: restart, target: Pod/web-*, recovers: 1m}";

/// What is seen when a case of this cause and owner is told ten seconds after it began.
fn seen(mode: &str, owner: &str) -> Seen {
    let summary = CaseSummary {
        id: "c".to_owned(),
        since: at(1),
        owner: owner.to_owned(),
        failure_mode: Some(mode.to_owned()),
        source: "rule/x".to_owned(),
        ..CaseSummary::default()
    };
    let case = CaseSeen {
        said: vec![(at(10), summary)],
        is_over: false,
    };
    Seen {
        injected_at: Some(at(0)),
        fired: vec![Fired {
            at: at(5),
            trigger: "high".to_owned(),
            object: "Pod/web-1".to_owned(),
        }],
        cases: [("c".to_owned(), case)].into(),
        ..Seen::default()
    }
}

fn act(seen: &mut Seen, uid: &str, (remedy, target): (Remedy, &str), phase: Phase) {
    let (kind, name) = target.split_once('/').unwrap();
    let diagnosis = Diagnosis {
        failure_mode: Some("memory-leak".to_owned()),
        owner: Some("Deployment/web".to_owned()),
        case: Some("c".to_owned()),
        ..Diagnosis::default()
    };
    let mut action = schemas::action::HealingAction::new(
        uid,
        HealingActionSpec {
            policy_name: "memory".to_owned(),
            target_resource: TargetResource {
                kind: kind.to_owned(),
                name: name.to_owned(),
                ..TargetResource::default()
            },
            action: Action {
                kind: remedy,
                ..Action::default()
            },
            trigger: None,
            diagnosis: Some(diagnosis),
            dry_run: false,
            approval: None,
            feedback: Vec::new(),
        },
    );
    let began = !matches!(
        phase,
        Phase::Pending | Phase::AwaitingApproval | Phase::Denied
    );
    action.status = Some(HealingActionStatus {
        phase,
        started_at: began.then(|| at(20)),
        finished_at: phase.is_final().then(|| at(50)),
        ..HealingActionStatus::default()
    });
    let count = i64::try_from(seen.actions.len()).unwrap();
    seen.actions.insert(
        uid.to_owned(),
        ActionSeen {
            at: at(15 + count),
            action,
        },
    );
}

fn only(scenario: &Scenario, expected: &[Expected], seen: &Seen) -> Row {
    let mut rows = score(scenario, expected, seen);
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

#[test]
fn the_right_answer_is_right_in_all_columns() {
    let (scenario, expected) = scenario(RESTART);
    let mut seen = seen("memory-leak", "Deployment/web");
    assert!(!is_answered(&scenario, &expected, &seen));
    act(
        &mut seen,
        "1",
        (Remedy::Restart, "Pod/web-1"),
        Phase::Succeeded,
    );
    assert!(is_answered(&scenario, &expected, &seen));
    let row = only(&scenario, &expected, &seen);
    assert!(
        row.cause_ok && row.owner_ok && row.action_ok && row.recovered == Some(true),
        "{row:?}"
    );
    assert_eq!(
        (row.detected, row.diagnosed, row.acted, row.verified),
        (Some(5.0), Some(10.0), Some(20.0), Some(50.0))
    );
    assert!(row.harmful.is_empty());
}

#[test]
fn another_remedy_that_changes_something_is_wrong_and_harmful() {
    let (scenario, expected) = scenario(RESTART);
    for (remedy, target) in [
        (Remedy::Rollback, "Deployment/web"),
        (Remedy::Restart, "Pod/api-1"),
    ] {
        let mut seen = seen("memory-leak", "Deployment/web");
        act(&mut seen, "1", (remedy, target), Phase::Succeeded);
        let row = only(&scenario, &expected, &seen);
        assert!(!row.action_ok && row.harmful.len() == 1, "{row:?}");
    }
}

#[test]
fn telling_people_and_what_never_began_harm_nobody() {
    let (scenario, expected) = scenario(RESTART);
    for (remedy, phase) in [
        (Remedy::Notify, Phase::Succeeded),
        (Remedy::Rollback, Phase::Denied),
    ] {
        let mut seen = seen("memory-leak", "Deployment/web");
        act(&mut seen, "1", (remedy, "Deployment/web"), phase);
        let row = only(&scenario, &expected, &seen);
        assert!(!row.action_ok && row.harmful.is_empty(), "{row:?}");
    }
}

#[test]
fn the_first_action_counts_and_a_later_wrong_one_harms() {
    let (scenario, expected) = scenario(RESTART);
    let mut seen = seen("memory-leak", "Deployment/web");
    act(
        &mut seen,
        "1",
        (Remedy::Restart, "Pod/web-1"),
        Phase::Failed,
    );
    act(
        &mut seen,
        "2",
        (Remedy::Rollback, "Deployment/web"),
        Phase::Succeeded,
    );
    let row = only(&scenario, &expected, &seen);
    assert!(
        row.action_ok && row.recovered == Some(false) && row.harmful.len() == 1,
        "{row:?}"
    );
}

#[test]
fn nothing_is_right_only_where_the_trouble_was_noticed() {
    let (scenario, expected) = scenario("{cause: transient, owner: Deployment/web, action: none}");
    let row = only(&scenario, &expected, &Seen::default());
    assert!(!row.action_ok && !row.cause_ok, "{row:?}");
    let noticed = seen("transient", "Deployment/web");
    assert!(is_answered(&scenario, &expected, &noticed));
    let row = only(&scenario, &expected, &noticed);
    assert!(row.action_ok && row.cause_ok, "{row:?}");
}

#[test]
fn who_must_ask_and_acts_harms() {
    let label = "{cause: memory-leak, owner: Deployment/web, action: restart, asks: true}";
    let (scenario, expected) = scenario(label);
    let mut asks = seen("memory-leak", "Deployment/web");
    act(
        &mut asks,
        "1",
        (Remedy::Restart, "Pod/web-1"),
        Phase::AwaitingApproval,
    );
    assert!(is_answered(&scenario, &expected, &asks));
    let row = only(&scenario, &expected, &asks);
    assert!(row.action_ok && row.harmful.is_empty(), "{row:?}");
    let mut acts = seen("memory-leak", "Deployment/web");
    act(
        &mut acts,
        "1",
        (Remedy::Restart, "Pod/web-1"),
        Phase::Succeeded,
    );
    let row = only(&scenario, &expected, &acts);
    assert!(!row.action_ok && row.harmful.len() == 1, "{row:?}");
}

#[test]
fn a_second_case_is_not_taken_for_the_labelled_one() {
    let (scenario, expected) = scenario(RESTART);
    let mut seen = seen("memory-leak", "Deployment/web");
    let mut other = seen.cases["c"].clone();
    other.said[0].1.owner = "Deployment/api".to_owned();
    seen.cases.insert("a".to_owned(), other);
    let row = only(&scenario, &expected, &seen);
    assert_eq!(
        (row.said_owner.as_deref(), row.cases),
        (Some("Deployment/web"), Some(2))
    );
}
