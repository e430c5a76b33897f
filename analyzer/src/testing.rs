//! Builders for tests: objects, policies, actions and scrapes.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemas::{
    action::{HealingAction, HealingActionStatus, Phase},
    alert::{Alert, AlertKind},
    duration::Duration,
    object::{
        ContainerState, NodeState, ObjectCondition, ObjectState, Owner, PodState, Reference,
        Replicas, RevisionState, ServiceName, ServiceState,
    },
    operator::Operator,
    policy::{
        Action, ConditionTrigger, EventTrigger, HealingPolicy, HealingPolicySpec, MetricTrigger,
        PredictiveTrigger, Remedy, ResourceFilter, Severity, Trigger, TriggerType,
    },
    sample::{Cut, column},
    target::Target,
};

use crate::{
    accepted::Bounds,
    analysis::Settings,
    recommend::Recommendation,
    scope::Scope,
    scrapes::{NodesMessage, Scrape},
    window::WindowConfig,
};

const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn target(kind: &str, name: &str) -> Target {
    Target {
        api_version: if kind == "Pod" { "v1" } else { "apps/v1" }.to_owned(),
        kind: kind.to_owned(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-{name}"),
    }
}

/// A pod in the making; its container is called `app` and has a limit of 512 Mi.
pub(crate) struct PodBuilder(ObjectState);

pub(crate) fn pod(name: &str) -> PodBuilder {
    let mut state = object("Pod", name);
    let mut container = ContainerState {
        name: "app".to_owned(),
        state: "running".to_owned(),
        ready: true,
        ..ContainerState::default()
    };
    container.resources.memory_limit_bytes = Some(512.0 * MIB);
    state.pod = Some(PodState {
        phase: "Running".to_owned(),
        node: "node-1".to_owned(),
        containers: vec![container],
        ..PodState::default()
    });
    PodBuilder(state).condition("Ready", "True")
}

impl PodBuilder {
    pub(crate) fn owned_by(mut self, deployment: &str) -> Self {
        let owner = |kind: &str, name: String| Owner {
            api_version: "apps/v1".to_owned(),
            kind: kind.to_owned(),
            uid: format!("uid-{name}"),
            name,
        };
        self.0.owners = vec![
            owner("ReplicaSet", format!("{deployment}-rs")),
            owner("Deployment", deployment.to_owned()),
        ];
        self
    }

    pub(crate) fn labelled(mut self, key: &str, value: &str) -> Self {
        self.0.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn created(mut self, second: i64) -> Self {
        self.0.created_at = Some(at(second));
        self
    }

    pub(crate) fn condition(mut self, kind: &str, status: &str) -> Self {
        self.0.conditions.retain(|condition| condition.kind != kind);
        self.0.conditions.push(ObjectCondition {
            kind: kind.to_owned(),
            status: status.to_owned(),
            ..ObjectCondition::default()
        });
        self
    }

    pub(crate) fn with_container(mut self, container: ContainerState) -> Self {
        self.0.pod.as_mut().unwrap().containers = vec![container];
        self
    }

    pub(crate) fn on(mut self, node: &str) -> Self {
        node.clone_into(&mut self.0.pod.as_mut().unwrap().node);
        self
    }

    /// Not ready, its only container waiting.
    pub(crate) fn waiting(mut self, reason: &str) -> Self {
        let pod = self.0.pod.as_mut().unwrap();
        "Pending".clone_into(&mut pod.phase);
        let container = &mut pod.containers[0];
        "waiting".clone_into(&mut container.state);
        reason.clone_into(&mut container.reason);
        container.ready = false;
        self.condition("Ready", "False")
    }

    pub(crate) fn calls(mut self, service: &str) -> Self {
        self.0.pod.as_mut().unwrap().calls.push(ServiceName {
            namespace: "shop".to_owned(),
            name: service.to_owned(),
        });
        self
    }

    pub(crate) fn needs(mut self, kind: &str, name: &str, via: &str) -> Self {
        self.0.pod.as_mut().unwrap().needs.push(Reference {
            kind: kind.to_owned(),
            name: name.to_owned(),
            via: via.to_owned(),
            optional: false,
        });
        self
    }

    pub(crate) fn unlimited(mut self) -> Self {
        let pod = self.0.pod.as_mut().unwrap();
        pod.containers[0].resources = schemas::object::Resources::default();
        self
    }

    pub(crate) fn state(self) -> ObjectState {
        self.0
    }
}

pub(crate) fn object(kind: &str, name: &str) -> ObjectState {
    ObjectState {
        target: target(kind, name),
        observed_at: at(0),
        created_at: Some(at(0)),
        ..ObjectState::default()
    }
}

/// A node with this status of its condition `Ready`.
pub(crate) fn node(name: &str, ready: &str) -> ObjectState {
    let mut state = object("Node", name);
    state.target.namespace = String::new();
    state.conditions.push(ObjectCondition {
        kind: "Ready".to_owned(),
        status: ready.to_owned(),
        ..ObjectCondition::default()
    });
    state
}

pub(crate) fn deployment(name: &str) -> ObjectState {
    let mut state = object("Deployment", name);
    state.replicas = Some(Replicas {
        desired: 1,
        current: 1,
        ready: 1,
        updated: 1,
        observed: true,
    });
    state
}

/// A ready node of 4 cores and 8 Gi.
pub(crate) fn bare_node(name: &str) -> ObjectState {
    let mut state = object("Node", name);
    state.target.namespace = String::new();
    state.node = Some(NodeState {
        cpu_allocatable_cores: 4.0,
        memory_allocatable_bytes: 8192.0 * MIB,
        ..NodeState::default()
    });
    with_condition(state, "Ready", ("True", 0))
}

/// The same object with a condition of this status since a second.
pub(crate) fn with_condition(
    mut state: ObjectState,
    kind: &str,
    (status, since): (&str, i64),
) -> ObjectState {
    state.conditions.retain(|condition| condition.kind != kind);
    state.conditions.push(ObjectCondition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        since: Some(at(since)),
        ..ObjectCondition::default()
    });
    state
}

/// A Service that sends to the pods labelled `app: <app>`.
pub(crate) fn service(name: &str, app: &str) -> ObjectState {
    let mut state = object("Service", name);
    "v1".clone_into(&mut state.target.api_version);
    state.service = Some(ServiceState {
        selector: [("app".to_owned(), app.to_owned())].into(),
        ready: 1,
        not_ready: 0,
    });
    state
}

/// A `ReplicaSet` of a Deployment, created at a second.
pub(crate) fn revision(
    deployment: &str,
    (number, second): (i64, i64),
    template: &[(&str, &str)],
) -> ObjectState {
    let mut state = object("ReplicaSet", &format!("{deployment}-{number}"));
    state.created_at = Some(at(second));
    state.owners = vec![Owner {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: deployment.to_owned(),
        uid: format!("uid-{deployment}"),
    }];
    let field = |(field, value): &(&str, &str)| ((*field).to_owned(), (*value).to_owned());
    state.revision = Some(RevisionState {
        number,
        hash: format!("hash-{number}"),
        template: template.iter().map(field).collect(),
        replicas: Some(1),
        ready: Some(1),
    });
    state
}

/// A policy in the making: `high` fires while `memory_usage_percent > 85` for 30 s.
pub(crate) struct PolicyBuilder(HealingPolicy);

pub(crate) fn policy(name: &str) -> PolicyBuilder {
    let trigger = Trigger {
        name: "high".to_owned(),
        kind: TriggerType::Metric,
        severity: Severity::Warning,
        cooldown_period: Duration::from_mins(5),
        metric_trigger: Some(MetricTrigger {
            query: "memory_usage_percent".to_owned(),
            threshold: 85.0,
            operator: Operator::Above,
            duration: Duration::from_secs(30),
        }),
        event_trigger: None,
        condition_trigger: None,
        predictive_trigger: None,
    };
    let spec = HealingPolicySpec {
        selector: schemas::policy::Selector::default(),
        triggers: vec![trigger],
        actions: Vec::new(),
        safety_rules: schemas::policy::SafetyRules::default(),
        mode: schemas::policy::Mode::Automatic,
        ai: None,
        objective: None,
    };
    let mut policy = HealingPolicy::new(name, spec);
    policy.metadata.namespace = Some("shop".to_owned());
    policy.metadata.uid = Some(format!("uid-{name}"));
    policy.metadata.generation = Some(1);
    policy.metadata.creation_timestamp = Some(Time(at(0)));
    PolicyBuilder(policy)
}

impl PolicyBuilder {
    pub(crate) fn action(self, name: &str, priority: i32) -> Self {
        self.remedy(name, priority, Remedy::Restart)
    }

    pub(crate) fn remedy(mut self, name: &str, priority: i32, kind: Remedy) -> Self {
        self.0.spec.actions.push(Action {
            name: name.to_owned(),
            kind,
            priority,
            ..Action::default()
        });
        self
    }

    pub(crate) fn mode(mut self, mode: schemas::policy::Mode) -> Self {
        self.0.spec.mode = mode;
        self
    }

    pub(crate) fn on_events(mut self, reason: &str, count: u32) -> Self {
        let trigger = &mut self.0.spec.triggers[0];
        trigger.kind = TriggerType::Event;
        trigger.metric_trigger = None;
        trigger.event_trigger = Some(EventTrigger {
            reason: reason.to_owned(),
            kind: None,
            count,
            window: Duration::from_mins(5),
        });
        self
    }

    pub(crate) fn on_query(mut self, query: &str, threshold: f64) -> Self {
        let metric = self.0.spec.triggers[0].metric_trigger.as_mut().unwrap();
        (metric.query, metric.threshold) = (query.to_owned(), threshold);
        self
    }

    /// Of objects of one kind only.
    pub(crate) fn selecting(mut self, kind: &str) -> Self {
        self.0.spec.selector.resources = vec![ResourceFilter {
            api_version: None,
            kind: kind.to_owned(),
            exclude_names: Vec::new(),
        }];
        self
    }

    /// With the defaults of the schema, and a duration of 30 s.
    pub(crate) fn predictive(mut self, query: &str, threshold: f64) -> Self {
        let trigger = &mut self.0.spec.triggers[0];
        trigger.kind = TriggerType::Predictive;
        trigger.metric_trigger = None;
        trigger.predictive_trigger = Some(PredictiveTrigger {
            query: query.to_owned(),
            threshold,
            operator: Operator::Above,
            horizon: Duration::from_mins(10),
            lookback: Duration::from_mins(10),
            min_confidence: 0.8,
            duration: Duration::from_secs(30),
        });
        self
    }

    pub(crate) fn on_condition(mut self, kind: &str) -> Self {
        let trigger = &mut self.0.spec.triggers[0];
        trigger.kind = TriggerType::Condition;
        trigger.metric_trigger = None;
        trigger.condition_trigger = Some(ConditionTrigger {
            kind: kind.to_owned(),
            status: schemas::policy::ConditionStatus::True,
            duration: Duration::from_secs(30),
        });
        self
    }

    pub(crate) fn build(self) -> HealingPolicy {
        self.0
    }
}

pub(crate) fn scope_of(policy: &PolicyBuilder) -> Scope {
    Scope::new(&policy.0.spec.selector, "shop", "kubeskippy-system").unwrap()
}

pub(crate) fn bounds() -> Bounds {
    Bounds {
        system_namespace: "kubeskippy-system".to_owned(),
        longest_window: Duration::from_mins(60),
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        cluster: "test".to_owned(),
        bounds: bounds(),
        lookback: SignedDuration::from_mins(5),
        objects_span: SignedDuration::from_mins(25),
        most_open: 100,
        window: WindowConfig::default(),
        evaluate_from: at(0),
        models: Vec::new(),
    }
}

/// An alert about the trigger `high` of the policy `p` on the pod `web`.
pub(crate) fn alert(kind: AlertKind, starts_at: i64) -> Alert {
    let about = target("Pod", "web");
    Alert {
        kind,
        cluster: "test".to_owned(),
        fingerprint: schemas::alert::fingerprint("uid-p", "high", &about.uid),
        namespace: "shop".to_owned(),
        policy: "p".to_owned(),
        policy_uid: "uid-p".to_owned(),
        trigger: "high".to_owned(),
        severity: Severity::Warning,
        target: about,
        value: None,
        threshold: None,
        operator: None,
        starts_at: Some(at(starts_at)),
        fired_at: None,
        ends_at: None,
        action: String::new(),
        reason: String::new(),
        message: String::new(),
    }
}

/// The object that a recommendation leads to, as the API server would hold it.
pub(crate) fn created(recommendation: &Recommendation, phase: Phase) -> HealingAction {
    let mut action = HealingAction::new(&recommendation.name.1, recommendation.spec.clone());
    action.metadata.namespace = Some(recommendation.name.0.clone());
    action.status = Some(HealingActionStatus {
        phase,
        target_uid: recommendation.spec.target_resource.uid.clone(),
        ..HealingActionStatus::default()
    });
    action
}

/// The memory in use of one pod's container, in percent of its 512 Mi; none when it is not known.
pub(crate) type Usage<'a> = (&'a str, Option<f64>);

