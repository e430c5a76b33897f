//! A case in the words that are sent to a model.
//!
//! In: a question, and a fence: a token that whoever sends the prompt draws from a
//! cryptographically secure generator for this one prompt. Out: a system and a user message,
//! bounded in tokens, with nothing in them that must not be seen. The case is compressed by
//! usefulness: texts and series get shorter first, then pieces of evidence are left out, the
//! least useful ones first, and never a finding.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use minijinja::{Environment, Value, context};
use schemas::{diagnosis::FailureMode, digest};

use super::{Question, question};
use crate::evidence::{Fact, Id, Piece};

pub mod tokens;

mod around;
mod compress;
mod fence;
mod figures;
mod known;
mod scrub;
mod statement;
#[cfg(test)]
mod tests;

use compress::Digested;
use scrub::Scrubber;

/// Tokens of a prompt, at most, as [`tokens::estimate`] counts: with a reply it fits a context of 4 096.
pub const MOST_TOKENS: usize = 3_500;

/// Bytes of what a policy says of an action, at most.
const MOST_DESCRIPTION: usize = 120;
/// Actions up to which their descriptions are shown.
const MOST_DESCRIBED: usize = 8;

const SYSTEM: &str = include_str!("prompt/system.txt");
const USER: &str = include_str!("prompt/user.txt");

/// What is sent to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The rules: ours alone.
    pub system: String,
    /// The case: what is not ours stands between two lines that carry the fence.
    pub user: String,
    /// Tokens of both, as they are estimated: rarely fewer than the server counts.
    pub tokens: u32,
    /// What was masked, by kind of secret.
    pub redactions: BTreeMap<String, u32>,
}

/// The prompt for a question. `fence` is at least 16 letters and digits that nobody can guess.
pub fn prompt(question: &Question, fence: &str) -> Prompt {
    let system = system(fence);
    let (digested, choices) = digested(question);
    let user = user(&digested, &choices, fence);
    let tokens = tokens::estimate(&system) + tokens::estimate(&user);
    Prompt {
        system,
        user,
        tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
        redactions: digested.masked,
    }
}

/// The evidence that the prompt of a question shows, in its order.
pub fn shown(question: &Question) -> Vec<Id> {
    digested(question).0.shown
}

/// Whether a piece may be shown at all: lines of a log only where the policy lets them be.
pub(super) fn may_be_shown(question: &Question, piece: &Piece) -> bool {
    question.log_lines > 0 || !matches!(piece.fact, Fact::Log { .. })
}

/// The digest of what every prompt is made of, whatever the case.
pub(super) fn template_digest() -> String {
    digest::hex([SYSTEM, USER])
}

/// As long as the longest fence, for what does not depend on it: whatever the fence is, the same
/// evidence is shown.
const PLACEHOLDER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The case, compressed to what is left beside the rules and the frame; and the choices.
fn digested(question: &Question) -> (Digested, Vec<String>) {
    let scrubber = compress::learned(question);
    let (choices, masked) = choices(question, &scrubber);
    let bare = user(&Digested::default(), &choices, PLACEHOLDER);
    let frame = tokens::estimate(&system(PLACEHOLDER)) + tokens::estimate(&bare) + HEADINGS;
    let left = MOST_TOKENS.saturating_sub(frame);
    let mut digested = compress::compress(question, &scrubber, left);
    for (kind, count) in masked {
        *digested.masked.entry(kind).or_default() += count;
    }
    (digested, choices)
}

/// Room for the lines that an empty case does not have.
const HEADINGS: usize = 60;

/// What may be chosen, and what was masked in it.
fn choices(question: &Question, scrubber: &Scrubber) -> (Vec<String>, BTreeMap<String, u32>) {
    let mut scrubber = scrubber.cleaning(MOST_DESCRIPTION);
    let is_described = question.choices.len() <= MOST_DESCRIBED;
    let mut lines = Vec::new();
    for choice in &question.choices {
        if !question::is_allowed(&choice.action) {
            continue;
        }
        let says = choice.description.as_ref().filter(|_| is_described);
        let says = says.map(|says| format!(": {}", scrubber.text(says)));
        let remedy = choice.remedy.as_str();
        let says = says.unwrap_or_default();
        lines.push(format!("{} ({remedy}){says}", choice.action));
    }
    (lines, scrubber.into_counts())
}

fn system(fence: &str) -> String {
    let modes: Vec<&str> = FailureMode::ALL.iter().map(|mode| mode.as_str()).collect();
    let values = context! {
        fence => fence,
        keys => question::KEYS.join(", "),
        modes => modes.join(", "),
        // `none` itself is a word of the template language
        nothing => question::NONE,
        unknown => question::UNKNOWN,
        most_cited => question::MOST_CITED,
        most_cause => question::MOST_CAUSE,
        most_explanation => question::MOST_EXPLANATION,
    };
    rendered(SYSTEM, values)
}

fn user(digested: &Digested, choices: &[String], fence: &str) -> String {
    let lines = |lines: &[String]| -> Vec<String> {
        let lines = lines.iter();
        lines.map(|line| fence::without(line, fence)).collect()
    };
    let values = context! {
        fence => fence,
        nothing => question::NONE,
        choices => lines(choices),
        targets => lines(&digested.targets),
        causes => lines(&digested.causes),
        evidence => lines(&digested.evidence),
        left_out => digested.left_out,
    };
    rendered(USER, values)
}

/// A template that is compiled in, with all its values.
fn rendered(template: &str, values: Value) -> String {
    let text = Environment::empty().render_str(template, values);
    #[expect(
        clippy::expect_used,
        reason = "both templates are compiled in, and rendered by the tests"
    )]
    text.expect("a template that is compiled in renders")
}
