//! Asking models about cases: whom, what, how long to wait, and what their words are worth.
//!
//! In: a case with what the rules say of it, a policy that wants a model asked, and the
//! replies that were heard. Out: a question to send, an instant until which the plain policy
//! waits, or a proposal that passed review. A question is frozen when it is first asked, so
//! that a case that goes on changing does not pay twice and an answer is read against what
//! was asked. No answer, a late one and a bad one change nothing but the record of who was asked.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemas::{
    advice::{Advice, Reply},
    diagnosis::Consulted,
    policy::{AdvisorState, Ai, AiMode},
    target::Target,
};

use crate::{
    advise::{
        Choice, Hypothesis, Proposal, Question, question,
        refusal::Refusal,
        review::{self},
    },
    case::Case,
};

/// Objects that a question names as where the cause may lie, at most.
const MOST_TARGETS: usize = 8;
/// How long a model that could not be asked is not asked the same again.
const RETRY_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// The built-in advisors, whose names no model has.
const BUILT_IN: [&str; 2] = ["rules", "recall"];

/// A model that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelName {
    /// Its configured name, by which policies ask it.
    pub name: String,
    /// The model, as its server knows it.
    pub model: String,
    /// Name of a larger model, whose reply to the same question counts instead where there is one.
    pub escalates_to: Option<String>,
}

/// A question, and whom it goes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The advisor's configured name.
    pub advisor: String,
    /// What is asked.
    pub question: Question,
}

/// What a policy wants to know about a case.
#[derive(Clone, Debug)]
pub(super) struct Inquiry<'a> {
    pub(super) case: &'a Case,
    pub(super) hypotheses: &'a [Hypothesis],
    pub(super) ai: &'a Ai,
    pub(super) policy_uid: &'a str,
    pub(super) choices: Vec<Choice>,
    pub(super) at: Timestamp,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Considered {
    /// Every model that was asked, and what came of it.
    pub(super) consulted: Vec<Consulted>,
    /// Until when an answer is awaited.
    pub(super) awaits: Option<Timestamp>,
    /// The proposal of the first model that made a usable one, and who made it.
    pub(super) proposal: Option<Reviewed>,
}

/// A proposal that passed review.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reviewed {
    /// Who made it, such as `model/small`.
    pub(super) source: String,
    pub(super) proposal: Proposal,
    /// Whether the evidence that it cites, of the case as it was when it was asked, is only text
    /// that an attacker could have written.
    pub(super) tainted: bool,
}

/// The questions that are open, and the replies that were heard.
#[derive(Debug, Default)]
pub(super) struct Inquiries {
    models: Vec<ModelName>,
    heard: BTreeMap<(String, String), Advice>,
    /// By case, policy and advisor.
    asked: BTreeMap<(String, String, String), Pending>,
    to_send: Vec<Asked>,
}

#[derive(Clone, Debug)]
struct Pending {
    question: Question,
    digest: String,
    first_at: Timestamp,
}

impl Inquiries {
    /// Knows which models there are.
    pub(super) fn new(models: Vec<ModelName>) -> Self {
        Self {
            models,
            ..Self::default()
        }
    }

    /// Takes in a reply, of this analyzer or of another one.
    pub(super) fn hear(&mut self, advice: Advice) {
        let key = (advice.advisor.clone(), advice.question.clone());
        self.heard.insert(key, advice);
    }

    /// Forgets questions about cases that are over, replies older than `span`, and failures
    /// to ask that are old enough to try again.
    pub(super) fn forget(&mut self, open: &BTreeSet<String>, at: Timestamp, span: SignedDuration) {
        let mut again = BTreeSet::new();
        self.heard.retain(|key, advice| {
            let kept = if is_passing(advice) {
                RETRY_AFTER
            } else {
                span
            };
            let stays = at.duration_since(advice.answered_at) <= kept;
            if !stays {
                again.insert(key.clone());
            }
            stays
        });
        self.asked.retain(|(case, _, model), pending| {
            open.contains(case) && !again.contains(&(model.clone(), pending.digest.clone()))
        });
    }

    /// The questions to send.
    pub(super) fn take_questions(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.to_send)
    }

    /// Asks the models that the policy names, one after the other, until one has made a usable proposal.
    pub(super) fn consider(&mut self, inquiry: &Inquiry<'_>) -> Considered {
        let mut considered = Considered::default();
        if inquiry.ai.mode == AiMode::Off {
            return considered;
        }
        for name in wanted(inquiry.ai, &self.models) {
            let source = format!("model/{name}");
            let Some(model) = self.models.iter().find(|model| model.name == name) else {
                considered
                    .consulted
                    .push(consulted(source, "NotConfigured"));
                continue;
            };
            let pending = pending(&mut self.asked, model, inquiry);
            let key = (name.clone(), pending.digest.clone());
            let Some(advice) = self.heard.get(&key) else {
                let until = pending.first_at.checked_add(inquiry.ai.timeout.get());
                if let Some(until) = until.ok().filter(|until| inquiry.at < *until) {
                    considered.awaits = Some(until);
                    let question = pending.question.clone();
                    self.to_send.push(Asked {
                        advisor: name,
                        question,
                    });
                    return considered;
                }
                considered.consulted.push(consulted(source, "TimedOut"));
                continue;
            };
            match read(advice, &pending.question) {
                Ok(proposal) => {
                    let first = inquiry.hypotheses.first();
                    considered.consulted.push(spoken(&source, &proposal, first));
                    let larger = larger((&self.models, &self.heard), model, &pending.question);
                    let (source, proposal) = match larger {
                        Some((larger, second)) => {
                            considered.consulted.push(spoken(&larger, &second, first));
                            (larger, second)
                        }
                        None => (source, proposal),
                    };
                    considered.proposal = Some(Reviewed {
                        tainted: review::is_tainted(&proposal, &pending.question.case),
                        source,
                        proposal,
                    });
                    return considered;
                }
                Err(outcome) => considered.consulted.push(consulted(source, &outcome)),
            }
        }
        considered
    }
}

