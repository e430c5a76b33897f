//! KubeSkippy as it is run in earnest, for one test: the three programs as
//! processes of their own, each under its own service account, in one namespace
//! and under one cluster name, on servers that the tests share.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use async_nats::jetstream::{
    self,
    consumer::{DeliverPolicy, pull::OrderedConfig},
};
use futures::StreamExt as _;
use harness::{
    ControlPlane, Program, Shared, TestNamespace, cluster_name, free_port, http_get, until,
    until_blocking,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use schemas::{
    action::{HealingAction, Phase},
    alert::{Alert, AlertKind},
    envelope::Envelope,
    object::ObjectState,
    policy::HealingPolicy,
    subject::{Stream, Subjects},
};

/// Where KubeSkippy's service accounts live.
pub(crate) const SYSTEM: &str = "kubeskippy-system";

/// How long a program may take to be ready.
const READY: Duration = Duration::from_mins(1);

/// One of the three programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Collector,
    Analyzer,
    Actuator,
    /// All three in one process.
    Together,
}

impl Part {
    const ALL: [Self; 3] = [Self::Collector, Self::Analyzer, Self::Actuator];

    fn command(self) -> &'static str {
        match self {
            Self::Collector => "collector",
            Self::Analyzer => "analyzer",
            Self::Actuator => "actuator",
            Self::Together => "run",
        }
    }

    fn account(self) -> String {
        format!("kubeskippy-{}", self.command())
    }
}

/// A running program and where it answers.
pub(crate) struct Running {
    pub(crate) program: Program,
    address: String,
}

impl Running {
    /// The sum of a metric over its labels; zero while nothing is exported.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let Ok((_, text)) = http_get(&self.address, "/metrics") else {
            return 0.0;
        };
        text.lines()
            .filter(|line| line.starts_with(name))
            .filter(|line| matches!(line.as_bytes().get(name.len()), Some(b' ' | b'{')))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

/// KubeSkippy in one namespace.
pub(crate) struct Stack<'a> {
    shared: &'a Shared,
    /// The test's namespace.
    pub(crate) namespace: TestNamespace,
    /// The cluster's name on the bus.
    pub(crate) cluster: String,
    pub(crate) nats_url: String,
    parts: BTreeMap<Part, Running>,
    collector_options: Vec<&'static str>,
    analyzer_options: Vec<String>,
    client: Client,
}

/// Installs what `deploy/` holds, once for all tests.
fn install(control_plane: &ControlPlane) {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let deploy = repository().join("deploy");
        for part in ["namespace.yaml", "crds", "rbac", "admission"] {
            let path = deploy.join(part);
            let path = path.to_str().expect("a path is text");
            control_plane.kubectl().ok(&[
                "apply",
                "--server-side",
                "--validate=strict",
                "-f",
                path,
            ]);
        }
        control_plane.kubectl().ok(&[
            "wait",
            "--for=condition=Established",
            "crd",
            "healingpolicies.kubeskippy.io",
            "healingactions.kubeskippy.io",
            "--timeout=30s",
        ]);
        // the short names come a moment after the kinds
        until_blocking("the kinds of KubeSkippy", READY, || {
            let found = control_plane
                .kubectl()
                .output(&["get", "hp,ha", "--all-namespaces"]);
            if found.status.success() {
                Ok(())
            } else {
                Err(String::from_utf8_lossy(&found.stderr).into_owned())
            }
        });
        guarded(control_plane);
    });
}

