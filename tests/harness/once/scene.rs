//! Small workloads, actions on them by hand, and actuators behind proxies.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use schemas::action::{HealingAction, HealingActionStatus, Phase};
use serde_json::json;

use crate::proxy::{Effect, Label, Proxy, Write};
use crate::{
    ControlPlane, Program, TestNamespace, Workload, built_binary, cluster_name, free_port,
};
use crate::{tests_dir, until, until_blocking};

/// Where KubeSkippy's service accounts live.
const SYSTEM: &str = "kubeskippy-system";
const ACCOUNT: &str = "kubeskippy-actuator";

/// How long servers and workloads may take.
const READY: Duration = Duration::from_mins(2);

/// A control plane on which runs are made, with what `deploy/` holds.
pub struct Servers<'a> {
    control_plane: &'a ControlPlane,
    nats_url: String,
    cluster: String,
    kubeconfig: PathBuf,
    client: Client,
}

impl<'a> Servers<'a> {
    /// Installs what `deploy/` holds. The runs start more actions than a cluster
    /// allows in an hour, so nobody else's actuator should work here.
    pub async fn install(control_plane: &'a ControlPlane, nats_url: String) -> Self {
        let tests = tests_dir();
        let deploy = tests.parent().expect("tests/ is in the repository");
        let kubectl = control_plane.kubectl();
        for part in ["namespace.yaml", "crds", "rbac", "admission"] {
            let path = deploy.join("deploy").join(part);
            let path = path.to_str().expect("a path is text");
            let apply = ["apply", "--server-side", "--validate=strict", "-f", path];
            kubectl.ok(&apply);
        }
        // the kinds come a moment after their definitions
        until_blocking("the kinds of KubeSkippy", READY, || {
            let found = kubectl.output(&["get", "hp,ha", "--all-namespaces"]);
            let words = String::from_utf8_lossy(&found.stderr).into_owned();
            found.status.success().then_some(()).ok_or(words)
        });
        Self {
            control_plane,
            nats_url,
            cluster: cluster_name("once"),
            kubeconfig: control_plane.kubeconfig_for(SYSTEM, ACCOUNT).await,
            client: control_plane.client().await,
        }
    }

    /// The control plane.
    pub fn control_plane(&self) -> &'a ControlPlane {
        self.control_plane
    }
}

/// What is done to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remedy {
    /// A pod is evicted.
    Evict,
    /// A Deployment is rolled.
    Roll,
    /// A Deployment gets one replica more.
    Scale,
    /// A pod is deleted.
    Remove,
}

impl Remedy {
    /// All that there is.
    pub const ALL: [Self; 4] = [Self::Evict, Self::Roll, Self::Scale, Self::Remove];

    const fn name(self) -> &'static str {
        match self {
            Self::Evict => "evict",
            Self::Roll => "roll",
            Self::Scale => "scale",
            Self::Remove => "remove",
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Evict | Self::Remove => "Pod",
            Self::Roll | Self::Scale => "Deployment",
        }
    }

    fn action(self) -> serde_json::Value {
        match self {
            Self::Evict | Self::Roll => json!({"name": "restart", "type": "restart"}),
            Self::Scale => json!({
                "name": "more", "type": "scale",
                "scaleAction": {"direction": "up", "replicas": 1, "maxReplicas": 5},
            }),
            Self::Remove => json!({"name": "remove", "type": "delete", "requiresApproval": false}),
        }
    }

    /// The writes on the target that make it; scaling leaves a stamp first.
    pub const fn effects(self) -> &'static [Effect] {
        match self {
            Self::Evict => &[Effect::Evict],
            Self::Roll => &[Effect::Patch],
            Self::Scale => &[Effect::Patch, Effect::Scale],
            Self::Remove => &[Effect::Delete],
        }
    }
}

