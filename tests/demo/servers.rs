//! The servers of a show: the kit's own, or a cluster of the user's.

use std::path::Path;

use anyhow::Context as _;
use harness::{AuditLog, ControlPlane, Kit, Nats, Options, Part, RealNode};

use crate::args::{Args, Node};
use crate::cluster::{Cluster, repository};
use crate::own::Own;
use crate::scenario::Ground;

/// The exit status that says: no real node can run here.
pub(crate) const NO_REAL_NODE: u8 = 3;

/// Why there are no servers.
pub(crate) enum Refusal {
    /// This machine cannot run a real node.
    NoRealNode(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Running servers. They end in the order of the fields when this is dropped.
pub(crate) struct Servers {
    /// The bus.
    pub(crate) nats: Nats,
    /// The cluster, as its administrator.
    pub(crate) cluster: Cluster,
    /// Where the pods run.
    pub(crate) ground: Ground,
    /// On a cluster of the user's: what was created there.
    pub(crate) own: Option<Own>,
    _real_node: Option<RealNode>,
    plane: Option<ControlPlane>,
}

impl Servers {
    /// Starts what `args` ask for and installs KubeSkippy's objects.
    pub(crate) async fn start(args: &Args) -> Result<Self, Refusal> {
        let kit = tokio::task::block_in_place(|| Kit::ensure(&[Part::Core]));
        let kubectl = kit.binary("kubectl");
        match &args.kubeconfig {
            Some(kubeconfig) => Self::on_own(args, kubeconfig, kubectl).await,
            None => Self::on_kit(args, kubectl).await,
        }
    }

    async fn on_kit(args: &Args, kubectl: std::path::PathBuf) -> Result<Self, Refusal> {
        let plane = tokio::task::block_in_place(|| ControlPlane::start(&Options::default()));
        let ground = match args.node {
            Node::Simulated => Ground::Simulated,
            Node::Real => Ground::RealNode,
        };
        let real_node = match args.node {
            Node::Simulated => None,
            Node::Real => Some(
                tokio::task::block_in_place(|| plane.join_real_node())
                    .map_err(Refusal::NoRealNode)?,
            ),
        };
        let cluster = Cluster::open(&plane.kubeconfig(), kubectl).await?;
        for part in ["namespace.yaml", "crds", "rbac", "admission"] {
            apply(&cluster, part).await?;
        }
        established(&cluster).await?;
        Ok(Self {
            nats: tokio::task::block_in_place(Nats::start),
            cluster,
            ground,
            own: None,
            _real_node: real_node,
            plane: Some(plane),
        })
    }

    async fn on_own(
        args: &Args,
        kubeconfig: &Path,
        kubectl: std::path::PathBuf,
    ) -> Result<Self, Refusal> {
        let cluster = Cluster::open(kubeconfig, kubectl).await?;
        let mut own = Own::agreed(&cluster, args).await?;
        if let Err(error) = own.install(&cluster).await {
            own.remove(&cluster).await?;
            return Err(error.into());
        }
        Ok(Self {
            nats: tokio::task::block_in_place(Nats::start),
            cluster,
            ground: Ground::Own(args.image.clone()),
            own: Some(own),
            _real_node: None,
            plane: None,
        })
    }

    /// Who wrote what; there only on the kit's own control plane.
    pub(crate) fn audit(&self) -> Option<AuditLog> {
        self.plane.as_ref().map(ControlPlane::audit_entries)
    }

    /// A file to source, for kubectl and nats on the kit's own control plane.
    pub(crate) fn env_file(&self) -> Option<String> {
        let dir = self.plane.as_ref()?.dir();
        Some(dir.join("env").display().to_string())
    }
}

/// Applies what a part of `deploy/` holds.
pub(crate) async fn apply(cluster: &Cluster, part: &str) -> anyhow::Result<String> {
    let path = repository(&format!("deploy/{part}"));
    cluster
        .kubectl(&[
            "apply",
            "--server-side",
            "--validate=strict",
            "-o",
            "name",
            "-f",
            &path,
        ])
        .await
        .with_context(|| format!("failed to install deploy/{part}"))
}

/// Waits until the API server serves the custom resources.
pub(crate) async fn established(cluster: &Cluster) -> anyhow::Result<()> {
    cluster
        .kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "crd/healingpolicies.kubeskippy.io",
            "crd/healingactions.kubeskippy.io",
        ])
        .await?;
    Ok(())
}
