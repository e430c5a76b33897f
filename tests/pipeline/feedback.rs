//! What people think of a diagnosis: who may say it, and what it teaches.
//!
//! The people are those of [`crate::approves`]: `ada` has the ready role for approvers, `bo` and
//! `mallory` may patch actions but lack the verb `feedback`.

use std::sync::Arc;

use harness::{Shared, Workload, trial, until};
use libtest_mimic::Trial;
use schemas::action::{Opinion, Phase};
use serde_json::{Value, json};

use crate::{
    approves::{
        HEALERS, accepted, action, admit, idle, patch, person, planned, put_in, refused, user,
    },
    heals::memory_policy,
    learns::learned,
    refuses::JUDGED,
    stack::{SYSTEM, Stack},
};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "feedback_needs_the_verb_and_is_ones_own",
            shared,
            feedback_needs_the_verb_and_is_ones_own,
        ),
        trial(
            "the_healers_own_accounts_have_no_opinion",
            shared,
            the_healers_have_no_opinion,
        ),
        trial(
            "what_people_say_of_a_cause_is_learned_long_after_the_end",
            shared,
            what_people_say_is_learned,
        ),
    ]
}

fn said(all: &[(&str, &str)]) -> Value {
    let all: Vec<_> = all
        .iter()
        .map(|(by, opinion)| json!({"by": by, "opinion": opinion}))
        .collect();
    json!({"spec": {"feedback": all}})
}

async fn feedback_needs_the_verb_and_is_ones_own(shared: &Shared) {
    let stack = idle(shared, "opinion").await;
    planned(&stack, "one");
    let ada = person(&stack, shared, "ada").await;
    let bo = person(&stack, shared, "bo").await;
    let mallory = person(&stack, shared, "mallory").await;
    for other in [&bo, &mallory] {
        let own = said(&[(&other.name, "useful")]);
        refused(&other.patch(&stack, "one", &own), "lacks the verb feedback");
    }
    refused(
        &ada.patch(&stack, "one", &said(&[(&bo.name, "useful")])),
        "by must be who asks",
    );

    accepted(&ada.patch(&stack, "one", &said(&[(&ada.name, "useful")])));
    // one's own word may change, and may not go away
    accepted(&ada.patch(&stack, "one", &said(&[(&ada.name, "wrong")])));
    let nothing = json!({"spec": {"feedback": null}});
    refused(&ada.patch(&stack, "one", &nothing), "never taken away");
    // the administrator has the verb, and is no exception
    let eve = ["--as", "eve", "--as-group", "system:masters"];
    let turned = said(&[(&ada.name, "useful"), ("eve", "useful")]);
    refused(
        &patch(&stack, "one", &turned, &eve),
        "the feedback of others stays",
    );
    refused(
        &patch(&stack, "one", &nothing, &eve),
        "the feedback of others stays",
    );
    let both = said(&[(&ada.name, "wrong"), ("eve", "useful")]);
    accepted(&patch(&stack, "one", &both, &eve));
    // an end changes nothing about who may speak, and what leaves opinions alone passes
    put_in(&stack, "one", "Succeeded");
    accepted(&ada.patch(
        &stack,
        "one",
        &said(&[(&ada.name, "useful"), ("eve", "useful")]),
    ));
    accepted(&bo.patch(
        &stack,
        "one",
        &json!({"metadata": {"labels": {"team": "shop"}}}),
    ));
}

async fn the_healers_have_no_opinion(shared: &Shared) {
    let stack = idle(shared, "mute").await;
    planned(&stack, "one");
    for healer in HEALERS {
        let name = user(SYSTEM, healer);
        let answer = patch(&stack, "one", &said(&[(&name, "useful")]), &["--as", &name]);
        refused(&answer, "have no opinion of a diagnosis");
    }
    let more = "  feedback: [{by: admin, opinion: useful}]\n";
    refused(
        &stack.namespace.try_apply(&action("two", more)),
        "created without feedback",
    );
}

/// The causes that the journal has experience with.
fn causes(stack: &Stack<'_>) -> Vec<String> {
    let learned = learned(stack);
    let rows = learned["remedies"].as_array().expect("a list").clone();
    let causes = rows.iter().map(|row| row["failureMode"].as_str());
    causes
        .map(|cause| cause.unwrap_or("none").to_owned())
        .collect()
}

async fn what_people_say_is_learned(shared: &Shared) {
    let mut stack = Stack::new(shared, "said").await;
    admit(&stack);
    let full = Workload::deployment("full")
        .memory_limit("256Mi")
        .memory("64Mi");
    stack.namespace.create_workload(&full);
    let pods = stack.ready_pods("app=full", 1).await;
    let pod = pods.keys().next().expect("one pod").clone();
    stack
        .namespace
        .annotate_pod(&pod, &[("sim.kubeskippy.io/memory", "250Mi")]);
    stack.namespace.apply(&memory_policy("duration: 2s"));
    stack.start().await;
    let done = stack.action_in(Phase::Succeeded, JUDGED).await;
    let name = done.metadata.name.clone().expect("a name");
    until("an outcome in the journal", JUDGED, async || {
        let causes = causes(&stack);
        if causes.len() == 1 && causes != ["bad-rollout"] {
            return Ok(());
        }
        Err(format!("{causes:?}; {}", stack.tails()))
    })
    .await;

    let (ada, bo) = (
        person(&stack, shared, "ada").await,
        person(&stack, shared, "bo").await,
    );
    let (code, words) = bo.runs(&stack, &["feedback", &name, "useful"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("lacks the verb feedback"), "{words}");
    let (code, words) = ada.runs(&stack, &["feedback", &name, "wrong", "--cause", "gremlins"]);
    assert_eq!(code, Some(2), "{words}");
    assert!(words.contains("there are: bad-configuration"), "{words}");
    let (code, words) = ada.runs(&stack, &["feedback", &name, "useful"]);
    assert_eq!(code, Some(0), "{words}");
    let wrong = ["feedback", &name, "wrong", "--cause", "bad-rollout"];
    let reason = ["--reason", "the new cache has no limit"];
    let (code, words) = ada.runs(&stack, &[&wrong[..], &reason].concat());
    assert_eq!(code, Some(0), "{words}");

    until("what people said in the journal", JUDGED, async || {
        let causes = causes(&stack);
        if causes == ["bad-rollout"] {
            return Ok(());
        }
        Err(format!("{causes:?}; {}", stack.tails()))
    })
    .await;
    let (_, words) = ada.runs(&stack, &["explain", &name]);
    assert!(
        words.contains("says wrong, it was bad-rollout: the new cache has no limit"),
        "{words}"
    );
    let now = stack.actions().await.remove(0);
    let feedback = &now.spec.feedback;
    assert_eq!(feedback.len(), 1, "one word for each person: {feedback:?}");
    assert_eq!(feedback[0].by, ada.name);
    assert_eq!(feedback[0].opinion, Opinion::Wrong);
}
