use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{diagnosis::Consulted, step::Step};

const END: Timestamp = Timestamp::constant(1_767_268_800, 0);

/// A restart of a leaking pod that was seen recovered.
fn mended() -> HealingAction {
    let spec = json!({
        "policyName": "memory",
        "targetResource": {"kind": "Pod", "name": "web-1"},
        "action": {"name": "replace", "type": "restart"},
        "trigger": {
            "name": "high-memory", "reading": "97.6 > 85",
            "since": "2026-01-01T11:50:00Z", "firedAt": "2026-01-01T11:55:00Z",
        },
        "diagnosis": {
            "cause": "memory grows without end", "failureMode": "memory-leak", "case": "case-1",
            "fingerprint": "f00d", "source": "rule/memory-leak", "statedConfidence": 0.812_345_678,
        },
    });
    let mut action = HealingAction::new("memory-1", serde_json::from_value(spec).unwrap());
    action.metadata.uid = Some("uid-1".to_owned());
    action.metadata.namespace = Some("shop".to_owned());
    action.metadata.generation = Some(1);
    let step = json!({
        "call": "evict Pod/web-1", "verb": "Evict", "calledAt": END,
        "object": {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "u"},
    });
    let step: Step = serde_json::from_value(step).unwrap();
    let seen = json!({"outcome": "Recovered", "value": 20.0, "ready": true});
    action.status = Some(HealingActionStatus {
        phase: Phase::Succeeded,
        target: Some("Pod/web-1".to_owned()),
        owner: Some("Deployment/web".to_owned()),
        plan: vec![step],
        finished_at: Some(END),
        verification: Some(serde_json::from_value(seen).unwrap()),
        ..HealingActionStatus::default()
    });
    action
}

fn status(action: &mut HealingAction) -> &mut HealingActionStatus {
    action.status.as_mut().unwrap()
}

/// What is left of the lesson once `change` was made.
fn after(change: impl Fn(&mut HealingAction)) -> Option<Help> {
    let mut action = mended();
    change(&mut action);
    Outcome::of(&action).map(|outcome| outcome.result)
}

fn said(by: &str, opinion: Opinion, cause: Option<&str>) -> Feedback {
    Feedback {
        by: by.to_owned(),
        opinion,
        cause: cause.map(str::to_owned),
        comment: None,
    }
}

#[test]
fn a_recovery_teaches_all_that_counts_about_it() {
    let outcome = Outcome::of(&mended()).unwrap();
    assert_eq!(outcome.result, Help::Helped);
    assert_eq!(outcome.mode.as_deref(), Some("memory-leak"));
    assert_eq!(outcome.owner_kind, "Deployment");
    assert_eq!(outcome.fingerprint.as_deref(), Some("f00d"));
    assert_eq!(outcome.source, "rule/memory-leak");
    assert_eq!(outcome.stated_confidence, Some(0.812_346));
    assert_eq!((outcome.at, outcome.reversible), (END, false));
    assert_eq!(Opinions::of(&mended()), None);
}

#[test]
fn what_was_not_verified_teaches_nothing() {
    assert_eq!(after(|_| {}), Some(Help::Helped));
    assert_eq!(after(|action| action.spec.dry_run = true), None);
    assert_eq!(after(|action| action.spec.trigger = None), None);
    assert_eq!(
        after(|action| action.spec.action.kind = Remedy::Notify),
        None
    );
    assert_eq!(after(|action| status(action).plan.clear()), None);
    let half = |action: &mut HealingAction| status(action).plan[0].called_at = None;
    assert_eq!(after(half), None);
    assert_eq!(after(|action| status(action).verification = None), None);
    assert_eq!(after(|action| status(action).finished_at = None), None);
    let ready_alone = |action: &mut HealingAction| {
        status(action).verification.as_mut().unwrap().value = None;
    };
    assert_eq!(after(ready_alone), None);
    assert_eq!(after(|action| action.metadata.uid = None), None);
}

