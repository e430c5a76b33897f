//! Reads all that the guards may know into one [`Snapshot`].
//!
//! Everything is read from the API server at the moment of judging, never from
//! a cache and never from what the action says. What cannot be read makes the
//! pass fail, so that nothing is judged on half a picture; the bus alone may be
//! away, which reads as "no observation".

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::{ApiResource, DynamicObject, ListParams},
};
use runtime::{bus::Bus, chain};
use schemas::{
    action::{HealingAction, HealingActionStatus, Phase},
    object::Owner,
    observation::Observation,
    policy::{HealingPolicy, Remedy},
    subject::Stream,
};
use serde_json::Value;

use crate::{
    config::PAUSE,
    judge::marks,
    object::{Object, api_resource},
    pause::Pause,
    snapshot::{Fleet, Limits, Past, Policy, Population, Revision, Snapshot, Subject},
    undo::restores,
};

mod revision;

/// Why the picture is incomplete.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not answer, or refused.
    #[error("failed to read {what}")]
    Read {
        /// What was to be read.
        what: String,
        /// What went wrong.
        source: kube::Error,
    },
}

/// Longest owner chain that is followed. Known ones have two links
/// (Pod, ReplicaSet, Deployment); custom controllers add one or two.
const MOST_OWNERS: usize = 5;

/// How many actions are asked for at a time.
const PAGE: u32 = 500;

/// Reads snapshots.
#[derive(Clone)]
pub struct Gatherer {
    client: Client,
    bus: Bus,
    limits: Limits,
}

impl Gatherer {
    /// Reads through `client` and `bus`, under `limits`.
    pub fn new(client: Client, bus: Bus, limits: Limits) -> Self {
        Self {
            client,
            bus,
            limits,
        }
    }

