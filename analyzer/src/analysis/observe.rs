//! What is seen of the targets of open actions, for the actuator to verify by.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use schemas::{
    action::HealingAction,
    object::ObjectState,
    observation::{Observation, Reading},
};

use super::Output;
use crate::{
    accepted::Accepted,
    actions::{self, Actions},
    inventory::{self, Inventory},
    measure::Measurements,
};

/// The observations of every open action that a trigger led to.
pub(super) fn observe(
    accepted: &Accepted,
    measurements: &Measurements<'_>,
    inventory: &Inventory,
    known: &Actions,
) -> Vec<Output> {
    let watched = measurements.watched();
    let open = known
        .of_policy(&accepted.namespace, &accepted.name)
        .filter(|action| actions::is_open(action))
        .filter(|action| {
            let trigger = action.spec.trigger.as_ref();
            trigger.is_some_and(|trigger| trigger.name == watched.name)
        });
    let observed = open.map(|action| of(action, accepted, measurements, inventory));
    observed.collect()
}

/// The observations of actions that are proposed at this very tick.
pub(super) fn proposed(
    accepted: &Accepted,
    measured: &[Measurements<'_>],
    inventory: &Inventory,
    outputs: &[Output],
) -> Vec<Output> {
    let proposals = outputs.iter().filter_map(|output| match output {
        Output::Propose(proposal) => Some(&proposal.recommendation),
        Output::Alert(_) | Output::Observe(..) | Output::Ask(_) | Output::Report(_) => None,
    });
    let observed = proposals.filter_map(|recommendation| {
        let trigger = &recommendation.spec.trigger.as_ref()?.name;
        let measurements = measured
            .iter()
            .find(|measurements| &measurements.watched().name == trigger)?;
        let (namespace, name) = &recommendation.name;
        let mut action = HealingAction::new(name, recommendation.spec.clone());
        action.metadata.namespace = Some(namespace.clone());
        Some(of(&action, accepted, measurements, inventory))
    });
    observed.collect()
}

/// What is seen of the target of `action`.
fn of(
    action: &HealingAction,
    accepted: &Accepted,
    measurements: &Measurements<'_>,
    inventory: &Inventory,
) -> Output {
    let watched = measurements.watched();
    let readings = relatives(action, inventory)
        .into_values()
        .map(|state| reading(state, measurements))
        .collect();
    let observation = Observation {
        policy_uid: accepted.uid.clone(),
        trigger: watched.name.clone(),
        evaluated_at: measurements.at(),
        operator: watched.operator,
        threshold: watched.threshold,
        readings,
    };
    Output::Observe(actions::name_of(action), Box::new(observation))
}

fn reading(state: &ObjectState, measurements: &Measurements<'_>) -> Reading {
    let value = measurements.of(state).ok();
    Reading {
        target: state.target.clone(),
        created_at: state.created_at,
        breaching: value
            .as_ref()
            .is_some_and(|measured| measurements.breaches(measured)),
        sampled_at: value.as_ref().map(|measured| measured.sampled_at),
        value: value.map(|measured| measured.value),
        ready: inventory::is_ready(state),
    }
}

/// Untreated siblings in one observation. Enough to compare the treated target
/// with; all of them would be most of the bus's traffic for a large workload.
const SIBLINGS: usize = 16;

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// The offender, the target, and the pods under the same top-most owner, by
/// UID: all of them for an action on a workload; for one on a pod those created
/// since it began (its replacements) and some that were there before.
fn relatives<'a>(
    action: &HealingAction,
    inventory: &'a Inventory,
) -> BTreeMap<&'a str, &'a ObjectState> {
    let status = actions::status(action);
    let target_uid = action.spec.target_resource.uid.clone();
    let target_uid = target_uid.or(status.target_uid);
    let named = [actions::offender_uid(action), target_uid.as_deref()];
    let named: Vec<&ObjectState> = named
        .into_iter()
        .flatten()
        .filter_map(|uid| inventory.get(uid))
        // A node is looked at when the trouble is its own, not when it is merely where the offender runs.
        .filter(|state| {
            state.target.kind != "Node"
                || actions::offender_uid(action).is_none_or(|uid| uid == state.target.uid)
        })
        .collect();
    let mut owners: Vec<String> = named.iter().map(|state| state.top_owner().uid).collect();
    owners.extend(status.owner_uid);
    owners.extend(target_uid);
    // Creation times have whole seconds only, so a replacement may seem to precede its cause.
    let began = status
        .started_at
        .map(|at| at.saturating_sub(SECOND).unwrap_or(at));
    // Verification of a workload looks at each of its pods.
    let most = match action.spec.target_resource.kind.as_str() {
        "Pod" => SIBLINGS,
        _ => usize::MAX,
    };
    let (new, old): (Vec<&ObjectState>, Vec<&ObjectState>) = owners
        .iter()
        .flat_map(|owner| inventory.pods_of(owner))
        .partition(|pod| began.is_some() && pod.created_at >= began);
    let old = old.into_iter().take(most);
    new.into_iter()
        .chain(old)
        .chain(named.iter().copied())
        .map(|state| (state.target.uid.as_str(), state))
        .collect()
}
