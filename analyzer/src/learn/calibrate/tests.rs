use proptest::prelude::*;
use schemas::{
    outcome::{Help, Outcome},
    policy::Remedy,
};

use super::*;
use crate::learn::{
    Learned,
    tests::{any_outcomes, learned, of_outcome, opinions, outcome},
};

/// As many diagnoses by `source`, of which `right` turned out right, each stated as sure as `stated`.
fn stated(source: &str, stated: f64, (right, all): (u32, u32), from: u32) -> Vec<Outcome> {
    let cases = (0..all).map(|case| {
        let result = if case < right {
            Help::Helped
        } else {
            Help::DidNotHelp
        };
        Outcome {
            source: source.to_owned(),
            stated_confidence: Some(stated),
            ..outcome(from + case, Remedy::Restart, result)
        }
    });
    cases.collect()
}

fn of(learned: &Learned, source: &str, stated: f64) -> Calibrated {
    learned.calibrated(source, stated).unwrap()
}

#[test]
fn below_the_least_number_of_cases_nothing_is_said() {
    let few = learned(stated("model/small", 0.9, (4, 4), 0));
    assert_eq!(few.calibrated("model/small", 0.9), None);
    let known = &few.reliabilities()[0];
    assert_eq!((known.on, known.method), (4, Method::TooFew));
    let enough = learned(stated("model/small", 0.9, (5, 5), 0));
    let calibrated = of(&enough, "model/small", 0.9);
    assert_eq!((calibrated.on, calibrated.method), (5, Method::BaseRate));
    // Laplace's rule of succession
    assert!((calibrated.confidence - 6.0 / 7.0).abs() < 1e-9);
    assert_eq!(enough.calibrated("model/large", 0.9), None);
}

#[test]
fn a_model_that_is_too_sure_is_believed_as_often_as_it_is_right() {
    // it says 95 %, and is right in a third
    let learned = learned(stated("model/small", 0.95, (20, 60), 0));
    let calibrated = of(&learned, "model/small", 0.95);
    assert_eq!((calibrated.on, calibrated.method), (60, Method::Beta));
    assert!(
        (calibrated.confidence - 1.0 / 3.0).abs() < 0.05,
        "{calibrated:?}"
    );
}

#[test]
fn a_large_sample_is_followed_where_it_leads() {
    let sure = stated("model/small", 0.9, (180, 200), 0);
    let unsure = stated("model/small", 0.4, (20, 200), 1000);
    let learned = learned(sure.into_iter().chain(unsure));
    let (high, low) = (
        of(&learned, "model/small", 0.9),
        of(&learned, "model/small", 0.4),
    );
    assert_eq!((high.on, high.method), (400, Method::Isotonic));
    assert!((high.confidence - 0.9).abs() < 0.02, "{high:?}");
    assert!((low.confidence - 0.1).abs() < 0.02, "{low:?}");
    let between = of(&learned, "model/small", 0.65).confidence;
    assert!((between - 0.5).abs() < 0.02, "{between}");
    let known = &learned.reliabilities()[0];
    assert!(known.brier_calibrated < known.brier_stated, "{known:?}");
}

#[test]
fn a_rule_with_few_cases_is_calibrated_with_the_others() {
    let many = stated("rule/crash-loop", 0.8, (10, 20), 0);
    let few = stated("rule/memory-leak", 0.8, (1, 1), 100);
    let learned = learned(many.into_iter().chain(few));
    assert_eq!(of(&learned, "rule/memory-leak", 0.8).on, 21);
    assert_eq!(of(&learned, "rule/never-seen", 0.8).on, 21);
    assert_eq!(of(&learned, "rule/crash-loop", 0.8).on, 20);
}

#[test]
fn what_one_source_says_in_one_case_counts_as_one() {
    let pods = (0..10).map(|pod| Outcome {
        action_uid: pod.to_string(),
        ..outcome(1, Remedy::Restart, Help::Helped)
    });
    let known = learned(pods).reliabilities();
    assert!(known.iter().all(|it| it.on == 1), "{known:?}");
}

#[test]
fn a_remedy_that_is_none_for_the_cause_says_nothing_of_the_diagnosis() {
    let scaled = (0..9).map(|case| outcome(case, Remedy::Scale, Help::DidNotHelp));
    assert_eq!(learned(scaled).reliabilities(), []);
}

#[test]
fn peoples_word_counts_before_the_outcome() {
    let recovered = outcome(1, Remedy::Restart, Help::Helped);
    let mut learned = learned([recovered.clone()]);
    let right = |learned: &Learned| learned.reliabilities()[0].right;
    assert!(right(&learned) > 0.99);
    for (generation, useful, wrong) in [(2, 0, 1), (3, 2, 1)] {
        let mut said = opinions(&recovered, useful, wrong, None);
        said.generation = generation;
        let mut lesson = of_outcome(recovered.clone());
        lesson.opinions = Some(said);
        learned.hear(lesson);
        let expected = if useful > wrong { 1.0 } else { 0.0 };
        assert!((right(&learned) - expected).abs() < 1e-9);
    }
}