/// A scrape of pods under the Deployment `web`, of one shard.
pub(crate) fn scrape(second: i64, usage: &[Usage<'_>]) -> Scrape {
    Scrape {
        at: at(second),
        cut: Cut::default(),
        gap: 0,
        interval: SignedDuration::from_secs(15),
        shards: [(0, rows(second, usage, Some(512.0 * MIB)))].into(),
        count: 1,
    }
}

/// The rows of one shard.
pub(crate) fn rows(second: i64, usage: &[Usage<'_>], limit: Option<f64>) -> Bytes {
    let n = usage.len();
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; n])) };
    let names: Vec<&str> = usage.iter().map(|(name, _)| *name).collect();
    let uids: Vec<String> = names.iter().map(|name| format!("uid-{name}")).collect();
    let none: ArrayRef = Arc::new(Float64Array::from(vec![None; n]));
    let bytes = usage
        .iter()
        .map(|(_, percent)| percent.map(|percent| percent / 100.0 * 512.0 * MIB));
    let measured = usage
        .iter()
        .map(|(_, percent)| percent.map(|_| second * 1000));
    let columns: Vec<(&str, ArrayRef)> = vec![
        (column::NAMESPACE, text("shop")),
        (column::POD, Arc::new(StringArray::from(names))),
        (column::POD_UID, Arc::new(StringArray::from(uids))),
        (column::CONTAINER, text("app")),
        (column::NODE, text("node-1")),
        (column::OWNER_KIND, text("Deployment")),
        (column::OWNER_NAME, text("web")),
        (column::QOS, text("Burstable")),
        (
            column::USAGE_TIMESTAMP_MS,
            Arc::new(measured.collect::<Int64Array>()),
        ),
        (column::CPU_USAGE_CORES, Arc::clone(&none)),
        (
            column::MEMORY_USAGE_BYTES,
            Arc::new(bytes.collect::<Float64Array>()),
        ),
        (column::CPU_LIMIT_CORES, Arc::clone(&none)),
        (
            column::MEMORY_LIMIT_BYTES,
            Arc::new(Float64Array::from(vec![limit; n])),
        ),
        (column::CPU_REQUEST_CORES, Arc::clone(&none)),
        (column::MEMORY_REQUEST_BYTES, none),
        (column::RESTARTS, Arc::new(UInt32Array::from(vec![0; n]))),
        (column::READY, Arc::new(BooleanArray::from(vec![true; n]))),
        (
            column::POD_READY,
            Arc::new(BooleanArray::from(vec![true; n])),
        ),
        (column::LAST_TERMINATION_REASON, text("")),
        (
            column::LAST_TERMINATION_MS,
            Arc::new(Int64Array::from(vec![None; n])),
        ),
    ];
    encode(columns)
}

