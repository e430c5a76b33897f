//! The HealingActions that exist, as deciding about another one needs them.
//!
//! Pure: no IO, no clock.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use schemas::action::{HealingAction, HealingActionStatus, Phase};

/// Namespace and name of a HealingAction.
pub type ActionName = (String, String);

/// How long a proposed action may stay unseen before it counts as not created.
/// It covers a slow API server and a watch that had to start anew.
const IN_FLIGHT: SignedDuration = SignedDuration::from_secs(60);

/// The HealingActions that exist, and those that were just proposed.
#[derive(Debug, Default)]
pub struct Actions {
    known: BTreeMap<ActionName, Arc<HealingAction>>,
    in_flight: BTreeMap<ActionName, InFlight>,
}

#[derive(Clone, Debug)]
struct InFlight {
    policy: String,
    target_uid: String,
    first_at: Timestamp,
}

impl Actions {
    /// Replaces what is known by what exists now, and gives up on proposals
    /// that have been in flight for too long.
    pub fn refresh(
        &mut self,
        existing: impl IntoIterator<Item = Arc<HealingAction>>,
        at: Timestamp,
    ) {
        self.known = existing
            .into_iter()
            .map(|action| (name_of(&action), action))
            .collect();
        let known = &self.known;
        self.in_flight.retain(|name, flight| {
            !known.contains_key(name) && at.duration_since(flight.first_at) < IN_FLIGHT
        });
    }

    /// Notes that an action is being created.
    pub fn propose(&mut self, name: ActionName, policy: &str, target_uid: &str, at: Timestamp) {
        let flight = InFlight {
            policy: policy.to_owned(),
            target_uid: target_uid.to_owned(),
            first_at: at,
        };
        self.in_flight.entry(name).or_insert(flight);
    }

    /// Whether an action of that name is being created.
    pub fn is_in_flight(&self, name: &ActionName) -> bool {
        self.in_flight.contains_key(name)
    }

    /// The action of that name.
    pub fn get(&self, name: &ActionName) -> Option<&HealingAction> {
        self.known.get(name).map(AsRef::as_ref)
    }

    /// Every action that exists, by name.
    pub fn iter(&self) -> impl Iterator<Item = &HealingAction> {
        self.known.values().map(AsRef::as_ref)
    }

    /// The actions of one policy.
    pub fn of_policy<'a>(
        &'a self,
        namespace: &'a str,
        policy: &'a str,
    ) -> impl Iterator<Item = &'a HealingAction> {
        let from = (namespace.to_owned(), String::new());
        self.known
            .range(from..)
            .take_while(move |((of, _), _)| of == namespace)
            .map(|(_, action)| action.as_ref())
            .filter(move |action| action.spec.policy_name == policy)
    }

    /// How many actions of a policy are open, the ones in flight included.
    pub fn open(&self, namespace: &str, policy: &str) -> usize {
        let known = self
            .of_policy(namespace, policy)
            .filter(|action| is_open(action));
        let flying = self
            .in_flight
            .iter()
            .filter(|((of, _), flight)| of == namespace && flight.policy == policy);
        known.count() + flying.count()
    }

    /// The open action on a target, of whatever policy, other than `except`.
    pub fn open_on(&self, target_uid: &str, except: &ActionName) -> Option<String> {
        let known = self
            .known
            .iter()
            .filter(|(_, action)| is_open(action) && targets(action, target_uid))
            .map(|(name, _)| name);
        let flying = self
            .in_flight
            .iter()
            .filter(|(_, flight)| flight.target_uid == target_uid)
            .map(|(name, _)| name);
        known
            .chain(flying)
            .find(|name| *name != except)
            .map(|(_, name)| name.clone())
    }
}

/// Namespace and name of an action.
pub fn name_of(action: &HealingAction) -> ActionName {
    let metadata = &action.metadata;
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

/// Where an action is in its life.
pub fn phase(action: &HealingAction) -> Phase {
    action
        .status
        .as_ref()
        .map_or(Phase::Pending, |status| status.phase)
}

/// The status, or what an action without one has.
pub fn status(action: &HealingAction) -> HealingActionStatus {
    action.status.clone().unwrap_or_default()
}

/// Whether more will happen.
pub fn is_open(action: &HealingAction) -> bool {
    !phase(action).is_final()
}

/// Whether an action is about the object with this UID.
pub fn targets(action: &HealingAction, uid: &str) -> bool {
    let seen = action
        .status
        .as_ref()
        .and_then(|status| status.target_uid.as_deref());
    let asked = action.spec.target_resource.uid.as_deref();
    asked.or(seen) == Some(uid)
}

/// The UID of the object whose trigger called for the action.
pub fn offender_uid(action: &HealingAction) -> Option<&str> {
    let trigger = action.spec.trigger.as_ref()?;
    let target = action.spec.target_resource.uid.as_deref();
    trigger.offender_uid.as_deref().or(target)
}

/// When an action ended.
pub fn ended_at(action: &HealingAction) -> Option<Timestamp> {
    let status = action.status.as_ref()?;
    status.finished_at.filter(|_| status.phase.is_final())
}
