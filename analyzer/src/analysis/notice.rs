//! What people are told: the alerts of an episode.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::{
    alert::{self, Alert, AlertKind},
    target::Target,
};

use super::Output;
use crate::{
    accepted::{Accepted, Watched},
    explain,
    measure::Measured,
    recommend::Recommendation,
    trigger::{Ending, Episode, Transition},
};

/// What an alert is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occasion<'a> {
    pub(super) accepted: &'a Accepted,
    pub(super) watched: &'a Watched,
    pub(super) target: &'a Target,
    pub(super) episode: Episode,
    pub(super) measured: Option<&'a Measured>,
    pub(super) cluster: &'a str,
    pub(super) at: Timestamp,
}

/// The alert about a transition.
pub(super) fn of(occasion: &Occasion<'_>, transition: Transition) -> Alert {
    let trigger = &occasion.watched.name;
    let target = occasion.target;
    let reading = explain::compared(occasion.watched, occasion.measured);
    let held = occasion.episode.since;
    match transition {
        Transition::Pending => {
            let message = format!("{trigger} is evaluating on {target}: {reading}");
            alert(occasion, AlertKind::TriggerPending, message)
        }
        Transition::Firing => {
            let message = format!("{trigger} fired on {target}: {reading}, since {held}");
            alert(occasion, AlertKind::TriggerFiring, message)
        }
        Transition::Resolved(ending) => {
            let why = match ending {
                Ending::Recovered => format!("its condition is false again: {reading}"),
                Ending::NoData => "nothing is known of the target any more".to_owned(),
                Ending::TargetGone => "the target is gone".to_owned(),
            };
            let message = format!("{trigger} resolved on {target}: {why}");
            Alert {
                ends_at: Some(occasion.at),
                reason: ending.reason().to_owned(),
                ..alert(occasion, AlertKind::TriggerResolved, message)
            }
        }
    }
}

/// The alert about an action that was created.
pub(super) fn proposed(occasion: &Occasion<'_>, recommendation: &Recommendation) -> Alert {
    let target = occasion.target;
    let reading = explain::compared(occasion.watched, occasion.measured);
    let spec = &recommendation.spec;
    let on = &spec.target_resource;
    let dry_run = if spec.dry_run { " as a dry run" } else { "" };
    let message = format!(
        "{} of {}/{} proposed{dry_run}: {} on {target}: {reading}",
        spec.action.kind.as_str(),
        on.kind,
        on.name,
        occasion.watched.name
    );
    Alert {
        action: recommendation.name.1.clone(),
        ..alert(occasion, AlertKind::ActionProposed, message)
    }
}

/// The end of an episode whose trigger no accepted policy has any more.
pub(super) fn orphaned(last: &Alert, at: Timestamp) -> Output {
    Output::Alert(Box::new(Alert {
        kind: AlertKind::TriggerResolved,
        ends_at: Some(at),
        reason: "PolicyChanged".to_owned(),
        message: format!(
            "{} resolved on {}: the policy has no such trigger any more",
            last.trigger, last.target
        ),
        ..last.clone()
    }))
}

fn alert(occasion: &Occasion<'_>, kind: AlertKind, message: String) -> Alert {
    let Occasion {
        accepted,
        watched,
        target,
        episode,
        measured,
        cluster,
        at: _,
    } = *occasion;
    Alert {
        kind,
        cluster: cluster.to_owned(),
        fingerprint: alert::fingerprint(&accepted.uid, &watched.name, &target.uid),
        namespace: accepted.namespace.clone(),
        policy: accepted.name.clone(),
        policy_uid: accepted.uid.clone(),
        trigger: watched.name.clone(),
        severity: watched.severity,
        target: target.clone(),
        value: measured.map(|measured| measured.value),
        threshold: Some(watched.threshold),
        operator: Some(watched.operator),
        starts_at: Some(episode.since),
        fired_at: episode.fired_at,
        ends_at: None,
        action: String::new(),
        reason: String::new(),
        message,
    }
}