    /// Reads all there is to know about `action`, but for the history.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn gather(&self, action: &HealingAction) -> Result<Snapshot, Error> {
        let action = subject(action);
        let policy = self
            .policy(&action.namespace, &action.spec.policy_name)
            .await?;
        let wanted = &action.spec.target_resource;
        let namespace = wanted.namespace.as_ref().unwrap_or(&action.namespace);
        let target = self.object(&wanted.kind, namespace, &wanted.name).await?;
        let owners = self.owners(&action, namespace, target.as_ref()).await?;
        let workload = owners.last().or(target.as_ref());
        let pods = match workload {
            Some(workload) => self.pods(workload).await?,
            None => Vec::new(),
        };
        let offender = action.spec.trigger.as_ref().and_then(|trigger| {
            let uid = trigger.offender_uid.as_ref()?;
            pods.iter().find(|pod| pod.target.uid == *uid).cloned()
        });
        Ok(Snapshot {
            policy,
            owners,
            offender,
            pods,
            namespace_marks: self.marks(namespace).await?,
            autoscaler: match target.as_ref().filter(|target| target.workload.is_some()) {
                Some(target) => self.autoscaler(target).await?,
                None => None,
            },
            node_pods: self.node_pods(target.as_ref()).await?,
            fleet: self.fleet(target.as_ref()).await?,
            revisions: self.revisions(&action, target.as_ref()).await?,
            touched: self.touched(&action.status, target.as_ref()).await?,
            target,
            history: Vec::new(),
            population: self.population(&action, namespace).await?,
            acting_since: None,
            observation: self.observation(&action).await,
            paused: self.paused().await?,
            limits: self.limits.clone(),
            action,
        })
    }

    /// Reads the status of every action but `uid` from the API server itself:
    /// what a cache does not know yet has been spent all the same.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn history(&self, uid: &str) -> Result<Vec<Past>, Error> {
        let api: Api<HealingAction> = Api::all(self.client.clone());
        let mut params = ListParams::default().limit(PAGE);
        let mut history = Vec::new();
        loop {
            let page = api.list(&params).await;
            let page = page.map_err(|source| failed("the healing actions", source))?;
            let others = page
                .items
                .iter()
                .filter(|a| a.uid().as_deref() != Some(uid) && changes(a));
            history.extend(others.map(past));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok(history),
            }
        }
    }

    async fn policy(&self, namespace: &str, name: &str) -> Result<Option<Policy>, Error> {
        let api: Api<HealingPolicy> = Api::namespaced(self.client.clone(), namespace);
        let policy = api.get_opt(name).await;
        let policy = policy.map_err(|source| failed(&format!("the policy {name}"), source))?;
        Ok(policy.map(|policy| Policy {
            namespace: policy.namespace().unwrap_or_default(),
            name: policy.name_any(),
            uid: policy.uid().unwrap_or_default(),
            deleting: policy.meta().deletion_timestamp.is_some(),
            spec: policy.spec,
        }))
    }

    /// Reads one object of a kind that the actuator knows; others read as absent.
    async fn object(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Object>, Error> {
        let Some(resource) = api_resource(kind) else {
            return Ok(None);
        };
        let found = self.api(&resource, namespace).get_opt(name).await;
        let found =
            found.map_err(|source| failed(&format!("{kind} {namespace}/{name}"), source))?;
        Ok(found.map(|object| Object::read(&resource, object)))
    }

    fn api(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        if resource.kind == "Node" {
            Api::all_with(self.client.clone(), resource)
        } else {
            Api::namespaced_with(self.client.clone(), namespace, resource)
        }
    }

    /// Follows the controllers up. Of a target that is gone, the owner that was
    /// recorded when it was still there.
    async fn owners(
        &self,
        action: &Subject,
        namespace: &str,
        target: Option<&Object>,
    ) -> Result<Vec<Object>, Error> {
        let mut owners: Vec<Object> = Vec::new();
        let pinned = action.status.target_uid.as_deref();
        let target = target.filter(|t| pinned.is_none_or(|uid| uid == t.target.uid));
        let mut next = match target {
            Some(target) => target.controller.clone(),
            None => recorded_owner(action),
        };
        while let Some(owner) = next.take().filter(|_| owners.len() < MOST_OWNERS) {
            let found = self.object(&owner.kind, namespace, &owner.name).await?;
            if let Some(found) = found.filter(|found| found.target.uid == owner.uid) {
                next.clone_from(&found.controller);
                owners.push(found);
            }
        }
        Ok(owners)
    }

    /// The pods of a workload; of a pod, itself.
    async fn pods(&self, workload: &Object) -> Result<Vec<Object>, Error> {
        let Some(replicas) = &workload.workload else {
            let is_pod = workload.target.kind == "Pod";
            return Ok(is_pod.then(|| workload.clone()).into_iter().collect());
        };
        let Some(selector) = &replicas.selector else {
            return Ok(Vec::new());
        };
        let mut controllers = vec![workload.target.uid.clone()];
        let namespace = &workload.target.namespace;
        if workload.target.kind == "Deployment" {
            let sets = self.select("ReplicaSet", namespace, selector).await?;
            let owned = sets.into_iter().filter(|set| is_owned(set, &controllers));
            let owned: Vec<_> = owned.map(|set| set.target.uid).collect();
            controllers.extend(owned);
        }
        let mut pods = self.select("Pod", namespace, selector).await?;
        pods.retain(|pod| is_owned(pod, &controllers));
        Ok(pods)
    }

    async fn select(
        &self,
        kind: &str,
        namespace: &str,
        selector: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector,
    ) -> Result<Vec<Object>, Error> {
        let Some(resource) = api_resource(kind) else {
            return Ok(Vec::new());
        };
        let Ok(selector) = kube::core::Selector::try_from(selector.clone()) else {
            return Ok(Vec::new());
        };
        let params = ListParams::default().labels_from(&selector);
        let found = self.api(&resource, namespace).list(&params).await;
        let found = found.map_err(|source| failed(&format!("{kind}s of {namespace}"), source))?;
        let read = |object| Object::read(&resource, object);
        Ok(found.items.into_iter().map(read).collect())
    }

    async fn marks(&self, namespace: &str) -> Result<BTreeMap<String, String>, Error> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let found = api.get_opt(namespace).await;
        let found = found.map_err(|source| failed(&format!("namespace {namespace}"), source))?;
        let meta = found.map(|found| found.metadata).unwrap_or_default();
        let labels = meta.labels.unwrap_or_default();
        Ok(marks(labels, meta.annotations.unwrap_or_default()))
    }

    /// The autoscaler that sets the replicas of `target`, if there is one.
    async fn autoscaler(&self, target: &Object) -> Result<Option<Object>, Error> {
        let namespace = &target.target.namespace;
        let Some(resource) = api_resource("HorizontalPodAutoscaler") else {
            return Ok(None);
        };
        let found = self.api(&resource, namespace);
        let found = found.list(&ListParams::default()).await;
        let found =
            found.map_err(|source| failed(&format!("autoscalers of {namespace}"), source))?;
        let mut all = found
            .items
            .into_iter()
            .map(|object| Object::read(&resource, object));
        Ok(all.find(|hpa| {
            let scaled = |name: &str| {
                let path = format!("/spec/scaleTargetRef/{name}");
                hpa.content.pointer(&path).and_then(Value::as_str)
            };
            scaled("kind") == Some(&target.target.kind)
                && scaled("name") == Some(&target.target.name)
        }))
    }

    /// The pods on `target`, when that is a node.
    async fn node_pods(&self, target: Option<&Object>) -> Result<Vec<Object>, Error> {
        let node = target.filter(|target| target.target.kind == "Node");
        let (Some(node), Some(resource)) = (node, api_resource("Pod")) else {
            return Ok(Vec::new());
        };
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let on_it = format!("spec.nodeName={}", node.target.name);
        let found = api.list(&ListParams::default().fields(&on_it)).await;
        let found = found.map_err(|source| failed("the pods of the node", source))?;
        let read = |object| Object::read(&resource, object);
        Ok(found.items.into_iter().map(read).collect())
    }

    /// How many nodes there are, when `target` is one.
    async fn fleet(&self, target: Option<&Object>) -> Result<Fleet, Error> {
        let node = target.filter(|target| target.target.kind == "Node");
        let (Some(node), Some(resource)) = (node, api_resource("Node")) else {
            return Ok(Fleet::default());
        };
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let found = match api.list(&ListParams::default()).await {
            Ok(found) => found,
            // Without the right to list nodes none may be taken away, and the guard says so.
            Err(kube::Error::Api(status)) if status.code == 403 => return Ok(Fleet::default()),
            Err(source) => return Err(failed("the nodes", source)),
        };
        let nodes = found.items.into_iter();
        let nodes: Vec<_> = nodes.map(|one| Object::read(&resource, one)).collect();
        let is_away = |one: &&Object| {
            let closed = one.content.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
            one.target.uid != node.target.uid && (closed || !one.ready)
        };
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        Ok(Fleet {
            nodes: count(nodes.len()),
            away: count(nodes.iter().filter(is_away).count()),
        })
    }

    /// The revisions of `target`, when the action may go back to one.
    async fn revisions(
        &self,
        action: &Subject,
        target: Option<&Object>,
    ) -> Result<Vec<Revision>, Error> {
        let is_wanted = action.spec.action.kind == Remedy::Rollback;
        let Some(target) = target.filter(|_| is_wanted && action.status.started_at.is_none())
        else {
            return Ok(Vec::new());
        };
        let selector = target.workload.as_ref().and_then(|w| w.selector.as_ref());
        let kind = if target.target.kind == "Deployment" {
            "ReplicaSet"
        } else {
            "ControllerRevision"
        };
        let Some(selector) = selector else {
            return Ok(Vec::new());
        };
        let found = self
            .select(kind, &target.target.namespace, selector)
            .await?;
        let owned = found
            .iter()
            .filter(|one| is_owned(one, std::slice::from_ref(&target.target.uid)));
        Ok(owned.filter_map(revision::read).collect())
    }

    /// The objects of the calls that are recorded and still matter: to be made, awaited, or taken back.
    async fn touched(
        &self,
        status: &HealingActionStatus,
        target: Option<&Object>,
    ) -> Result<Vec<Object>, Error> {
        let mut touched: Vec<Object> = Vec::new();
        if !matches!(status.phase, Phase::InProgress | Phase::Verifying) {
            return Ok(touched);
        }
        let steps = status.plan.iter().chain(&status.undo);
        let due = steps
            .clone()
            .find(|step| step.done_at.is_none())
            .map(|step| step.object.clone());
        let changed = steps.filter(|step| restores(step));
        let mut wanted: Vec<_> = changed.map(|step| step.object.clone()).chain(due).collect();
        wanted.sort();
        wanted.dedup();
        for object in wanted {
            let known = target.filter(|known| known.target == object).cloned();
            let found = if known.is_some() {
                known
            } else {
                let (kind, namespace) = (&object.kind, &object.namespace);
                match self.object(kind, namespace, &object.name).await {
                    // What may not be read may not be written either: the call will say so.
                    Err(Error::Read {
                        source: kube::Error::Api(status),
                        ..
                    }) if status.code == 403 => None,
                    found => found?,
                }
            };
            touched.extend(found);
        }
        Ok(touched)
    }

    /// How many pods there are, told by the API server without listing them. Of an action that has begun nobody asks.
    async fn population(&self, action: &Subject, namespace: &str) -> Result<Population, Error> {
        if action.status.started_at.is_some() {
            return Ok(Population::default());
        }
        let pods = |api: Api<Pod>| async move {
            let one = api.list_metadata(&ListParams::default().limit(1)).await;
            let one = one.map_err(|source| failed("the number of pods", source))?;
            let rest = one.metadata.remaining_item_count.unwrap_or_default();
            let rest = u64::try_from(rest).unwrap_or_default();
            let first = u64::try_from(one.items.len()).unwrap_or_default();
            Ok(first.saturating_add(rest))
        };
        Ok(Population {
            namespace: pods(Api::namespaced(self.client.clone(), namespace)).await?,
            cluster: pods(Api::all(self.client.clone())).await?,
        })
    }

    async fn paused(&self) -> Result<Option<String>, Error> {
        let namespace = &self.limits.system_namespace;
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let found = api.get_opt(PAUSE).await;
        let found = found.map_err(|source| failed("the kill switch", source))?;
        Ok(found.map(|switch| Pause::read(&switch).told()))
    }

    /// The analyzer's last report. A bus that is away, or a message that is not
    /// understood, reads as none: the guards wait, and verification has no data.
    async fn observation(&self, action: &Subject) -> Option<Observation> {
        action.spec.trigger.as_ref()?;
        let subjects = &self.bus.subjects;
        let subject = subjects.observation(&action.namespace, &action.name);
        match self.bus.last(Stream::Observations, &subject).await {
            Ok(message) => {
                let read = serde_json::from_slice(&message?.payload);
                read.inspect_err(|error| {
                    tracing::warn!(
                        action = action.name,
                        error = chain(error),
                        "observation not understood"
                    );
                })
                .ok()
            }
            Err(error) => {
                tracing::debug!(
                    action = action.name,
                    error = chain(&error),
                    "no observation"
                );
                None
            }
        }
    }
}

