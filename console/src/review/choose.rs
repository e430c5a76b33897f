//! Another action of the policy instead of the one that waits.
//!
//! The new action gets the name that the analyzer would give to that rung of the same
//! episode, so that the ladder goes on from what was chosen.
//!
//! Pure: no IO, no clock.

use kube::api::ObjectMeta;
use schemas::{
    action::{self, HealingAction},
    policy::Action,
};

use super::card::Card;
use crate::decide::Error;

/// The action to create.
///
/// # Errors
/// When the policy has no such action for the trigger.
pub(super) fn instead(card: &Card, wanted: &str) -> Result<HealingAction, Error> {
    let others = card.others();
    let chosen = others.iter().find(|other| other.name == wanted);
    let chosen = chosen.ok_or_else(|| Error::NoSuchChoice {
        wanted: wanted.to_owned(),
        others: names(&others),
    })?;
    let mut spec = card.action.spec.clone();
    spec.action = (*chosen).clone();
    spec.approval = None;
    spec.feedback = Vec::new();
    let mut made = HealingAction::new(&name_of(card, wanted), spec);
    made.metadata = ObjectMeta {
        namespace: card.action.metadata.namespace.clone(),
        labels: card.action.metadata.labels.clone(),
        ..made.metadata
    };
    Ok(made)
}

fn names(others: &[&Action]) -> String {
    let names: Vec<_> = others.iter().map(|other| other.name.as_str()).collect();
    if names.is_empty() {
        "none is left".to_owned()
    } else {
        names.join(", ")
    }
}

fn name_of(card: &Card, wanted: &str) -> String {
    let policy = card.policy.as_ref();
    let uid = policy.and_then(|policy| policy.metadata.uid.clone());
    let trigger = card.action.spec.trigger.as_ref();
    let rung = policy.zip(trigger).and_then(|(policy, trigger)| {
        let ladder = analyzer::accepted::ladder(&policy.spec.actions);
        let mut rungs = ladder
            .iter()
            .filter(|action| analyzer::accepted::answers(action, &trigger.name));
        let rung = rungs.position(|action| action.name == wanted)?;
        Some((trigger, rung))
    });
    let (Some(uid), Some((trigger, rung))) = (uid, rung) else {
        return format!("{}-{wanted}", card.name());
    };
    let target = card.action.spec.target_resource.uid.as_deref();
    let offender = trigger.offender_uid.as_deref().or(target);
    let episode = analyzer::recommend::episode(trigger.since, rung);
    action::name(
        &card.action.spec.policy_name,
        &uid,
        &trigger.name,
        offender.unwrap_or_default(),
        &episode,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::card::tests::card;

    #[test]
    fn the_chosen_action_carries_the_episode_and_no_decision() {
        let mut card = card();
        card.action.spec.target_resource.uid = Some("uid-web-1".to_owned());
        let made = instead(&card, "grow").unwrap();
        let since = made.spec.trigger.as_ref().unwrap().since;
        let episode = analyzer::recommend::episode(since, 1);
        let name = action::name("memory", "uid-memory", "high-memory", "uid-web-1", &episode);
        assert_eq!(made.metadata.name.as_deref(), Some(name.as_str()));
        assert_eq!(made.spec.action.name, "grow");
        assert!(made.spec.approval.is_none());
    }

    #[test]
    fn what_the_policy_does_not_offer_cannot_be_chosen() {
        let error = instead(&card(), "back").unwrap_err().to_string();
        assert!(error.contains("it has: grow"), "{error}");
    }
}
