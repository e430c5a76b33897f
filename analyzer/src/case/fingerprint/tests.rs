//! Cases in, fingerprints out.

use proptest::prelude::*;
use schemas::{
    diagnosis::Provenance,
    policy::{Remedy, Severity},
    target::Target,
};

use super::*;
use crate::{
    evidence::{Condition, Finding, Id, Waiting},
    testing::{at, target},
};

fn member(kind: &str, name: &str) -> Member {
    Member {
        owner: target(kind, name),
        since: at(0),
        sick: vec![target("Pod", name)],
        severity: Severity::Warning,
    }
}

fn piece((number, second): (u16, i64), about: Target, fact: Fact) -> Piece {
    Piece {
        id: Id(number),
        about,
        provenance: Provenance::ControlPlane,
        since: at(second),
        fact,
    }
}

fn end(reason: &str, exit_code: i32, restarts: u32) -> Fact {
    Fact::Termination(Termination {
        container: format!("app-{restarts}"),
        reason: reason.to_owned(),
        exit_code,
        restarts,
    })
}

/// The same failure under other names, with other numbers.
fn case(name: &str, number: u32) -> (Vec<Member>, Vec<Piece>) {
    let n = u16::try_from(number).unwrap();
    let second = i64::from(number);
    let finding = Finding {
        policy: (name.to_owned(), name.to_owned()),
        trigger: name.to_owned(),
        subject: "CrashLoopBackOff".to_owned(),
        value: f64::from(number),
        threshold: 1.0,
        fired_at: Some(at(second)),
    };
    let condition = Condition {
        kind: "Ready".to_owned(),
        status: "False".to_owned(),
        reason: "ContainersNotReady".to_owned(),
        message: name.to_owned(),
    };
    let siblings = Fact::Siblings {
        pods: number + 2,
        sick: number + 2,
        sick_of_newest: number + 2,
        of_newest: number + 2,
    };
    let past = Fact::PastAction {
        name: name.to_owned(),
        remedy: Remedy::Restart,
        phase: "Failed".to_owned(),
        ended_at: None,
    };
    let mut evidence = vec![
        piece((n, second), target("Pod", name), Fact::Finding(finding)),
        piece((n, second), target("Pod", name), Fact::Condition(condition)),
        piece(
            (n, second),
            target("Pod", name),
            end("Error", 1 + i32::try_from(number % 100).unwrap(), number),
        ),
        piece((n, second), target("Deployment", name), siblings),
    ];
    if number.is_multiple_of(2) {
        evidence.push(piece((n, second), target("Deployment", name), past));
    }
    (vec![member("Deployment", name)], evidence)
}

proptest! {
    #[test]
    fn names_numbers_order_and_what_was_done_change_nothing(
        (name, number) in ("[a-z]{1,20}", 0_u32..60_000),
        turn in 0_usize..4,
        twice in any::<bool>(),
    ) {
        let (owners, evidence) = case("web", 3);
        let (others, mut other) = case(&name, number);
        other.rotate_left(turn);
        if twice {
            other.extend(case(&name, number / 2).1);
        }
        prop_assert_eq!(fingerprint(&owners, &evidence), fingerprint(&others, &other));
    }

    #[test]
    fn no_text_that_somebody_wrote_changes_it(text in any::<String>()) {
        let waiting = |message: &str| {
            let fact = Waiting {
                container: message.to_owned(),
                init: false,
                reason: "ErrImagePull".to_owned(),
                message: message.to_owned(),
            };
            fingerprint(&[member("Deployment", "web")], &[piece((1, 1), target("Pod", "web"), Fact::Waiting(fact))])
        };
        prop_assert_eq!(waiting(&text), waiting(""));
    }
}

#[test]
fn another_structure_is_another_fingerprint() {
    let of = |kind: &str, fact: Fact| {
        fingerprint(
            &[member(kind, "web")],
            &[piece((1, 0), target("Pod", "web"), fact)],
        )
    };
    let quota = |resource: &str| Fact::Quota {
        name: "q".to_owned(),
        resource: resource.to_owned(),
        used: 1.0,
        hard: 1.0,
    };
    let all = [
        of("Deployment", end("Error", 1, 1)),
        of("StatefulSet", end("Error", 1, 1)),
        of("Deployment", end("OOMKilled", 137, 1)),
        of("Deployment", end("Error", 137, 1)),
        of("Deployment", end("Error", 127, 1)),
        of("Deployment", quota("pods")),
        of("Deployment", quota("limits.memory")),
    ];
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert!(all.iter().all(|one| one.len() == DIGITS));
}
