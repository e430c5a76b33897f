//! Changing the number of replicas.
//!
//! Pure: no IO, no clock.

use schemas::{
    policy::{Autoscaler, Direction, ScaleAction},
    step::{Step, Verb},
};
use serde_json::Value;

use super::{Refusal, changing, step};
use crate::{
    change::{self, Path},
    object::Object,
    reason::Reason,
    snapshot::Snapshot,
};

/// The replicas that the action asks for, kept within its bounds. What an
/// autoscaler owns is left to it: it would undo the change, or be undone by it.
pub(super) fn scale(snapshot: &Snapshot, target: &Object) -> Result<Vec<Step>, Refusal> {
    let kind = target.target.kind.as_str();
    let (Some(workload), "Deployment" | "StatefulSet") = (&target.workload, kind) else {
        let message = format!("a {kind} cannot be scaled; a Deployment or StatefulSet can");
        return Err(Refusal::new(Reason::UnsupportedTarget, message));
    };
    if let Some(owner) = &target.controller {
        let (kind, name) = (&owner.kind, &owner.name);
        let message = format!("{} belongs to {kind}/{name}: scale that", target.title());
        return Err(Refusal::new(Reason::UnsupportedTarget, message));
    }
    let Some(settings) = &snapshot.action.spec.action.scale_action else {
        let message = "the action has no scaleAction";
        return Err(Refusal::new(Reason::NothingToDo, message));
    };
    if let Some(autoscaler) = &snapshot.autoscaler {
        return adjust(snapshot, settings, autoscaler, target);
    }
    let (from, to) = (workload.desired, wanted(settings, workload.desired));
    if from == to {
        let message = format!("{} has {from} replicas already", target.title());
        return Err(Refusal::new(Reason::NothingToDo, message));
    }
    Ok(scaling(snapshot, target, (from, to)))
}

/// Stamps a workload, then sets its count: the scale subresource itself takes no annotations.
pub(super) fn scaling(snapshot: &Snapshot, target: &Object, (from, to): (i32, i32)) -> Vec<Step> {
    let path = Path::default().field("spec").field("replicas");
    let count = change::field(&path, Some(&Value::from(from)), Some(&Value::from(to)));
    let call = format!("scale {} from {from} to {to}", target.target);
    let mark = format!("mark {} as acted on", target.target);
    vec![
        changing(snapshot, target, mark, Vec::new()),
        Step {
            changes: vec![count],
            ..step(Verb::Scale, &target.target, call)
        },
    ]
}

/// Moves the bounds of the autoscaler that owns the count, where the action
/// allows that: the lower one up, so that it keeps at least so many, or the upper
/// one down. What KEDA generates is KEDA's.
fn adjust(
    snapshot: &Snapshot,
    settings: &ScaleAction,
    autoscaler: &Object,
    target: &Object,
) -> Result<Vec<Step>, Refusal> {
    let (name, title) = (&autoscaler.target.name, target.title());
    let refuse = |why: String| Err(Refusal::new(Reason::AutoscalerOwnsReplicas, why));
    if let Some(owner) = &autoscaler.controller {
        let (kind, owner) = (&owner.kind, &owner.name);
        return refuse(format!(
            "the replicas of {title} belong to the HorizontalPodAutoscaler {name}, which belongs to {kind}/{owner}"
        ));
    }
    if settings.autoscaler == Autoscaler::Refuse {
        return refuse(format!(
            "the HorizontalPodAutoscaler {name} owns the replicas of {title}"
        ));
    }
    let spec = Path::default().field("spec");
    let bound = |name: &str| {
        let value = change::at(&autoscaler.content, &spec.field(name)).and_then(Value::as_i64);
        value.and_then(|value| i32::try_from(value).ok())
    };
    let (least, most) = (
        bound("minReplicas").unwrap_or(1),
        bound("maxReplicas").unwrap_or(1),
    );
    let now = target
        .workload
        .as_ref()
        .map_or(0, |workload| workload.desired);
    let to = wanted(settings, now);
    let (low, high) = match settings.direction {
        Direction::Up => (to.max(least), most.max(to)),
        Direction::Down => (least.min(to), to.min(most)),
        Direction::Absolute => (to, to),
    };
    let mut changes = Vec::new();
    for (name, from, to) in [
        ("minReplicas", least, low.max(1)),
        ("maxReplicas", most, high.max(1)),
    ] {
        if from != to {
            let path = spec.field(name);
            let before = change::at(&autoscaler.content, &path);
            changes.push(change::field(&path, before, Some(&Value::from(to))));
        }
    }
    if changes.is_empty() {
        let message = format!("the HorizontalPodAutoscaler {name} allows no other count already");
        return Err(Refusal::new(Reason::NothingToDo, message));
    }
    let call = format!("move the bounds of {}", autoscaler.target);
    Ok(vec![changing(snapshot, autoscaler, call, changes)])
}

