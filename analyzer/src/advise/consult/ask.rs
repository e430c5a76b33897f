//! One question to one model: from the record, or by a call within all limits.
//!
//! The order matters: a reply that is there is given again; a question that no budget, breaker or
//! prompt lets through is answered with why, and nothing is claimed; then the question is claimed
//! and the call is entered in the books, and only then is it sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use runtime::{bus, chain, clock, lease::Lease};
use schemas::{
    advice::{Advice, Reply},
    digest,
};

use super::{record::Record, seat::Seat};
use crate::{
    advise::{
        Question,
        budget::{self, Call, Ledger, Limits},
        escalate::{self, Said},
        model::{self, Answer, Request},
        prompt::{Prompt, prompt},
        question,
        refusal::Refusal,
        review,
    },
    policies::Policies,
    telemetry::{Masked, ModelTelemetry, OfAdvisor, Outcome, Tokens},
};

/// How long after its time-out a claim without a reply is given up.
const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// Random bytes in the token that fences untrusted text.
const FENCE_BYTES: usize = 16;

/// What asking takes.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) seats: Vec<Seat>,
    pub(super) ledger: Mutex<Ledger>,
    pub(super) record: Record,
    pub(super) policies: Policies,
    pub(super) lease: Lease,
    pub(super) telemetry: ModelTelemetry,
}

/// A question in the making.
struct Draft<'a> {
    seat: &'a Seat,
    question: &'a Question,
    digest: String,
    at: Timestamp,
}

