//! The servers that scenarios run on, with KubeSkippy's objects installed.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use harness::{ControlPlane, Nats, Options};
use kube::Client;

use crate::admin::Admin;

/// Where KubeSkippy's service accounts live.
pub(crate) const SYSTEM: &str = "kubeskippy-system";

/// Nodes that any pod may run on. A scenario may bring nodes of its own.
const NODES: u32 = 6;

/// Binds the role with which the actuator may cordon and drain nodes, as an administrator would.
const MAY_CHANGE_NODES: [&str; 5] = [
    "create",
    "clusterrolebinding",
    "kubeskippy-actuator-nodes",
    "--clusterrole=kubeskippy-actuator-nodes",
    "--serviceaccount=kubeskippy-system:kubeskippy-actuator",
];

/// Running servers. They end in the order of the fields when this is dropped.
pub(crate) struct Bed {
    /// The bus.
    pub(crate) nats: Nats,
    /// The control plane.
    pub(crate) plane: ControlPlane,
    /// A client as the administrator.
    pub(crate) client: Client,
}

impl Bed {
    /// Boots everything and installs what `deploy/` holds.
    pub(crate) async fn start() -> Result<Arc<Self>> {
        let options = Options {
            nodes: NODES,
            ..Options::default()
        };
        let (plane, nats) =
            tokio::task::block_in_place(|| (ControlPlane::start(&options), Nats::start()));
        let client = plane.client().await;
        let bed = Self {
            nats,
            plane,
            client,
        };
        install(&bed.admin()).await?;
        Ok(Arc::new(bed))
    }

    /// kubectl as the administrator.
    pub(crate) fn admin(&self) -> Admin {
        Admin::new(self.plane.kubectl().clone())
    }

    /// Lines to paste, for whoever looks around.
    pub(crate) fn look_around(&self) -> String {
        format!(
            "Everything is left up. In another terminal:\n\n  . {}; export NATS_URL={}\n  kubectl get hp,ha -A\n\n\
             To end it all: Ctrl-C here, or  kill {}",
            self.plane.dir().join("env").display(),
            self.nats.url(),
            std::process::id()
        )
    }
}

/// Installs what `deploy/` holds and waits until the API server serves it.
pub(crate) async fn install(admin: &Admin) -> Result<()> {
    let deploy = harness::tests_dir().join("../deploy");
    for part in ["namespace.yaml", "crds", "rbac", "admission"] {
        apply(admin, &deploy.join(part)).await?;
    }
    let kinds = [
        "crd/healingpolicies.kubeskippy.io",
        "crd/healingactions.kubeskippy.io",
    ];
    let wait = ["wait", "--for=condition=Established", "--timeout=60s"];
    admin.run(&[wait.as_slice(), &kinds].concat()).await?;
    admin.run(&MAY_CHANGE_NODES).await.map(|_| ())
}

async fn apply(admin: &Admin, path: &Path) -> Result<()> {
    let path = path.display().to_string();
    let args = ["apply", "--server-side", "--validate=strict", "-f", &path];
    let done = admin.run(&args).await;
    done.map(|_| ())
        .with_context(|| format!("failed to install {path}"))
}