/// The count that is asked for, within the bounds. A step never goes the other
/// way: scaling up a workload that is beyond the upper bound leaves it as it is.
fn wanted(settings: &ScaleAction, now: i32) -> i32 {
    let least = settings.min_replicas.unwrap_or(0);
    let most = settings.max_replicas.unwrap_or(i32::MAX).max(least);
    let step = settings.replicas.unwrap_or(1);
    match settings.direction {
        Direction::Up => now.saturating_add(step).clamp(least, most).max(now),
        Direction::Down => now.saturating_sub(step).clamp(least, most).min(now),
        Direction::Absolute => settings.replicas.unwrap_or(now).clamp(least, most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{acting, named_action, workload};
    use proptest::prelude::*;
    use schemas::policy::{Action, Remedy};

    fn action(direction: Direction, replicas: i32) -> Action {
        Action {
            scale_action: Some(ScaleAction {
                direction,
                replicas: Some(replicas),
                min_replicas: Some(1),
                max_replicas: Some(5),
                ..ScaleAction::default()
            }),
            ..named_action("x", Remedy::Scale)
        }
    }

    fn plan(action: Action, autoscaler: Option<&str>) -> Result<Vec<Step>, Refusal> {
        let web = workload("Deployment", "web", "d");
        let mut snapshot = acting(action, web.clone());
        snapshot.autoscaler =
            autoscaler.map(|name| workload("HorizontalPodAutoscaler", name, "hpa-uid"));
        scale(&snapshot, &web)
    }

    #[test]
    fn an_autoscaler_that_owns_the_count_is_named() {
        let refusal = plan(action(Direction::Up, 1), Some("web-hpa")).unwrap_err();
        assert_eq!(refusal.reason, Reason::AutoscalerOwnsReplicas);
        assert!(refusal.message.contains("web-hpa"));
    }

    fn bounds(direction: Direction, autoscaler: Value) -> Result<Vec<String>, Refusal> {
        let mut adjusting = action(direction, 1);
        let settings = adjusting.scale_action.as_mut().unwrap();
        settings.autoscaler = Autoscaler::Adjust;
        let web = workload("Deployment", "web", "d");
        let mut snapshot = acting(adjusting, web.clone());
        let mut hpa = workload("HorizontalPodAutoscaler", "web", "hpa-uid");
        hpa.content = std::sync::Arc::new(autoscaler);
        snapshot.autoscaler = Some(hpa);
        let steps = scale(&snapshot, &web)?;
        Ok(steps.iter().flat_map(Step::lines).skip(1).collect())
    }

    #[test]
    fn the_bounds_of_an_autoscaler_move_where_the_action_allows_it() {
        let hpa =
            || serde_json::json!({"metadata": {}, "spec": {"minReplicas": 1, "maxReplicas": 2}});
        let up = bounds(Direction::Up, hpa()).unwrap();
        assert_eq!(
            up,
            ["  spec.minReplicas: 1 -> 3", "  spec.maxReplicas: 2 -> 3"]
        );
        let down = bounds(Direction::Down, hpa()).unwrap();
        assert_eq!(down, ["  spec.maxReplicas: 2 -> 1"]);
    }

    #[test]
    fn a_change_that_the_bounds_take_away_is_nothing_to_do() {
        let steps = plan(action(Direction::Up, 9), None).unwrap();
        assert_eq!(crate::plan::replicas(&steps[1]), Some((2, 5)));
        let refusal = plan(action(Direction::Absolute, 2), None).unwrap_err();
        assert_eq!(refusal.reason, Reason::NothingToDo);
    }

    proptest! {
        #[test]
        fn a_step_never_goes_the_other_way(now in 0i32..50, step in 0i32..50, least in 0i32..20, room in 0i32..20) {
            let mut settings = action(Direction::Up, step).scale_action.unwrap();
            settings.min_replicas = Some(least);
            settings.max_replicas = Some(least + room);
            prop_assert!(wanted(&settings, now) >= now);
            settings.direction = Direction::Down;
            prop_assert!(wanted(&settings, now) <= now);
            settings.direction = Direction::Absolute;
            prop_assert!((least..=least + room).contains(&wanted(&settings, now)));
        }
    }
}
