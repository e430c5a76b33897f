use super::*;
use crate::{
    judge::judge,
    snapshot::Snapshot,
    testing::{NOW, executed, snapshot},
    verify::verify,
};
use proptest::prelude::*;
use schemas::{
    action::{Approval, Decision},
    condition::{self, action},
    policy::Mode,
};

fn pass(snapshot: &mut Snapshot, seen: &Seen<'_>, now: Timestamp) -> Option<Phase> {
    let transition = step(&snapshot.action.status, seen, now)?;
    snapshot.action.status = settle(snapshot, seen, &transition, now);
    Some(transition.to)
}

#[test]
fn an_allowed_action_records_its_intent_before_anything_else() {
    let mut snapshot = snapshot();
    let judgement = judge(&snapshot, NOW);
    assert_eq!(
        pass(&mut snapshot, &Seen::Judged(&judgement), NOW),
        Some(Phase::InProgress)
    );
    let status = &snapshot.action.status;
    assert_eq!(status.started_at, Some(NOW));
    assert_eq!(status.executed_at, None);
    assert_eq!(status.target.as_deref(), Some("Pod/web-1"));
    assert_eq!(status.owner.as_deref(), Some("Deployment/web"));
    assert_eq!(status.plan[0].call, "evict Pod shop/web-1");
    assert_eq!(status.verdicts.len(), 16);
    assert!(condition::is_true(&status.conditions, action::ALLOWED));
    assert!(!condition::is_true(&status.conditions, action::SUCCEEDED));
}

#[test]
fn a_person_is_asked_and_their_yes_is_its_own_step() {
    let mut snapshot = snapshot();
    snapshot.policy.as_mut().unwrap().spec.mode = Mode::Manual;
    let judgement = judge(&snapshot, NOW);
    let asked = pass(&mut snapshot, &Seen::Judged(&judgement), NOW);
    assert_eq!(asked, Some(Phase::AwaitingApproval));
    snapshot.action.spec.approval = Some(Approval {
        decision: Decision::Approved,
        approved_by: "ada".to_owned(),
        digest: snapshot.action.status.digest.clone(),
        reason: None,
    });
    for expected in [Phase::Approved, Phase::InProgress] {
        let judgement = judge(&snapshot, NOW);
        let reached = pass(&mut snapshot, &Seen::Judged(&judgement), NOW);
        assert_eq!(reached, Some(expected));
    }
}

#[test]
fn a_dry_run_is_never_a_success() {
    let mut snapshot = snapshot();
    snapshot.action.spec.dry_run = true;
    assert_eq!(
        pass(&mut snapshot, &Seen::Tried, NOW),
        Some(Phase::Cancelled)
    );
    let status = &snapshot.action.status;
    let succeeded = condition::get(&status.conditions, action::SUCCEEDED).unwrap();
    assert_eq!(
        (succeeded.status.as_str(), succeeded.reason.as_str()),
        ("False", "DryRun")
    );
    assert_eq!(status.started_at, None);
}

#[test]
fn a_refused_eviction_waits_longer_each_time_and_ends_as_a_failure() {
    let mut snapshot = executed();
    snapshot.action.status.phase = Phase::InProgress;
    snapshot.action.status.executed_at = None;
    snapshot.action.status.plan[0].called_at = None;
    snapshot.action.status.plan[0].done_at = None;
    snapshot.action.status.started_at = Some(NOW);
    let held = || Seen::Held(Reason::DisruptionBudget, "no".to_owned());
    let mut waits = Vec::new();
    for _ in 0..3 {
        assert_eq!(pass(&mut snapshot, &held(), NOW), Some(Phase::InProgress));
        let until = snapshot.action.status.next_attempt_at.unwrap();
        waits.push(until.duration_since(NOW).as_secs());
    }
    assert_eq!(waits, [5, 10, 20]);
    assert_eq!(
        pass(&mut snapshot, &held(), NOW + EXECUTION_LIMIT),
        Some(Phase::Failed)
    );
}

