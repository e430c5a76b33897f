//! What asking models may cost: calls, tokens and money.
//!
//! In: every call, as the replies on the bus tell of it, and what one more would take. Out: whether
//! it may be made. A call is entered with the most that it can take before it is sent, and with
//! what it took once the reply tells, so that calls under way count. The books are rebuilt from
//! the replies after a restart, and kept by every replica, so that a new leader goes on where
//! the old one stopped.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemas::{
    advice::{Advice, Reply},
    policy::AiBudget,
};
use serde::Deserialize;

use super::refusal::Refusal;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Limits on what one model may cost, over all policies. What is left out is not limited.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Calls per rolling hour.
    pub calls_per_hour: Option<u32>,
    /// Calls about one case, in a rolling day.
    pub calls_per_case: Option<u32>,
    /// Tokens, in and out, per rolling hour.
    pub tokens_per_hour: Option<u64>,
    /// Money per rolling hour, in the currency of the prices.
    pub cost_per_hour: Option<f64>,
    /// Money per rolling day, in the currency of the prices.
    pub cost_per_day: Option<f64>,
}

impl From<&AiBudget> for Limits {
    fn from(budget: &AiBudget) -> Self {
        let AiBudget {
            calls_per_hour,
            calls_per_case,
            tokens_per_hour,
            cost_per_day,
        } = budget;
        Self {
            calls_per_hour: *calls_per_hour,
            calls_per_case: *calls_per_case,
            tokens_per_hour: tokens_per_hour.map(u64::from),
            cost_per_hour: None,
            cost_per_day: *cost_per_day,
        }
    }
}

/// One call, made or to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The model's configured name.
    pub advisor: String,
    /// Digest of the question.
    pub question: String,
    /// The case.
    pub case: String,
    /// UID of the policy that pays.
    pub policy_uid: String,
    /// When it is sent.
    pub at: Timestamp,
    /// Tokens in and out, or the most that there can be.
    pub tokens: u64,
    /// What it costs, or the most that it can.
    pub cost: f64,
}

/// A limit that a call would exceed.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{whose} limit of {limit} {what} is reached")]
pub struct OverBudget {
    /// `the model's` or `the policy's`.
    pub whose: &'static str,
    /// Of what, such as `calls per hour`.
    pub what: &'static str,
    /// The limit.
    pub limit: f64,
}

/// The calls of the last day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    calls: BTreeMap<(Timestamp, String, String), Call>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    calls: u32,
    tokens: u64,
    cost: f64,
}

impl Ledger {
    /// Enters a call; one that is there already is replaced.
    pub fn enter(&mut self, call: Call) {
        let key = (call.at, call.advisor.clone(), call.question.clone());
        self.calls.insert(key, call);
    }

    /// Takes back a call for which nothing is paid.
    pub fn strike(&mut self, call: &Call) {
        let key = (call.at, call.advisor.clone(), call.question.clone());
        self.calls.remove(&key);
    }

    /// Enters what a reply says of its call; a repeat changes nothing.
    pub fn hear(&mut self, advice: &Advice) {
        if let Reply::Failed(reason) = &advice.reply
            && Refusal::of_reason(reason).is_some_and(|refusal| !refusal.was_sent())
        {
            return;
        }
        self.enter(Call {
            advisor: advice.advisor.clone(),
            question: advice.question.clone(),
            case: advice.case.clone(),
            policy_uid: advice.policy_uid.clone(),
            at: advice.asked_at,
            tokens: u64::from(advice.tokens_in) + u64::from(advice.tokens_out),
            cost: if advice.cost.is_finite() {
                advice.cost.max(0.0)
            } else {
                0.0
            },
        });
    }

    /// Forgets what is older than every span that counts.
    pub fn forget(&mut self, at: Timestamp) {
        let from = at.saturating_sub(DAY).unwrap_or(Timestamp::MIN);
        self.calls = self.calls.split_off(&(from, String::new(), String::new()));
    }

    /// Whether `call` may be made, within the limits of its model and of its policy.
    ///
    /// # Errors
    /// The first limit that it would exceed.
    pub fn check(&self, call: &Call, model: &Limits, policy: &Limits) -> Result<(), OverBudget> {
        let of_model = |other: &Call| other.advisor == call.advisor;
        let of_policy = |other: &Call| other.policy_uid == call.policy_uid;
        self.within(call, ("the model's", model), &of_model)?;
        self.within(call, ("the policy's", policy), &of_policy)
    }

    fn within(
        &self,
        call: &Call,
        (whose, limits): (&'static str, &Limits),
        counts: &dyn Fn(&Call) -> bool,
    ) -> Result<(), OverBudget> {
        let hour = self.sum(call.at, HOUR, counts);
        let day = self.sum(call.at, DAY, counts);
        let case = self.sum(call.at, DAY, &|other| {
            counts(other) && other.case == call.case
        });
        let exceeds = |what, sum: f64, limit: Option<f64>| match limit {
            Some(limit) if sum > limit => Err(OverBudget { whose, what, limit }),
            _ => Ok(()),
        };
        let count = |sum: Sum| f64::from(sum.calls.saturating_add(1));
        exceeds(
            "calls per hour",
            count(hour),
            limits.calls_per_hour.map(f64::from),
        )?;
        exceeds(
            "calls per case",
            count(case),
            limits.calls_per_case.map(f64::from),
        )?;
        if let Some(limit) = limits.tokens_per_hour
            && hour.tokens.saturating_add(call.tokens) > limit
        {
            let (what, limit) = ("tokens per hour", thousands(limit));
            return Err(OverBudget { whose, what, limit });
        }
        exceeds(
            "money per hour",
            hour.cost + call.cost,
            limits.cost_per_hour,
        )?;
        exceeds("money per day", day.cost + call.cost, limits.cost_per_day)
    }

    /// What the calls in the `span` before `at` took, those at its far end not counted.
    fn sum(&self, at: Timestamp, span: SignedDuration, counts: &dyn Fn(&Call) -> bool) -> Sum {
        let recent = |call: &&Call| at.duration_since(call.at) < span;
        let calls = self
            .calls
            .values()
            .filter(recent)
            .filter(|call| counts(call));
        calls.fold(Sum::default(), |sum, call| Sum {
            calls: sum.calls.saturating_add(1),
            tokens: sum.tokens.saturating_add(call.tokens),
            cost: sum.cost + call.cost,
        })
    }
}

/// A count as a number for people: exact up to 2^32, which no hour of tokens passes.
fn thousands(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// What tokens cost at prices per million tokens, in and out.
pub fn cost((tokens_in, tokens_out): (u32, u32), (price_in, price_out): (f64, f64)) -> f64 {
    (f64::from(tokens_in) * price_in + f64::from(tokens_out) * price_out) / 1e6
}

#[cfg(test)]
mod tests;