/// What a model said beside the rules, and the share in which it was right, as far as that is known.
fn beside(mode: &str, result: Help, said: Option<(u32, u32, Option<&str>)>) -> Option<f64> {
    let mut outcome = outcome(1, Remedy::Restart, result);
    outcome.claims = vec![Claim {
        source: "model/small".to_owned(),
        mode: mode.to_owned(),
        stated_confidence: 0.7,
    }];
    let opinions = said.map(|(useful, wrong, cause)| opinions(&outcome, useful, wrong, cause));
    let mut learned = Learned::default();
    learned.hear(schemas::outcome::Lesson {
        outcome: Some(outcome),
        opinions,
    });
    let known = learned.reliabilities();
    let model = known.iter().find(|it| it.source == "model/small");
    model.map(|it| it.right)
}

#[test]
fn a_model_is_calibrated_also_where_the_rules_decide() {
    // the rules said a memory leak, and a restart mends one
    assert_eq!(beside("memory-leak", Help::Helped, None), Some(1.0));
    assert_eq!(beside("crash-loop", Help::Helped, None), Some(0.0));
    assert_eq!(beside("memory-leak", Help::DidNotHelp, None), Some(0.0));
    // it was no leak; whether it was a crash loop nobody knows
    assert_eq!(beside("crash-loop", Help::DidNotHelp, None), None);
    let corrected = Some((0, 1, Some("crash-loop")));
    assert_eq!(beside("crash-loop", Help::Helped, corrected), Some(1.0));
    assert_eq!(beside("memory-leak", Help::Helped, corrected), Some(0.0));
    assert_eq!(beside("no-such-mode", Help::Helped, None), None);
}

#[test]
fn pools_are_as_level_as_the_violators_they_hold() {
    let point = |stated, right| Point {
        stated,
        right,
        weight: 1.0,
    };
    let points = [
        point(0.1, 0.0),
        point(0.3, 1.0),
        point(0.5, 0.0),
        point(0.9, 1.0),
    ];
    let steps = Isotonic::fit(&points);
    for (stated, right) in [
        (0.0, 0.0),
        (0.3, 0.5),
        (0.4, 0.5),
        (0.5, 0.5),
        (0.7, 0.75),
        (1.0, 1.0),
    ] {
        assert!((steps.at(stated) - right).abs() < 1e-9, "{stated}");
    }
}

#[test]
fn a_curve_fitted_to_honest_statements_changes_little() {
    let points: Vec<_> = (1..10)
        .flat_map(|tenths| (0..10).map(move |one| (tenths, one)))
        .map(|(tenths, one)| Point {
            stated: f64::from(tenths) / 10.0,
            right: f64::from(u8::from(one < tenths)),
            weight: 1.0,
        })
        .collect();
    let curve = Curve::fit(&points);
    for tenths in 1..10 {
        let stated = f64::from(tenths) / 10.0;
        assert!((curve.at(stated) - stated).abs() < 0.07, "{stated}");
    }
}

/// Diagnoses by one model, each a case of its own.
fn any_statements() -> impl Strategy<Value = Vec<Outcome>> {
    prop::collection::vec((0u8..=20, any::<bool>()), 0..260).prop_map(|all| {
        let numbered = (0..).zip(all);
        numbered
            .map(|(case, (twentieths, is_right))| {
                let result = if is_right { Help::Helped } else { Help::Harmed };
                Outcome {
                    source: "model/small".to_owned(),
                    stated_confidence: Some(f64::from(twentieths) / 20.0),
                    ..outcome(case, Remedy::Restart, result)
                }
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn who_claims_to_be_surer_is_never_believed_less(outcomes in any_statements(), levels in prop::collection::vec(0.0..=1.0, 2..12)) {
        let count = u32::try_from(outcomes.len()).unwrap();
        let learned = learned(outcomes);
        let mut levels: Vec<f64> = levels;
        levels.sort_by(f64::total_cmp);
        let calibrated: Vec<_> = levels
            .iter()
            .filter_map(|level| learned.calibrated("model/small", *level))
            .collect();
        if count < LEAST {
            prop_assert!(calibrated.is_empty());
            return Ok(());
        }
        prop_assert_eq!(calibrated.len(), levels.len());
        for pair in calibrated.windows(2) {
            prop_assert!(pair[0].confidence <= pair[1].confidence + 1e-9, "{pair:?}");
        }
        for it in calibrated {
            prop_assert!((0.0..=1.0).contains(&it.confidence));
            prop_assert_eq!(it.on, count);
        }
    }

    #[test]
    fn no_source_has_more_cases_than_there_were(outcomes in any_outcomes(40)) {
        let cases: std::collections::BTreeSet<_> = outcomes.iter().map(|it| it.case.clone()).collect();
        for known in learned(outcomes).reliabilities() {
            prop_assert!(usize::try_from(known.on).unwrap() <= cases.len(), "{known:?}");
            prop_assert!((0.0..=1.0).contains(&known.right) && (0.0..=1.0).contains(&known.stated));
        }
    }

    #[test]
    fn what_is_no_number_is_worth_nothing(outcomes in any_statements(), nothing in prop::sample::select(vec![f64::NAN, f64::INFINITY])) {
        prop_assert_eq!(learned(outcomes).calibrated("model/small", nothing), None);
    }
}