#[test]
fn success_is_what_verification_says_and_nothing_else() {
    let mut snapshot = executed();
    assert_eq!(pass(&mut snapshot, &Seen::Made, NOW), None);
    let check = verify(&snapshot, NOW);
    assert_eq!(
        pass(&mut snapshot, &Seen::Checked(&check), NOW),
        Some(Phase::Succeeded)
    );
    let status = &snapshot.action.status;
    assert!(condition::is_true(&status.conditions, action::SUCCEEDED));
    assert_eq!(status.finished_at, Some(NOW));
    assert_eq!(status.verification.as_ref().unwrap().outcome, "Recovered");
}

/// Which phases may follow a phase; itself always may.
fn may_follow(from: Phase) -> &'static [Phase] {
    use Phase::{
        Approved, AwaitingApproval, Cancelled, Denied, Failed, InProgress, Pending, Succeeded,
        Verifying,
    };
    match from {
        Pending | Approved => &[AwaitingApproval, InProgress, Denied, Cancelled],
        AwaitingApproval => &[Pending, Approved, InProgress, Denied, Cancelled],
        InProgress => &[Verifying, Failed, Denied, Cancelled],
        Verifying => &[Succeeded, Failed, InProgress, Phase::RolledBack],
        Succeeded | Failed | Phase::RolledBack | Denied | Cancelled => &[],
    }
}

proptest! {
    /// Plays anything that could be seen, in any order, over any cluster.
    #[test]
    fn progress_follows_its_picture_and_never_leaves_a_final_phase(
        play in proptest::collection::vec((0u8..8, any::<[bool; 4]>(), 0i64..400), 1..40),
    ) {
        let mut now = NOW;
        let mut snapshot = executed();
        snapshot.action.status = HealingActionStatus::default();
        for (kind, [manual, gone, paused, breaching], gap) in play {
            now += SignedDuration::from_secs(gap);
            let scene = if gone { executed() } else { self::snapshot() };
            let status = std::mem::take(&mut snapshot.action.status);
            snapshot = Snapshot { ..scene };
            snapshot.action.status = status;
            snapshot.paused = paused.then(String::new);
            let observation = snapshot.observation.as_mut().unwrap();
            observation.evaluated_at = now;
            observation.readings[0].breaching = breaching;
            if manual {
                snapshot.policy.as_mut().unwrap().spec.mode = Mode::Manual;
            }
            let judgement = judge(&snapshot, now);
            let check = verify(&snapshot, now);
            let seen = match kind {
                0 | 1 => Seen::Judged(&judgement),
                2 => Seen::Made,
                3 => Seen::Found,
                4 => Seen::Held(Reason::Retrying, String::new()),
                5 => Seen::Refused(Reason::ExecutionFailed, String::new()),
                6 => Seen::Overtaken(String::new()),
                _ => Seen::Checked(&check),
            };
            let (before, started) = (snapshot.action.status.phase, snapshot.action.status.started_at);
            let reached = pass(&mut snapshot, &seen, now);
            let after = snapshot.action.status.phase;
            prop_assert!(reached.is_none_or(|to| to == after));
            prop_assert!(after == before || may_follow(before).contains(&after), "{before} to {after}");
            prop_assert!(started.is_none() || snapshot.action.status.started_at == started);
            if after == Phase::InProgress && before != after {
                prop_assert!(judgement.is_allowed());
            }
            if after == Phase::Succeeded && before != after {
                prop_assert_eq!(before, Phase::Verifying);
            }
        }
    }

    /// A message that is delivered again finds its work done.
    #[test]
    fn seeing_the_same_again_changes_nothing(breaching in any::<bool>()) {
        let mut snapshot = executed();
        snapshot.observation.as_mut().unwrap().readings[0].breaching = breaching;
        let check = verify(&snapshot, NOW);
        pass(&mut snapshot, &Seen::Checked(&check), NOW);
        let once = snapshot.action.status.clone();
        pass(&mut snapshot, &Seen::Checked(&check), NOW);
        prop_assert_eq!(once, snapshot.action.status);
    }
}
