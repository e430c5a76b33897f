//! What misbehaves, on which kind of node, and how it is made to.
//!
//! Everything is in one namespace. `leaky` leaks; `steady` carries the same
//! label and does not; of three `crashy` pods one has its own state corrupted, so
//! that a restart in place does not help and a fresh pod is well.

use anyhow::Context as _;
use harness::Workload;
use runtime::clock;
use serde_json::{Value, json};

use crate::cluster::{Cluster, repository};
use crate::fact::PodView;
use crate::scene::Scene;
use crate::story::{Story, Victim};

/// The namespace of it all.
pub(crate) const NAMESPACE: &str = "demo-shop";

/// Where the pods run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// On fake nodes.
    Simulated,
    /// The leak on a real node of the kit, the rest on fake ones.
    RealNode,
    /// On a cluster of the user's, with this image.
    Own(String),
}

/// The leak of the story, on a real kernel: at 19 % at once, at 80 % after half
/// a minute, and from there slowly on, until the limit if nobody helps. The
/// kernel's kill comes about three minutes after the start.
const REAL_LEAK: &str = "/bin/leaky leak 510000000 51000000 & /bin/leaky leak 5000000 154000000 & exec /bin/leaky leak 350000";

/// The same with a shell alone, in a volume of memory, which counts as the container's.
const SHELL_LEAK: &str = "head -c 25000000 /dev/zero > /leak/0; i=1; while :; do \
    n=250000; [ $i -gt 32 ] || n=2500000; head -c $n /dev/zero > /leak/$i; i=$((i+1)); sleep 1; done";

/// Dies again and again once its state is corrupt.
const SHELL_CRASH: &str =
    "while [ ! -e /state/corrupt ]; do sleep 1; done; echo 'state is corrupt'; exit 1";

/// The two stories.
pub(crate) fn stories() -> [Story; 2] {
    [
        Story::new("memory leak", "memory-leak-healing", "leaky"),
        Story::new("crash loop", "crash-loop-healing", "crashy"),
    ]
}

impl Ground {
    /// Creates the namespace, the policies and what is well at first.
    pub(crate) async fn prepare(&self, cluster: &Cluster) -> anyhow::Result<()> {
        cluster.kubectl(&["create", "namespace", NAMESPACE]).await?;
        let account = ["-n", NAMESPACE, "wait", "--for=create", "--timeout=30s"];
        cluster
            .kubectl(&[&account[..], &["serviceaccount/default"]].concat())
            .await?;
        for policy in [
            "tests/fixtures/seed/healing-policy.yaml",
            "deploy/samples/crash-loop.yaml",
        ] {
            let file = repository(policy);
            cluster
                .kubectl(&["apply", "-n", NAMESPACE, "-f", &file])
                .await?;
        }
        for workload in self.workloads() {
            cluster.create(NAMESPACE, &workload).await?;
        }
        Ok(())
    }

    fn workloads(&self) -> Vec<String> {
        if let Self::Own(image) = self {
            let sleep = "sleep 1000000";
            return vec![
                shell("steady", image, 2, sleep).to_string(),
                shell("crashy", image, 3, SHELL_CRASH).to_string(),
            ];
        }
        let shop = |name, replicas| {
            Workload::deployment(name)
                .replicas(replicas)
                .memory("98Mi")
                .memory_limit("512Mi")
        };
        let mut all = vec![
            shop("steady", 3).label("issue", "memory-leak").manifest(),
            shop("crashy", 3).memory("64Mi").manifest(),
        ];
        if *self == Self::Simulated {
            // a real leak is slow: 0.3 % of the limit in a minute
            let leaky = shop("leaky", 1).label("issue", "memory-leak");
            all.push(leaky.leak_per_second("26Ki").manifest());
        }
        all
    }

    /// Whether what is well at first is there, measured and ready.
    pub(crate) fn is_prepared(&self, scene: &Scene) -> bool {
        let ready = |app: &str, measured: bool| {
            let of_app = scene.pods.values().filter(|pod| pod.app == app);
            let fine = |pod: &&PodView| pod.ready && (pod.usage.is_some() || !measured);
            of_app.filter(fine).count()
        };
        let leaky = usize::from(*self == Self::Simulated);
        ready("steady", true) >= 2 && ready("crashy", false) == 3 && ready("leaky", true) == leaky
    }

