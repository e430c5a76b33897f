//! KubeSkippy for one scenario: the three programs as processes of their own, each under its service account.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_nats::jetstream;
use harness::{Program, free_port};
use schemas::subject::{Stream, Subjects};
use serde_json::{Value, json};

use crate::bed::{Bed, SYSTEM};

/// The programs, in the order in which they are started.
const PROGRAMS: [&str; 3] = ["collector", "analyzer", "actuator"];

/// How long a program may take until it is ready.
const READY: Duration = Duration::from_mins(2);

/// Actions of other scenarios are no reason to hold one back, nor are their sick pods.
const APART: [&str; 4] = [
    "--cluster-actions-per-hour",
    "100000",
    "--storm-pods",
    "100",
];

/// What a stack is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose<'a> {
    /// The scenario's namespace; its name is the instance's, too.
    pub(crate) namespace: &'a str,
    /// Whether policies of the system namespace belong to it.
    pub(crate) with_system: bool,
    /// Whether nothing else runs on the cluster, so that its limits need not be lifted.
    pub(crate) alone: bool,
    /// The analyzer's file of models.
    pub(crate) models: Option<&'a Path>,
}

/// The three programs; dropping it ends them.
pub(crate) struct Stack {
    programs: Vec<Program>,
}

impl Stack {
    /// Starts the programs and waits until each says that it is ready.
    pub(crate) async fn start(bed: &Bed, purpose: Purpose<'_>) -> Result<Self> {
        let admin = bed.admin();
        let own = instance(purpose.namespace);
        admin.apply(&own, SYSTEM, &[]).await?;
        let mut running = Vec::new();
        for name in PROGRAMS {
            let account = format!("kubeskippy-{name}");
            let config = bed.plane.kubeconfig_for(SYSTEM, &account).await;
            running.push(spawn(bed, name, &config, purpose)?);
        }
        tokio::task::block_in_place(|| {
            for (program, address) in &mut running {
                program.wait_ready(&format!("http://{address}/readyz"), READY);
            }
        });
        let programs = running.into_iter().map(|(program, _)| program).collect();
        Ok(Self { programs })
    }

    /// What each program logged last, for when something does not work.
    pub(crate) fn tails(&self) -> String {
        let tails = PROGRAMS.iter().zip(&self.programs);
        let tails = tails.map(|(name, program)| format!("\n--- {name}\n{}", program.logs_tail(6)));
        tails.collect::<Vec<_>>().concat()
    }
}

fn spawn(
    bed: &Bed,
    name: &'static str,
    config: &Path,
    purpose: Purpose<'_>,
) -> Result<(Program, String)> {
    let address = format!("127.0.0.1:{}", free_port());
    let nats = bed.nats.url();
    let namespaces = if purpose.with_system {
        format!("{},{SYSTEM}", purpose.namespace)
    } else {
        purpose.namespace.to_owned()
    };
    let config = config.to_str().context("a path is not text")?;
    let mut args = vec![name, "--nats-url", &nats, "--cluster", purpose.namespace];
    args.extend(["--kubeconfig", config, "--namespaces", &namespaces]);
    args.extend(["--instance", purpose.namespace, "--listen", &address]);
    // what JetStream sets aside for each stream
    args.extend(["--stream-megabytes", "16"]);
    match name {
        "collector" => args.extend(["--interval", "5"]),
        "actuator" if !purpose.alone => args.extend(APART),
        "analyzer" => {
            if let Some(models) = purpose.models {
                args.extend(["--models", models.to_str().context("a path is not text")?]);
            }
        }
        _ => {}
    }
    let environment = [("KUBESKIPPY_LOG", "info"), ("KUBECONFIG", "")];
    Ok((Program::spawn("kubeskippy", &args, &environment), address))
}

/// What lets the programs of an instance hold leases and an anchor of their own, as operations.md describes.
fn instance(name: &str) -> [Value; 3] {
    let kinds = PROGRAMS.iter();
    let leases: Vec<_> = kinds
        .clone()
        .map(|it| format!("kubeskippy-{it}-{name}"))
        .collect();
    let account = |program: &&str| json!({"kind": "ServiceAccount", "name": format!("kubeskippy-{program}"), "namespace": SYSTEM});
    let anchor = format!("kubeskippy-journal-{name}");
    let (role, group) = (format!("instance-{name}"), "rbac.authorization.k8s.io");
    [
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": role},
            "rules": [
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": leases, "verbs": ["get", "update"]},
                {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [anchor], "verbs": ["get", "update"]},
            ],
        }),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": anchor}}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": role},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": role},
            "subjects": kinds.map(account).collect::<Vec<_>>(),
        }),
    ]
}

/// Removes what a stack left on the bus, so that the streams of many do not fill it.
pub(crate) async fn forget(nats: &async_nats::Client, cluster: &str) {
    let js = jetstream::new(nats.clone());
    let subjects = Subjects::new(cluster);
    for stream in Stream::ALL {
        // a stream that is not there need not be removed
        drop(js.delete_stream(subjects.stream_name(stream)).await);
    }
}
