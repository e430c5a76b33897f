//! From ranked hypotheses to a diagnosis that a person can check in ten seconds.
//!
//! In: a case, the hypotheses that concern an owner, and how a piece of
//! evidence is put into words. Out: the best cause with the evidence it cites,
//! what else it could be and why not, and whether it rests on nothing but
//! text. No text that somebody wrote into the cluster gets into the sentences;
//! they are the rules' own words, with names of objects and numbers.
//!
//! Pure: no IO, no clock.

use schemas::{
    diagnosis::{Alternative, Diagnosis, Evidence},
    target::Target,
};

use super::{claim::is_text, scene::is_same};
use crate::{
    advise::{Ground, Hypothesis},
    case::Case,
    evidence::{Id, Piece},
    explain::cut,
};

/// Pieces that a diagnosis cites at most, as its schema has it.
const MOST_EVIDENCE: usize = 32;
/// Alternatives that are worth reading.
const MOST_ALTERNATIVES: usize = 4;
/// Reasons for, and reasons against, that are worth reading.
const MOST_FOR: usize = 4;
const MOST_AGAINST: usize = 2;

/// The diagnosis of an owner's trouble, from hypotheses that are sorted, the best first; none
/// where there is no hypothesis.
///
/// `member` is the owner of the object that fired, and `describe` puts a piece of evidence into
/// words.
pub fn verdict(
    case: &Case,
    ranked: &[Hypothesis],
    member: &Target,
    describe: impl Fn(&Piece) -> Evidence,
) -> Option<Diagnosis> {
    let (best, others) = ranked.split_first()?;
    let about = &best.about;
    let elsewhere = !is_same(about, member);
    let evidence = cited(best).into_iter().filter_map(|id| case.piece(id));
    Some(Diagnosis {
        cause: cut(best.mode.title().to_owned(), 256),
        failure_mode: Some(best.mode.as_str().to_owned()),
        owner: elsewhere.then(|| cut(format!("{}/{}", about.kind, about.name), 320)),
        case: Some(cut(case.id.clone(), 63)),
        fingerprint: Some(cut(case.fingerprint.clone(), 64)),
        explanation: Some(cut(explanation(best), 2048)),
        confidence: Some(best.score),
        source: format!("rule/{}", best.rule),
        evidence: evidence.take(MOST_EVIDENCE).map(describe).collect(),
        alternatives: others
            .iter()
            .take(MOST_ALTERNATIVES)
            .map(|other| alternative(other, best))
            .collect(),
        tainted: is_tainted(case, best),
        ..Diagnosis::default()
    })
}

/// Whether nothing but text that an attacker could have written speaks for a hypothesis.
pub fn is_tainted(case: &Case, hypothesis: &Hypothesis) -> bool {
    let is_firm = |ground: &Ground| {
        let pieces: Vec<_> = ground
            .evidence
            .iter()
            .filter_map(|id| case.piece(*id))
            .collect();
        !pieces.is_empty() && !pieces.into_iter().any(is_text)
    };
    !hypothesis.support.iter().any(is_firm)
}

/// The evidence of a hypothesis: what speaks for it first, the weightiest first.
fn cited(hypothesis: &Hypothesis) -> Vec<Id> {
    let grounds = hypothesis.support.iter().chain(&hypothesis.against);
    let mut cited: Vec<Id> = Vec::new();
    for id in grounds.flat_map(|ground| &ground.evidence) {
        if !cited.contains(id) {
            cited.push(*id);
        }
    }
    cited
}

fn explanation(best: &Hypothesis) -> String {
    let Hypothesis {
        mode,
        about,
        support,
        against,
        ..
    } = best;
    let mut text = format!(
        "{about}: {}. For it: {}.",
        mode.title(),
        listed(support, MOST_FOR)
    );
    if !against.is_empty() {
        text = format!("{text} Against it: {}.", listed(against, MOST_AGAINST));
    }
    text
}

fn listed(grounds: &[Ground], most: usize) -> String {
    let said = grounds.iter().take(most).map(said);
    said.collect::<Vec<_>>().join("; ")
}

fn said(ground: &Ground) -> String {
    let ids: Vec<String> = ground.evidence.iter().take(4).map(Id::to_string).collect();
    if ids.is_empty() {
        ground.text.clone()
    } else {
        format!("{} ({})", ground.text, ids.join(", "))
    }
}

fn alternative(other: &Hypothesis, best: &Hypothesis) -> Alternative {
    let score = other.score;
    let why_not = match other.against.first() {
        Some(ground) => format!("{} ({score:.2})", said(ground)),
        None => format!("less speaks for it ({score:.2})"),
    };
    let about = &other.about;
    let place = if is_same(about, &best.about) {
        String::new()
    } else {
        format!(" ({}/{})", about.kind, about.name)
    };
    Alternative {
        cause: cut(format!("{}{place}", other.mode.title()), 256),
        failure_mode: Some(other.mode.as_str().to_owned()),
        why_not: cut(why_not, 512),
    }
}
