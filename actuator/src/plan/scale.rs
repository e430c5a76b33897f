//! Changing the number of replicas.
//!
//! Pure: no IO, no clock.

use schemas::policy::{Action, Autoscaler, Direction, ScaleAction};

use super::{Operation, Refusal};
use crate::{object::Object, reason::Reason};

/// The replicas that the action asks for, kept within its bounds. What an
/// autoscaler owns is left to it: it would undo the change, or be undone by it.
pub(super) fn scale(
    action: &Action,
    target: &Object,
    autoscaler: Option<&str>,
) -> Result<Operation, Refusal> {
    let kind = target.target.kind.as_str();
    let (Some(workload), "Deployment" | "StatefulSet") = (&target.workload, kind) else {
        let message = format!("a {kind} cannot be scaled; a Deployment or StatefulSet can");
        return Err(Refusal::new(Reason::UnsupportedTarget, message));
    };
    if let Some(owner) = &target.controller {
        let message = format!(
            "{} belongs to {}/{}: scale that",
            target.title(),
            owner.kind,
            owner.name
        );
        return Err(Refusal::new(Reason::UnsupportedTarget, message));
    }
    let Some(settings) = &action.scale_action else {
        return Err(Refusal::new(
            Reason::NothingToDo,
            "the action has no scaleAction",
        ));
    };
    if let Some(autoscaler) = autoscaler {
        return Err(match settings.autoscaler {
            Autoscaler::Refuse => Refusal::new(
                Reason::AutoscalerOwnsReplicas,
                format!(
                    "the HorizontalPodAutoscaler {autoscaler} owns the replicas of {}",
                    target.title()
                ),
            ),
            Autoscaler::Adjust => Refusal::new(
                Reason::NotImplementedYet,
                format!(
                    "this version of the actuator cannot adjust the bounds of the HorizontalPodAutoscaler {autoscaler}"
                ),
            ),
        });
    }
    let (from, to) = (workload.desired, wanted(settings, workload.desired));
    if from == to {
        let message = format!("{} has {from} replicas already", target.title());
        return Err(Refusal::new(Reason::NothingToDo, message));
    }
    Ok(Operation::Scale {
        workload: target.target.clone(),
        from,
        to,
    })
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
    use crate::testing::{named_action, workload};
    use proptest::prelude::*;
    use schemas::policy::Remedy;

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

    #[test]
    fn an_autoscaler_that_owns_the_count_is_named() {
        let web = workload("Deployment", "web", "d");
        let refusal = scale(&action(Direction::Up, 1), &web, Some("web-hpa")).unwrap_err();
        assert_eq!(refusal.reason, Reason::AutoscalerOwnsReplicas);
        assert!(refusal.message.contains("web-hpa"));
    }

    #[test]
    fn a_change_that_the_bounds_take_away_is_nothing_to_do() {
        let web = workload("Deployment", "web", "d");
        assert!(scale(&action(Direction::Up, 9), &web, None).is_ok());
        let refusal = scale(&action(Direction::Absolute, 2), &web, None).unwrap_err();
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
