//! What a finished action teaches: whether its remedy helped, and what people
//! think of its diagnosis.
//!
//! In: a `HealingAction` that has ended. Out: a [`Lesson`], the same whether it
//! is read off the object or off the journal's line about its end, so that
//! what was learned outlives the objects. What was not verified teaches nothing:
//!
//! | ended | verified | teaches |
//! | --- | --- | --- |
//! | `Succeeded` | `Recovered`, by a reading of the trigger taken after the change | [`Help::Helped`] |
//! | `Failed`, `RolledBack` | `NotRecovered` | [`Help::DidNotHelp`] |
//! | `Failed`, `RolledBack` | `Harmed` | [`Help::Harmed`] |
//! | any | `Inconclusive`, or nothing | nothing |
//! | `Denied`, `Cancelled` | | nothing |
//!
//! Nothing either: a dry run, a change of which only a part was made, a remedy that
//! changes nothing (`notify`), and an action without a trigger, because nobody
//! measured the trouble that it is to have cured.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    action::{Feedback, HealingAction, HealingActionSpec, HealingActionStatus, Opinion, Phase},
    diagnosis::Diagnosis,
    policy::Remedy,
};

#[cfg(test)]
mod tests;

/// Who says so where an action carries no diagnosis: its policy's trigger alone.
const POLICY: &str = "policy";

/// What one finished action teaches about its remedy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// UID of the action.
    pub action_uid: String,
    /// Namespace of the action.
    pub namespace: String,
    /// Name of the action.
    pub action: String,
    /// Name of its policy.
    pub policy: String,
    /// When it ended.
    pub at: Timestamp,
    /// The cause as a failure mode, as far as one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What was done.
    pub remedy: Remedy,
    /// Kind of the target's top-most owner, or of the target.
    pub owner_kind: String,
    /// That owner as `Kind/name`.
    pub owner: String,
    /// The case: actions of one case are one experience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// Who named the cause: `policy`, `rule/<name>`, `recall`, or `model/<name>`.
    pub source: String,
    /// How sure whoever says so claimed to be, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_confidence: Option<f64>,
    /// What others who were asked said of the cause.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
    /// Digest of the case's structure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The action's name in the policy.
    pub action_name: String,
    /// What became of it.
    pub result: Help,
    /// Whether the remedy can be taken back.
    pub reversible: bool,
}

/// What an advisor said of a cause that another one named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The advisor, such as `model/<name>`.
    pub source: String,
    /// The cause that it named, as a failure mode.
    pub mode: String,
    /// How sure it claimed to be, in millionths.
    pub stated_confidence: f64,
}

/// Whether a remedy helped, as verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Help {
    /// The target was seen recovered.
    Helped,
    /// It did not recover in time.
    DidNotHelp,
    /// It was worse than before.
    Harmed,
}

impl Help {
    /// Whether it helped.
    pub const fn helped(self) -> bool {
        matches!(self, Self::Helped)
    }
}

/// What people think of the diagnosis of one finished action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Opinions {
    /// UID of the action.
    pub action_uid: String,
    /// When the action ended.
    pub at: Timestamp,
    /// Generation of the action's spec that holds them: of two, the later counts.
    pub generation: i64,
    /// The cause that they are about, as a failure mode, as far as one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The case: actions of one case are one experience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// What was done.
    pub remedy: Remedy,
    /// Who named the cause.
    pub source: String,
    /// How sure whoever says so claimed to be, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_confidence: Option<f64>,
    /// What others who were asked said of the cause.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
    /// How many say that it named the cause.
    pub useful: u32,
    /// How many say that it did not.
    pub wrong: u32,
    /// The causes that those name instead, with how many name each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub causes: BTreeMap<String, u32>,
}

/// All that one action teaches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lesson {
    /// Whether its remedy helped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What people think of its diagnosis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opinions: Option<Opinions>,
}

/// Which action it is.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Its UID.
    pub uid: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Generation of its spec.
    pub generation: i64,
}

impl<'a> Identity<'a> {
    /// Who `action` is; none before the API server knows it.
    pub fn of(action: &'a HealingAction) -> Option<Self> {
        let meta = &action.metadata;
        Some(Self {
            uid: meta.uid.as_deref()?,
            namespace: meta.namespace.as_deref().unwrap_or_default(),
            name: meta.name.as_deref()?,
            generation: meta.generation.unwrap_or_default(),
        })
    }
}

impl Outcome {
    /// What `action` teaches about its remedy, if anything.
    pub fn of(action: &HealingAction) -> Option<Self> {
        Lesson::of(action).outcome
    }
}

impl Opinions {
    /// What people think of the diagnosis of `action`, once it has ended.
    pub fn of(action: &HealingAction) -> Option<Self> {
        Lesson::of(action).opinions
    }
}

impl Lesson {
    /// What `action` teaches.
    pub fn of(action: &HealingAction) -> Self {
        let identity = Identity::of(action).zip(action.status.as_ref());
        identity.map_or_else(Self::default, |(identity, status)| {
            Self::read(identity, &action.spec, status)
        })
    }

    /// What the action of this identity, spec and status teaches.
    pub fn read(
        identity: Identity<'_>,
        spec: &HealingActionSpec,
        status: &HealingActionStatus,
    ) -> Self {
        let Some(at) = status.finished_at.filter(|_| status.phase.is_final()) else {
            return Self::default();
        };
        Self {
            outcome: help(spec, status).map(|result| outcome(identity, (spec, status), at, result)),
            opinions: opinions(identity, spec, at),
        }
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.outcome.is_none() && self.opinions.is_none()
    }
}

