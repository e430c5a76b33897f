//! All that is read before judging: one value, immutable from then on.
//!
//! Guards, planner and verification see the cluster through it and through
//! nothing else, so the same snapshot and the same instant always give the
//! same answer.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemas::{
    action::{HealingActionSpec, HealingActionStatus, Phase},
    observation::Observation,
    policy::{Action, HealingPolicySpec, Mode, ResizeAction},
    target::Target,
};
use serde_json::Value;

use crate::{object::Object, webhook::address::Rules};

/// How soon a guard that holds an action back looks again, where no instant is
/// known at which its answer must change. The analyzer evaluates every 15 s, so
/// a third of that adds little to the time to heal.
pub const RECHECK: SignedDuration = SignedDuration::from_secs(5);

/// All that is known about one action at one instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The action.
    pub action: Subject,
    /// Its policy, if that exists.
    pub policy: Option<Policy>,
    /// The object to act on, if it exists.
    pub target: Option<Object>,
    /// The owners of the target (or, when that is gone, of what it was), the nearest first, as far as they could be read.
    pub owners: Vec<Object>,
    /// The pod that breached the trigger, when it is not the target itself and still exists.
    pub offender: Option<Object>,
    /// The pods of the target's top-most owner, or of the target itself.
    pub pods: Vec<Object>,
    /// Labels and annotations of the target's namespace.
    pub namespace_marks: BTreeMap<String, String>,
    /// The autoscaler that sets the replicas of the target.
    pub autoscaler: Option<Object>,
    /// The pods on the target, when that is a node.
    pub node_pods: Vec<Object>,
    /// How many nodes there are, when the target is one.
    pub fleet: Fleet,
    /// The revisions of the target, when one is to be gone back to.
    pub revisions: Vec<Revision>,
    /// The objects of the recorded calls that are still to be made, awaited or taken back, as far as they exist.
    pub touched: Vec<Object>,
    /// Every other action.
    pub history: Vec<Past>,
    /// What the analyzer last reported on the target.
    pub observation: Option<Observation>,
    /// How many pods there are.
    pub population: Population,
    /// Since when this replica acts.
    pub acting_since: Option<Timestamp>,
    /// Why the kill switch is on, when it is.
    pub paused: Option<String>,
    /// Limits from the configuration.
    pub limits: Limits,
}

/// How many nodes there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// All of them.
    pub nodes: i32,
    /// Those, other than the target, that take no pods: unschedulable, or not ready.
    pub away: i32,
}

/// One revision of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// Its number; the newest has the highest.
    pub number: i64,
    /// When it was rolled out first.
    pub created_at: Option<Timestamp>,
    /// How many of its pods are ready.
    pub ready: i32,
    /// Its pod template, or the part of the workload that it keeps.
    pub template: Value,
}

/// The action that is judged.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Generation of its spec.
    pub generation: Option<i64>,
    /// When its approval was written, by the API server's clock.
    pub approved_at: Option<Timestamp>,
    /// What it asks for.
    pub spec: HealingActionSpec,
    /// Its life so far.
    pub status: HealingActionStatus,
}

/// The policy that an action names.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Whether its deletion has begun.
    pub deleting: bool,
    /// What it says.
    pub spec: HealingPolicySpec,
}

/// What counts about another action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// UID of the action.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Name of its policy.
    pub policy: String,
    /// UID of its target.
    pub target_uid: Option<String>,
    /// UID of the top-most owner of its target.
    pub owner_uid: Option<String>,
    /// UID of the pod whose reading called for it.
    pub offender_uid: Option<String>,
    /// Where it is in its life.
    pub phase: Phase,
    /// When its intent was recorded.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Limits that no policy can lift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// KubeSkippy's own namespace.
    pub system_namespace: String,
    /// Actions started in the cluster within any hour.
    pub cluster_per_hour: u32,
    /// Actions started in one namespace within any hour.
    pub namespace_per_hour: u32,
    /// Percent of the pods of a namespace, or of the cluster, that are a storm when sick at once.
    pub storm_percent: u32,
    /// Percent of the nodes that may be out of use at once; one always may.
    pub node_percent: u32,
    /// Fewer sick pods than this are no storm.
    pub storm_pods: u32,
    /// How long a pod counts as sick after the action about it ended.
    pub storm_quiet: SignedDuration,
    /// How long an actuator looks on before it acts.
    pub warmup: SignedDuration,
    /// How long a deletion may take beyond its grace before it counts as hanging.
    pub hanging: SignedDuration,
    /// Which webhooks may be called.
    pub webhooks: Rules,
}

