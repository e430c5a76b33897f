//! What a question is: which one it is, and which replies it allows.
//!
//! In: a question. Out: its digest, by which a reply that was heard once answers it again, and a
//! JSON schema that is built for it alone, so that a model can only name an action of the policy,
//! a target, and evidence by identifier.
//!
//! Pure: no IO, no clock.

use schemas::{diagnosis::FailureMode, digest};
use serde_json::{Value, json};

use super::{Question, prompt};
use crate::evidence::{Fact, Id, Piece};

/// What a model names when no action of the policy fits.
pub const NONE: &str = "none";
/// What a model names when no failure mode fits.
pub const UNKNOWN: &str = "unknown";
/// Characters of the cause, at most.
pub const MOST_CAUSE: usize = 200;
/// Characters of the explanation, at most.
pub const MOST_EXPLANATION: usize = 800;
/// Pieces of evidence that a reply cites, at most.
pub const MOST_CITED: usize = 8;
/// The keys of a reply, all of which it has.
pub const KEYS: [&str; 7] = [
    "action",
    "cause",
    "confidence",
    "evidence",
    "explanation",
    "failureMode",
    "target",
];

/// Grows when the same question would be put, or its reply read, in another way.
const VERSION: &str = "1";

/// Keywords that bound lengths and numbers. Strict modes of hosted APIs turn a schema that has
/// them down, and a grammar does not hold numbers to them: [`super::review`] does.
const BOUNDS: [&str; 6] = [
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
];

/// The identity of a question for a model: SHA-256, as lower-case hex.
///
/// The same for cases of the same structure, whatever their names and numbers: the fingerprint,
/// what kind of evidence stands under which identifier and about which target, codes and mined
/// shapes, the choices, the prompt's template and what a reply may say. Sentences that somebody wrote are no
/// part of it, nor is a fence. It is another one for every policy and namespace, so that whoever
/// writes into one namespace writes into no other's answers.
pub fn digest(question: &Question, model: &str) -> String {
    let mut parts: Vec<String> = vec![
        VERSION.to_owned(),
        model.to_owned(),
        prompt::template_digest(),
        question.policy_uid.clone(),
        question.redact_names.to_string(),
        question.log_lines.to_string(),
        question.case.fingerprint.clone(),
        format!("{KEYS:?} {:?}", FailureMode::ALL),
    ];
    let targets = question.targets.iter();
    parts.extend(targets.map(|target| format!("target {} {}", target.kind, target.namespace)));
    let choices = question.choices.iter();
    parts.extend(choices.map(|choice| {
        let description = choice.description.as_deref().unwrap_or_default();
        let remedy = choice.remedy.as_str();
        format!("choice {:?} {remedy} {description:?}", choice.action)
    }));
    parts.extend(question.hypotheses.iter().map(|hypothesis| {
        let about = place(question, &hypothesis.about.uid);
        format!("cause {} {about}", hypothesis.mode)
    }));
    let pieces = question.case.evidence.iter();
    let pieces = pieces.filter(|piece| prompt::may_be_shown(question, piece));
    parts.extend(pieces.map(|piece| structure(question, piece)));
    digest::hex(parts)
}

/// A JSON schema of the replies to this question, for servers that turn a schema into a grammar.
///
/// Plain on purpose: one flat object, every key required, none else allowed, no reference and no
/// alternative, so that it fits every server that takes a schema at all.
pub fn schema(question: &Question) -> Value {
    let actions: Vec<&str> = allowed_actions(question).chain([NONE]).collect();
    let targets: Vec<String> = (1..=question.targets.len()).map(target_label).collect();
    let evidence: Vec<String> = prompt::shown(question).iter().map(Id::to_string).collect();
    let modes = FailureMode::ALL.iter().map(|mode| mode.as_str());
    let modes: Vec<&str> = modes.chain([UNKNOWN]).collect();
    json!({
        "type": "object",
        "properties": {
            "action": {"type": "string", "enum": actions},
            "cause": {"type": "string", "minLength": 1, "maxLength": MOST_CAUSE},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "evidence": {
                "type": "array",
                "items": {"type": "string", "enum": evidence},
                "minItems": 1,
                "maxItems": MOST_CITED,
            },
            "explanation": {"type": "string", "minLength": 1, "maxLength": MOST_EXPLANATION},
            "failureMode": {"type": "string", "enum": modes},
            "target": {"type": "string", "enum": targets},
        },
        "required": KEYS,
        "additionalProperties": false,
    })
}

