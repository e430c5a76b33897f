//! Every rule against cases made by hand.

use jiff::{SignedDuration, Timestamp};
use schemas::{
    diagnosis::{FailureMode, Provenance},
    policy::{Remedy, Severity},
    target::Target,
};

use super::diagnose;
use crate::{
    advise::Hypothesis,
    case::{Case, Member},
    evidence::{Condition, EventShape, Fact, Id, Measurement, Metric, Piece, Shape, Waiting},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn object(kind: &str, name: &str) -> Target {
    Target {
        kind: kind.to_owned(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        uid: format!("{kind}-{name}"),
        ..Target::default()
    }
}

/// A case of Deployment `web` with its pod `web-1`, a minute after its trouble began.
fn case(facts: Vec<(Provenance, i64, Fact)>) -> Case {
    let pod = object("Pod", "web-1");
    let pieces = (1_u16..).zip(facts);
    Case {
        id: "case".to_owned(),
        opened_at: at(0),
        at: at(60),
        owners: vec![Member {
            owner: object("Deployment", "web"),
            since: at(0),
            sick: vec![pod.clone()],
            severity: Severity::default(),
        }],
        evidence: pieces
            .map(|(number, (provenance, since, fact))| Piece {
                id: Id(number),
                about: pod.clone(),
                provenance,
                since: at(since),
                fact,
            })
            .collect(),
        fingerprint: String::new(),
    }
}

fn first(facts: Vec<(Provenance, i64, Fact)>) -> Hypothesis {
    diagnose(&case(facts)).into_iter().next().unwrap()
}

fn condition(kind: &str, status: &str, reason: &str) -> (Provenance, i64, Fact) {
    let condition = Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
    };
    (Provenance::ControlPlane, 0, Fact::Condition(condition))
}

fn waiting(reason: &str) -> (Provenance, i64, Fact) {
    let waiting = Waiting {
        container: "app".to_owned(),
        init: false,
        reason: reason.to_owned(),
        message: String::new(),
    };
    (Provenance::ControlPlane, 0, Fact::Waiting(waiting))
}

fn event(reason: &str, template: &str) -> (Provenance, i64, Fact) {
    let shape = EventShape {
        kind: "Warning".to_owned(),
        reason: reason.to_owned(),
        reporter: "kubelet".to_owned(),
        template: template.to_owned(),
        count: 3,
        last: at(50),
    };
    (Provenance::Text, 5, Fact::Events(shape))
}

const NO_SECRET: &str = r#"MountVolume.SetUp failed for volume "<*>" : secret "<*>" not found"#;

#[test]
fn a_volume_whose_secret_is_not_there_is_a_missing_reference() {
    let found = first(vec![
        waiting("ContainerCreating"),
        condition("PodReadyToStartContainers", "False", ""),
        condition("Progressing", "True", "ReplicaSetUpdated"),
        event("FailedMount", NO_SECRET),
    ]);
    assert_eq!(found.mode, FailureMode::MissingReference, "{found:?}");
    assert_eq!(found.fits, [Remedy::Notify]);
    assert!(found.score >= super::ENOUGH, "{found:?}");
}

#[test]
fn a_network_that_is_not_there_is_no_missing_reference() {
    let found = diagnose(&case(vec![
        waiting("ContainerCreating"),
        condition("PodReadyToStartContainers", "False", ""),
        event("FailedCreatePodSandBox", "plugin type=<*> failed"),
    ]));
    let missing = found
        .iter()
        .find(|it| it.mode == FailureMode::MissingReference);
    assert!(
        missing.is_none_or(|it| it.score < super::ENOUGH),
        "{found:?}"
    );
}

#[test]
fn words_of_an_event_alone_name_no_missing_reference() {
    let found = diagnose(&case(vec![
        condition("Ready", "True", ""),
        event("FailedMount", NO_SECRET),
    ]));
    let missing = found
        .iter()
        .find(|it| it.mode == FailureMode::MissingReference);
    assert!(missing.is_none(), "{found:?}");
}

fn memory(values: &[f64]) -> (Provenance, i64, Fact) {
    let count = u32::try_from(values.len()).unwrap();
    let max = values.iter().copied().fold(f64::MIN, f64::max);
    let min = values.iter().copied().fold(f64::MAX, f64::min);
    let last = *values.last().unwrap();
    let points = (0_i64..).zip(values);
    let measurement = Measurement {
        metric: Metric::MemoryBytes,
        container: "app".to_owned(),
        limit: Some(512.0),
        shape: Shape {
            count,
            last,
            level: last,
            min,
            max,
            ..Shape::default()
        },
        points: points
            .map(|(step, value)| (at(step * 5 - 60), Some(*value)))
            .collect(),
    };
    (Provenance::Metric, 0, Fact::Series(measurement))
}

#[test]
fn memory_that_sinks_step_by_step_recovers_by_itself() {
    let mut values = vec![100.0; 8];
    values.extend([490.0, 490.0, 470.0, 470.0, 450.0, 450.0, 430.0, 430.0]);
    let found = first(vec![memory(&values)]);
    assert_eq!(found.mode, FailureMode::Transient, "{found:?}");
    assert!(
        found.leave_alone && found.score >= super::ENOUGH,
        "{found:?}"
    );
}

/// As it was measured: nine readings, of which the newest four come after the peak.
#[test]
fn few_readings_that_sink_are_no_leak() {
    let found = first(vec![memory(&[
        100.0, 100.0, 100.0, 100.0, 100.0, 480.9, 470.9, 460.9, 440.9,
    ])]);
    assert_eq!(found.mode, FailureMode::Transient, "{found:?}");
}

#[test]
fn memory_that_stays_high_or_climbs_again_does_not_recover() {
    let mut stays = vec![100.0; 8];
    stays.extend([490.0, 489.0, 488.0, 488.0, 487.0, 487.0, 486.0, 486.0]);
    let mut climbs = vec![100.0; 8];
    climbs.extend([490.0, 470.0, 450.0, 430.0, 440.0, 450.0, 460.0, 470.0]);
    for values in [stays, climbs] {
        let found = diagnose(&case(vec![memory(&values)]));
        let left = found.iter().find(|it| it.leave_alone);
        assert!(left.is_none_or(|it| it.score < super::ENOUGH), "{found:?}");
    }
}

#[test]
fn a_fresh_wait_for_volumes_is_no_trouble_yet() {
    let mut young = case(vec![
        waiting("ContainerCreating"),
        condition("PodReadyToStartContainers", "False", ""),
        event("FailedMount", NO_SECRET),
    ]);
    young.at = at(0) + SignedDuration::from_secs(5);
    let found = diagnose(&young);
    let missing = found
        .iter()
        .find(|it| it.mode == FailureMode::MissingReference);
    assert!(
        missing.is_none_or(|it| it.score < super::ENOUGH),
        "{found:?}"
    );
}
