//! A question for tests: a Deployment that is killed for want of memory.

use schemas::{
    diagnosis::{FailureMode, Provenance},
    policy::{Remedy, Severity},
    target::Target,
};

use super::{Choice, Ground, Hypothesis, Question};
use crate::{
    case::{Case, Member},
    evidence::{
        Container, EventShape, Fact, Finding, Id, Measurement, Metric, Piece, Rollout, Shape,
        Termination,
    },
    testing::{at, target},
};

/// Event time of the question.
const NOW: i64 = 3_600;

/// Three actions, two targets, seven pieces of evidence, two causes.
pub(super) fn question() -> Question {
    let web = target("Deployment", "web");
    let mut node = target("Node", "node-1");
    node.namespace = String::new();
    Question {
        case: case(&web),
        hypotheses: vec![
            hypothesis(FailureMode::OutOfMemory, &web, 0.82),
            hypothesis(FailureMode::MemoryLeak, &web, 0.31),
        ],
        choices: vec![
            choice(
                "add-memory",
                Remedy::Resize,
                Some("Give the container half as much again."),
            ),
            choice("restart-pod", Remedy::Restart, None),
            choice("roll-back", Remedy::Rollback, None),
        ],
        targets: vec![web, node],
        policy_uid: "uid-policy".to_owned(),
        redact_names: false,
        log_lines: 20,
    }
}

/// The same question with another text in an event, which anybody may write.
pub(super) fn with_text(text: &str) -> Question {
    let mut question = question();
    text_mut(&mut question).clear();
    text_mut(&mut question).push_str(text);
    question
}

/// The text of the event.
pub(super) fn text_mut(question: &mut Question) -> &mut String {
    let facts = question.case.evidence.iter_mut();
    let found = facts.filter_map(|piece| {
        let Fact::Events(events) = &mut piece.fact else {
            return None;
        };
        Some(&mut events.template)
    });
    found.last().unwrap()
}

pub(super) fn piece(id: u16, about: &Target, provenance: Provenance, fact: Fact) -> Piece {
    Piece {
        id: Id(id),
        about: about.clone(),
        provenance,
        since: at(NOW - 600),
        fact,
    }
}

fn choice(action: &str, remedy: Remedy, description: Option<&str>) -> Choice {
    Choice {
        action: action.to_owned(),
        remedy,
        description: description.map(str::to_owned),
    }
}

fn hypothesis(mode: FailureMode, about: &Target, score: f64) -> Hypothesis {
    Hypothesis {
        rule: "memory",
        mode,
        about: about.clone(),
        score,
        support: vec![Ground {
            evidence: vec![Id(2), Id(3)],
            text: "it was killed at its limit".to_owned(),
            weight: 3.0,
        }],
        against: vec![Ground {
            evidence: vec![Id(6)],
            text: "it began with a rollout".to_owned(),
            weight: -0.5,
        }],
        fits: vec![Remedy::Resize],
        leave_alone: false,
    }
}

fn case(web: &Target) -> Case {
    let pod = target("Pod", "web-7d9f8b6c5-x2lkq");
    Case {
        id: "case-1".to_owned(),
        opened_at: at(NOW - 900),
        at: at(NOW),
        owners: vec![Member {
            owner: web.clone(),
            since: at(NOW - 900),
            sick: vec![pod.clone()],
            severity: Severity::Critical,
        }],
        evidence: evidence(web, &pod),
        fingerprint: "fingerprint".to_owned(),
    }
}

fn evidence(web: &Target, pod: &Target) -> Vec<Piece> {
    let text = |text: &str| text.to_owned();
    let killed = Fact::Termination(Termination {
        container: text("app"),
        reason: text("OOMKilled"),
        exit_code: 137,
        restarts: 4,
    });
    let log = Fact::Log {
        container: text("app"),
        shapes: vec![
            (text("allocated <*> bytes"), 12),
            (text("request <*> failed"), 3),
        ],
    };
    vec![
        piece(1, pod, Provenance::Metric, Fact::Finding(finding())),
        piece(2, pod, Provenance::Metric, Fact::Series(memory())),
        piece(3, pod, Provenance::ControlPlane, killed),
        piece(
            4,
            pod,
            Provenance::ControlPlane,
            Fact::Container(container()),
        ),
        piece(5, pod, Provenance::Text, Fact::Events(back_off())),
        piece(6, web, Provenance::ControlPlane, Fact::Rollout(rollout())),
        piece(7, pod, Provenance::Text, log),
    ]
}

fn container() -> Container {
    Container {
        name: "app".to_owned(),
        image: "registry.local/checkout:2.4.1".to_owned(),
        resources: schemas::object::Resources {
            memory_limit_bytes: Some(536_870_912.0),
            ..schemas::object::Resources::default()
        },
        probes: schemas::object::Probes::default(),
    }
}

fn back_off() -> EventShape {
    EventShape {
        kind: "Warning".to_owned(),
        reason: "BackOff".to_owned(),
        reporter: "kubelet".to_owned(),
        template: "Back-off restarting failed container <*> in pod <*>".to_owned(),
        count: 7,
        last: at(NOW - 30),
    }
}

fn rollout() -> Rollout {
    let image = |version: &str| Some(format!("checkout:{version}"));
    Rollout {
        revision: 8,
        changes: [(
            "containers.app.image".to_owned(),
            (image("2.4.0"), image("2.4.1")),
        )]
        .into(),
        previous: Some(7),
        previous_ready: Some(0),
        complete: false,
    }
}

fn finding() -> Finding {
    Finding {
        policy: ("shop".to_owned(), "memory".to_owned()),
        trigger: "high-memory".to_owned(),
        subject: "memory_usage_percent".to_owned(),
        value: 97.5,
        threshold: 90.0,
        fired_at: Some(at(NOW - 500)),
    }
}

fn memory() -> Measurement {
    Measurement {
        metric: Metric::MemoryBytes,
        container: "app".to_owned(),
        limit: Some(536_870_912.0),
        shape: Shape {
            count: 40,
            last: 523_000_000.0,
            level: 520_000_000.0,
            min: 200_000_000.0,
            max: 530_000_000.0,
            slope_per_hour: 40_000_000.0,
            linearity: 0.4,
            rising: 0.7,
            ..Shape::default()
        },
        points: (0..40)
            .map(|step| {
                (
                    at(NOW - 600 + step * 15),
                    (step != 20).then_some(500_000_000.0),
                )
            })
            .collect(),
    }
}