/// Nodes that can give 4 cores and 512 Mi each, with the memory in use in percent.
pub(crate) fn nodes(second: i64, usage: &[(&str, f64)]) -> NodesMessage {
    let n = usage.len();
    let names: Vec<&str> = usage.iter().map(|(name, _)| *name).collect();
    let bytes = usage
        .iter()
        .map(|(_, percent)| Some(percent / 100.0 * 512.0 * MIB));
    let floats = |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![value; n])) };
    let columns: Vec<(&str, ArrayRef)> = vec![
        (column::NODE, Arc::new(StringArray::from(names))),
        (
            column::USAGE_TIMESTAMP_MS,
            Arc::new(Int64Array::from(vec![second * 1000; n])),
        ),
        (column::CPU_USAGE_CORES, floats(1.0)),
        (
            column::MEMORY_USAGE_BYTES,
            Arc::new(bytes.collect::<Float64Array>()),
        ),
        (column::CPU_ALLOCATABLE_CORES, floats(4.0)),
        (column::MEMORY_ALLOCATABLE_BYTES, floats(512.0 * MIB)),
        (column::READY, Arc::new(BooleanArray::from(vec![true; n]))),
    ];
    NodesMessage {
        tick: at(second),
        payload: encode(columns),
    }
}

fn encode(columns: Vec<(&str, ArrayRef)>) -> Bytes {
    let field = |(name, array): &(&str, ArrayRef)| {
        let kind: DataType = array.data_type().clone();
        Field::new(*name, kind, true)
    };
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    writer.write(&batch).unwrap();
    Bytes::from(writer.into_inner().unwrap())
}