/// How many pods there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Population {
    /// In the target's namespace.
    pub namespace: u64,
    /// In the cluster.
    pub cluster: u64,
}

impl Past {
    /// Whether the action has begun and has not ended.
    pub fn is_under_way(&self) -> bool {
        self.started_at.is_some() && !self.phase.is_final()
    }
}

impl Snapshot {
    /// The policy's own entry for the action: what it says counts, not what the action says of itself.
    ///
    /// An action with a name must equal the policy's action of that name in
    /// type and parameters; one without must equal any of them. Where the policy asks for a
    /// recommended size, an action with a trigger holds the numbers in its place.
    pub fn rule(&self) -> Option<&Action> {
        let wanted = &self.action.spec.action;
        let by_trigger = self.action.spec.trigger.is_some();
        let policy = self.policy.as_ref()?;
        policy.spec.actions.iter().find(|action| {
            (wanted.name.is_empty() || action.name == wanted.name)
                && (does_the_same(action, wanted) || by_trigger && is_in_numbers(action, wanted))
        })
    }

    /// Whether the change is only to be tried.
    pub fn is_dry_run(&self) -> bool {
        let policy = self.policy.as_ref();
        self.action.spec.dry_run || policy.is_some_and(|policy| policy.spec.mode == Mode::Dryrun)
    }

    /// The top-most known owner of the target, or the target itself.
    pub fn top_owner(&self) -> Option<&Object> {
        self.owners.last().or(self.target.as_ref())
    }

    /// The object of this kind and name, whatever its UID.
    pub fn named(&self, wanted: &Target) -> Option<&Object> {
        let known = self
            .touched
            .iter()
            .chain(&self.target)
            .chain(&self.autoscaler)
            .chain(&self.owners)
            .chain(&self.pods);
        let mut known = known.map(|object| (object, &object.target));
        let found = known.find(|(_, target)| {
            target.kind == wanted.kind
                && target.namespace == wanted.namespace
                && target.name == wanted.name
        });
        found.map(|(object, _)| object)
    }

    /// This very object, as it is now.
    pub fn same(&self, wanted: &Target) -> Option<&Object> {
        self.named(wanted)
            .filter(|object| object.target.uid == wanted.uid)
    }

    /// UID of the target as it was first pinned: by the spec, else by the first look at it.
    pub fn pinned_uid(&self) -> Option<&str> {
        let spec = self.action.spec.target_resource.uid.as_deref();
        spec.or(self.action.status.target_uid.as_deref())
    }

    /// Whether the budget was reserved, so that this action is counted already.
    pub fn is_reserved(&self) -> bool {
        self.action.status.started_at.is_some()
    }

    /// Whether a call of the action was made.
    pub fn has_begun(&self) -> bool {
        let mut steps = self.action.status.plan.iter();
        steps.any(|step| step.called_at.is_some())
    }

    /// The past actions on the owner `uid`, or on anything it owns.
    pub fn past_on<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a Past> {
        let history = self.history.iter();
        history.filter(move |past| past.owner_uid.as_deref() == Some(uid))
    }

    /// UID of the object whose reading called for the action.
    pub fn offender_uid(&self) -> Option<&str> {
        let trigger = self.action.spec.trigger.as_ref()?;
        trigger.offender_uid.as_deref().or(self.pinned_uid())
    }
}

/// Whether `wanted` is the policy's `action` with amounts in the place of the recommended size
/// that it asks for, and is otherwise the same.
fn is_in_numbers(action: &Action, wanted: &Action) -> bool {
    let (Some(asked), Some(given)) = (&action.resize_action, &wanted.resize_action) else {
        return false;
    };
    let is_said = !given.requests.is_empty() || !given.limits.is_empty();
    if asked.recommended.is_none() || given.recommended.is_some() || !is_said {
        return false;
    }
    let mut back = wanted.clone();
    back.resize_action = Some(ResizeAction {
        container: asked.container.clone().and(given.container.clone()),
        requests: BTreeMap::new(),
        limits: BTreeMap::new(),
        recommended: asked.recommended.clone(),
        ..given.clone()
    });
    does_the_same(action, &back)
}

/// Whether two actions have the same type and parameters, whatever they are called.
fn does_the_same(one: &Action, other: &Action) -> bool {
    let strip = |action: &Action| Action {
        name: String::new(),
        description: None,
        priority: 0,
        requires_approval: None,
        triggers: Vec::new(),
        ..action.clone()
    };
    strip(one) == strip(other)
}
