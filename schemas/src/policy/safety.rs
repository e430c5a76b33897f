//! Limits that hold whatever the triggers say.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;

/// Limits of one policy. KubeSkippy's own configuration adds limits for
/// namespaces and the cluster; the tightest one holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SafetyRules {
    /// Actions started within any hour, successful or not.
    #[serde(default = "ten")]
    #[schemars(range(min = 0, max = 1000))]
    pub max_actions_per_hour: u32,

    /// Actions of this policy under way at once.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_concurrent: u32,

    /// How many of an owner's replicas may be away at once, counting those
    /// that already are: a number or a percentage, such as `1` or `25%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("type(self) == int ? self >= 0 : self.matches('^(100|[0-9]{1,2})%$')")
        .message("maxUnavailable must be a number or a percentage: write 1 or 25%"))]
    pub max_unavailable: Option<IntOrString>,

    /// Objects that are never acted on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub protected_resources: Vec<ProtectedResource>,

    /// Whether an action counts as successful only once its target was seen
    /// ready and its trigger's value back.
    #[serde(default = "yes")]
    pub require_health_check: bool,

    /// How long the target has for that.
    #[serde(default = "five_minutes")]
    pub health_check_timeout: Duration,

    /// How long an action waits for approval before it is cancelled.
    #[serde(default = "one_hour")]
    pub approval_timeout: Duration,

    /// Stop after repeated failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,

    /// Acts only within these. Empty: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub windows: Vec<MaintenanceWindow>,

    /// Never acts within these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub freezes: Vec<Freeze>,
}

/// An object, or a kind of objects, that is never acted on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.kind) || has(self.name) || has(self.labelSelector)")
    .message("a protected resource needs a kind, a name or a labelSelector"))]
#[serde(rename_all = "camelCase")]
pub struct ProtectedResource {
    /// Group and version. Empty: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub api_version: Option<String>,
    /// Kind. Empty: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub kind: Option<String>,
    /// Namespace. Empty: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
    /// Name. Empty: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<String>,
    /// Labels. Empty: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
}

/// Stops a policy that keeps failing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Breaker {
    /// Failures in a row that open the breaker.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 100))]
    pub failures: u32,
    /// Rest before one action is tried again.
    #[serde(default = "one_hour")]
    pub reset_after: Duration,
}

/// A span of the week in which the policy may act.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceWindow {
    /// Days on which it begins. Empty: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    pub days: Vec<Weekday>,
    /// When it begins, as 24-hour `HH:MM`.
    #[schemars(regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub start: String,
    /// When it ends, as 24-hour `HH:MM`; on the next day when it is not after the start.
    #[schemars(regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub end: String,
    /// IANA time zone, such as `Europe/Berlin`.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A span of time in which the policy must not act.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("timestamp(self.from) < timestamp(self.until)").message("the freeze ends before it begins: swap from and until"))]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    /// From when, such as `2027-12-20T00:00:00Z`.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// For people: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub reason: Option<String>,
}

fn ten() -> u32 {
    10
}

fn five() -> u32 {
    5
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

fn five_minutes() -> Duration {
    Duration::from_mins(5)
}

fn one_hour() -> Duration {
    Duration::from_mins(60)
}

fn utc() -> String {
    "UTC".to_owned()
}

impl Default for SafetyRules {
    fn default() -> Self {
        Self {
            max_actions_per_hour: ten(),
            max_concurrent: one(),
            max_unavailable: None,
            protected_resources: Vec::new(),
            require_health_check: true,
            health_check_timeout: five_minutes(),
            approval_timeout: one_hour(),
            breaker: None,
            windows: Vec::new(),
            freezes: Vec::new(),
        }
    }
}
