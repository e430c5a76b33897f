//! The two stories, and how far each has come.
//!
//! In: what the sources saw, with the seconds since the start. Out: when each
//! stage was first seen. A stage that was seen is never taken back.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemas::action::{HealingAction, Phase};

/// What becomes of one victim, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The cluster itself shows the trouble: the metrics API, or the pod's status.
    Trouble,
    /// The trigger is EVALUATING.
    Detected,
    /// The trigger FIRED.
    Fired,
    /// A HealingAction exists.
    Proposed,
    /// The API server accepted the change.
    Executed,
    /// The victim is gone and a replacement is ready.
    Healed,
    /// The action Succeeded: the replacement was seen well.
    Verified,
}

impl Stage {
    /// Every stage, in order.
    pub(crate) const ALL: [Self; 7] = [
        Self::Trouble,
        Self::Detected,
        Self::Fired,
        Self::Proposed,
        Self::Executed,
        Self::Healed,
        Self::Verified,
    ];

    /// What the summary calls it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Trouble => "trouble began",
            Self::Detected => "detected (EVALUATING)",
            Self::Fired => "trigger FIRED",
            Self::Proposed => "HealingAction created",
            Self::Executed => "executed",
            Self::Healed => "healed (replacement ready)",
            Self::Verified => "verified (Succeeded)",
        }
    }
}

/// A pod by name and UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Victim {
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// One story: a policy, and the pod it is about.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    /// In a word or two.
    pub(crate) title: &'static str,
    /// Name of the policy.
    pub(crate) policy: &'static str,
    /// The label `app` of the victim.
    pub(crate) app: &'static str,
    /// The pod that misbehaves, once it was told to.
    pub(crate) victim: Option<Victim>,
    /// When each stage was first seen.
    pub(crate) marks: BTreeMap<Stage, Duration>,
    /// Every action of the policy.
    pub(crate) actions: BTreeSet<String>,
    /// The reading that called for the action.
    pub(crate) before: Option<String>,
    /// What verification saw.
    pub(crate) after: Option<String>,
    /// Why it cannot end well any more.
    pub(crate) failure: Option<String>,
}

impl Story {
    /// A story that has not begun.
    pub(crate) fn new(title: &'static str, policy: &'static str, app: &'static str) -> Self {
        Self {
            title,
            policy,
            app,
            victim: None,
            marks: BTreeMap::new(),
            actions: BTreeSet::new(),
            before: None,
            after: None,
            failure: None,
        }
    }

    /// Notes that a stage was seen; the first time counts.
    pub(crate) fn reach(&mut self, stage: Stage, at: Duration) {
        if self.victim.is_some() {
            self.marks.entry(stage).or_insert(at);
        }
    }

    /// Whether `uid` is the pod that misbehaves.
    pub(crate) fn is_about(&self, uid: &str) -> bool {
        self.victim.as_ref().is_some_and(|victim| victim.uid == uid)
    }

    /// Notes how far an action of the policy has come.
    pub(crate) fn see_action(&mut self, name: &str, action: &HealingAction, at: Duration) {
        if action.spec.policy_name != self.policy {
            return;
        }
        self.actions.insert(name.to_owned());
        let uids = [
            action.spec.target_resource.uid.as_deref(),
            action
                .spec
                .trigger
                .as_ref()
                .and_then(|trigger| trigger.offender_uid.as_deref()),
        ];
        if !uids.into_iter().flatten().any(|uid| self.is_about(uid)) {
            return;
        }
        self.reach(Stage::Proposed, at);
        self.before = action
            .spec
            .trigger
            .as_ref()
            .map(|trigger| trigger.reading.clone());
        let Some(status) = &action.status else { return };
        if status.executed_at.is_some() {
            self.reach(Stage::Executed, at);
        }
        if let Some(seen) = &status.verification {
            self.after = Some(match seen.value {
                Some(value) => crate::scene::number(value),
                None => seen.outcome.clone(),
            });
        }
        if status.phase == Phase::Succeeded {
            self.reach(Stage::Verified, at);
        } else if status.phase.is_final() {
            let text = |part: &Option<String>| part.clone().unwrap_or_default();
            let (reason, message) = (text(&status.reason), text(&status.message));
            self.failure = Some(format!("{name} is {}: {reason}: {message}", status.phase));
        }
    }

    /// Whether it ended well.
    pub(crate) fn is_told(&self) -> bool {
        self.first_missing().is_none()
    }

    /// The first stage that was not seen.
    pub(crate) fn first_missing(&self) -> Option<Stage> {
        // the trouble itself may be over before it was looked at
        let needed = Stage::ALL.into_iter().skip(1);
        needed
            .into_iter()
            .find(|stage| !self.marks.contains_key(stage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(phase: Phase) -> HealingAction {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "kubeskippy.io/v1alpha1", "kind": "HealingAction",
            "metadata": {"name": "a", "namespace": "n"},
            "spec": {
                "policyName": "p",
                "targetResource": {"kind": "Pod", "name": "leaky-1", "uid": "u1"},
                "action": {"name": "restart-pods", "type": "restart"},
            },
            "status": {
                "phase": phase, "executedAt": "2026-01-01T00:00:00Z",
                "reason": "R", "message": "m",
            },
        }))
        .unwrap()
    }

    fn begun() -> Story {
        let mut story = Story::new("leak", "p", "leaky");
        story.victim = Some(Victim {
            name: "leaky-1".into(),
            uid: "u1".into(),
        });
        story
    }

    #[test]
    fn a_stage_keeps_the_time_it_was_first_seen() {
        let mut story = begun();
        story.reach(Stage::Fired, Duration::from_secs(3));
        story.reach(Stage::Fired, Duration::from_secs(9));
        assert_eq!(story.marks[&Stage::Fired], Duration::from_secs(3));
    }

    #[test]
    fn an_action_about_another_pod_counts_but_moves_nothing() {
        let mut story = begun();
        let mut other = action(Phase::Succeeded);
        other.spec.target_resource.uid = Some("u2".into());
        story.see_action("b", &other, Duration::ZERO);
        assert_eq!(story.actions.len(), 1);
        assert!(story.marks.is_empty());
    }

    #[test]
    fn a_story_is_told_when_every_stage_was_seen_and_fails_with_its_action() {
        let mut story = begun();
        story.see_action("a", &action(Phase::Succeeded), Duration::ZERO);
        assert_eq!(story.first_missing(), Some(Stage::Detected));
        for stage in Stage::ALL {
            story.reach(stage, Duration::ZERO);
        }
        assert!(story.is_told() && story.failure.is_none());
        story.see_action("a", &action(Phase::Failed), Duration::ZERO);
        assert_eq!(story.failure.as_deref(), Some("a is Failed: R: m"));
    }
}