/// What verification says of the remedy; none where it says nothing.
fn help(spec: &HealingActionSpec, status: &HealingActionStatus) -> Option<Help> {
    let made = status.plan.iter().all(|step| step.called_at.is_some());
    let is_change = spec.action.kind != Remedy::Notify && !status.plan.is_empty() && made;
    if spec.dry_run || spec.trigger.is_none() || !is_change {
        return None;
    }
    let seen = status.verification.as_ref()?;
    match (status.phase, seen.outcome.as_str()) {
        // Without a value, readiness alone was looked at: the trigger may hold as before.
        (Phase::Succeeded, "Recovered") => seen.value.map(|_| Help::Helped),
        (Phase::Failed | Phase::RolledBack, "NotRecovered") => Some(Help::DidNotHelp),
        (Phase::Failed | Phase::RolledBack, "Harmed") => Some(Help::Harmed),
        (
            Phase::Succeeded
            | Phase::Failed
            | Phase::RolledBack
            | Phase::Denied
            | Phase::Cancelled
            | Phase::Pending
            | Phase::AwaitingApproval
            | Phase::Approved
            | Phase::InProgress
            | Phase::Verifying,
            _,
        ) => None,
    }
}

fn outcome(
    identity: Identity<'_>,
    (spec, status): (&HealingActionSpec, &HealingActionStatus),
    at: Timestamp,
    result: Help,
) -> Outcome {
    let target = || {
        format!(
            "{}/{}",
            spec.target_resource.kind, spec.target_resource.name
        )
    };
    let owner = status.owner.clone().or_else(|| status.target.clone());
    let owner = owner.unwrap_or_else(target);
    let kind = owner.split('/').next().unwrap_or_default().to_owned();
    let diagnosis = spec.diagnosis.as_ref();
    Outcome {
        action_uid: identity.uid.to_owned(),
        namespace: identity.namespace.to_owned(),
        action: identity.name.to_owned(),
        policy: spec.policy_name.clone(),
        at,
        mode: diagnosis.and_then(|it| it.failure_mode.clone()),
        remedy: spec.action.kind,
        owner_kind: kind,
        owner,
        case: diagnosis.and_then(|it| it.case.clone()),
        source: source(diagnosis),
        stated_confidence: stated(diagnosis),
        claims: claims(diagnosis),
        fingerprint: diagnosis.and_then(|it| it.fingerprint.clone()),
        action_name: spec.action.name.clone(),
        result,
        reversible: spec.action.kind.is_reversible(),
    }
}

/// What was ever said, or taken back, about the diagnosis. A spec of the first generation
/// without opinions never had any.
fn opinions(identity: Identity<'_>, spec: &HealingActionSpec, at: Timestamp) -> Option<Opinions> {
    let diagnosis = spec.diagnosis.as_ref()?;
    if spec.feedback.is_empty() && identity.generation <= 1 {
        return None;
    }
    let count = |opinion| {
        let of = spec.feedback.iter().filter(|one| one.opinion == opinion);
        u32::try_from(of.count()).unwrap_or(u32::MAX)
    };
    Some(Opinions {
        action_uid: identity.uid.to_owned(),
        at,
        generation: identity.generation,
        mode: diagnosis.failure_mode.clone(),
        case: diagnosis.case.clone(),
        remedy: spec.action.kind,
        source: source(Some(diagnosis)),
        stated_confidence: stated(Some(diagnosis)),
        claims: claims(Some(diagnosis)),
        useful: count(Opinion::Useful),
        wrong: count(Opinion::Wrong),
        causes: causes(&spec.feedback),
    })
}

fn causes(feedback: &[Feedback]) -> BTreeMap<String, u32> {
    let wrong = feedback.iter().filter(|one| one.opinion == Opinion::Wrong);
    let mut causes = BTreeMap::new();
    for cause in wrong.filter_map(|one| one.cause.clone()) {
        *causes.entry(cause).or_default() += 1;
    }
    causes
}

fn source(diagnosis: Option<&Diagnosis>) -> String {
    let source = diagnosis.map(|it| it.source.clone());
    source.unwrap_or_else(|| POLICY.to_owned())
}

/// The stated confidence in millionths: with so few digits, it is the same number after any
/// number of ways through JSON.
fn stated(diagnosis: Option<&Diagnosis>) -> Option<f64> {
    in_millionths(diagnosis?.stated_confidence?)
}

fn in_millionths(stated: f64) -> Option<f64> {
    let within = stated.is_finite().then(|| stated.clamp(0.0, 1.0));
    within.map(|stated| (stated * 1e6).round() / 1e6)
}

/// What was said by those who were asked, other than who named the cause.
fn claims(diagnosis: Option<&Diagnosis>) -> Vec<Claim> {
    let Some(diagnosis) = diagnosis else {
        return Vec::new();
    };
    let others = diagnosis.consulted.iter();
    let others = others.filter(|one| one.source != diagnosis.source);
    let claims = others.filter_map(|one| {
        Some(Claim {
            source: one.source.clone(),
            mode: one.failure_mode.clone()?,
            stated_confidence: in_millionths(one.stated_confidence?)?,
        })
    });
    claims.collect()
}
