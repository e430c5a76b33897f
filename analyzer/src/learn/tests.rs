use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::prelude::*;
use schemas::outcome::Help;

use super::*;
use crate::testing::at;

mod order;
mod recall;
mod replay;
mod verified;

/// An outcome of `remedy` in `case`, which ended in second `case` of the tests.
pub(super) fn outcome(case: u32, remedy: Remedy, result: Help) -> Outcome {
    Outcome {
        action_uid: format!("{case}-{}", remedy.as_str()),
        namespace: "shop".to_owned(),
        action: format!("heal-{case}"),
        policy: "memory".to_owned(),
        at: at(i64::from(case)),
        mode: Some(FailureMode::MemoryLeak.as_str().to_owned()),
        remedy,
        owner_kind: "Deployment".to_owned(),
        owner: "Deployment/web".to_owned(),
        case: Some(format!("case-{case}")),
        source: "rule/memory-leak".to_owned(),
        stated_confidence: Some(0.8),
        claims: Vec::new(),
        fingerprint: Some("f00d".to_owned()),
        action_name: remedy.as_str().to_owned(),
        result,
        reversible: remedy.is_reversible(),
    }
}

/// What people think of the action of `outcome`.
pub(super) fn opinions(
    outcome: &Outcome,
    useful: u32,
    wrong: u32,
    cause: Option<&str>,
) -> Opinions {
    Opinions {
        action_uid: outcome.action_uid.clone(),
        at: outcome.at,
        generation: 2,
        mode: outcome.mode.clone(),
        case: outcome.case.clone(),
        remedy: outcome.remedy,
        source: outcome.source.clone(),
        stated_confidence: outcome.stated_confidence,
        claims: outcome.claims.clone(),
        useful,
        wrong,
        causes: cause
            .map(|cause| (cause.to_owned(), wrong))
            .into_iter()
            .collect(),
    }
}

pub(super) fn of_outcome(outcome: Outcome) -> Lesson {
    Lesson {
        outcome: Some(outcome),
        opinions: None,
    }
}

pub(super) fn learned(outcomes: impl IntoIterator<Item = Outcome>) -> Learned {
    let mut learned = Learned::default();
    for outcome in outcomes {
        learned.hear(of_outcome(outcome));
    }
    learned
}

/// What is believed of `remedy` against a leak of a Deployment.
fn belief(learned: &Learned, remedy: Remedy) -> Posterior {
    learned.posterior(Some(FailureMode::MemoryLeak), remedy, "Deployment")
}

/// Outcomes as a cluster could have had them, one for each action.
pub(super) fn any_outcomes(most: usize) -> impl Strategy<Value = Vec<Outcome>> {
    let modes = prop::sample::select(vec![None, Some("memory-leak"), Some("crash-loop")]);
    let remedies = prop::sample::select(vec![Remedy::Restart, Remedy::Scale, Remedy::Rollback]);
    let kinds = prop::sample::select(vec!["Deployment", "StatefulSet"]);
    let results = prop::sample::select(vec![Help::Helped, Help::DidNotHelp, Help::Harmed]);
    let sources = prop::sample::select(vec!["rule/a", "rule/b", "recall", "model/small"]);
    let rest = (0u32..9, 0u32..=10, sources, 0u8..3);
    let one = (modes, remedies, kinds, results, rest);
    prop::collection::vec(one, 0..most).prop_map(|all| {
        let numbered = (0..).zip(all);
        numbered
            .map(|(uid, (mode, remedy, kind, result, rest))| {
                let (case, stated, source, structure) = rest;
                Outcome {
                    action_uid: format!("uid-{uid}"),
                    mode: mode.map(str::to_owned),
                    owner_kind: kind.to_owned(),
                    source: source.to_owned(),
                    stated_confidence: Some(f64::from(stated) / 10.0),
                    fingerprint: Some(format!("structure-{structure}")),
                    at: at(i64::from(case * 10 + uid)),
                    ..outcome(case, remedy, result)
                }
            })
            .collect()
    })
}

#[test]
fn a_rate_of_which_nothing_is_known_is_a_half() {
    let nothing = belief(&Learned::default(), Remedy::Restart);
    assert!((nothing.mean - 0.5).abs() < 1e-12);
    assert!(nothing.helped + nothing.did_not < 1e-12);
    assert!(nothing.lower < 0.05 && nothing.upper > 0.95, "{nothing:?}");
}

#[test]
fn successes_and_failures_are_counted_by_case() {
    // three pods of one case are one trial, of which two thirds helped
    let mut pods = [Help::Helped, Help::Helped, Help::DidNotHelp]
        .map(|result| outcome(1, Remedy::Restart, result));
    for (uid, pod) in ["a", "b", "c"].into_iter().zip(&mut pods) {
        uid.clone_into(&mut pod.action_uid);
    }
    let learned = learned(
        pods.into_iter()
            .chain([outcome(2, Remedy::Restart, Help::Helped)]),
    );
    let known = belief(&learned, Remedy::Restart);
    assert!((known.helped - 5.0 / 3.0).abs() < 1e-9, "{known:?}");
    assert!((known.did_not - 1.0 / 3.0).abs() < 1e-9, "{known:?}");
    // Jeffreys's prior, and 2 trials
    assert!(
        (known.mean - (0.5 + 5.0 / 3.0) / 3.0).abs() < 1e-9,
        "{known:?}"
    );
}