impl Desk {
    /// The model of this name.
    pub(super) fn seat(&self, name: &str) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.config.name == name)
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a question, and publishes what came of it. A larger model is asked first where it is
    /// worth it, so that its reply is there when the small one's is read.
    pub(super) async fn answer(&self, seat: &Seat, question: &Question) {
        let Some(advice) = self.settle(seat, question).await else {
            return;
        };
        if let Some(larger) = self.escalation(seat, question, &advice)
            && let Some(second) = self.settle(larger, question).await
        {
            self.publish(&second).await;
        }
        self.publish(&advice).await;
    }

    async fn publish(&self, advice: &Advice) {
        if let Err(error) = self.record.publish(advice).await {
            self.count(&advice.advisor, &error);
        }
    }

    fn count(&self, advisor: &str, error: &bus::Error) {
        self.telemetry.count_unasked(advisor, error.reason());
        tracing::warn!(
            advisor,
            error = chain(error),
            "the bus did not take part in asking a model"
        );
    }

    /// The reply to a question: one that is there, or one that is asked for now. None: another
    /// analyzer has the question, or the bus does not answer.
    async fn settle(&self, seat: &Seat, question: &Question) -> Option<Advice> {
        let draft = Draft {
            seat,
            question,
            digest: question::digest(question, &seat.config.model),
            at: clock::now(),
        };
        let settled = match self.known(&draft).await {
            Ok(Known::New) => self.ask(&draft).await,
            Ok(Known::Advice(advice)) => return Some(*advice),
            Ok(Known::Elsewhere) => Ok(None),
            Err(error) => Err(error),
        };
        settled.unwrap_or_else(|error| {
            self.count(&seat.config.name, &error);
            None
        })
    }

    async fn known(&self, draft: &Draft<'_>) -> Result<Known, bus::Error> {
        let name = &draft.seat.config.name;
        let Some((entry, claim)) = self.record.known(name, &draft.digest).await? else {
            return Ok(Known::New);
        };
        if let Some(advice) = entry.advice {
            let advisor = name.clone();
            self.telemetry
                .repeated
                .get_or_create(&OfAdvisor { advisor })
                .inc();
            return Ok(Known::Advice(Box::new(advice)));
        }
        let patience =
            SignedDuration::from_secs(i64::from(draft.seat.config.timeout_seconds)) + GRACE;
        if draft.at.duration_since(entry.claimed_at) < patience {
            self.telemetry.count_unasked(name, "AskedElsewhere");
            return Ok(Known::Elsewhere);
        }
        // Whoever claimed it is gone. It may have been paid for: it is not asked a second time.
        let advice = {
            let prompt = prompt(draft.question, &fence());
            draft.advice(Err(Refusal::Interrupted), &prompt, (0, 0))
        };
        self.record.keep(claim, &advice).await?;
        Ok(Known::Advice(Box::new(advice)))
    }

    async fn ask(&self, draft: &Draft<'_>) -> Result<Option<Advice>, bus::Error> {
        let Draft {
            seat,
            question,
            digest,
            at,
        } = draft;
        let (config, name) = (&seat.config, &seat.config.name);
        let prompt = prompt(question, &fence());
        let most = (prompt.tokens, config.reply_tokens);
        let call = draft.call(most);
        if let Err(refusal) = self.admit(draft, &prompt, &call) {
            self.telemetry.count_unasked(name, refusal.reason());
            return Ok(Some(draft.advice(Err(refusal), &prompt, (0, 0))));
        }
        if !self.lease.holds() {
            seat.withdraw();
            self.telemetry.count_unasked(name, "NotLeading");
            return Ok(None);
        }
        let claimed = self.record.claim(name, digest, *at).await;
        let Some(claim) = claimed.inspect_err(|_| seat.withdraw())? else {
            seat.withdraw();
            self.telemetry.count_unasked(name, "AskedElsewhere");
            return Ok(None);
        };
        self.books().enter(call.clone());
        let request = request(draft, &prompt);
        let answer = model::ask_within(&*seat.client, &request, config.timeout()).await;
        let advice = self.enter(draft, (&prompt, &call), answer);
        let written = match &advice.reply {
            Reply::Failed(reason)
                if Refusal::of_reason(reason).is_some_and(Refusal::is_passing) =>
            {
                self.record.release(claim).await
            }
            Reply::Failed(_) | Reply::Text(_) => self.record.keep(claim, &advice).await,
        };
        if let Err(error) = written {
            self.count(name, &error);
        }
        Ok(Some(advice))
    }

    /// Whether a question may be sent; the breaker is asked last, as its one trial is to be used.
    fn admit(&self, draft: &Draft<'_>, prompt: &Prompt, call: &Call) -> Result<(), Refusal> {
        let config = &draft.seat.config;
        let total = u64::from(prompt.tokens) + u64::from(config.reply_tokens);
        if total > u64::from(config.context_tokens) {
            return Err(Refusal::TooLong);
        }
        let of_policy = self.limits(&draft.question.policy_uid);
        let mut books = self.books();
        books.forget(draft.at);
        if let Err(over) = books.check(call, &config.budget, &of_policy) {
            tracing::debug!(advisor = config.name, %over, "not asked");
            return Err(Refusal::OverBudget);
        }
        drop(books);
        if draft.seat.admits(draft.at) {
            Ok(())
        } else {
            Err(Refusal::Resting)
        }
    }

    /// Enters what a call took, and makes of its answer what the bus keeps.
    fn enter(&self, draft: &Draft<'_>, (prompt, call): (&Prompt, &Call), answer: Answer) -> Advice {
        let Answer {
            reply,
            tokens_in,
            tokens_out,
        } = answer;
        let name = &draft.seat.config.name;
        let refusal = reply.as_ref().err().copied();
        let free = refusal.is_some_and(Refusal::is_passing);
        let tokens = match &reply {
            _ if free => (0, 0),
            Ok(text) => (
                tokens_in.unwrap_or(prompt.tokens),
                // Four bytes a token, as a rule of thumb, where the server does not count.
                tokens_out.unwrap_or(u32::try_from(text.len() / 4 + 1).unwrap_or(u32::MAX)),
            ),
            // It may have been paid for in full.
            Err(_) => (
                tokens_in.unwrap_or(prompt.tokens),
                tokens_out.unwrap_or(draft.seat.config.reply_tokens),
            ),
        };
        let advice = draft.advice(reply, prompt, tokens);
        self.books().strike(call);
        self.books().hear(&advice);
        draft.seat.note(refusal, advice.answered_at);
        self.measure(draft, &advice, refusal);
        let (seconds, outcome) = (
            advice.answered_at.duration_since(draft.at).as_secs_f64(),
            refusal.map_or("Replied", Refusal::reason),
        );
        tracing::info!(
            advisor = name,
            outcome,
            seconds,
            case = advice.case,
            "model asked"
        );
        advice
    }

    fn measure(&self, draft: &Draft<'_>, advice: &Advice, refusal: Option<Refusal>) {
        let advisor = || draft.seat.config.name.clone();
        let telemetry = &self.telemetry;
        let outcome = refusal.map_or("Replied", Refusal::reason);
        let labels = Outcome {
            advisor: advisor(),
            outcome,
        };
        telemetry.calls.get_or_create(&labels).inc();
        let of = OfAdvisor { advisor: advisor() };
        let took = advice.answered_at.duration_since(advice.asked_at);
        telemetry
            .seconds
            .get_or_create(&of)
            .observe(took.as_secs_f64());
        telemetry.cost.get_or_create(&of).inc_by(advice.cost);
        let rests = draft.seat.rests(advice.answered_at);
        telemetry.resting.get_or_create(&of).set(i64::from(rests));
        for (direction, count) in [("in", advice.tokens_in), ("out", advice.tokens_out)] {
            let labels = Tokens {
                advisor: advisor(),
                direction,
            };
            telemetry
                .tokens
                .get_or_create(&labels)
                .inc_by(u64::from(count));
        }
        for (kind, count) in &advice.masked {
            let labels = Masked { kind: kind.clone() };
            telemetry
                .masked
                .get_or_create(&labels)
                .inc_by(u64::from(*count));
        }
    }

    /// What the policy that pays allows.
    fn limits(&self, policy_uid: &str) -> Limits {
        let policies = self.policies.policies();
        let of = |policy: &&Arc<_>| {
            let policy: &schemas::policy::HealingPolicy = policy;
            policy.metadata.uid.as_deref() == Some(policy_uid)
        };
        let policy = policies.iter().find(of);
        let ai = policy.and_then(|policy| policy.spec.ai.as_ref());
        let budget = ai.and_then(|ai| ai.budget.as_ref());
        budget.map(Limits::from).unwrap_or_default()
    }

    /// The larger model, where asking it as well is expected to be worth its cost.
    fn escalation(&self, seat: &Seat, question: &Question, advice: &Advice) -> Option<&Seat> {
        let larger = self.seat(seat.config.escalate_to.as_deref()?)?;
        let text = match &advice.reply {
            Reply::Text(text) => Some(text),
            Reply::Failed(reason) if Refusal::of_reason(reason).is_none_or(Refusal::is_passing) => {
                return None;
            }
            Reply::Failed(_) => None,
        };
        let first = question.hypotheses.first();
        let proposal = text.and_then(|text| review::review(text, question).ok());
        let said = match proposal {
            None => Said::Nothing,
            Some(proposal) if first.is_some_and(|it| Some(it.mode) == proposal.mode) => Said::Same,
            Some(_) => Said::Other,
        };
        let doubt = escalate::doubt(first.map_or(0.0, |first| first.score), said);
        let most = (advice.tokens_in, larger.config.reply_tokens);
        let cost = budget::cost(most, larger.config.prices());
        escalate::is_worth_it(doubt, seat.config.worth, cost).then_some(larger)
    }
}