fn failed(what: &str, source: kube::Error) -> Error {
    let what = what.to_owned();
    Error::Read { what, source }
}

fn is_owned(object: &Object, controllers: &[String]) -> bool {
    let controller = object.controller.as_ref();
    controller.is_some_and(|owner| controllers.contains(&owner.uid))
}

fn recorded_owner(action: &Subject) -> Option<Owner> {
    let (kind, name) = action.status.owner.as_ref()?.split_once('/')?;
    Some(Owner {
        api_version: String::new(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: action.status.owner_uid.clone()?,
    })
}

/// The action as the guards see it.
pub fn subject(action: &HealingAction) -> Subject {
    Subject {
        namespace: action.namespace().unwrap_or_default(),
        name: action.name_any(),
        uid: action.uid().unwrap_or_default(),
        created_at: action.creation_timestamp().map(|time| time.0),
        generation: action.metadata.generation,
        approved_at: approved_at(action),
        spec: action.spec.clone(),
        status: action.status.clone().unwrap_or_default(),
    }
}

/// When the approval of `action` was written. The API server notes it with the fields that each
/// manager wrote, and never an instant before: a later write of the same manager moves it on.
pub fn approved_at(action: &HealingAction) -> Option<Timestamp> {
    let entries = action.metadata.managed_fields.as_deref();
    let wrote = entries.unwrap_or_default().iter().filter(|entry| {
        let fields = entry.fields_v1.as_ref().and_then(|f| f.0.get("f:spec"));
        fields.is_some_and(|spec| spec.get("f:approval").is_some())
    });
    wrote.filter_map(|entry| Some(entry.time.as_ref()?.0)).min()
}

/// UID of the pod whose reading called for the action; of an action by hand, or about something else, none.
fn sick_pod(action: &HealingAction) -> Option<String> {
    let trigger = action.spec.trigger.as_ref()?;
    let wanted = &action.spec.target_resource;
    let kind = trigger.offender_kind.as_ref().unwrap_or(&wanted.kind);
    let uid = trigger.offender_uid.as_ref().or(wanted.uid.as_ref());
    uid.filter(|_| kind == "Pod").cloned()
}

/// Whether an action changes anything, so that it counts where change is limited.
pub fn changes(action: &HealingAction) -> bool {
    action.spec.action.kind != Remedy::Notify
}

/// What counts about an action when another is judged.
pub fn past(action: &HealingAction) -> Past {
    let status = action.status.clone().unwrap_or_default();
    Past {
        uid: action.uid().unwrap_or_default(),
        namespace: action.namespace().unwrap_or_default(),
        policy: action.spec.policy_name.clone(),
        offender_uid: sick_pod(action),
        target_uid: status.target_uid,
        owner_uid: status.owner_uid,
        phase: status.phase,
        started_at: status.started_at,
        finished_at: status.finished_at,
    }
}
