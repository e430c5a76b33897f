//! Every condition type and reason that KubeSkippy writes, and how conditions change.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Condition types of a `HealingPolicy`.
pub mod policy {
    /// The spec makes sense: every query parses, every pattern compiles.
    pub const ACCEPTED: &str = "Accepted";
    /// The policy is being evaluated over fresh data.
    pub const READY: &str = "Ready";
    /// The last actions on an owner did not help, and nothing more is tried.
    pub const NEEDS_HUMAN: &str = "NeedsHuman";
}

/// Condition types of a `HealingAction`.
pub mod action {
    /// Every guard let it pass.
    pub const ALLOWED: &str = "Allowed";
    /// A person agreed, or nobody had to.
    pub const APPROVED: &str = "Approved";
    /// The change was made.
    pub const EXECUTED: &str = "Executed";
    /// The target was seen recovered.
    pub const VERIFIED: &str = "Verified";
    /// The action ended well (`True`) or otherwise (`False`).
    pub const SUCCEEDED: &str = "Succeeded";
}

/// What a condition is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Condition type, from this module.
    pub kind: &'static str,
    /// `Some(true)` is `True`, `Some(false)` is `False`, `None` is `Unknown`.
    pub status: Option<bool>,
    /// CamelCase, from a bounded set.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

/// Sets one condition, keeping the time of its last transition when the status does not change.
pub fn set(
    conditions: &mut Vec<Condition>,
    setting: Setting,
    generation: Option<i64>,
    now: Timestamp,
) {
    let status = match setting.status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let previous = conditions.iter().position(|c| c.type_ == setting.kind);
    let since = previous
        .and_then(|at| conditions.get(at))
        .filter(|c| c.status == status)
        .map_or(Time(now), |c| c.last_transition_time.clone());
    let condition = Condition {
        type_: setting.kind.to_owned(),
        status: status.to_owned(),
        reason: setting.reason,
        message: setting.message,
        observed_generation: generation,
        last_transition_time: since,
    };
    match previous.and_then(|at| conditions.get_mut(at)) {
        Some(slot) => *slot = condition,
        None => conditions.push(condition),
    }
}

/// The condition of type `kind`, if there is one.
pub fn get<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Whether the condition of type `kind` is `True`.
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    get(conditions, kind).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_status_keeps_the_time_it_began() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let setting = |status| Setting {
            kind: action::VERIFIED,
            status,
            reason: "Waiting".to_owned(),
            message: String::new(),
        };
        let mut conditions = Vec::new();
        set(&mut conditions, setting(None), None, at(10));
        set(&mut conditions, setting(None), None, at(20));
        assert_eq!(conditions[0].last_transition_time, Time(at(10)));
        set(&mut conditions, setting(Some(true)), None, at(30));
        assert_eq!(conditions.len(), 1);
        assert_eq!(conditions[0].last_transition_time, Time(at(30)));
    }
}
