//! A model's reply, as an untrusted proposal.
//!
//! In: a reply as it came, and the question that was asked. Out: a proposal that names nothing but
//! what the question allows, or one word for why the reply is none. A reply is one JSON object of
//! exactly the agreed shape. Nothing is repaired: no text around it is cut off, no value is
//! rounded, no name is guessed.
//!
//! Pure: no IO, no clock.

use schemas::diagnosis::{FailureMode, Provenance};

use super::{Proposal, Question, question};
use crate::{
    case::Case,
    evidence::{Fact, Id, Piece},
};

mod object;
mod rejection;
#[cfg(test)]
mod tests;
mod words;

pub use rejection::Rejection;

use object::{Object, Scalar};

/// Bytes of a reply, at most: what a full one takes when every character is escaped.
pub const MOST_BYTES: usize = 12 * 1024;

/// Reads a reply to a question.
///
/// # Errors
/// The first rule that the reply breaks.
pub fn review(text: &str, question: &Question) -> Result<Proposal, Rejection> {
    let object = object::read(text)?;
    let about = target(object.text("target")?, question)?;
    let action = action(object.text("action")?, question)?;
    let mode = mode(object.text("failureMode")?)?;
    let evidence = evidence(&object, question)?;
    let stated_confidence = confidence(&object)?;
    let cause = object.text("cause")?;
    let explanation = object.text("explanation")?;
    words::check(cause, question::MOST_CAUSE)?;
    words::check(explanation, question::MOST_EXPLANATION)?;
    Ok(Proposal {
        mode,
        cause: cause.to_owned(),
        explanation: explanation.to_owned(),
        about,
        action,
        evidence,
        stated_confidence,
    })
}

/// Whether everything that a proposal cites is text which an attacker could have written.
///
/// What is cited and not in the case supports nothing.
pub fn is_tainted(proposal: &Proposal, case: &Case) -> bool {
    let cited = proposal.evidence.iter();
    let mut pieces = cited.filter_map(|id| case.piece(*id));
    pieces.all(is_text)
}

fn is_text(piece: &Piece) -> bool {
    let written = matches!(piece.fact, Fact::Events(_) | Fact::Log { .. });
    written || piece.provenance == Provenance::Text
}

fn target(label: &str, question: &Question) -> Result<schemas::target::Target, Rejection> {
    let mut labelled = (1..).map(question::target_label).zip(&question.targets);
    labelled
        .find(|(known, _)| known == label)
        .map(|(_, target)| target.clone())
        .ok_or(Rejection::UnknownTarget)
}

fn action(name: &str, question: &Question) -> Result<Option<String>, Rejection> {
    if name == question::NONE {
        return Ok(None);
    }
    let known = question::allowed_actions(question).any(|allowed| allowed == name);
    known
        .then(|| Some(name.to_owned()))
        .ok_or(Rejection::UnknownAction)
}

fn mode(name: &str) -> Result<Option<FailureMode>, Rejection> {
    if name == question::UNKNOWN {
        return Ok(None);
    }
    let mode = name.parse().map_err(|_| Rejection::UnknownFailureMode)?;
    Ok(Some(mode))
}

/// Identifiers as they are written in the question, each once.
fn evidence(object: &Object, question: &Question) -> Result<Vec<Id>, Rejection> {
    let labels = object.list("evidence")?;
    if labels.is_empty() {
        return Err(Rejection::NoEvidence);
    }
    if labels.len() > question::MOST_CITED {
        return Err(Rejection::TooMuchEvidence);
    }
    let mut cited: Vec<Id> = Vec::with_capacity(labels.len());
    for label in labels {
        let mut pieces = question.case.evidence.iter();
        let piece = pieces.find(|piece| piece.id.to_string() == *label);
        let id = piece.ok_or(Rejection::UnknownEvidence)?.id;
        if cited.contains(&id) {
            return Err(Rejection::RepeatedEvidence);
        }
        cited.push(id);
    }
    Ok(cited)
}

fn confidence(object: &Object) -> Result<f64, Rejection> {
    let Scalar::Number(value) = object.value("confidence")? else {
        return Err(Rejection::WrongType);
    };
    // Neither an infinity nor what is no number is within.
    let is_within = (0.0..=1.0).contains(value);
    is_within
        .then_some(*value)
        .ok_or(Rejection::ConfidenceOutOfRange)
}
