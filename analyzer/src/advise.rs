//! What advisors say about a case, and what becomes of it.
//!
//! Rules, recall and models are asked in order. Each claims a cause with
//! reasons; none of them acts. A model's words are a proposal that is reviewed
//! against the question that was asked: it may name an action of the policy, a
//! target among the findings, and evidence by identifier, and nothing else.
//!
//! What is here and most of what is below is pure; `consult` asks, through [`ollama`] and [`openai`].

use schemas::{diagnosis::FailureMode, policy::Remedy, target::Target};

use crate::{case::Case, evidence::Id};

pub mod breaker;
pub mod budget;
pub mod combine;
pub(crate) mod consult;
pub mod escalate;
pub mod key;
pub mod model;
pub mod models;
pub mod ollama;
pub mod openai;
pub mod opinion;
pub mod outlook;
pub mod prompt;
pub mod question;
pub mod redact;
pub mod refusal;
pub mod review;
pub mod rules;
#[cfg(test)]
mod sample;
mod transport;

/// A cause that a rule, or recall, thinks possible.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Who says so: the name of the rule.
    pub rule: &'static str,
    /// The cause.
    pub mode: FailureMode,
    /// The object that the cause lies with: an owner, a node, a Service.
    pub about: Target,
    /// How likely, from 0 to 1, as the rule's reasons add up.
    pub score: f64,
    /// What speaks for it.
    pub support: Vec<Ground>,
    /// What speaks against it.
    pub against: Vec<Ground>,
    /// Remedies that fit the cause, the best first; empty: a person must mend it.
    pub fits: Vec<Remedy>,
    /// Whether nothing at all is to be done: it is no trouble, or it goes away by itself.
    pub leave_alone: bool,
}

/// A reason for or against a cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Ground {
    /// The evidence it rests on.
    pub evidence: Vec<Id>,
    /// In a phrase, for people.
    pub text: String,
    /// How much it counts: log-odds, positive in favour.
    pub weight: f64,
}

/// What is asked of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The case, with its evidence.
    pub case: Case,
    /// Causes that the rules think possible, the likeliest first.
    pub hypotheses: Vec<Hypothesis>,
    /// The policy's actions that may be chosen, in the order of its ladder.
    pub choices: Vec<Choice>,
    /// The objects that may be named as where the cause lies: `T1`, `T2`, … in this order.
    pub targets: Vec<Target>,
    /// UID of the policy on whose budget it is asked.
    pub policy_uid: String,
    /// Whether names are replaced by pseudonyms.
    pub redact_names: bool,
    /// Lines of the container's log that may be shown.
    pub log_lines: u32,
}

/// An action that may be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its name in the policy.
    pub action: String,
    /// What it does.
    pub remedy: Remedy,
    /// What the policy says it is for.
    pub description: Option<String>,
}

/// A model's reply that passed review.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// The cause as one of the failure modes, or none of them.
    pub mode: Option<FailureMode>,
    /// The cause, in a phrase.
    pub cause: String,
    /// In a few sentences.
    pub explanation: String,
    /// The object that the cause lies with.
    pub about: Target,
    /// The action that is chosen; none: nothing of the policy fits.
    pub action: Option<String>,
    /// The evidence that is cited.
    pub evidence: Vec<Id>,
    /// How sure the model claims to be, from 0 to 1. It gates nothing.
    pub stated_confidence: f64,
}
