//! Decides whether an action may run: a [`Snapshot`] and an instant go in, a [`Judgement`] comes out.
//!
//! Every guard is asked and every answer is kept, so that what was not done
//! can be explained. The strongest answer counts: `Deny`, then `Await`, then
//! `Defer`, then `Allow`. A denial for good is worth saying even while a
//! person is asked; and a person can be asked while a cooldown runs.
//!
//! Judging is racy by nature: the cluster moves on between the reading and the
//! write. Each write therefore carries the UID and, where the API allows it, the
//! version that was judged; what moved makes it fail.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::{action::GuardVerdict, policy::Remedy, step::Step};

use crate::{
    plan::{self, Plan},
    reason::Reason,
    snapshot::Snapshot,
};

mod approval;
mod blast_radius;
mod breaker;
mod budget;
mod cooldown;
mod freshness;
mod ownership;
mod pause;
mod permit;
mod protected;
mod rollout;
mod schedule;
mod scope;
mod storm;
mod streak;
mod strikes;
mod warmup;

pub(crate) use freshness::matching;
pub use permit::{Call, Permit};
pub use protected::{Place, marks, protection};
pub(crate) use streak::streak;
pub(crate) use strikes::{MEMORY, STRIKES};

/// The guards that limit what is changed, and have nothing to say where nothing is.
const LIMITS_CHANGE: [&str; 9] = [
    "protected",
    "ownership",
    "rollout",
    "storm",
    "cooldown",
    "strikes",
    "breaker",
    "blast_radius",
    "budget",
];

/// What one guard says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allow,
    /// Not now.
    Defer {
        /// Why.
        reason: Reason,
        /// Why, in a sentence.
        message: String,
        /// The first instant at which the answer can change.
        until: Timestamp,
    },
    /// A person must say yes first.
    Await {
        /// Why, in a sentence.
        message: String,
        /// When waiting ends.
        until: Timestamp,
    },
    /// No, for good.
    Deny {
        /// Why.
        reason: Reason,
        /// Why, in a sentence.
        message: String,
    },
}

impl Verdict {
    /// Holds back until an instant.
    pub(crate) fn defer(reason: Reason, until: Timestamp, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Defer {
            reason,
            message,
            until,
        }
    }

    /// Turns down for good.
    pub(crate) fn deny(reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Deny { reason, message }
    }

    /// How strong the answer is. A denial that ends as `Denied` outdoes one
    /// that ends as `Cancelled`: a forbidden target stays forbidden when it is gone.
    fn strength(&self) -> (u8, bool, Timestamp) {
        use schemas::action::Phase;
        match self {
            Self::Allow => (0, false, Timestamp::MIN),
            Self::Defer { until, .. } => (1, false, *until),
            Self::Await { until, .. } => (2, false, *until),
            Self::Deny { reason, .. } => (3, reason.ends_in() == Phase::Denied, Timestamp::MIN),
        }
    }

    /// The answer as the status records it.
    fn record(&self, guard: &str) -> GuardVerdict {
        let (verdict, reason, message, until) = match self {
            Self::Allow => ("Allow", None, None, None),
            Self::Defer {
                reason,
                message,
                until,
            } => ("Defer", Some(*reason), Some(message), Some(*until)),
            Self::Await { message, until } => (
                "Await",
                Some(Reason::ApprovalRequired),
                Some(message),
                Some(*until),
            ),
            Self::Deny { reason, message } => ("Deny", Some(*reason), Some(message), None),
        };
        GuardVerdict {
            guard: guard.to_owned(),
            verdict: verdict.to_owned(),
            reason: reason.map(|reason| reason.as_str().to_owned()),
            message: message.cloned(),
            until,
        }
    }
}

/// Every guard's answer, and what follows from them.
#[derive(Debug)]
pub struct Judgement {
    /// What each guard said, in the order in which they were asked.
    pub verdicts: Vec<GuardVerdict>,
    /// The strongest answer.
    pub verdict: Verdict,
    /// What would be done, when that can be said.
    pub plan: Option<Plan>,
    /// Whether a person said yes to this very change.
    pub approved: bool,
    permit: Option<Permit>,
}

impl Judgement {
    /// The proof that every guard let the action pass; there is none otherwise.
    pub fn into_permit(self) -> Option<Permit> {
        self.permit
    }

    /// Whether every guard let the action pass.
    pub fn is_allowed(&self) -> bool {
        self.verdict == Verdict::Allow && self.plan.is_some()
    }
}

/// Asks every guard about the action in `snapshot` at the instant `now`.
pub fn judge(snapshot: &Snapshot, now: Timestamp) -> Judgement {
    // Once the intent is recorded, what was recorded is what is done.
    let plan = if snapshot.is_reserved() {
        Ok(Plan::recorded(&snapshot.action.status))
    } else {
        plan::plan(snapshot)
    };
    let remedy = match &plan {
        Ok(_) => Verdict::Allow,
        Err(refusal) => Verdict::deny(refusal.reason, refusal.message.clone()),
    };
    let plan = plan.ok();
    let answers = [
        ("pause", pause::pause(snapshot, now)),
        ("warmup", warmup::warmup(snapshot, now)),
        ("scope", scope::scope(snapshot)),
        ("protected", protected::protected(snapshot)),
        ("freshness", freshness::freshness(snapshot, now)),
        ("remedy", remedy),
        ("ownership", ownership::ownership(snapshot, plan.as_ref())),
        ("approval", approval::approval(snapshot, plan.as_ref(), now)),
        ("schedule", schedule::schedule(snapshot, now)),
        ("rollout", rollout::rollout(snapshot, now)),
        ("storm", storm::storm(snapshot, now)),
        ("cooldown", cooldown::cooldown(snapshot, now)),
        ("strikes", strikes::strikes(snapshot, plan.as_ref(), now)),
        ("breaker", breaker::breaker(snapshot, now)),
        (
            "blast_radius",
            blast_radius::blast_radius(snapshot, plan.as_ref(), now),
        ),
        ("budget", budget::budget(snapshot, now)),
    ];
    // Who is merely told something changes nothing, so nothing is there to be limited.
    let tells = snapshot.action.spec.action.kind == Remedy::Notify;
    let answers = answers.map(|(guard, verdict)| {
        if tells && LIMITS_CHANGE.contains(&guard) {
            (guard, Verdict::Allow)
        } else {
            (guard, verdict)
        }
    });
    let verdicts = answers.iter().map(|(guard, v)| v.record(guard)).collect();
    let strongest = answers.into_iter().map(|(_, verdict)| verdict);
    let verdict = strongest
        .max_by_key(Verdict::strength)
        .unwrap_or(Verdict::Allow);
    let permit = match (&verdict, &plan) {
        (Verdict::Allow, Some(plan)) => Permit::new(snapshot, plan),
        _ => None,
    };
    Judgement {
        verdicts,
        verdict,
        approved: approval::is_approved(snapshot, plan.as_ref(), now),
        plan,
        permit,
    }
}

/// A permit for a call that gives back what an earlier one took away, or takes a
/// change back. No guard is asked: what was begun must not stay half done.
pub fn let_finish(snapshot: &Snapshot, step: &Step) -> Option<Permit> {
    let is_recorded = |steps: &[Step]| steps.contains(step);
    let status = &snapshot.action.status;
    let completes = step.completes && is_recorded(&status.plan);
    (completes || is_recorded(&status.undo))
        .then(|| Permit::for_step(snapshot, step))
        .flatten()
}

#[cfg(test)]
mod tests;