/// Waits until the API server enforces the admission policies, which it does a moment after it took them.
fn guarded(control_plane: &ControlPlane) {
    const PROBE: &str = "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingAction
metadata: {name: admission-probe, namespace: default}
spec:
  policyName: probe
  targetResource: {kind: Pod, name: probe}
  action: {name: probe, type: restart}
";
    control_plane.apply(PROBE);
    let patch = [
        "patch",
        "healingaction",
        "admission-probe",
        "--type=merge",
        "--dry-run=server",
    ];
    let tries = [
        // nothing is planned, so there is nothing to approve
        vec![
            "--patch",
            r#"{"spec":{"approval":{"approvedBy":"admin","digest":"0"}}}"#,
        ],
        // an opinion in the name of somebody else
        vec![
            "--patch",
            r#"{"spec":{"feedback":[{"by":"nobody","opinion":"useful"}]}}"#,
        ],
        // somebody else's account, which RBAC alone would let in
        vec![
            "--patch",
            r#"{"status":{"digest":"0"}}"#,
            "--subresource=status",
            "--as=system:serviceaccount:default:default",
            "--as-group=system:masters",
        ],
    ];
    for more in tries {
        let kubectl = control_plane.kubectl().in_namespace("default");
        until_blocking("the admission policies", READY, || {
            let answer = kubectl.output(&[&patch, more.as_slice()].concat());
            let words = String::from_utf8_lossy(&answer.stderr).into_owned();
            let refused = !answer.status.success() && words.contains("ValidatingAdmissionPolicy");
            refused.then_some(()).ok_or(words)
        });
    }
    control_plane.kubectl().ok(&[
        "delete",
        "healingaction",
        "admission-probe",
        "-n",
        "default",
    ]);
}

/// What lets the programs of the instance `name` hold leases of their own, as operations.md describes.
fn instance_leases(name: &str) -> String {
    let subjects: String = Part::ALL
        .iter()
        .map(|part| {
            let account = part.account();
            format!("- {{kind: ServiceAccount, name: {account}, namespace: {SYSTEM}}}\n")
        })
        .collect::<Vec<_>>()
        .concat();
    format!(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: instance-{name}, namespace: {SYSTEM}}}
rules:
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [kubeskippy-collector-{name}, kubeskippy-analyzer-{name}, kubeskippy-actuator-{name}]
  verbs: [get, update]
- apiGroups: ['']
  resources: [configmaps]
  resourceNames: [kubeskippy-journal-{name}]
  verbs: [get, update]
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: kubeskippy-journal-{name}, namespace: {SYSTEM}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: instance-{name}, namespace: {SYSTEM}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: instance-{name}}}
subjects:
{subjects}"
    )
}

/// The repository's root.
pub(crate) fn repository() -> PathBuf {
    harness::tests_dir()
        .parent()
        .expect("tests/ is in the repository")
        .to_owned()
}

impl<'a> Stack<'a> {
    /// A namespace with the CRDs installed and nothing running.
    pub(crate) async fn new(shared: &'a Shared, name: &str) -> Self {
        Self::on_bus(shared, name, shared.nats().url()).await
    }

    /// As [`Stack::new`], on a bus of its own.
    pub(crate) async fn on_bus(shared: &'a Shared, name: &str, nats_url: String) -> Self {
        let control_plane = shared.control_plane();
        install(control_plane);
        let namespace = control_plane.test_namespace(name);
        control_plane.apply(&instance_leases(namespace.name()));
        Self {
            shared,
            namespace,
            cluster: cluster_name(name),
            nats_url,
            parts: BTreeMap::new(),
            collector_options: Vec::new(),
            analyzer_options: Vec::new(),
            client: control_plane.client().await,
        }
    }