    /// Starts the leak, which on a real kernel means to start its process; says what was done.
    pub(crate) async fn begin_leak(&self, cluster: &Cluster) -> anyhow::Result<String> {
        let text = match self {
            Self::Simulated => {
                let pod = first_pod(cluster, "leaky").await?;
                let now = clock::now().to_string();
                annotate(
                    cluster,
                    &pod.name,
                    &[
                        ("started-at", &now),
                        ("leak-per-second", "10Mi"),
                        ("leak-max", "442Mi"),
                    ],
                )
                .await?;
                format!(
                    "time runs 400 times as fast for {}: it leaks 10 Mi a second",
                    pod.name
                )
            }
            Self::RealNode => {
                let leaky = Workload::deployment("leaky")
                    .label("issue", "memory-leak")
                    .memory_limit("256Mi")
                    .on_real_node(&["/bin/sh", "-c", REAL_LEAK]);
                cluster.create(NAMESPACE, &leaky.manifest()).await?;
                "a process that leaks starts on the real node, with a limit of 256 Mi".to_owned()
            }
            Self::Own(image) => {
                let leaky = shell("leaky", image, 1, SHELL_LEAK);
                cluster.create(NAMESPACE, &leaky.to_string()).await?;
                "a process that leaks starts, with a limit of 128 Mi".to_owned()
            }
        };
        Ok(text)
    }

    /// Corrupts the state of one pod, so that it crashes; says which.
    pub(crate) async fn begin_crash(&self, cluster: &Cluster) -> anyhow::Result<Victim> {
        let pod = first_pod(cluster, "crashy").await?;
        if let Self::Own(_) = self {
            let exec = ["-n", NAMESPACE, "exec", &pod.name, "--"];
            let corrupt = ["/bin/sh", "-c", ": > /state/corrupt"];
            cluster.kubectl(&[&exec[..], &corrupt[..]].concat()).await?;
        } else {
            annotate(
                cluster,
                &pod.name,
                &[("crash-after", "2s"), ("backoff-base", "3")],
            )
            .await?;
        }
        Ok(pod)
    }
}

/// The first of an app's pods, by name.
pub(crate) async fn first_pod(cluster: &Cluster, app: &str) -> anyhow::Result<Victim> {
    let label = format!("app={app}");
    let args = ["-n", NAMESPACE, "get", "pods", "-l", &label, "-o", "json"];
    let list: Value = serde_json::from_str(&cluster.kubectl(&args).await?)?;
    let text = |pointer: &str| list.pointer(pointer).and_then(Value::as_str);
    Ok(Victim {
        name: text("/items/0/metadata/name")
            .with_context(|| format!("there is no pod of {app}"))?
            .to_owned(),
        uid: text("/items/0/metadata/uid").unwrap_or_default().to_owned(),
    })
}

/// Tells the simulation what a running pod does from now on.
async fn annotate(cluster: &Cluster, pod: &str, what: &[(&str, &str)]) -> anyhow::Result<()> {
    let pairs: Vec<_> = what
        .iter()
        .map(|(name, value)| format!("sim.kubeskippy.io/{name}={value}"))
        .collect();
    let mut args = vec!["-n", NAMESPACE, "annotate", "--overwrite", "pod", pod];
    args.extend(pairs.iter().map(String::as_str));
    cluster.kubectl(&args).await?;
    Ok(())
}

/// A Deployment whose pods run a line of shell.
fn shell(name: &str, image: &str, replicas: u32, script: &str) -> Value {
    let mut labels = json!({"app": name});
    if name != "crashy" {
        labels["issue"] = json!("memory-leak");
    }
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": false,
                    "terminationGracePeriodSeconds": 2,
                    "containers": [{
                        "name": "app", "image": image, "command": ["/bin/sh", "-c", script],
                        "resources": {
                            "requests": {"cpu": "10m", "memory": "32Mi"},
                            "limits": {"cpu": "500m", "memory": "128Mi"},
                        },
                        "volumeMounts": [
                            {"name": "leak", "mountPath": "/leak"},
                            {"name": "state", "mountPath": "/state"},
                        ],
                    }],
                    "volumes": [
                        {"name": "leak", "emptyDir": {"medium": "Memory"}},
                        {"name": "state", "emptyDir": {}},
                    ],
                },
            },
        },
    })
}
