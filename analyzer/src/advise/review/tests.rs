//! What passes, what does not and for which reason, and what is tainted.

use schemas::diagnosis::FailureMode;
use serde_json::{Value, json};

use super::*;
use crate::advise::sample;

mod corpus;
mod fuzz;
mod oracle;

/// A reply that passes, with other values for some keys.
fn reply(changes: &Value) -> String {
    let mut reply = json!({
        "action": "add-memory",
        "cause": "The memory limit is too small for the load.",
        "confidence": 0.8,
        "evidence": ["E2", "E3"],
        "explanation": "E2 shows T1 at its memory limit, and E3 that it was killed for it.",
        "failureMode": "out-of-memory",
        "target": "T1",
    });
    for (key, value) in changes.as_object().unwrap() {
        reply[key] = value.clone();
    }
    reply.to_string()
}

#[test]
fn a_reply_that_follows_the_rules_becomes_what_it_says() {
    let question = sample::question();
    let proposal = review(&reply(&json!({})), &question).unwrap();
    assert_eq!(proposal.mode, Some(FailureMode::OutOfMemory));
    assert_eq!(proposal.about, question.targets[0]);
    assert_eq!(proposal.action.as_deref(), Some("add-memory"));
    assert_eq!(proposal.evidence, [Id(2), Id(3)]);
    assert!((proposal.stated_confidence - 0.8).abs() < f64::EPSILON);
    let nothing = json!({"action": "none", "failureMode": "unknown", "target": "T2"});
    let proposal = review(&reply(&nothing), &question).unwrap();
    assert_eq!((proposal.action, proposal.mode), (None, None));
    assert_eq!(proposal.about, question.targets[1]);
}

#[test]
fn odd_white_space_within_json_is_no_fault() {
    let spaced = reply(&json!({}))
        .replacen('{', "\n\n {\n ", 1)
        .replace("\",\"", "\"\n,\t \"")
        .replace('}', "\r\n}\n\n");
    assert!(spaced.matches('\n').count() > 5);
    assert!(review(&spaced, &sample::question()).is_ok());
}

#[test]
fn an_action_called_as_nothing_is_called_cannot_be_chosen() {
    let mut question = sample::question();
    question::NONE.clone_into(&mut question.choices[0].action);
    let proposal = review(&reply(&json!({"action": "none"})), &question).unwrap();
    assert_eq!(proposal.action, None);
    question.choices[0].action = String::new();
    let nameless = review(&reply(&json!({"action": ""})), &question);
    assert_eq!(nameless, Err(Rejection::UnknownAction));
}

#[test]
fn a_reply_of_any_length_is_read_or_refused_and_never_cut() {
    let question = sample::question();
    let longest = "aé".repeat(question::MOST_EXPLANATION / 2);
    let words = |count: usize| json!({"explanation": "a ".repeat(count)});
    assert!(review(&reply(&words(question::MOST_EXPLANATION / 2)), &question).is_ok());
    let too_long = review(
        &reply(&words(question::MOST_EXPLANATION / 2 + 1)),
        &question,
    );
    assert_eq!(too_long, Err(Rejection::TextTooLong));
    assert_eq!(
        review(&reply(&json!({"explanation": longest})), &question),
        Err(Rejection::OtherLanguage)
    );
    let huge = reply(&json!({"explanation": "a".repeat(MOST_BYTES)}));
    assert_eq!(review(&huge, &question), Err(Rejection::TooLong));
    let deep = format!("{}{}", "{\"action\":".repeat(1_200), "}".repeat(100));
    assert_eq!(review(&deep, &question), Err(Rejection::Malformed));
}

#[test]
fn words_that_a_cause_needs_are_no_nudges() {
    let sentences = [
        "The container was OOMKilled, followed by back-off, and after that E2 rose again.",
        "The new image cannot run the migration and fails to execute its probe; E6 shows the change.",
        "The Secret has invalid base64, so that T1 cannot start.",
        "Scaling would not help, since the node has no room (E4), and a restart loses the cache.",
        "E2 rises by 40 MB per hour without a fall: memory leaks, a restart frees it for some hours.",
    ];
    let question = sample::question();
    for sentence in sentences {
        let read = review(&reply(&json!({"explanation": sentence})), &question);
        assert!(read.is_ok(), "{sentence}: {read:?}");
    }
}

#[test]
fn every_reason_is_one_camel_case_word() {
    let mut words: Vec<&str> = Rejection::ALL.iter().map(Rejection::reason).collect();
    assert!(words.iter().all(|word| {
        word.len() < 64
            && word.starts_with(char::is_uppercase)
            && word.chars().all(char::is_alphanumeric)
    }));
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Rejection::ALL.len());
}

#[test]
fn a_proposal_is_tainted_when_all_that_it_cites_is_text() {
    let question = sample::question();
    let tainted = |cited: &[u16]| {
        let labels: Vec<String> = cited.iter().map(|id| Id(*id).to_string()).collect();
        let proposal = review(&reply(&json!({"evidence": labels})), &question).unwrap();
        is_tainted(&proposal, &question.case)
    };
    assert!(tainted(&[5]));
    assert!(tainted(&[5, 7]));
    assert!(!tainted(&[5, 3]));
    assert!(!tainted(&[2]));
    let proposal = review(&reply(&json!({"evidence": ["E3"]})), &question).unwrap();
    let mut elsewhere = question.case.clone();
    elsewhere.evidence.retain(|piece| piece.id != Id(3));
    assert!(is_tainted(&proposal, &elsewhere));
}

#[test]
fn an_event_taints_whatever_it_says_of_itself() {
    let mut question = sample::question();
    question.case.evidence[4].provenance = Provenance::ControlPlane;
    let proposal = review(&reply(&json!({"evidence": ["E5"]})), &question).unwrap();
    assert!(is_tainted(&proposal, &question.case));
}
