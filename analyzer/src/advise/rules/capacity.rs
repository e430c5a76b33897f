//! Limits on how many there may be: quotas, autoscalers, disruption budgets.
//!
//! Pure: no IO, no clock.

use schemas::{diagnosis::FailureMode, policy::Remedy};

use super::{
    claim::Claim,
    message,
    scene::{Subject, pieces},
    series,
};
use crate::evidence::{Fact, Metric, Piece};

/// The quota of the namespace allows no more pods.
pub(super) fn quota(of: &Subject<'_>) -> Option<Claim> {
    let mut refused = of.condition("ReplicaFailure", "True");
    refused.retain(|(_, condition)| condition.reason == "FailedCreate");
    let mut missing = of.replicas();
    missing.retain(|(_, replicas)| replicas.current < replicas.desired);
    let full = used_up(of);
    if refused.is_empty() && (missing.is_empty() || full.is_empty()) {
        return None;
    }
    let mut claim = Claim::new(FailureMode::QuotaExceeded, of.owner()).fitting(&[Remedy::Notify]);
    if refused
        .iter()
        .any(|(_, why)| message::names_quota(&why.message))
    {
        let text = "its controller may not create pods: a quota is exceeded";
        claim.ground(5.0, &pieces(&refused), text);
    } else if !refused.is_empty() {
        claim.ground(1.5, &pieces(&refused), "its controller may not create pods");
    }
    if let Some((_, name)) = full.first() {
        let text = format!("quota {name} is used up");
        claim.ground(2.0, &pieces(&full), text);
    }
    if !missing.is_empty() {
        claim.ground(1.5, &pieces(&missing), "pods are missing that it wants");
    }
    let pending = of.is_unscheduled();
    if !pending.is_empty() {
        claim.ground(-2.5, &pending, "pods are there, and wait for a node");
    }
    let told = of.told(&["FailedCreate"], &["exceeded quota"]);
    claim.hint(0.8, &told, "events tell of an exceeded quota");
    Some(claim)
}

/// Quotas of which a thousandth or less is left.
fn used_up<'a>(of: &Subject<'a>) -> Vec<(&'a Piece, &'a str)> {
    of.read(|fact| {
        if let Fact::Quota {
            name, used, hard, ..
        } = fact
        {
            (*used >= 0.999 * *hard).then_some(name.as_str())
        } else {
            None
        }
    })
}

/// The autoscaler wants more replicas than it may have.
pub(super) fn autoscaler(of: &Subject<'_>) -> Option<Claim> {
    let autoscalers = of.autoscalers().into_iter();
    let mut at_maximum =
        autoscalers.filter(|(_, scaler)| scaler.limited || scaler.desired >= scaler.max);
    let (piece, scaler) = at_maximum.next()?;
    let mut claim =
        Claim::new(FailureMode::AutoscalerAtMaximum, of.owner()).fitting(&[Remedy::Scale]);
    let (name, max) = (&scaler.name, scaler.max);
    let mut told = of.condition("ScalingLimited", "True");
    told.retain(|(_, condition)| condition.reason == "TooManyReplicas");
    if scaler.desired < max {
        claim.ground(-3.0, &[piece], "it does not even want the most it may have");
    }
    if scaler.limited || !told.is_empty() {
        let mut on = pieces(&told);
        on.push(piece);
        claim.ground(
            4.0,
            &on,
            format!("autoscaler {name} wants more than {max} replicas"),
        );
    } else {
        claim.ground(
            1.5,
            &[piece],
            format!("autoscaler {name} is at its {max} replicas"),
        );
    }
    let share = |metric| {
        let found = of.measured(metric).into_iter();
        found.filter_map(|(piece, series)| Some((piece, series::of_limit(series)?)))
    };
    let busiest = share(Metric::CpuCores)
        .chain(share(Metric::MemoryBytes))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    match busiest {
        Some((piece, share)) if share >= 0.6 => claim.ground(1.0, &[piece], "its pods are busy"),
        Some((piece, share)) if share < 0.3 => claim.ground(-2.0, &[piece], "its pods are idle"),
        Some(_) | None => {}
    }
    let mut broken = of.crashes();
    broken.extend(of.own_fault());
    if !broken.is_empty() {
        claim.ground(-2.5, &broken, "pods are missing because they do not work");
    }
    Some(claim)
}

/// A disruption budget that allows no eviction although all is well, so that nothing moves.
pub(super) fn budget(of: &Subject<'_>) -> Option<Claim> {
    let closed = of.read(|fact| {
        if let Fact::Budget { name, allowed } = fact {
            (*allowed <= 0).then_some(name.as_str())
        } else {
            None
        }
    });
    let (_, name) = closed.first()?;
    // Many budgets stand at nought for a while; it is trouble only where something has to move.
    let mut claim = Claim::new(FailureMode::DisruptionBudgetDeadlock, of.owner())
        .shifted(-0.5)
        .fitting(&[Remedy::Notify]);
    let text = format!("budget {name} allows no eviction");
    claim.ground(0.5, &pieces(&closed), text);
    let asked = wants_to_move(of);
    if !asked.is_empty() {
        claim.ground(2.5, &asked, "an eviction is what is wanted");
    }
    for (piece, replicas) in of.replicas() {
        if replicas.ready < replicas.desired {
            let text = "pods are missing or not ready, which is why it allows none";
            claim.ground(-3.5, &[piece], text);
        } else if replicas.desired > 0 {
            claim.ground(1.5, &[piece], "although every replica is ready");
            if replicas.desired == 1 {
                claim.ground(0.5, &[piece], "there is but one");
            }
        }
    }
    let told = of.told(&["EvictionBlocked", "DrainFailed"], &[]);
    claim.hint(0.5, &told, "events tell of refused evictions");
    Some(claim)
}

/// What says that something has to move, and cannot.
fn wants_to_move<'a>(of: &Subject<'a>) -> Vec<&'a Piece> {
    let mut found = pieces(&of.condition("DisruptionAllowed", "False"));
    let mut asked = of.findings();
    asked.retain(|(_, finding)| finding.subject.contains("DisruptionAllowed"));
    found.extend(pieces(&asked));
    let refused = of.read(|fact| {
        if let Fact::PastAction { remedy, phase, .. } = fact {
            let moves = matches!(remedy, Remedy::Restart | Remedy::Cordon);
            (moves && phase == "Failed").then_some(())
        } else {
            None
        }
    });
    found.extend(pieces(&refused));
    found
}
