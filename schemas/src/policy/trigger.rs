//! What counts as trouble.
//!
//! Pure: no IO, no clock.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{duration::Duration, operator::Operator};

/// A condition that is watched on each target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("(self.type == 'metric') == has(self.metricTrigger)")
    .message("type: metric goes with metricTrigger, and only with it: write metricTrigger: {query: memory_usage_percent, threshold: 85}"))]
#[x_kube(validation = Rule::new("(self.type == 'event') == has(self.eventTrigger)")
    .message("type: event goes with eventTrigger, and only with it: write eventTrigger: {reason: BackOff}"))]
#[x_kube(validation = Rule::new("(self.type == 'condition') == has(self.conditionTrigger)")
    .message("type: condition goes with conditionTrigger, and only with it: write conditionTrigger: {type: Ready, status: \"False\"}"))]
#[x_kube(validation = Rule::new("(self.type == 'predictive') == has(self.predictiveTrigger)")
    .message("type: predictive goes with predictiveTrigger, and only with it: write predictiveTrigger: {query: memory_usage_percent, threshold: 95}"))]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// Name, unique in the policy.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,

    /// What kind of condition it is; the block of the same name holds its parameters.
    #[serde(rename = "type")]
    pub kind: TriggerType,

    /// How bad it is. Alerts carry it, and it is part of their subject on the bus.
    #[serde(default)]
    pub severity: Severity,

    /// How long a target rests after an action before this trigger leads to another.
    #[serde(default = "five_minutes")]
    pub cooldown_period: Duration,

    /// A number compared with a threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_trigger: Option<MetricTrigger>,

    /// Kubernetes Events about the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_trigger: Option<EventTrigger>,

    /// A condition of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition_trigger: Option<ConditionTrigger>,

    /// A trend that will reach a threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictive_trigger: Option<PredictiveTrigger>,
}

/// The kinds of triggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TriggerType {
    /// A number compared with a threshold.
    Metric,
    /// Kubernetes Events about the target.
    Event,
    /// A condition of the target.
    Condition,
    /// A trend that will reach a threshold.
    Predictive,
}

/// How bad a trigger is.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Should be looked at.
    #[default]
    Warning,
    /// Users are, or soon will be, affected.
    Critical,
}

impl Severity {
    /// The severity as policies spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Fires while a number is beyond a threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricTrigger {
    /// PromQL, or one of the short names: `memory_usage_percent`,
    /// `cpu_usage_percent` (of the container's real limit; no data without
    /// one), `memory_usage_bytes`, `cpu_usage_cores`, `restart_count` (within
    /// the window), `availability` (percent of an owner's pods that were
    /// ready), `error_rate` (warning events per minute).
    #[schemars(length(min = 1, max = 2048))]
    pub query: String,

    /// What the value is compared with.
    pub threshold: f64,

    /// How it is compared.
    #[serde(default)]
    pub operator: Operator,

    /// How long the comparison must hold without a break before the trigger fires.
    #[serde(default = "thirty_seconds")]
    pub duration: Duration,
}

/// Fires when enough matching Events were seen within a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTrigger {
    /// Reason of the Event, a regular expression (RE2) that must match all of it, such as `BackOff` or `Failed.*`.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("''.matches(self) in [true, false]")
        .message("reason must be a regular expression (RE2), such as BackOff or Failed.*"))]
    pub reason: String,

    /// Type of the Event. Empty: any.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<EventType>,

    /// How many occurrences it takes. An Event's own count counts.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub count: u32,

    /// The span in which they are counted.
    #[serde(default = "five_minutes")]
    pub window: Duration,
}

/// Type of a Kubernetes Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EventType {
    /// Something expected.
    Normal,
    /// Something that should not be.
    Warning,
}

impl EventType {
    /// The type as Kubernetes spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Fires while a condition of the target has a status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConditionTrigger {
    /// Type of the condition: one from the target's status, such as `Ready`,
    /// or one that KubeSkippy derives: `CrashLoopBackOff`, `OOMKilled`,
    /// `ImagePullBackOff`, `Unschedulable`.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 316))]
    pub kind: String,

    /// The status that means trouble: `False` for `Ready`, `True` for `CrashLoopBackOff`.
    #[serde(default)]
    pub status: ConditionStatus,

    /// How long the status must hold without a break.
    #[serde(default = "thirty_seconds")]
    pub duration: Duration,
}

/// Status of a condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// The condition holds.
    #[default]
    True,
    /// The condition does not hold.
    False,
    /// Nobody knows.
    Unknown,
}

impl ConditionStatus {
    /// The status as Kubernetes spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Fires when the fitted trend reaches a threshold within a horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PredictiveTrigger {
    /// A metric, or a short name that reads one (`memory_usage_percent`, `cpu_usage_percent`, `memory_usage_bytes`,
    /// `cpu_usage_cores`), with label matchers at most.
    #[schemars(length(min = 1, max = 2048))]
    pub query: String,

    /// The value that must not be reached.
    pub threshold: f64,

    /// From which side it is approached: `>` (growing) or `<` (shrinking).
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == '>' || self == '<'").message("operator must be > (growing) or < (shrinking)"))]
    pub operator: Operator,

    /// How far ahead to look.
    #[serde(default = "ten_minutes")]
    pub horizon: Duration,

    /// How far back the trend is fitted.
    #[serde(default = "ten_minutes")]
    pub lookback: Duration,

    /// Least share of the variance that the trend explains.
    #[serde(default = "four_fifths")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_confidence: f64,

    /// How long the forecast must hold without a break.
    #[serde(default = "thirty_seconds")]
    pub duration: Duration,
}

fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

fn five_minutes() -> Duration {
    Duration::from_mins(5)
}

fn ten_minutes() -> Duration {
    Duration::from_mins(10)
}

fn one() -> u32 {
    1
}

fn four_fifths() -> f64 {
    0.8
}

impl Trigger {
    /// How long the condition must hold before the trigger fires.
    pub fn hold(&self) -> Duration {
        let metric = self.metric_trigger.as_ref().map(|t| t.duration);
        let condition = self.condition_trigger.as_ref().map(|t| t.duration);
        let predictive = self.predictive_trigger.as_ref().map(|t| t.duration);
        metric.or(condition).or(predictive).unwrap_or_default()
    }
}