#[test]
fn each_end_teaches_what_was_seen() {
    let ended = |phase, outcome: &'static str| {
        after(move |action| {
            status(action).phase = phase;
            outcome.clone_into(&mut status(action).verification.as_mut().unwrap().outcome);
        })
    };
    assert_eq!(ended(Phase::Failed, "NotRecovered"), Some(Help::DidNotHelp));
    assert_eq!(ended(Phase::RolledBack, "Harmed"), Some(Help::Harmed));
    for outcome in ["Inconclusive", "Contained", "Recovered"] {
        assert_eq!(ended(Phase::Failed, outcome), None, "{outcome}");
    }
    assert_eq!(ended(Phase::Succeeded, "NotRecovered"), None);
    for phase in [Phase::Denied, Phase::Cancelled, Phase::Verifying] {
        assert_eq!(ended(phase, "Recovered"), None, "{phase}");
    }
}

#[test]
fn what_people_say_is_counted_and_their_causes_with_it() {
    let mut action = mended();
    action.metadata.generation = Some(4);
    action.spec.feedback = vec![
        said("ada", Opinion::Wrong, Some("bad-rollout")),
        said("bo", Opinion::Wrong, Some("bad-rollout")),
        said("cy", Opinion::Useful, Some("crash-loop")),
    ];
    let opinions = Opinions::of(&action).unwrap();
    assert_eq!((opinions.useful, opinions.wrong), (1, 2));
    assert_eq!(opinions.generation, 4);
    // who finds it useful names no other cause
    assert_eq!(opinions.causes, [("bad-rollout".to_owned(), 2)].into());
}

#[test]
fn people_are_heard_once_the_action_has_ended_and_only_about_a_diagnosis() {
    let mut action = mended();
    action.spec.feedback = vec![said("ada", Opinion::Useful, None)];
    assert!(Opinions::of(&action).is_some());
    let mut denied = action.clone();
    status(&mut denied).phase = Phase::Denied;
    assert!(Opinions::of(&denied).is_some() && Outcome::of(&denied).is_none());
    let mut running = action.clone();
    status(&mut running).phase = Phase::Verifying;
    assert!(Lesson::of(&running).is_empty());
    action.spec.diagnosis = None;
    assert_eq!(Opinions::of(&action), None);
    assert_eq!(Outcome::of(&action).unwrap().source, "policy");
}

#[test]
fn what_others_claimed_is_kept_beside_the_diagnosis() {
    let mut action = mended();
    let claim = |source: &str, mode: Option<&str>, stated| Consulted {
        source: source.to_owned(),
        failure_mode: mode.map(str::to_owned),
        stated_confidence: stated,
        ..Consulted::default()
    };
    action.spec.diagnosis.as_mut().unwrap().consulted = vec![
        claim("rules", None, None),
        claim("rule/memory-leak", Some("memory-leak"), Some(0.8)),
        claim("model/small", Some("crash-loop"), Some(1.7)),
        claim("model/large", Some("crash-loop"), Some(f64::NAN)),
        claim("model/late", None, None),
    ];
    let outcome = Outcome::of(&action).unwrap();
    let kept = Claim {
        source: "model/small".to_owned(),
        mode: "crash-loop".to_owned(),
        stated_confidence: 1.0,
    };
    assert_eq!(outcome.claims, [kept]);
}

#[test]
fn a_lesson_that_knows_no_claims_is_read() {
    let mut old = serde_json::to_value(Lesson::of(&mended())).unwrap();
    let fields = old["outcome"].as_object_mut().unwrap();
    assert_eq!(fields.remove("claims"), None);
    fields.insert("later".to_owned(), json!("unknown"));
    let read: Lesson = serde_json::from_value(old).unwrap();
    assert_eq!(read, Lesson::of(&mended()));
}

proptest! {
    #[test]
    fn a_lesson_is_the_same_after_any_number_of_ways_through_json(
        stated in any::<f64>(), value in 0.0..100.0, users in prop::collection::vec("[a-z]{1,8}", 0..4),
    ) {
        let mut action = mended();
        action.spec.diagnosis.as_mut().unwrap().stated_confidence = Some(stated);
        status(&mut action).verification.as_mut().unwrap().value = Some(value);
        action.spec.feedback = users.iter().map(|user| said(user, Opinion::Wrong, Some(user))).collect();
        let mut lesson = Lesson::of(&action);
        let first = lesson.clone();
        for _ in 0..3 {
            lesson = serde_json::from_str(&serde_json::to_string(&lesson).unwrap()).unwrap();
        }
        prop_assert_eq!(&lesson, &first);
        let stated = lesson.outcome.unwrap().stated_confidence;
        prop_assert!(stated.is_none_or(|stated| (0.0..=1.0).contains(&stated)));
    }
}