/// The same schema for hosted APIs with a strict mode: without the keywords that bound lengths and numbers.
pub fn strict_schema(question: &Question) -> Value {
    let mut schema = schema(question);
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(|all| all.values_mut()) {
        if let Some(keywords) = property.as_object_mut() {
            keywords.retain(|keyword, _| !BOUNDS.contains(&keyword.as_str()));
        }
    }
    schema
}

/// Names of the actions that may be chosen.
pub fn allowed_actions(question: &Question) -> impl Iterator<Item = &str> {
    let names = question.choices.iter().map(|choice| choice.action.as_str());
    names.filter(|name| is_allowed(name))
}

/// Whether an action of this name is offered: one without a name, or called as nothing is called, never is.
pub(super) fn is_allowed(action: &str) -> bool {
    !action.is_empty() && action != NONE
}

/// How a target is named: `T1` for the first.
pub fn target_label(number: usize) -> String {
    format!("T{number}")
}

/// Where an object stands among the targets; `-` where it does not.
fn place(question: &Question, uid: &str) -> String {
    let found = question.targets.iter().position(|target| target.uid == uid);
    found.map_or_else(|| "-".to_owned(), |index| target_label(index + 1))
}

/// A piece without names, numbers and sentences.
fn structure(question: &Question, piece: &Piece) -> String {
    let about = place(question, &piece.about.uid);
    let kind = &piece.about.kind;
    let source = piece.provenance.as_str();
    format!(
        "{} {source} {about} {kind} {:?}",
        piece.id,
        codes(&piece.fact)
    )
}

/// What kind of fact, with its codes and mined shapes.
fn codes(fact: &Fact) -> Vec<String> {
    let mut codes: Vec<String> = vec![kind(fact).to_owned()];
    match fact {
        Fact::Finding(finding) => {
            codes.push(finding.trigger.clone());
            codes.push(finding.subject.clone());
        }
        Fact::Series(series) => codes.push(format!("{:?}", series.metric)),
        Fact::Events(events) => {
            codes.push(events.reason.clone());
            codes.push(events.template.clone());
        }
        Fact::Condition(condition) => {
            codes.push(condition.kind.clone());
            codes.push(condition.status.clone());
            codes.push(condition.reason.clone());
        }
        Fact::Termination(termination) => {
            codes.push(termination.reason.clone());
            codes.push(termination.exit_code.to_string());
        }
        Fact::Waiting(waiting) => codes.push(waiting.reason.clone()),
        Fact::Rollout(rollout) => codes.extend(rollout.changes.keys().cloned()),
        Fact::Node(node) => {
            codes.push(node.ready.clone());
            codes.extend(node.pressures.iter().cloned());
        }
        Fact::Quota { resource, .. } | Fact::Neighbour { resource, .. } => {
            codes.push(resource.clone());
        }
        Fact::Claim { phase, .. } => codes.push(phase.clone()),
        Fact::PastAction { remedy, phase, .. } => {
            codes.push(remedy.as_str().to_owned());
            codes.push(phase.clone());
        }
        Fact::Log { shapes, .. } => codes.extend(shapes.iter().map(|(shape, _)| shape.clone())),
        Fact::Container(_)
        | Fact::Replicas(_)
        | Fact::Autoscaler(_)
        | Fact::Budget { .. }
        | Fact::Scheduling(_)
        | Fact::Service { .. }
        | Fact::Job(_)
        | Fact::Dependency { .. }
        | Fact::Siblings { .. } => {}
    }
    codes
}

const fn kind(fact: &Fact) -> &'static str {
    match fact {
        Fact::Finding(_) => "finding",
        Fact::Series(_) => "series",
        Fact::Events(_) => "events",
        Fact::Condition(_) => "condition",
        Fact::Termination(_) => "termination",
        Fact::Waiting(_) => "waiting",
        Fact::Container(_) => "container",
        Fact::Rollout(_) => "rollout",
        Fact::Replicas(_) => "replicas",
        Fact::Autoscaler(_) => "autoscaler",
        Fact::Budget { .. } => "budget",
        Fact::Node(_) => "node",
        Fact::Scheduling(_) => "scheduling",
        Fact::Quota { .. } => "quota",
        Fact::Claim { .. } => "claim",
        Fact::Service { .. } => "service",
        Fact::Job(_) => "job",
        Fact::Dependency { .. } => "dependency",
        Fact::Neighbour { .. } => "neighbour",
        Fact::PastAction { .. } => "past-action",
        Fact::Siblings { .. } => "siblings",
        Fact::Log { .. } => "log",
    }
}

#[cfg(test)]
mod tests;
