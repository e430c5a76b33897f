//! How a policy finds causes: what advisors may decide, cost and learn.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;

/// How a model is consulted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ai {
    /// `off`: no model is asked. `advise`: the diagnosis is attached to what the
    /// plain policy does. `choose`: the cause that was found picks among the
    /// policy's actions, and the built-in rules may find that nothing is to be done.
    #[serde(default)]
    pub mode: AiMode,

    /// Least confidence, calibrated on verified outcomes, at which a choice counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_confidence: Option<f64>,

    /// Which advisors are asked, in this order: `rules`, `recall`, or the name
    /// of a configured model. Empty: rules, recall, then every model. Rules are
    /// always asked first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 63)))]
    pub advisors: Vec<String>,

    /// How long an action may wait for a model. Then the plain policy decides.
    #[serde(default = "twenty_seconds")]
    pub timeout: Duration,

    /// What verified outcomes may change: `off`, `advisory` (they are shown), or
    /// `active` (they order actions of equal priority).
    #[serde(default)]
    pub learning: Learning,

    /// With `learning: active`: percent of decisions in which another reversible
    /// action of equal priority is tried, to learn how well it does.
    #[serde(default)]
    #[schemars(range(max = 20))]
    pub exploration_percent: u8,

    /// Limits on what asking may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<AiBudget>,

    /// Replace the names of objects by pseudonyms before a model sees them.
    #[serde(default)]
    pub redact_names: bool,

    /// Lines of the container's log that may be shown to a model. 0: none.
    #[serde(default)]
    #[schemars(range(max = 1000))]
    pub log_lines: u32,
}

/// What a model may decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AiMode {
    /// No model is asked.
    Off,
    /// The diagnosis is shown to people and changes nothing.
    #[default]
    Advise,
    /// The cause that was found picks among the policy's actions.
    Choose,
}

/// What verified outcomes of earlier actions may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Learning {
    /// Nothing; they are not shown either.
    Off,
    /// They are shown.
    #[default]
    Advisory,
    /// They order actions of equal priority.
    Active,
}

/// Limits on what asking a model may cost, for one policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AiBudget {
    /// Calls per rolling hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_per_hour: Option<u32>,
    /// Calls per case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_per_case: Option<u32>,
    /// Tokens, in and out, per rolling hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_hour: Option<u32>,
    /// Money per rolling day, in the currency of the configured prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub cost_per_day: Option<f64>,
}

/// Findings that belong together, and their cause as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaseSummary {
    /// Identifier of the case; the actions that follow from it carry it.
    pub id: String,
    /// Since when, in event time.
    pub since: Timestamp,
    /// The object that the cause lies with, as `Kind/name`.
    pub owner: String,
    /// How many other owners are affected.
    #[serde(default)]
    pub affected: u32,
    /// The cause as one of the known failure modes; absent when none fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_mode: Option<String>,
    /// The cause, in a phrase.
    pub cause: String,
    /// How sure, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Who says so: `rule/<name>`, `recall`, or `model/<name>`.
    pub source: String,
    /// Why no action follows, when none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// Whether a model can be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdvisorState {
    /// Its configured name.
    pub name: String,
    /// `Available`, `Unavailable`, `OverBudget`, `Failing` or `NotConfigured`.
    pub state: String,
    /// In a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

const fn twenty_seconds() -> Duration {
    Duration::from_secs(20)
}
