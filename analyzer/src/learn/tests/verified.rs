//! What an action teaches, from its end to what is believed.

use schemas::{
    action::{HealingActionSpec, HealingActionStatus, Phase},
    envelope::Envelope,
    journal::{Head, seal},
    outcome::Identity,
};
use serde_json::{Value, json};

use super::*;
use crate::learn::read::{Error, lesson};

const WHO: Identity<'static> = Identity {
    uid: "uid",
    namespace: "shop",
    name: "memory-1",
    generation: 1,
};

fn spec(dry_run: bool, has_trigger: bool, remedy: &str) -> HealingActionSpec {
    let trigger = has_trigger.then(
        || json!({"name": "high-memory", "reading": "97 > 85", "since": at(0), "firedAt": at(5)}),
    );
    let spec = json!({
        "policyName": "memory",
        "targetResource": {"kind": "Pod", "name": "web-1"},
        "action": {"name": "heal", "type": remedy},
        "trigger": trigger,
        "dryRun": dry_run,
        "diagnosis": {
            "cause": "it leaks", "failureMode": "memory-leak", "case": "c", "fingerprint": "f00d",
            "source": "rule/memory-leak", "statedConfidence": 0.8,
        },
    });
    serde_json::from_value(spec).unwrap()
}

fn status(phase: Phase, seen: Option<&str>, (value, called): (bool, bool)) -> HealingActionStatus {
    let object = json!({"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "u"});
    let called_at = called.then(|| at(10));
    let status = json!({
        "phase": phase,
        "target": "Pod/web-1",
        "owner": "Deployment/web",
        "finishedAt": phase.is_final().then(|| at(60)),
        "plan": [{"call": "evict", "verb": "Evict", "object": object, "calledAt": called_at}],
        "verification": seen.map(|outcome| json!({"outcome": outcome, "value": value.then_some(40.0)})),
    });
    serde_json::from_value(status).unwrap()
}

/// A line of the journal with this lesson in it.
fn line(data: &Value) -> Vec<u8> {
    let kind = "io.kubeskippy.action.succeeded.v1".to_owned();
    let event = Envelope::new("id".to_owned(), "/test".to_owned(), kind, at(60), data);
    let before = Head {
        sequence: 7,
        hash: "a".repeat(64),
    };
    seal(&event, Some(&before)).unwrap().0
}

#[test]
fn a_line_teaches_what_the_object_does() {
    let ended = status(Phase::Succeeded, Some("Recovered"), (true, true));
    let of_object = Lesson::read(WHO, &spec(false, true, "restart"), &ended);
    let outcome = of_object.outcome.clone().unwrap();
    assert_eq!((outcome.result, outcome.reversible), (Help::Helped, false));
    let of_line = lesson(&line(&json!({"lesson": of_object})));
    assert_eq!(of_line, Ok(Some(of_object)));
}

#[test]
fn a_line_that_was_altered_is_not_believed() {
    let ended = status(Phase::Failed, Some("NotRecovered"), (true, true));
    let of_object = Lesson::read(WHO, &spec(false, true, "restart"), &ended);
    let text = String::from_utf8(line(&json!({"lesson": of_object}))).unwrap();
    let forged = text.replace("DidNotHelp", "Helped");
    assert_eq!(lesson(forged.as_bytes()), Err(Error::Altered));
    assert_eq!(lesson(b"{}"), Err(Error::NotALine));
}

#[test]
fn a_line_of_an_older_actuator_teaches_nothing_and_is_no_error() {
    let old = json!({"cluster": "c", "action": "memory-1", "phase": "Succeeded"});
    assert_eq!(lesson(&line(&old)), Ok(None));
    assert_eq!(lesson(&line(&json!({"lesson": {}}))), Ok(None));
}

fn any_phase() -> impl Strategy<Value = Phase> {
    prop::sample::select(vec![
        Phase::Pending,
        Phase::AwaitingApproval,
        Phase::Approved,
        Phase::InProgress,
        Phase::Verifying,
        Phase::Succeeded,
        Phase::Failed,
        Phase::RolledBack,
        Phase::Denied,
        Phase::Cancelled,
    ])
}

proptest! {
    #[test]
    fn beliefs_move_on_what_was_verified_and_on_nothing_else(
        phase in any_phase(),
        seen in prop::sample::select(vec![
            None, Some("Recovered"), Some("NotRecovered"), Some("Harmed"), Some("Inconclusive"), Some("Contained"),
        ]),
        (dry_run, has_trigger, value, called) in any::<(bool, bool, bool, bool)>(),
        remedy in prop::sample::select(vec!["restart", "rollback", "notify"]),
    ) {
        let spec = spec(dry_run, has_trigger, remedy);
        let status = status(phase, seen, (value, called));
        let mut learned = Learned::default();
        learned.hear(Lesson::read(WHO, &spec, &status));
        let known = belief(&learned, spec.action.kind);

        let is_real = !dry_run && has_trigger && called && remedy != "notify";
        let helped = phase == Phase::Succeeded && seen == Some("Recovered") && value;
        let ended_badly = matches!(phase, Phase::Failed | Phase::RolledBack);
        let did_not = ended_badly && matches!(seen, Some("NotRecovered" | "Harmed"));
        let counts = |is: bool| f64::from(u8::from(is_real && is));
        prop_assert!((known.helped - counts(helped)).abs() < 1e-12, "{known:?}");
        prop_assert!((known.did_not - counts(did_not)).abs() < 1e-12, "{known:?}");
        let moved = (known.mean - 0.5).abs() > 1e-12;
        prop_assert_eq!(moved, is_real && (helped || did_not));
        // what was not verified calibrates nobody either
        prop_assert_eq!(learned.reliabilities().is_empty(), learned.is_empty() || remedy == "rollback");
    }
}
