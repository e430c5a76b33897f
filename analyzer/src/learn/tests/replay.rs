//! What is known follows from the set of lessons, in whatever order and however often they come.

use super::*;

/// Lessons as the journal holds them: outcomes, and for some what people think, in several versions.
fn any_lessons() -> impl Strategy<Value = Vec<Lesson>> {
    let words = prop::collection::vec((0u32..3, 0u32..3, 1i64..4), 0..12);
    (any_outcomes(16), words).prop_map(|(outcomes, words)| {
        let said = outcomes.iter().cycle().zip(words);
        let said = said.map(|(outcome, (useful, wrong, generation))| Lesson {
            outcome: Some(outcome.clone()),
            opinions: Some(Opinions {
                generation,
                ..opinions(outcome, useful, wrong, Some("crash-loop"))
            }),
        });
        let said: Vec<_> = said.collect();
        let alone = outcomes.into_iter().map(of_outcome);
        alone.chain(said).collect()
    })
}

fn told(lessons: &[Lesson]) -> Learned {
    let mut learned = Learned::default();
    for lesson in lessons {
        learned.hear(lesson.clone());
    }
    learned
}

/// All that can be asked.
fn answers(learned: &Learned) -> String {
    let recalls: Vec<_> = learned.recalls().collect();
    format!(
        "{:?} {:?} {recalls:?}",
        learned.experiences(),
        learned.reliabilities()
    )
}

proptest! {
    #[test]
    fn any_order_and_any_repeats_end_in_the_same_state(
        lessons in any_lessons(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        seed in any::<u64>(),
    ) {
        let once = told(&lessons);
        let mut shuffled: Vec<(u64, &Lesson)> = (0u64..)
            .zip(&lessons)
            .map(|(index, lesson)| (index.wrapping_add(1).wrapping_mul(seed | 1), lesson))
            .collect();
        shuffled.sort_by_key(|(key, _)| *key);
        let mut again: Vec<Lesson> = shuffled.into_iter().map(|(_, lesson)| lesson.clone()).collect();
        if !lessons.is_empty() {
            again.extend(order.iter().map(|index| index.get(&lessons).clone()));
        }
        let twice = told(&again);
        prop_assert_eq!(&once, &twice);
        prop_assert_eq!(answers(&once), answers(&twice));
    }

    #[test]
    fn when_it_is_forgotten_does_not_matter(lessons in any_lessons(), cut in 0usize..30, seconds in 0i64..120) {
        let now = at(seconds) + SPAN;
        let (first, rest) = lessons.split_at(cut.min(lessons.len()));
        let mut before = Learned::default();
        before.expire(now);
        for lesson in &lessons {
            before.hear(lesson.clone());
        }
        let mut between = told(first);
        between.expire(now);
        for lesson in rest {
            between.hear(lesson.clone());
        }
        let mut after = told(&lessons);
        after.expire(now);
        // an earlier instant brings nothing back
        after.expire(at(0));
        prop_assert_eq!(&before, &between);
        prop_assert_eq!(&between, &after);
        prop_assert_eq!(answers(&before), answers(&after));
    }
}

#[test]
fn a_lesson_that_is_asked_about_in_between_counts_all_the_same() {
    let mut learned = learned([outcome(1, Remedy::Restart, Help::Helped)]);
    let before = belief(&learned, Remedy::Restart);
    learned.hear(of_outcome(outcome(1, Remedy::Restart, Help::Helped)));
    assert_eq!(belief(&learned, Remedy::Restart), before);
    learned.hear(of_outcome(outcome(2, Remedy::Restart, Help::Helped)));
    assert!(belief(&learned, Remedy::Restart).mean > before.mean);
    learned.expire(tomorrow() + SPAN);
    assert!(learned.is_empty());
    assert!((belief(&learned, Remedy::Restart).mean - 0.5).abs() < 1e-12);
}

#[test]
fn of_more_than_can_be_kept_the_newest_stay_in_any_order() {
    let most = u32::try_from(MOST).unwrap();
    let all = || (0..most + 5).map(|case| outcome(case, Remedy::Restart, Help::Helped));
    let rising = learned(all());
    let falling = learned(all().collect::<Vec<_>>().into_iter().rev());
    assert_eq!(rising.len(), MOST);
    assert_eq!(rising, falling);
    let known = belief(&rising, Remedy::Restart);
    assert!((known.helped - f64::from(most)).abs() < 1e-6, "{known:?}");
}
