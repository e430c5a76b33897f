//! The envelope, written another way than the review.
//!
//! In: a reply that passed, the proposal it became, and the question. Out: what of it is outside
//! the envelope. The reply is searched as text, and read by another parser, for what it really says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::advise::{Proposal, Question};

/// What of a proposal is outside of what the question allows; nothing, if all is well.
pub(super) fn outside(reply: &str, proposal: &Proposal, question: &Question) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, fault: &str| {
        if !holds {
            faults.push(fault.to_owned());
        }
    };
    let actions: BTreeSet<Option<&str>> = question
        .choices
        .iter()
        .map(|choice| Some(choice.action.as_str()))
        .chain([None])
        .collect();
    must(actions.contains(&proposal.action.as_deref()), "action");
    let uids: BTreeSet<&str> = question.targets.iter().map(|it| it.uid.as_str()).collect();
    must(uids.contains(proposal.about.uid.as_str()), "target");
    let known: BTreeSet<u16> = question.case.evidence.iter().map(|it| it.id.0).collect();
    let cited: BTreeSet<u16> = proposal.evidence.iter().map(|id| id.0).collect();
    must(!cited.is_empty() && cited.is_subset(&known), "evidence");
    must(cited.len() == proposal.evidence.len(), "evidence twice");
    let sure = proposal.stated_confidence;
    must(!sure.is_nan() && (0.0..=1.0).contains(&sure), "confidence");
    must(proposal.cause.chars().count() <= 200, "length of the cause");
    must(
        proposal.explanation.chars().count() <= 800,
        "length of the explanation",
    );
    for text in [&proposal.cause, &proposal.explanation] {
        must(!text.chars().any(char::is_control), "control characters");
        must(
            !text.contains(['\u{202e}', '\u{200b}', '\u{2066}']),
            "hidden characters",
        );
        must(!text.to_lowercase().contains("kubectl"), "a command");
    }
    must(says(reply, proposal, question), "not what the reply says");
    faults
}

/// Whether the reply says just this: seven keys, and nothing repaired.
fn says(reply: &str, proposal: &Proposal, question: &Question) -> bool {
    let Ok(read) = serde_json::from_str::<BTreeMap<String, Value>>(reply) else {
        return false;
    };
    let text = |key: &str| read.get(key).and_then(Value::as_str).unwrap_or("?");
    let number: Option<usize> = text("target")
        .strip_prefix('T')
        .and_then(|it| it.parse().ok());
    let target = number.and_then(|number| question.targets.get(number.wrapping_sub(1)));
    let labels: Option<Vec<String>> = read
        .get("evidence")
        .and_then(|it| serde_json::from_value(it.clone()).ok());
    let cited: Vec<String> = proposal.evidence.iter().map(ToString::to_string).collect();
    let mode = proposal.mode.map_or("unknown", |mode| mode.as_str());
    // An object without nesting has one brace of each kind outside of its texts.
    read.len() == 7
        && text("action") == proposal.action.as_deref().unwrap_or("none")
        && target == Some(&proposal.about)
        && labels == Some(cited)
        && text("failureMode") == mode
        && text("cause") == proposal.cause
        && text("explanation") == proposal.explanation
        && read.get("confidence").and_then(Value::as_f64) == Some(proposal.stated_confidence)
        && reply.trim_start().starts_with('{')
        && reply.trim_end().ends_with('}')
}
