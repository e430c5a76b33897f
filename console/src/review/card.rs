//! One action that waits, as a person reviews it.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::{
    action::{HealingAction, HealingActionStatus},
    policy::{Action, HealingPolicy},
};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use crate::{decide::view, explain::text, print::plain};

/// An action, and the policy that it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Card {
    pub(super) action: HealingAction,
    pub(super) policy: Option<HealingPolicy>,
}

impl Card {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        self.action.metadata.name.as_deref().unwrap_or_default()
    }

    /// Its namespace.
    pub(super) fn namespace(&self) -> &str {
        let namespace = self.action.metadata.namespace.as_deref();
        namespace.unwrap_or_default()
    }

    /// The other actions of the policy that answer the same trigger.
    pub(super) fn others(&self) -> Vec<&Action> {
        let trigger = self.action.spec.trigger.as_ref();
        let answers = |action: &&Action| {
            trigger.is_none_or(|trigger| analyzer::accepted::answers(action, &trigger.name))
        };
        let all = self.policy.iter().flat_map(|policy| &policy.spec.actions);
        all.filter(|action| action.name != self.action.spec.action.name)
            .filter(answers)
            .collect()
    }

    /// Everything a decision rests on.
    pub(super) fn text(&self, now: Timestamp) -> String {
        let mut lines = vec![view::view(&self.action, now)];
        if let Some(diagnosis) = &self.action.spec.diagnosis {
            lines.push(String::new());
            lines.extend(text::diagnosed(diagnosis));
        }
        let guards = self.guards();
        if !guards.is_empty() {
            lines.extend([String::new(), "What the guards say".to_owned()]);
            lines.extend(guards);
        }
        let others = self.others();
        if !others.is_empty() {
            lines.extend([String::new(), "What the policy could do instead".to_owned()]);
            lines.extend(others.into_iter().map(other));
        }
        lines.join("\n")
    }

    /// The guards that do not simply allow.
    fn guards(&self) -> Vec<String> {
        let none = HealingActionStatus::default();
        let status = self.action.status.as_ref().unwrap_or(&none);
        let verdicts = status.verdicts.iter().filter(|it| it.verdict != "Allow");
        verdicts
            .map(|it| {
                let message = it.message.as_deref().unwrap_or_default();
                plain(&format!("  {} {}: {message}", it.guard, it.verdict))
            })
            .collect()
    }
}

fn other(action: &Action) -> String {
    let about = action.description.as_deref().map(|it| format!(": {it}"));
    let kind = action.kind.as_str();
    plain(&format!(
        "  {} ({kind}){}",
        action.name,
        about.unwrap_or_default()
    ))
}

impl Serialize for Card {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let none = HealingActionStatus::default();
        let status = self.action.status.as_ref().unwrap_or(&none);
        let spec = &self.action.spec;
        let mut card = serializer.serialize_struct("Card", 11)?;
        card.serialize_field("namespace", self.namespace())?;
        card.serialize_field("name", self.name())?;
        card.serialize_field("phase", &status.phase)?;
        card.serialize_field("target", &spec.target_resource)?;
        card.serialize_field("action", &spec.action)?;
        card.serialize_field("trigger", &spec.trigger)?;
        card.serialize_field("diagnosis", &spec.diagnosis)?;
        card.serialize_field("plan", &status.plan)?;
        card.serialize_field("digest", &status.digest)?;
        card.serialize_field("verdicts", &status.verdicts)?;
        card.serialize_field("others", &self.others())?;
        card.end()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::testing::{NOW, waiting};
    use schemas::policy::{HealingPolicySpec, Remedy};
    use serde_json::json;

    pub(in crate::review) fn card() -> Card {
        let spec: HealingPolicySpec = serde_json::from_value(json!({
            "triggers": [
                {"name": "high-memory", "type": "metric", "metricTrigger": {"query": "memory_usage_percent", "threshold": 85}},
                {"name": "crash", "type": "condition", "conditionTrigger": {"type": "CrashLoopBackOff", "status": "True"}}
            ],
            "actions": [
                {"name": "replace", "type": "restart"},
                {"name": "grow", "type": "resize", "description": "more memory", "resizeAction": {"increasePercent": 50}},
                {"name": "back", "type": "rollback", "triggers": ["crash"]}
            ]
        }))
        .unwrap();
        let mut policy = HealingPolicy::new("memory", spec);
        policy.metadata.uid = Some("uid-memory".to_owned());
        Card {
            action: waiting("web"),
            policy: Some(policy),
        }
    }

    #[test]
    fn only_actions_that_answer_the_same_trigger_can_be_chosen_instead() {
        let card = card();
        let others: Vec<_> = card.others().iter().map(|it| it.kind).collect();
        assert_eq!(others, [Remedy::Resize]);
    }

    #[test]
    fn a_reviewer_sees_the_change_the_guards_and_what_else_could_be_done() {
        let text = card().text(NOW);
        for part in [
            "plan     evict Pod/web-1",
            "What the guards say\n  approval Await: ",
            "What the policy could do instead\n  grow (resize): more memory",
        ] {
            assert!(text.contains(part), "{part} is missing from\n{text}");
        }
        let json = serde_json::to_value(card()).unwrap();
        assert_eq!(json["others"][0]["name"], "grow");
        assert_eq!(json["plan"][0]["call"], "evict Pod/web-1");
    }
}