    /// Gives the collector further options.
    pub(crate) fn collect_with(&mut self, options: &[&'static str]) {
        self.collector_options.extend(options);
    }

    /// Gives the analyzer further options.
    pub(crate) fn analyze_with(&mut self, options: &[&str]) {
        let options = options.iter().map(|&option| option.to_owned());
        self.analyzer_options.extend(options);
    }

    /// Starts all three programs and waits until they are ready.
    pub(crate) async fn start(&mut self) {
        for part in Part::ALL {
            self.start_part(part).await;
        }
        for part in Part::ALL {
            self.ready(part);
        }
    }

    /// Starts one program, or another one in its place.
    pub(crate) async fn start_part(&mut self, part: Part) {
        let running = self.spawn(part, &[]).await;
        self.parts.insert(part, running);
    }

    /// Makes a program that was started by itself one of this stack's.
    pub(crate) fn keep(&mut self, part: Part, running: Running) {
        self.parts.insert(part, running);
    }

    /// A program that this stack does not keep: a second replica.
    pub(crate) async fn spawn(&self, part: Part, more: &[&str]) -> Running {
        let config = self
            .shared
            .control_plane()
            .kubeconfig_for(SYSTEM, &part.account())
            .await;
        self.spawn_as(part, &config, more)
    }

    /// Starts one process that is all three programs, as the administrator, and waits until it is ready.
    pub(crate) fn start_together(&mut self) {
        let config = self.shared.control_plane().kubeconfig();
        let running = self.spawn_as(Part::Together, &config, &[]);
        self.parts.insert(Part::Together, running);
        self.ready(Part::Together);
    }

    fn spawn_as(&self, part: Part, config: &Path, more: &[&str]) -> Running {
        let address = format!("127.0.0.1:{}", free_port());
        let mut arguments = vec![
            part.command(),
            "--nats-url",
            &self.nats_url,
            "--cluster",
            &self.cluster,
            "--kubeconfig",
            config.to_str().expect("a path is text"),
            "--namespaces",
            self.namespace.name(),
            "--instance",
            self.namespace.name(),
            "--lease-seconds",
            "4",
            // what JetStream sets aside for each stream of each test
            "--stream-megabytes",
            "16",
            "--listen",
            &address,
        ];
        if matches!(part, Part::Collector | Part::Together) {
            arguments.extend(["--interval", "1"]);
            arguments.extend(&self.collector_options);
        }
        if matches!(part, Part::Analyzer | Part::Together) {
            arguments.extend(self.analyzer_options.iter().map(String::as_str));
        }
        arguments.extend(more);
        let program = Program::spawn("kubeskippy", &arguments, &[("KUBESKIPPY_LOG", "info")]);
        Running { program, address }
    }

    /// Waits until `part` says that it is ready.
    pub(crate) fn ready(&mut self, part: Part) {
        let Running { program, address } = self.parts.get_mut(&part).expect("the program runs");
        let url = format!("http://{address}/readyz");
        tokio::task::block_in_place(|| program.wait_ready(&url, READY));
    }

    /// A program of this stack.
    pub(crate) fn part(&mut self, part: Part) -> &mut Running {
        self.parts.get_mut(&part).expect("the program runs")
    }

    /// Pods of the test's namespace.
    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// Names and UIDs of the pods that carry `label`.
    pub(crate) async fn pod_uids(&self, label: &str) -> BTreeMap<String, String> {
        let pods = self.pods().list(&ListParams::default().labels(label)).await;
        pods.expect("pods are listed")
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .filter_map(|pod| Some((pod.metadata.name?, pod.metadata.uid?)))
            .collect()
    }

    /// Waits until `count` pods that carry `label` are ready.
    pub(crate) async fn ready_pods(&self, label: &str, count: usize) -> BTreeMap<String, String> {
        until(
            &format!("{count} ready pods {label}"),
            Duration::from_mins(1),
            async || {
                let pods = self.pods().list(&ListParams::default().labels(label)).await;
                let pods = pods.map_err(|error| error.to_string())?.items;
                let ready: Vec<_> = pods.into_iter().filter(is_ready).collect();
                if ready.len() == count {
                    Ok(ready
                        .into_iter()
                        .filter_map(|pod| Some((pod.metadata.name?, pod.metadata.uid?)))
                        .collect())
                } else {
                    Err(format!("{} ready", ready.len()))
                }
            },
        )
        .await
    }

    /// The API of the namespace's HealingActions, as the administrator.
    pub(crate) fn actions_api(&self) -> Api<HealingAction> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// The HealingActions of the namespace.
    pub(crate) async fn actions(&self) -> Vec<HealingAction> {
        let api = self.actions_api();
        api.list(&ListParams::default())
            .await
            .expect("actions are listed")
            .items
    }

    /// Waits until one HealingAction is in `phase`, and returns it.
    pub(crate) async fn action_in(&self, phase: Phase, timeout: Duration) -> HealingAction {
        until(
            &format!("an action in phase {phase}"),
            timeout,
            async || {
                let actions = self.actions().await;
                let seen = format!("{:?}; {}", summary(&actions), self.tails());
                actions
                    .into_iter()
                    .find(|action| phase_of(action) == phase)
                    .ok_or(seen)
            },
        )
        .await
    }

    /// A HealingPolicy as it is now.
    pub(crate) async fn policy(&self, name: &str) -> HealingPolicy {
        let api: Api<HealingPolicy> = Api::namespaced(self.client.clone(), self.namespace.name());
        api.get(name).await.expect("the policy is there")
    }

    /// Merges `patch` into a HealingAction as the administrator.
    pub(crate) async fn patch_action(&self, name: &str, patch: serde_json::Value) {
        let api: Api<HealingAction> = Api::namespaced(self.client.clone(), self.namespace.name());
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("the action is patched");
    }

    /// What subscribers were told so far.
    pub(crate) async fn alerts(&self) -> Vec<Alert> {
        let payloads = self.payloads(Stream::Alerts).await;
        let told = payloads.iter().map(|payload| {
            let event: Envelope<Alert> =
                serde_json::from_slice(payload).expect("an alert is a CloudEvent");
            event.data
        });
        told.collect()
    }

    /// The last word on each object that the collector told of, by UID.
    pub(crate) async fn objects(&self) -> BTreeMap<String, ObjectState> {
        let payloads = self.payloads(Stream::Objects).await;
        let told = payloads.iter().map(|payload| {
            let state: ObjectState =
                serde_json::from_slice(payload).expect("what is told of an object");
            (state.target.uid.clone(), state)
        });
        told.collect()
    }

    /// What a stream holds, the oldest first; nothing before there is one.
    async fn payloads(&self, stream: Stream) -> Vec<Vec<u8>> {
        let client = async_nats::connect(&self.nats_url)
            .await
            .expect("NATS answers");
        let js = jetstream::new(client);
        let name = Subjects::new(&self.cluster).stream_name(stream);
        let Ok(mut stream) = js.get_stream(&name).await else {
            return Vec::new();
        };
        let info = stream.info().await.expect("the stream is there");
        if info.state.messages == 0 {
            return Vec::new();
        }
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::All,
            ..OrderedConfig::default()
        };
        let consumer = stream.create_consumer(config).await.expect("a consumer");
        let mut messages = consumer.messages().await.expect("messages");
        let mut payloads = Vec::new();
        // A newer state takes the place of an older one meanwhile, so counting would wait for ever.
        while let Some(message) = messages.next().await {
            let message = message.expect("a message");
            payloads.push(message.payload.to_vec());
            if message.info().expect("what JetStream says of it").pending == 0 {
                break;
            }
        }
        payloads
    }

