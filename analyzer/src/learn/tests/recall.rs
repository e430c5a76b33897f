//! Cases that were seen before.

use super::*;
use crate::learn::recall::{BAR, CASES, SOURCE};

fn mended(case: u32) -> Outcome {
    outcome(case, Remedy::Restart, Help::Helped)
}

fn failed(case: u32) -> Outcome {
    outcome(case, Remedy::Restart, Help::DidNotHelp)
}

#[test]
fn one_case_is_chance_and_two_are_recalled() {
    assert_eq!(learned([mended(1)]).recall("f00d"), None);
    let learned = learned([mended(1), mended(2)]);
    let recalled = learned.recall("f00d").unwrap();
    assert_eq!(recalled.mode, FailureMode::MemoryLeak);
    assert_eq!((recalled.helped, recalled.did_not), (2, 0));
    assert_eq!(recalled.action_name, "restart");
    assert_eq!(recalled.examples, ["shop/heal-2", "shop/heal-1"]);
    assert_eq!(recalled.last, at(2));
    assert_eq!(learned.recalls().count(), 1);
}

#[test]
fn many_pods_of_one_case_are_one_case() {
    let pods = (0..10).map(|pod| Outcome {
        action_uid: pod.to_string(),
        ..mended(1)
    });
    assert_eq!(learned(pods).recall("f00d"), None);
}

#[test]
fn only_the_same_structure_is_recalled() {
    let learned = learned([mended(1), mended(2)]);
    assert_eq!(learned.recall("beef"), None);
    let unknown = [mended(1), mended(2)].map(|one| Outcome {
        fingerprint: None,
        ..one
    });
    assert_eq!(super::learned(unknown).recalls().count(), 0);
}

#[test]
fn a_cause_that_nobody_named_is_not_recalled() {
    let nameless = [mended(1), mended(2)].map(|one| Outcome { mode: None, ..one });
    assert_eq!(learned(nameless).recall("f00d"), None);
}

#[test]
fn what_fails_as_often_as_it_helps_is_not_recalled() {
    let outcomes = [mended(1), mended(2), failed(3), failed(4)];
    assert_eq!(learned(outcomes).recall("f00d"), None);
}

#[test]
fn a_case_in_which_it_failed_once_was_not_mended_by_it() {
    let again = Outcome {
        action_uid: "again".to_owned(),
        ..failed(2)
    };
    assert_eq!(learned([mended(1), mended(2), again]).recall("f00d"), None);
}

#[test]
fn a_recall_that_was_followed_in_vain_is_void_until_earned_anew() {
    let followed = Outcome {
        source: SOURCE.to_owned(),
        ..failed(10)
    };
    let before = (0..9).map(mended);
    let mut learned = learned(before.chain([followed]));
    assert_eq!(learned.recall("f00d"), None);
    for case in 11..16 {
        learned.hear(of_outcome(mended(case)));
    }
    let recalled = learned.recall("f00d").unwrap();
    // what was earned since counts, and the failure with it
    assert_eq!((recalled.helped, recalled.did_not), (5, 1));
}

#[test]
fn harm_voids_whoever_proposed_it() {
    let harmed = outcome(10, Remedy::Restart, Help::Harmed);
    let learned = learned((0..9).map(mended).chain([harmed]));
    assert_eq!(learned.recall("f00d"), None);
}

#[test]
fn a_diagnosis_that_people_call_wrong_is_not_recalled() {
    let outcomes = [mended(1), mended(2)];
    let mut learned = learned(outcomes.clone());
    assert!(learned.recall("f00d").is_some());
    learned.hear(Lesson {
        outcome: None,
        opinions: Some(opinions(&outcomes[0], 0, 1, None)),
    });
    assert_eq!(learned.recall("f00d"), None);
}

#[test]
fn what_is_forgotten_is_not_recalled() {
    let mut learned = learned([mended(1), mended(2)]);
    learned.expire(tomorrow());
    assert!(learned.recall("f00d").is_some());
    learned.expire(at(2) + SPAN);
    // the case that ended at that very instant is left, and is too few
    assert_eq!(learned.len(), 1);
    assert_eq!(learned.recall("f00d"), None);
}

#[test]
fn the_surer_of_two_ways_is_recalled() {
    let scaled = (0..4).map(|case| outcome(case, Remedy::Scale, Help::Helped));
    let learned = learned(scaled.chain([mended(11), mended(12)]));
    let recalled = learned.recall("f00d").unwrap();
    assert_eq!(recalled.remedy, Remedy::Scale);
}

proptest! {
    #[test]
    fn whatever_is_recalled_is_well_established(outcomes in any_outcomes(40)) {
        let learned = learned(outcomes.clone());
        for (fingerprint, recalled) in learned.recalls() {
            prop_assert!(recalled.helped >= CASES && recalled.lower > BAR);
            prop_assert!(recalled.lower < recalled.confidence && recalled.confidence < 1.0);
            let mended: std::collections::BTreeSet<_> = outcomes
                .iter()
                .filter(|one| one.fingerprint.as_deref() == Some(fingerprint))
                .filter(|one| one.remedy == recalled.remedy && one.result.helped())
                .filter_map(|one| one.case.clone())
                .collect();
            prop_assert!(mended.len() >= usize::try_from(recalled.helped).unwrap());
        }
    }
}
