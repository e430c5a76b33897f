use super::*;
use crate::testing::{NOW, executed, snapshot};
use schemas::{action::Opinion, outcome::Help};

#[test]
fn an_alert_carries_the_fingerprint_of_its_trigger() {
    let snapshot = snapshot();
    let mut status = snapshot.action.status.clone();
    assert_eq!(alert(&snapshot, &status, "c"), None);
    status.phase = Phase::InProgress;
    let alert = alert(&snapshot, &status, "c").unwrap();
    assert_eq!(alert.kind, AlertKind::ActionExecuting);
    assert_eq!(
        alert.fingerprint,
        alert::fingerprint("policy-uid", "high-memory", "uid-1")
    );
    assert_eq!(alert.target.to_string(), "Pod shop/web-1");
}

#[test]
fn the_traces_of_alert_and_journal_are_one() {
    let snapshot = snapshot();
    let mut status = snapshot.action.status.clone();
    status.phase = Phase::Verifying;
    let alert = alert(&snapshot, &status, "c").unwrap();
    let event = alert.envelope("actuator", Timestamp::UNIX_EPOCH);
    let trace = schemas::envelope::traceparent(&episode(&snapshot));
    assert_eq!(event.traceparent, Some(trace));
}

#[test]
fn the_evidence_changes_with_what_was_seen() {
    let seen = snapshot();
    let same = evidence(&seen);
    assert_eq!(evidence(&seen.clone()), same);
    let mut other = seen.clone();
    other.action.spec.dry_run = true;
    assert_ne!(evidence(&other).action, same.action);
    let mut other = seen.clone();
    other.pods.clear();
    other.target = None;
    assert_ne!(evidence(&other).objects, same.objects);
    let mut other = seen;
    other.policy = None;
    assert_eq!(evidence(&other).policy, None);
}

#[test]
fn a_note_is_cut_between_letters() {
    assert_eq!(note(&"é".repeat(1000)).len(), LONGEST_NOTE);
}

/// A case whose pod was replaced and seen well, with a diagnosis.
fn recovered() -> (Snapshot, HealingActionStatus) {
    let mut snapshot = executed();
    snapshot.action.spec.diagnosis = Some(Diagnosis {
        cause: "memory grows without end".to_owned(),
        failure_mode: Some("memory-leak".to_owned()),
        fingerprint: Some("f00d".to_owned()),
        source: "rule/memory-leak".to_owned(),
        stated_confidence: Some(0.8),
        ..Diagnosis::default()
    });
    let mut status = snapshot.action.status.clone();
    status.phase = Phase::Succeeded;
    status.finished_at = Some(NOW);
    status.verification = Some(Verification {
        outcome: "Recovered".to_owned(),
        value: Some(20.0),
        ready: true,
        ..Verification::default()
    });
    (snapshot, status)
}

#[test]
fn the_line_about_an_end_carries_what_it_teaches() {
    let (snapshot, status) = recovered();
    let entry = entry(&snapshot, &status, "c");
    let outcome = entry.lesson.outcome.clone().unwrap();
    assert_eq!(outcome.result, Help::Helped);
    assert_eq!(outcome.mode.as_deref(), Some("memory-leak"));
    assert_eq!(outcome.owner_kind, "Deployment");
    assert_eq!(outcome.fingerprint.as_deref(), Some("f00d"));
    assert_eq!(outcome.remedy, schemas::policy::Remedy::Restart);
    assert!(!outcome.reversible);
    assert_eq!(outcome.stated_confidence, Some(0.8));
    assert_eq!(entry.diagnosis, snapshot.action.spec.diagnosis);
    let text = serde_json::to_string(&entry).unwrap();
    assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
}

#[test]
fn a_line_on_the_way_there_and_one_of_a_dry_run_teach_nothing() {
    let (mut snapshot, mut status) = recovered();
    snapshot.action.spec.dry_run = true;
    assert!(entry(&snapshot, &status, "c").lesson.is_empty());
    snapshot.action.spec.dry_run = false;
    status.phase = Phase::Verifying;
    let on_the_way = entry(&snapshot, &status, "c");
    assert!(on_the_way.lesson.is_empty() && on_the_way.diagnosis.is_none());
}

#[test]
fn what_people_think_is_in_the_line_and_in_what_it_teaches() {
    let (mut snapshot, status) = recovered();
    snapshot.action.generation = Some(2);
    snapshot.action.spec.feedback = vec![Feedback {
        by: "ada".to_owned(),
        opinion: Opinion::Wrong,
        cause: Some("bad-rollout".to_owned()),
        comment: None,
    }];
    let entry = entry(&snapshot, &status, "c");
    assert_eq!(entry.feedback, snapshot.action.spec.feedback);
    let opinions = entry.lesson.opinions.unwrap();
    assert_eq!((opinions.useful, opinions.wrong), (0, 1));
    assert_eq!(opinions.causes.get("bad-rollout"), Some(&1));
}

#[test]
fn a_line_of_an_older_actuator_is_read() {
    let (snapshot, status) = recovered();
    let mut old = serde_json::to_value(entry(&snapshot, &status, "c")).unwrap();
    let fields = old.as_object_mut().unwrap();
    for new in ["lesson", "diagnosis"] {
        assert!(fields.remove(new).is_some(), "{new}");
    }
    assert_eq!(fields.get("feedback"), None);
    let read: Entry = serde_json::from_value(old).unwrap();
    assert!(read.lesson.is_empty() && read.feedback.is_empty() && read.diagnosis.is_none());
}