    /// Waits until subscribers were told of `kind`.
    pub(crate) async fn alert(&self, kind: AlertKind, timeout: Duration) -> Alert {
        until(&format!("an alert {kind:?}"), timeout, async || {
            let alerts = self.alerts().await;
            let kinds: Vec<_> = alerts.iter().map(|alert| alert.kind).collect();
            let found = alerts.into_iter().find(|alert| alert.kind == kind);
            found.ok_or_else(|| format!("{kinds:?}; {}", self.tails()))
        })
        .await
    }

    /// What the programs logged last.
    pub(crate) fn tails(&self) -> String {
        let tail = |(part, running): (&Part, &Running)| {
            format!("\n--- {part:?}\n{}", running.program.logs_tail(8))
        };
        self.parts.iter().map(tail).collect::<Vec<_>>().concat()
    }
}

/// The phase of an action that may not have been looked at yet.
pub(crate) fn phase_of(action: &HealingAction) -> Phase {
    action
        .status
        .as_ref()
        .map(|status| status.phase)
        .unwrap_or_default()
}

/// Target and phase of each action, for messages.
pub(crate) fn summary(actions: &[HealingAction]) -> Vec<(String, Phase)> {
    actions
        .iter()
        .map(|action| (action.spec.target_resource.name.clone(), phase_of(action)))
        .collect()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions
            .is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}