/// Every instant at which an action of `remedy` can be interrupted by its writes.
pub fn labels_of(remedy: Remedy) -> Vec<Label> {
    let mut writes = vec![Write::Status(Phase::InProgress.to_string())];
    for effect in remedy.effects() {
        writes.push(Write::Trial(*effect));
        writes.push(Write::Effect(*effect));
    }
    writes.push(Write::Status(Phase::Verifying.to_string()));
    writes.push(Write::Status(Phase::Succeeded.to_string()));
    let both = |write: Write| [Label::before(write.clone()), Label::after(write)];
    writes.into_iter().flat_map(both).collect()
}

/// How many actions of each remedy, and how many of them the policy allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Pods to evict.
    pub evict: usize,
    /// Deployments to roll.
    pub roll: usize,
    /// Deployments to scale.
    pub scale: usize,
    /// Pods to delete.
    pub remove: usize,
    /// Actions that the policy allows in an hour.
    pub budget: usize,
}

/// An action to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The action's name.
    pub name: String,
    /// What is done.
    pub remedy: Remedy,
    /// To which object.
    pub target: String,
}

/// One namespace with workloads, and what is to be done to them.
pub struct Scene<'a> {
    servers: &'a Servers<'a>,
    namespace: TestNamespace,
    /// What can be asked for; each has a target of its own.
    pub wanted: Vec<Wanted>,
    /// What the policy allows.
    pub budget: usize,
    /// When the scene began.
    pub begun: Timestamp,
}

impl<'a> Scene<'a> {
    /// A namespace of its own, with workloads that are ready and a policy.
    pub async fn set(servers: &'a Servers<'a>, prefix: &str, wants: Wants) -> Self {
        let namespace = servers.control_plane.test_namespace(prefix);
        let mut scene = Self {
            servers,
            namespace,
            wanted: Vec::new(),
            budget: wants.budget,
            begun: runtime::clock::now(),
        };
        scene.apply(wants);
        let pods = scene.ready_pods(wants).await;
        let mut pods = pods.into_iter();
        for (remedy, count) in [(Remedy::Evict, wants.evict), (Remedy::Remove, wants.remove)] {
            for (index, pod) in (0..count).zip(pods.by_ref()) {
                scene.want(remedy, index, pod);
            }
        }
        for (remedy, count) in [(Remedy::Roll, wants.roll), (Remedy::Scale, wants.scale)] {
            for index in 0..count {
                scene.want(remedy, index, workload(remedy, index));
            }
        }
        scene
    }

    fn want(&mut self, remedy: Remedy, index: usize, target: String) {
        let name = format!("{}-{index}", remedy.name());
        self.wanted.push(Wanted {
            name,
            remedy,
            target,
        });
    }

    fn apply(&self, wants: Wants) {
        let name = self.namespace();
        let instance = format!("instance-{name}");
        let lease = [
            lease_role(name),
            bound(SYSTEM, &instance, "Role", &instance),
        ];
        self.servers.control_plane.apply(&lease.join("\n---\n"));
        let delete = "kubeskippy-actuator-delete";
        let mut objects = vec![
            policy(wants.budget),
            bound(name, delete, "ClusterRole", delete),
        ];
        let deployments = [(Remedy::Roll, wants.roll), (Remedy::Scale, wants.scale)];
        let names = deployments
            .into_iter()
            .flat_map(|(remedy, count)| (0..count).map(move |index| workload(remedy, index)));
        objects.extend(names.map(|name| Workload::deployment(&name).manifest()));
        if wants.evict + wants.remove > 0 {
            // some that nobody touches
            let replicas = u32::try_from(wants.evict + wants.remove + 2).unwrap_or(u32::MAX);
            objects.push(Workload::deployment("pods").replicas(replicas).manifest());
        }
        self.namespace.apply(&objects.join("\n---\n"));
    }

    /// Names of the pods to act on, once every Deployment is complete.
    async fn ready_pods(&self, wants: Wants) -> Vec<String> {
        let api: Api<Deployment> = self.api();
        let wait = READY + Duration::from_millis(200) * u32::try_from(wants.evict).unwrap_or(0);
        until("ready workloads", wait, async || {
            let all = api.list(&ListParams::default()).await;
            let all = all.map_err(|error| error.to_string())?;
            let waiting = all.iter().filter(|found| !is_ready(found)).count();
            let none = all.items.is_empty();
            (waiting == 0 && !none)
                .then_some(())
                .ok_or(format!("{waiting} not ready"))
        })
        .await;
        let api: Api<Pod> = self.api();
        let pods = api.list(&ListParams::default().labels("app=pods")).await;
        let pods = pods.expect("pods are listed").into_iter();
        pods.filter_map(|pod| pod.metadata.name).collect()
    }

