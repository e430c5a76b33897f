use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn call(question: usize, second: i64) -> Call {
    Call {
        advisor: "small".to_owned(),
        question: question.to_string(),
        case: format!("case-{}", question % 3),
        policy_uid: format!("policy-{}", question % 2),
        at: at(second),
        tokens: 100,
        cost: 0.25,
    }
}

fn advice(call: &Call, reply: Reply) -> Advice {
    Advice {
        question: call.question.clone(),
        case: call.case.clone(),
        policy_uid: call.policy_uid.clone(),
        advisor: call.advisor.clone(),
        model: "m".to_owned(),
        asked_at: call.at,
        answered_at: call.at,
        reply,
        tokens_in: 60,
        tokens_out: 40,
        cost: call.cost,
        prompt: String::new(),
        masked: BTreeMap::new(),
    }
}

#[test]
fn each_limit_holds_a_call_back_and_says_which() {
    let mut ledger = Ledger::default();
    ledger.enter(call(0, 0));
    let next = call(6, 10);
    let none = Limits::default();
    assert_eq!(ledger.check(&next, &none, &none), Ok(()));
    let limits = [
        (
            "calls per hour",
            Limits {
                calls_per_hour: Some(1),
                ..Limits::default()
            },
        ),
        (
            "calls per case",
            Limits {
                calls_per_case: Some(1),
                ..Limits::default()
            },
        ),
        (
            "tokens per hour",
            Limits {
                tokens_per_hour: Some(199),
                ..Limits::default()
            },
        ),
        (
            "money per hour",
            Limits {
                cost_per_hour: Some(0.49),
                ..Limits::default()
            },
        ),
        (
            "money per day",
            Limits {
                cost_per_day: Some(0.49),
                ..Limits::default()
            },
        ),
    ];
    for (what, limits) in limits {
        let of_model = ledger.check(&next, &limits, &none).unwrap_err();
        assert_eq!((of_model.whose, of_model.what), ("the model's", what));
        let of_policy = ledger.check(&next, &none, &limits).unwrap_err();
        assert_eq!((of_policy.whose, of_policy.what), ("the policy's", what));
    }
}

#[test]
fn an_hour_later_a_call_may_be_made_again() {
    let mut ledger = Ledger::default();
    ledger.enter(call(0, 0));
    let limits = Limits {
        calls_per_hour: Some(1),
        ..Limits::default()
    };
    let none = Limits::default();
    assert!(ledger.check(&call(1, 3599), &limits, &none).is_err());
    assert!(ledger.check(&call(1, 3600), &limits, &none).is_ok());
}

#[test]
fn what_was_never_sent_costs_no_call() {
    let mut ledger = Ledger::default();
    ledger.hear(&advice(&call(0, 0), Reply::Failed("OverBudget".to_owned())));
    assert_eq!(ledger, Ledger::default());
    ledger.hear(&advice(&call(0, 0), Reply::Failed("TimedOut".to_owned())));
    assert_ne!(ledger, Ledger::default());
}

proptest! {
    #[test]
    fn no_order_of_calls_exceeds_a_budget(
        seconds in proptest::collection::vec(0_i64..90_000, 0..60),
        most_calls in 0_u32..8,
        most_cost in 0.0_f64..3.0,
    ) {
        let model = Limits { calls_per_hour: Some(most_calls), ..Limits::default() };
        let policy = Limits { cost_per_day: Some(most_cost), ..Limits::default() };
        let mut seconds = seconds;
        seconds.sort_unstable();
        let mut ledger = Ledger::default();
        let mut made: Vec<Call> = Vec::new();
        for (question, second) in seconds.into_iter().enumerate() {
            let call = call(question, second);
            ledger.forget(call.at);
            if ledger.check(&call, &model, &policy).is_ok() {
                ledger.enter(call.clone());
                made.push(call);
            }
        }
        for last in &made {
            let within = |span: SignedDuration| made.iter().filter(move |call| {
                let age = last.at.duration_since(call.at);
                !age.is_negative() && age < span
            });
            prop_assert!(within(HOUR).count() <= most_calls as usize);
            let paid: f64 = within(DAY).filter(|call| call.policy_uid == last.policy_uid).map(|call| call.cost).sum();
            prop_assert!(paid <= most_cost + 1e-9);
        }
    }

    #[test]
    fn replies_heard_again_in_any_order_give_the_same_books(
        seconds in proptest::collection::vec(0_i64..100_000, 0..30),
        turn in 0_usize..30,
    ) {
        let calls: Vec<Call> = seconds.iter().enumerate().map(|(n, second)| call(n, *second)).collect();
        let replies: Vec<Advice> = calls.iter().map(|it| advice(it, Reply::Text("x".to_owned()))).collect();
        let mut live = Ledger::default();
        for call in calls {
            live.enter(call);
        }
        let mut restored = Ledger::default();
        let (end, start) = replies.split_at(turn.min(replies.len()));
        for reply in start.iter().chain(end).chain(&replies) {
            restored.hear(reply);
        }
        prop_assert_eq!(&restored, &live);
        live.forget(at(100_000));
        restored.forget(at(100_000));
        prop_assert_eq!(restored, live);
    }

    #[test]
    fn a_call_that_is_taken_back_leaves_no_trace(seconds in proptest::collection::vec(0_i64..100_000, 1..30)) {
        let mut ledger = Ledger::default();
        for (n, second) in seconds.iter().enumerate() {
            ledger.enter(call(n, *second));
        }
        let before = ledger.clone();
        let extra = call(10_000, 5);
        ledger.enter(extra.clone());
        ledger.strike(&extra);
        prop_assert_eq!(ledger, before);
    }
}