/// What is known of a question before it is asked.
enum Known {
    New,
    Advice(Box<Advice>),
    Elsewhere,
}

impl Draft<'_> {
    fn call(&self, most: (u32, u32)) -> Call {
        let config = &self.seat.config;
        Call {
            advisor: config.name.clone(),
            question: self.digest.clone(),
            case: self.question.case.id.clone(),
            policy_uid: self.question.policy_uid.clone(),
            at: self.at,
            tokens: u64::from(most.0) + u64::from(most.1),
            cost: budget::cost(most, config.prices()),
        }
    }

    fn advice(
        &self,
        reply: Result<String, Refusal>,
        prompt: &Prompt,
        tokens: (u32, u32),
    ) -> Advice {
        let config = &self.seat.config;
        let sent = [prompt.system.as_str(), prompt.user.as_str()];
        Advice {
            question: self.digest.clone(),
            case: self.question.case.id.clone(),
            policy_uid: self.question.policy_uid.clone(),
            advisor: config.name.clone(),
            model: config.model.clone(),
            asked_at: self.at,
            answered_at: clock::now(),
            reply: match reply {
                Ok(text) => Reply::Text(text),
                Err(refusal) => Reply::Failed(refusal.reason().to_owned()),
            },
            tokens_in: tokens.0,
            tokens_out: tokens.1,
            cost: budget::cost(tokens, config.prices()),
            prompt: digest::short(sent, 32),
            masked: prompt.redactions.clone(),
        }
    }
}

fn request(draft: &Draft<'_>, prompt: &Prompt) -> Request {
    let config = &draft.seat.config;
    Request {
        model: config.model.clone(),
        system: prompt.system.clone(),
        user: prompt.user.clone(),
        schema: if config.is_hosted() {
            question::strict_schema(draft.question)
        } else {
            question::schema(draft.question)
        },
        context_tokens: config.context_tokens,
        reply_tokens: config.reply_tokens,
        temperature: config.temperature,
        stream: config.stream,
    }
}

/// A token that nobody can guess who writes into what is fenced by it.
fn fence() -> String {
    let mut bytes = [0_u8; FENCE_BYTES];
    // Without randomness of the system nothing here is safe; the digest of nothing is no worse than none.
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        tracing::error!("the system gives no randomness");
    }
    digest::short([bytes], 2 * FENCE_BYTES)
}
