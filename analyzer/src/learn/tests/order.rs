//! The order of actions of equal priority.

use serde_json::json;

use super::*;

fn ai(learning: &str, exploration: u8) -> Ai {
    let ai = json!({"learning": learning, "explorationPercent": exploration});
    serde_json::from_value(ai).unwrap()
}

fn action(name: &str, kind: Remedy, priority: i32) -> Action {
    Action {
        name: name.to_owned(),
        kind,
        priority,
        ..Action::default()
    }
}

fn decision(episode: &str) -> Decision<'_> {
    Decision {
        mode: Some(FailureMode::MemoryLeak),
        owner_kind: "Deployment",
        dice: dice(episode),
    }
}

/// The names of `ladder` in the order in which they are to be tried.
fn names(learned: &Learned, ladder: &[Action], ai: &Ai, episode: &str) -> Vec<String> {
    let rungs: Vec<&Action> = ladder.iter().collect();
    let order = learned.order(&decision(episode), &rungs, ai);
    let names = order.iter().map(|index| rungs[*index].name.clone());
    names.collect()
}

/// Scaling did not help three times, restarting did.
fn experience() -> Learned {
    let scaled = (0..3).map(|case| outcome(case, Remedy::Scale, Help::DidNotHelp));
    let restarted = (0..3).map(|case| outcome(case, Remedy::Restart, Help::Helped));
    learned(scaled.chain(restarted))
}

fn pair() -> [Action; 2] {
    [
        action("more", Remedy::Scale, 50),
        action("replace", Remedy::Restart, 50),
    ]
}

#[test]
fn active_learning_tries_first_what_helps_most_surely() {
    let learned = experience();
    let of = |learning| names(&learned, &pair(), &ai(learning, 0), "e");
    assert_eq!(of("active"), ["replace", "more"]);
    assert_eq!(of("advisory"), ["more", "replace"]);
    assert_eq!(of("off"), ["more", "replace"]);
    let nothing = Learned::default();
    assert_eq!(
        names(&nothing, &pair(), &ai("active", 0), "e"),
        ["more", "replace"]
    );
}

#[test]
fn a_higher_priority_stays_first_whatever_was_learned() {
    let ladder = [
        action("more", Remedy::Scale, 60),
        action("replace", Remedy::Restart, 50),
    ];
    let order = names(&experience(), &ladder, &ai("active", 20), "e");
    assert_eq!(order, ["more", "replace"]);
}

#[test]
fn what_was_learned_of_another_cause_lends_little() {
    let learned = learned((0..3).map(|case| Outcome {
        mode: Some("node-not-ready".to_owned()),
        ..outcome(case, Remedy::Restart, Help::Helped)
    }));
    let known = belief(&learned, Remedy::Restart);
    assert!(known.helped < 1e-12, "{known:?}");
    // it lends no more than two trials
    assert!(known.mean < 0.84, "{known:?}");
}

#[test]
fn exploration_stays_within_its_share_and_tries_what_can_be_taken_back() {
    let ladder = [
        action("replace", Remedy::Restart, 50),
        action("remove", Remedy::Delete, 50),
        action("more", Remedy::Scale, 50),
    ];
    let learned = experience();
    let episodes = 4000;
    let first = |percent: u8| -> BTreeMap<String, u32> {
        let mut firsts = BTreeMap::new();
        for episode in 0..episodes {
            let order = names(
                &learned,
                &ladder,
                &ai("active", percent),
                &episode.to_string(),
            );
            *firsts.entry(order[0].clone()).or_default() += 1;
        }
        firsts
    };
    assert_eq!(first(0), [("replace".to_owned(), episodes)].into());
    let firsts = first(5);
    // a deletion is never tried to learn from it
    assert_eq!(firsts.get("remove"), None);
    // 200 are expected; the binomial's standard deviation is 14
    let explored = firsts["more"];
    assert!((130..270).contains(&explored), "{explored}");
}

#[test]
fn where_nothing_else_can_be_taken_back_nothing_is_explored() {
    let ladder = [
        action("replace", Remedy::Restart, 50),
        action("remove", Remedy::Delete, 50),
    ];
    for episode in 0..500 {
        let order = names(
            &experience(),
            &ladder,
            &ai("active", 20),
            &episode.to_string(),
        );
        assert_eq!(order, ["replace", "remove"]);
    }
}

fn any_ladder() -> impl Strategy<Value = Vec<Action>> {
    let remedies = prop::sample::select(vec![
        Remedy::Restart,
        Remedy::Scale,
        Remedy::Rollback,
        Remedy::Delete,
        Remedy::Notify,
    ]);
    let one = (remedies, 0i32..3);
    prop::collection::vec(one, 0..8).prop_map(|mut all| {
        all.sort_by_key(|(_, priority)| std::cmp::Reverse(*priority));
        let numbered = all.into_iter().enumerate();
        numbered
            .map(|(index, (kind, priority))| action(&index.to_string(), kind, priority))
            .collect()
    })
}

proptest! {
    #[test]
    fn an_order_moves_equals_alone(
        outcomes in any_outcomes(20),
        ladder in any_ladder(),
        percent in 0u8..=20,
        episode in "[a-z]{1,8}",
    ) {
        let learned = learned(outcomes);
        let rungs: Vec<&Action> = ladder.iter().collect();
        let order = learned.order(&decision(&episode), &rungs, &ai("active", percent));
        let again = learned.order(&decision(&episode), &rungs, &ai("active", percent));
        prop_assert_eq!(&order, &again);
        let before: Vec<i32> = rungs.iter().map(|rung| rung.priority).collect();
        let after: Vec<i32> = order.iter().map(|index| rungs[*index].priority).collect();
        prop_assert_eq!(before, after);
        let mut all = order.clone();
        all.sort_unstable();
        prop_assert_eq!(all, (0..rungs.len()).collect::<Vec<_>>());
        for learning in ["off", "advisory"] {
            let as_listed = learned.order(&decision(&episode), &rungs, &ai(learning, percent));
            prop_assert_eq!(as_listed, (0..rungs.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn exploring_moves_one_reversible_action_to_the_front_and_nothing_else(
        outcomes in any_outcomes(20),
        ladder in any_ladder(),
        episode in "[a-z]{1,8}",
    ) {
        let learned = learned(outcomes);
        let rungs: Vec<&Action> = ladder.iter().collect();
        let best = learned.order(&decision(&episode), &rungs, &ai("active", 0));
        let explored = learned.order(&decision(&episode), &rungs, &ai("active", 20));
        if best == explored {
            return Ok(());
        }
        let place = best.iter().zip(&explored).position(|(a, b)| a != b).unwrap();
        let moved = explored[place];
        prop_assert!(rungs[moved].kind.is_reversible());
        prop_assert!(rungs[moved].kind != rungs[best[place]].kind);
        let without = |order: &[usize]| -> Vec<usize> {
            order.iter().copied().filter(|index| *index != moved).collect()
        };
        prop_assert_eq!(without(&best), without(&explored));
    }
}
