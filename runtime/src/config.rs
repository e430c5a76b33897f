//! The options that every program has.

use std::net::SocketAddr;

use clap::Args;

use crate::{bus::BusArgs, kube::KubeArgs, lease::LeaseArgs};

/// The options that every program has.
#[derive(Clone, Debug, Args)]
pub struct CommonArgs {
    /// The bus.
    #[command(flatten)]
    pub bus: BusArgs,

    /// The Kubernetes API.
    #[command(flatten)]
    pub kube: KubeArgs,

    /// Which replica acts.
    #[command(flatten)]
    pub lease: LeaseArgs,

    /// Address of /healthz, /readyz and /metrics; port 0 picks a free one, which the log names.
    #[arg(long, env = "KUBESKIPPY_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Namespaces to work in, separated by commas: objects and policies
    /// elsewhere are left alone. Left out: all.
    #[arg(long, env = "KUBESKIPPY_NAMESPACES", value_delimiter = ',')]
    pub namespaces: Vec<String>,
}

impl CommonArgs {
    /// Whether `namespace` is one to work in. Objects of the whole cluster (an empty namespace) always are.
    pub fn works_in(&self, namespace: &str) -> bool {
        namespace.is_empty()
            || self.namespaces.is_empty()
            || self.namespaces.iter().any(|name| name == namespace)
    }
}
