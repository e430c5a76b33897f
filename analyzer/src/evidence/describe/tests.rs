//! Pieces in, sentences out.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks the facts that it is about"
)]

use proptest::prelude::*;
use schemas::{diagnosis::Provenance, policy::Remedy};

use super::*;
use crate::{
    evidence::{Condition, EventShape, Fact, Id, Metric, Rollout, Termination, Waiting, shape},
    testing::{at, target},
};

const MIB: f64 = 1024.0 * 1024.0;

fn piece(number: u16, kind: &str, fact: Fact) -> Piece {
    let provenance = match &fact {
        Fact::Series(_) => Provenance::Metric,
        Fact::Events(_) => Provenance::Text,
        _ => Provenance::ControlPlane,
    };
    Piece {
        id: Id(number),
        about: target(kind, "web"),
        provenance,
        since: at(600),
        fact,
    }
}

fn climb() -> Measurement {
    let value = |n: i32| (100.0 + 2.0 * f64::from(n)) * MIB;
    let points: Vec<_> = (0..40).map(|n| (at(15 * i64::from(n)), value(n))).collect();
    Measurement {
        metric: Metric::MemoryBytes,
        container: "app".to_owned(),
        limit: Some(200.0 * MIB),
        shape: shape::shape(&points, &[]),
        points: shape::thinned(&points),
    }
}

fn pieces() -> Vec<Piece> {
    let rollout = Rollout {
        revision: 4,
        changes: [(
            "containers.app.image".to_owned(),
            (Some("web:1".to_owned()), Some("web:2".to_owned())),
        )]
        .into(),
        previous: Some(3),
        previous_ready: Some(2),
        complete: false,
    };
    let events = EventShape {
        kind: "Warning".to_owned(),
        reason: "BackOff".to_owned(),
        reporter: "kubelet".to_owned(),
        template: "Back-off restarting failed container <*>".to_owned(),
        count: 12,
        last: at(900),
    };
    let end = Termination {
        container: "app".to_owned(),
        reason: "OOMKilled".to_owned(),
        exit_code: 137,
        restarts: 4,
    };
    let waiting = Waiting {
        container: "app".to_owned(),
        init: true,
        reason: "CreateContainerConfigError".to_owned(),
        message: "configmap \"settings\" not found".to_owned(),
    };
    let quota = Fact::Quota {
        name: "small".to_owned(),
        resource: "limits.memory".to_owned(),
        used: 2048.0 * MIB,
        hard: 2048.0 * MIB,
    };
    let past = Fact::PastAction {
        name: "p-1".to_owned(),
        remedy: Remedy::Restart,
        phase: "Failed".to_owned(),
        ended_at: Some(at(700)),
    };
    let facts = [
        ("Pod", Fact::Series(climb())),
        ("Pod", Fact::Termination(end)),
        ("Pod", Fact::Waiting(waiting)),
        ("Deployment", Fact::Rollout(rollout)),
        ("Pod", Fact::Events(events)),
        ("ResourceQuota", quota),
        ("Deployment", past),
    ];
    (1..)
        .zip(facts)
        .map(|(number, (kind, fact))| piece(number, kind, fact))
        .collect()
}

const GOLDEN: &str = "\
E1 metric Pod/web: memory of container app: 169 MiB now, 84 % of 200 MiB; between 100 MiB and 178 MiB in 40 samples; climbs by 480 MiB an hour since 1970-01-01T00:10:00Z (a line explains 100 %)
E2 control-plane Pod/web: container app ended as OOMKilled, exit code 137, at 1970-01-01T00:10:00Z; 4 restarts so far
E3 control-plane Pod/web: init container app waits (CreateContainerConfigError) since 1970-01-01T00:10:00Z: “configmap \"settings\" not found”
E4 control-plane Deployment/web: revision 4 came at 1970-01-01T00:10:00Z after revision 3, of which 2 pods are ready; it is not complete; changed containers.app.image from web:1 to web:2
E5 text Pod/web: 12 × Warning event BackOff from 1970-01-01T00:10:00Z to 1970-01-01T00:15:00Z, as kubelet is said to have written: “Back-off restarting failed container <*>”
E6 control-plane ResourceQuota/web: quota small: 2 GiB of 2 GiB limits.memory used
E7 control-plane Deployment/web: action p-1 (restart) began at 1970-01-01T00:10:00Z: Failed, ended at 1970-01-01T00:11:40Z";

#[test]
fn a_case_reads_well() {
    let pieces = pieces();
    let described = pieces.iter().map(describe).map(|evidence| {
        let about = evidence.about.unwrap();
        format!(
            "{} {} {about}: {}",
            evidence.id, evidence.provenance, evidence.statement
        )
    });
    let described: Vec<String> = described.collect();
    assert_eq!(described.join("\n"), GOLDEN);
}

#[test]
fn a_series_is_drawn_at_equal_steps_with_its_gaps() {
    let mut series = climb();
    series.points = vec![
        (at(0), Some(1.0)),
        (at(60), Some(2.0)),
        (at(61), None),
        (at(240), Some(5.0)),
    ];
    let drawn = describe(&piece(1, "Pod", Fact::Series(series)))
        .series
        .unwrap();
    assert_eq!(
        (drawn.from, drawn.step_seconds, drawn.unit.as_str()),
        (at(0), 80, "bytes")
    );
    assert_eq!(drawn.values, [Some(2.0), None, None, Some(5.0)]);
    assert_eq!(drawn.threshold, Some(200.0 * MIB));
}

proptest! {
    #[test]
    fn no_text_gets_out_of_its_quotes_or_beyond_its_length(text in any::<String>()) {
        let condition = Condition {
            kind: text.clone(),
            status: "False".to_owned(),
            reason: text.clone(),
            message: text.clone(),
        };
        let events = EventShape {
            kind: text.clone(),
            reason: text.clone(),
            reporter: text.clone(),
            template: text.clone(),
            count: 1,
            last: at(0),
        };
        for fact in [Fact::Condition(condition), Fact::Events(events)] {
            let said = describe(&piece(1, &text, fact));
            prop_assert!(said.statement.chars().count() <= LONGEST);
            prop_assert!(!said.statement.chars().any(char::is_control));
            prop_assert!(said.statement.matches('“').count() <= 1);
            prop_assert!(said.about.unwrap().chars().count() <= LONGEST_NAME);
        }
    }

    #[test]
    fn a_drawn_series_keeps_within_its_bounds(points in proptest::collection::vec((0_i64..1_000_000, proptest::option::of(any::<f64>())), 0..48)) {
        let mut points: Vec<_> = points.into_iter().map(|(second, value)| (at(second), value)).collect();
        points.sort_by_key(|(at, _)| *at);
        let mut series = climb();
        let known = points.len();
        series.points = points;
        let drawn = sparkline(&series);
        prop_assert_eq!(drawn.is_some(), known > 0);
        if let Some(drawn) = drawn {
            prop_assert!(!drawn.values.is_empty() && drawn.values.len() <= MOST_POINTS && drawn.step_seconds > 0);
            prop_assert!(drawn.values.iter().flatten().all(|value| value.is_finite()));
        }
    }
}