/// Names of the models that a policy asks, in its order.
fn wanted(ai: &Ai, models: &[ModelName]) -> Vec<String> {
    if ai.advisors.is_empty() {
        return models.iter().map(|model| model.name.clone()).collect();
    }
    let named = ai.advisors.iter();
    named
        .filter(|name| !BUILT_IN.contains(&name.as_str()))
        .cloned()
        .collect()
}

/// The models that a policy asks, as far as is known without asking.
pub(super) fn advisors(ai: Option<&Ai>, models: &[ModelName]) -> Vec<AdvisorState> {
    let Some(ai) = ai.filter(|ai| ai.mode != AiMode::Off) else {
        return Vec::new();
    };
    let states = wanted(ai, models).into_iter().map(|name| {
        let configured = models.iter().any(|model| model.name == name);
        let state = if configured {
            "Available"
        } else {
            "NotConfigured"
        };
        let missing = "the analyzer's --models file does not list it".to_owned();
        AdvisorState {
            name,
            state: state.to_owned(),
            message: (!configured).then_some(missing),
        }
    });
    states.collect()
}

/// Whether a model could not be asked for a reason that passes.
fn is_passing(advice: &Advice) -> bool {
    match &advice.reply {
        Reply::Text(_) => false,
        Reply::Failed(reason) => Refusal::of_reason(reason).is_some_and(Refusal::is_passing),
    }
}

/// What the larger model made of a question that was also put to it.
fn larger(
    (models, heard): (&[ModelName], &BTreeMap<(String, String), Advice>),
    small: &ModelName,
    asked: &Question,
) -> Option<(String, Proposal)> {
    let name = small.escalates_to.as_ref()?;
    let model = models.iter().find(|model| model.name == *name)?;
    let digest = question::digest(asked, &model.model);
    let advice = heard.get(&(name.clone(), digest))?;
    let proposal = read(advice, asked).ok()?;
    Some((format!("model/{name}"), proposal))
}

/// The question as it was first asked.
fn pending<'a>(
    asked: &'a mut BTreeMap<(String, String, String), Pending>,
    model: &ModelName,
    inquiry: &Inquiry<'_>,
) -> &'a Pending {
    let key = (
        inquiry.case.id.clone(),
        inquiry.policy_uid.to_owned(),
        model.name.clone(),
    );
    asked.entry(key).or_insert_with(|| {
        let question = question_of(inquiry);
        Pending {
            digest: question::digest(&question, &model.model),
            question,
            first_at: inquiry.at,
        }
    })
}

fn question_of(inquiry: &Inquiry<'_>) -> Question {
    let owners = inquiry.case.owners.iter().map(|member| &member.owner);
    let causes = inquiry
        .hypotheses
        .iter()
        .map(|hypothesis| &hypothesis.about);
    let mut targets: Vec<Target> = Vec::new();
    for target in owners.chain(causes) {
        if targets.len() < MOST_TARGETS && !targets.contains(target) {
            targets.push(target.clone());
        }
    }
    Question {
        case: inquiry.case.clone(),
        hypotheses: inquiry.hypotheses.to_vec(),
        choices: inquiry.choices.clone(),
        targets,
        policy_uid: inquiry.policy_uid.to_owned(),
        redact_names: inquiry.ai.redact_names,
        log_lines: inquiry.ai.log_lines,
    }
}

/// What a reply is worth: a proposal, or a CamelCase word for why it is none.
fn read(advice: &Advice, question: &Question) -> Result<Proposal, String> {
    match &advice.reply {
        Reply::Text(text) => {
            review::review(text, question).map_err(|rejection| rejection.reason().to_owned())
        }
        Reply::Failed(reason) => Err(reason.chars().take(63).collect()),
    }
}

fn consulted(source: String, outcome: &str) -> Consulted {
    Consulted {
        source,
        outcome: outcome.to_owned(),
        ..Consulted::default()
    }
}

fn spoken(source: &str, proposal: &Proposal, first: Option<&Hypothesis>) -> Consulted {
    let same = first.is_some_and(|first| Some(first.mode) == proposal.mode);
    Consulted {
        source: source.to_owned(),
        outcome: if same { "Agreed" } else { "Differed" }.to_owned(),
        said: Some(proposal.cause.chars().take(256).collect()),
        failure_mode: proposal.mode.map(|mode| mode.as_str().to_owned()),
        stated_confidence: Some(proposal.stated_confidence),
    }
}
