//! The servers, the programs and the load that everything is measured on.
//!
//! Dropping a bed ends the programs, then the bus, then the control plane.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use harness::{
    ControlPlane, Nats, Options, Program, TestNamespace, built_binary, free_port, http_get, until,
};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams};
use kube::{Client, Resource};
use schemas::policy::HealingPolicy;

use crate::args::Scene;
use crate::exposition::{Histograms, histograms};
use crate::load;
use crate::meter::Look;
use crate::traffic::Bus;

/// Where KubeSkippy's service accounts live.
const SYSTEM: &str = "kubeskippy-system";

/// The cluster's name on the bus.
const CLUSTER: &str = "bench";

const PARTS: [&str; 3] = ["collector", "analyzer", "actuator"];

/// From this number of nodes on, KWOK renews their leases less often and the
/// controllers wait longer for them, or nodes get lost on two busy cores.
const MANY_NODES: u32 = 200;

/// One of the three programs.
struct Part {
    name: &'static str,
    program: Program,
    address: String,
}

/// Everything that runs, in the order in which it ends.
pub(crate) struct Bed {
    parts: Vec<Part>,
    nats: Nats,
    namespace: TestNamespace,
    control_plane: ControlPlane,
    pub(crate) client: Client,
    binary: PathBuf,
}

impl Bed {
    /// Boots the servers, runs the pods until all are ready, applies the policies,
    /// starts the programs and waits until every pod's usage is evaluated.
    pub(crate) async fn start(scene: &Scene) -> Result<Self> {
        let Scene {
            pods,
            policies,
            interval,
            binary,
        } = scene;
        let binary = binary.clone().unwrap_or_else(|| built_binary("kubeskippy"));
        if !binary.is_file() {
            bail!(
                "{} is not a file: name a built kubeskippy",
                binary.display()
            );
        }
        let control_plane = ControlPlane::start(&options(load::nodes(*pods)));
        install(&control_plane)?;
        let mut bed = Self {
            parts: Vec::new(),
            nats: Nats::start(),
            namespace: control_plane.test_namespace("bench"),
            client: control_plane.client().await,
            control_plane,
            binary,
        };
        bed.run_pods(*pods).await;
        for policy in load::policies(*policies) {
            bed.namespace.apply(&policy.to_string());
        }
        for name in PARTS {
            bed.spawn(name, *interval).await?;
        }
        let begun = runtime::clock::now();
        for part in &mut bed.parts {
            let url = format!("http://{}/readyz", part.address);
            part.program.wait_ready(&url, Duration::from_mins(2));
        }
        bed.evaluated(*pods, *interval, begun).await;
        Ok(bed)
    }

    async fn run_pods(&self, pods: u32) {
        say(&format!("creating {pods} pods"));
        for workload in load::workloads(pods) {
            self.namespace.create_workload(&workload);
        }
        let api: Api<Deployment> = self.api();
        let wait = Duration::from_secs(60 + u64::from(pods) / 10);
        until(&format!("{pods} ready pods"), wait, async || {
            let all = api.list(&ListParams::default()).await;
            let all = all.map_err(|error| runtime::chain(&error))?;
            let ready = |deployment: Deployment| deployment.status?.ready_replicas;
            let ready: i32 = all.into_iter().filter_map(ready).sum();
            if i64::from(ready) == i64::from(pods) {
                Ok(())
            } else {
                Err(format!("{ready} ready"))
            }
        })
        .await;
    }

    async fn spawn(&mut self, name: &'static str, interval: u16) -> Result<()> {
        let account = format!("kubeskippy-{name}");
        let config = self.control_plane.kubeconfig_for(SYSTEM, &account).await;
        let address = format!("127.0.0.1:{}", free_port());
        let (nats, interval) = (self.nats.url(), interval.to_string());
        let mut arguments = vec![
            name,
            "--nats-url",
            &nats,
            "--cluster",
            CLUSTER,
            "--kubeconfig",
            path_text(&config)?,
            "--listen",
            &address,
        ];
        if name == "collector" {
            arguments.extend(["--interval", &interval]);
        }
        let environment = [("KUBESKIPPY_LOG", "info"), ("KUBECONFIG", "")];
        let program = Program::spawn_at(&self.binary, &arguments, &environment);
        self.parts.push(Part {
            name,
            program,
            address,
        });
        Ok(())
    }