    /// The namespace's name.
    pub fn namespace(&self) -> &str {
        self.namespace.name()
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.servers.client.clone(), self.namespace())
    }

    /// Creates the actions of `wanted`, several at a time.
    pub async fn ask(&self, wanted: &[Wanted]) {
        let api: Api<HealingAction> = self.api();
        let created = futures::stream::iter(wanted).map(|wanted| {
            let action = json!({
                "apiVersion": "kubeskippy.io/v1alpha1", "kind": "HealingAction",
                "metadata": {"name": wanted.name},
                "spec": {
                    "policyName": "by-hand", "action": wanted.remedy.action(),
                    "targetResource": {"kind": wanted.remedy.kind(), "name": wanted.target},
                },
            });
            let action = serde_json::from_value(action).expect("an action");
            let api = api.clone();
            async move { api.create(&PostParams::default(), &action).await }
        });
        let created: Vec<_> = created.buffer_unordered(8).collect().await;
        for created in created {
            created.expect("an action is created");
        }
    }

    /// A proxy for an actuator.
    pub async fn proxy(&self) -> Proxy {
        let dir = self.servers.control_plane.dir();
        Proxy::start(&self.servers.kubeconfig, dir).await
    }

    /// Starts an actuator behind `proxy`; one that is started again under the
    /// same identity goes on with its own lease.
    pub fn actuator(&self, proxy: &Proxy, identity: &str, more: &[&str]) -> Program {
        let listen = format!("127.0.0.1:{}", free_port());
        let kubeconfig = proxy.kubeconfig().to_str().expect("a path is text");
        let mut arguments = vec![
            "actuator",
            "--nats-url",
            &self.servers.nats_url,
            "--cluster",
            &self.servers.cluster,
            "--kubeconfig",
            kubeconfig,
            "--namespaces",
            self.namespace(),
            "--instance",
            self.namespace(),
            "--identity",
            identity,
            "--stream-megabytes",
            "16",
            "--listen",
            &listen,
            "--cluster-actions-per-hour",
            "100000",
            "--namespace-actions-per-hour",
            "100000",
        ];
        arguments.extend(more);
        let environment = [("KUBESKIPPY_LOG", "info"), ("KUBECONFIG", "")];
        Program::spawn_at(&built_binary("kubeskippy"), &arguments, &environment)
    }

    /// The actions as they are.
    pub async fn actions(&self) -> Vec<HealingAction> {
        let api: Api<HealingAction> = self.api();
        let found = api.list(&ListParams::default()).await;
        found.expect("actions are listed").items
    }

    /// Waits until every action that was asked for ended, or waits for a budget
    /// that is used up; and tells how.
    pub async fn ended(&self, wait: Duration) -> Result<Vec<HealingAction>, String> {
        let begun = std::time::Instant::now();
        loop {
            let actions = self.actions().await;
            let begun_so_far = actions.iter().filter(|action| has_begun(action)).count();
            // A place that a killed actuator had entered holds an action back for a while only.
            let is_used_up = begun_so_far >= self.budget;
            let is_done =
                |action: &&HealingAction| is_over(action) || (is_used_up && waits(action));
            let open: Vec<_> = actions.iter().filter(|action| !is_done(action)).collect();
            if open.is_empty() {
                return Ok(actions);
            }
            if begun.elapsed() > wait {
                let told: Vec<_> = open.iter().map(|action| told(action)).collect();
                return Err(format!("did not end within {wait:?}: {}", told.join("; ")));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Starts an actuator, kills it twice while it begins actions, and lets the
    /// last one end them. Also tells how often it was killed.
    pub async fn restarted(
        &self,
        options: &[&str],
        wait: Duration,
    ) -> (Result<Vec<HealingAction>, String>, usize) {
        let proxy = self.proxy().await;
        let begins = Write::Status(Phase::InProgress.to_string());
        let mut kills = 0;
        for label in [Label::after(begins.clone()), Label::before(begins)] {
            let stop = proxy.hold_at(vec![label], self.budget / 4);
            let mut actuator = self.actuator(&proxy, "only", options);
            if let Ok(Ok(held)) = tokio::time::timeout(wait, stop).await {
                actuator.kill_hard();
                drop(held);
                kills += 1;
            }
        }
        let _last = self.actuator(&proxy, "only", options);
        (self.ended(wait).await, kills)
    }

    /// Who holds the actuators' lease.
    pub fn holder(&self) -> String {
        let lease = format!("kubeskippy-actuator-{}", self.namespace());
        let path = "jsonpath={.spec.holderIdentity}";
        let kubectl = self.servers.control_plane.kubectl();
        let found = kubectl.output(&["-n", SYSTEM, "get", "lease", &lease, "-o", path]);
        String::from_utf8_lossy(&found.stdout).into_owned()
    }

    /// What the actuators' account changed in the namespace, besides telling of it.
    pub fn is_effect(&self, entry: &crate::AuditEntry) -> bool {
        entry.namespace == self.namespace()
            && entry.user == format!("system:serviceaccount:{SYSTEM}:{ACCOUNT}")
            && !matches!(
                entry.resource.as_str(),
                "healingactions" | "healingpolicies" | "events"
            )
    }
}

/// Sends a signal, by its name, to one process.
pub(super) fn signal(program: &Program, name: &str) {
    let sent = Command::new("kill")
        .args([format!("-{name}"), program.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()), "kill works");
}

fn workload(remedy: Remedy, index: usize) -> String {
    format!("{}-{index}", remedy.name())
}

/// The status of an action that may not have been looked at yet.
pub(super) fn status_of(action: &HealingAction) -> HealingActionStatus {
    action.status.clone().unwrap_or_default()
}

fn is_over(action: &HealingAction) -> bool {
    status_of(action).phase.is_final()
}

fn has_begun(action: &HealingAction) -> bool {
    status_of(action).started_at.is_some()
}

/// Whether it was not begun, because the policy's budget held it back when it was last judged.
fn waits(action: &HealingAction) -> bool {
    let held = status_of(action).reason.as_deref() == Some("PolicyBudget");
    held && !has_begun(action)
}

fn told(action: &HealingAction) -> String {
    let name = action.metadata.name.as_deref().unwrap_or_default();
    let status = status_of(action);
    let (reason, message) = (status.reason, status.message);
    format!("{name} {} {reason:?} {message:?}", status.phase)
}

fn is_ready(deployment: &Deployment) -> bool {
    let spec = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let status = deployment.status.as_ref();
    let seen = status.and_then(|status| status.observed_generation);
    seen == deployment.metadata.generation && status.and_then(|s| s.ready_replicas) == spec
}

fn policy(budget: usize) -> String {
    let kinds = [json!({"kind": "Pod"}), json!({"kind": "Deployment"})];
    json!({
        "apiVersion": "kubeskippy.io/v1alpha1", "kind": "HealingPolicy",
        "metadata": {"name": "by-hand"},
        "spec": {
            "selector": {"resources": kinds},
            "triggers": [{"name": "never", "type": "event", "eventTrigger": {"reason": "NeverSeen", "type": "Warning"}}],
            "actions": [Remedy::Evict.action(), Remedy::Scale.action(), Remedy::Remove.action()],
            "safetyRules": {"maxActionsPerHour": budget, "maxConcurrent": 1000},
        },
    })
    .to_string()
}

fn lease_role(instance: &str) -> String {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": format!("instance-{instance}"), "namespace": SYSTEM},
        "rules": [{
            "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "update"],
            "resourceNames": [format!("kubeskippy-actuator-{instance}")],
        }],
    })
    .to_string()
}

/// Gives the actuators' account a role in `namespace`.
fn bound(namespace: &str, name: &str, kind: &str, role: &str) -> String {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": SYSTEM}],
    })
    .to_string()
}