#[test]
fn what_did_harm_counts_as_what_did_not_help() {
    let harmed = learned([outcome(1, Remedy::Scale, Help::Harmed)]);
    let failed = learned([outcome(1, Remedy::Scale, Help::DidNotHelp)]);
    assert_eq!(
        belief(&harmed, Remedy::Scale),
        belief(&failed, Remedy::Scale)
    );
}

#[test]
fn an_empty_cell_backs_off_to_its_neighbours_and_is_soon_its_own() {
    let others = (0..100).map(|case| Outcome {
        owner_kind: "StatefulSet".to_owned(),
        ..outcome(case, Remedy::Restart, Help::Helped)
    });
    let mut learned = learned(others);
    let lent = belief(&learned, Remedy::Restart);
    assert!(lent.helped < 1e-12, "{lent:?}");
    // a hundred trials elsewhere are worth four here, not a hundred
    assert!((lent.mean - 4.5 / 5.0).abs() < 1e-9, "{lent:?}");
    for case in 200..210 {
        learned.hear(of_outcome(outcome(case, Remedy::Restart, Help::DidNotHelp)));
    }
    assert!(belief(&learned, Remedy::Restart).mean < 0.35);
}

#[test]
fn a_wrong_diagnosis_moves_the_outcome_to_the_cause_that_people_name() {
    let one = outcome(1, Remedy::Restart, Help::Helped);
    let mut learned = learned([one.clone()]);
    learned.hear(Lesson {
        outcome: None,
        opinions: Some(opinions(&one, 0, 2, Some("crash-loop"))),
    });
    assert!(belief(&learned, Remedy::Restart).helped < 1e-12);
    let corrected = learned.posterior(Some(FailureMode::CrashLoop), Remedy::Restart, "Deployment");
    assert!((corrected.helped - 1.0).abs() < 1e-12);
    // as many for it as against it: nothing is known against it
    learned.hear(Lesson {
        outcome: None,
        opinions: Some(Opinions {
            generation: 3,
            ..opinions(&one, 2, 2, Some("crash-loop"))
        }),
    });
    assert!((belief(&learned, Remedy::Restart).helped - 1.0).abs() < 1e-12);
}

#[test]
fn to_tell_somebody_mends_nothing() {
    let mends: BTreeMap<_, Vec<_>> = FailureMode::ALL
        .iter()
        .map(|mode| {
            let remedies = [
                Remedy::Notify,
                Remedy::Custom,
                Remedy::Restart,
                Remedy::Rollback,
            ];
            let fit = remedies.into_iter().filter(|remedy| mends(*mode, *remedy));
            (mode.as_str(), fit.collect())
        })
        .collect();
    // to tell somebody mends nothing, and what a job or a webhook does is not known
    assert!(
        mends
            .values()
            .flatten()
            .all(|remedy| !matches!(remedy, Remedy::Notify | Remedy::Custom))
    );
    assert_eq!(mends["memory-leak"], [Remedy::Restart]);
    assert_eq!(mends["bad-rollout"], [Remedy::Rollback]);
    assert_eq!(mends["transient"], []);
}

proptest! {
    #[test]
    fn a_success_raises_what_is_believed_and_a_failure_lowers_it(before in any_outcomes(20)) {
        let new = |result| Outcome {
            action_uid: "new".to_owned(),
            case: Some("new".to_owned()),
            ..outcome(99, Remedy::Restart, result)
        };
        let mut better = learned(before.clone());
        let mut worse = better.clone();
        let known = belief(&better, Remedy::Restart);
        better.hear(of_outcome(new(Help::Helped)));
        worse.hear(of_outcome(new(Help::DidNotHelp)));
        let (better, worse) = (belief(&better, Remedy::Restart), belief(&worse, Remedy::Restart));
        prop_assert!(better.mean > known.mean && known.mean > worse.mean);
        prop_assert!(better.lower > known.lower && known.lower > worse.lower);
        for belief in [better, known, worse] {
            prop_assert!(0.0 <= belief.lower && belief.lower < belief.upper && belief.upper <= 1.0);
        }
    }

    #[test]
    fn every_experience_is_what_is_believed_of_its_cell(outcomes in any_outcomes(20)) {
        let learned = learned(outcomes.clone());
        let experiences = learned.experiences();
        let trials: f64 = experiences.iter().map(|it| it.posterior.helped + it.posterior.did_not).sum();
        for it in &experiences {
            prop_assert_eq!(learned.posterior(it.mode, it.remedy, &it.owner_kind), it.posterior);
        }
        // never more trials than actions, and at least one where there were any
        prop_assert!(trials <= f64::from(u32::try_from(outcomes.len()).unwrap()) + 1e-9);
        prop_assert_eq!(experiences.is_empty(), outcomes.is_empty());
    }
}

/// A day after everything in these tests.
fn tomorrow() -> Timestamp {
    at(0) + SignedDuration::from_hours(24)
}