    /// Waits until the acting policy was evaluated with data for every pod.
    async fn evaluated(&self, pods: u32, interval: u16, begun: Timestamp) {
        say("waiting until every pod's usage is evaluated");
        let api: Api<HealingPolicy> = self.api();
        let wait = Duration::from_secs(120 + 4 * u64::from(interval));
        until(
            "a policy that is evaluated for every pod",
            wait,
            async || {
                let policy = api.get(load::ACTING).await;
                let policy = policy.map_err(|error| runtime::chain(&error))?;
                let tails = || format!("{:?}{}", policy.status, self.tails());
                let status = policy.status.as_ref().ok_or_else(tails)?;
                let fresh = status.last_evaluated.is_some_and(|at| at >= begun);
                let complete = status.targets == pods && status.no_data.is_empty();
                if fresh && complete {
                    Ok(())
                } else {
                    Err(tails())
                }
            },
        )
        .await;
    }

    /// An API in the namespace of the load.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// The bus, to look at.
    pub(crate) async fn bus(&self) -> Bus {
        Bus::new(self.nats.client().await, CLUSTER)
    }

    /// One look at the three programs.
    pub(crate) fn look(&self) -> Result<Look> {
        let id = |part: &Part| (part.name.to_owned(), part.program.id());
        Look::at(&self.parts.iter().map(id).collect::<Vec<_>>())
    }

    /// Every histogram of the three programs.
    pub(crate) fn histograms(&self) -> Result<Histograms> {
        let mut all = BTreeMap::new();
        for part in &self.parts {
            let (_, text) = http_get(&part.address, "/metrics").map_err(anyhow::Error::msg)?;
            all.extend(histograms(&text));
        }
        Ok(all)
    }

    /// When the API server received each HealingAction from the analyzer, by name.
    pub(crate) fn proposed(&self) -> BTreeMap<String, Timestamp> {
        let log = self.control_plane.audit_entries();
        let log = log
            .by_service_account(SYSTEM, "kubeskippy-analyzer")
            .of_resource("healingactions")
            .effective();
        let mut first = BTreeMap::new();
        for entry in log.entries() {
            if entry.subresource.is_empty() {
                first.entry(entry.name.clone()).or_insert(entry.at);
            }
        }
        first
    }

    /// What the programs logged last.
    pub(crate) fn tails(&self) -> String {
        let tail = |part: &Part| format!("\n--- {}\n{}", part.name, part.program.logs_tail(8));
        self.parts.iter().map(tail).collect()
    }

    /// How the measured binary was compiled, by the folder cargo put it into.
    pub(crate) fn profile(&self) -> &'static str {
        let folder = self.binary.parent().and_then(Path::file_name);
        match folder.and_then(|name| name.to_str()) {
            Some("debug") => "dev profile (not optimised)",
            Some("release") => "release profile",
            Some(_) | None => "a profile that its path does not tell",
        }
    }
}

fn options(nodes: u32) -> Options {
    let mut settings = BTreeMap::new();
    if nodes >= MANY_NODES {
        let mut set = |name: &str, value: &str| settings.insert(name.to_owned(), value.to_owned());
        set("KWOK_LEASE", "200");
        set("KCM_ARGS", "--node-monitor-grace-period 240s");
    }
    Options {
        nodes,
        prometheus: false,
        settings,
    }
}

/// Installs what `deploy/` holds.
fn install(control_plane: &ControlPlane) -> Result<()> {
    let tests = harness::tests_dir();
    let deploy = tests.parent().context("tests/ is in the repository")?;
    for part in ["namespace.yaml", "crds", "rbac", "admission"] {
        let path = deploy.join("deploy").join(part);
        let apply = ["apply", "--server-side", "--validate=strict", "-f"];
        control_plane
            .kubectl()
            .ok(&[&apply[..], &[path_text(&path)?]].concat());
    }
    control_plane.kubectl().ok(&[
        "wait",
        "--for=condition=Established",
        "crd",
        "healingpolicies.kubeskippy.io",
        "healingactions.kubeskippy.io",
        "--timeout=30s",
    ]);
    Ok(())
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not text", path.display()))
}

/// Tells what goes on, beside the results.
#[expect(clippy::print_stderr, reason = "progress is for the person who waits")]
pub(crate) fn say(text: &str) {
    eprintln!("bench: {text}");
}
