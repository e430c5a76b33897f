//! A cluster of the user's: asked before, and left as it was found.
//!
//! What is there already is never changed: the demo refuses when KubeSkippy, or
//! a namespace of the demo's name, is there, and uses CRDs that are there as they are.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use kube::config::Kubeconfig;

use crate::args::Args;
use crate::cluster::{Cluster, repository};
use crate::programs::SYSTEM;
use crate::scenario::NAMESPACE;
use crate::servers::{apply, established};

/// What the demo created on a cluster of the user's.
pub(crate) struct Own {
    /// Whether the CRDs are the demo's own.
    crds: bool,
    /// Arguments of `kubectl delete`, the last first.
    created: Vec<Vec<String>>,
}

impl Own {
    /// Sees that nothing is in the way, and asks.
    pub(crate) async fn agreed(cluster: &Cluster, args: &Args) -> anyhow::Result<Self> {
        let (context, server) = whereabouts(cluster)?;
        let metrics = ["get", "--raw", "/apis/metrics.k8s.io/v1beta1"];
        cluster.kubectl(&metrics).await.with_context(|| {
            format!("{server} serves no metrics API; install metrics-server first")
        })?;
        let rbac = repository("deploy/rbac");
        let admission = repository("deploy/admission");
        let exists = async |args: &[&str]| -> anyhow::Result<String> {
            let args = [&["get", "--ignore-not-found", "-o", "name"], args].concat();
            Ok(cluster.kubectl(&args).await?.trim().to_owned())
        };
        let in_the_way = [
            exists(&["namespace", SYSTEM, NAMESPACE]).await?,
            exists(&["-f", &rbac]).await.unwrap_or_default(),
            exists(&["-f", &admission]).await.unwrap_or_default(),
        ]
        .concat();
        if !in_the_way.is_empty() {
            bail!(
                "these are in the cluster already, and the demo touches only what it made:\n{in_the_way}"
            );
        }
        let present = exists(&["crd", "healingpolicies.kubeskippy.io"]).await?;
        let crds = present.is_empty();
        let text = format!(
            "The demo will run on the cluster of context {context}, {server}.\n\
             It will create there, and remove at the end:\n  \
             - the namespaces {SYSTEM} and {NAMESPACE}, with six small pods of {}\n  \
             - service accounts, roles and bindings called kubeskippy-* (deploy/rbac)\n  \
             - admission policies called kubeskippy-* (deploy/admission)\n  \
             - {}\n\
             Collector, analyzer, actuator and nats-server run on this machine.",
            args.image,
            if crds {
                "the custom resource definitions of deploy/crds"
            } else {
                "no custom resource definitions: those that are there are used, and stay"
            }
        );
        agree(&text, args.yes)?;
        Ok(Self {
            crds,
            created: Vec::new(),
        })
    }

    /// Creates what the programs need.
    pub(crate) async fn install(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        let parts: &[&str] = if self.crds {
            &["crds", "namespace.yaml", "rbac", "admission"]
        } else {
            &["namespace.yaml", "rbac", "admission"]
        };
        for part in parts {
            let path = repository(&format!("deploy/{part}"));
            self.created.push(vec!["-f".to_owned(), path]);
            apply(cluster, part).await?;
        }
        established(cluster).await?;
        self.created
            .push(vec!["namespace".to_owned(), NAMESPACE.to_owned()]);
        Ok(())
    }

    /// Removes what was created, the last first, and waits until it is gone.
    pub(crate) async fn remove(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        while let Some(what) = self.created.pop() {
            let mut args = vec!["delete", "--ignore-not-found", "--timeout=120s"];
            args.extend(what.iter().map(String::as_str));
            cluster
                .kubectl(&args)
                .await
                .context("something the demo created is still there")?;
        }
        Ok(())
    }
}

/// The context in use and the address of its server.
fn whereabouts(cluster: &Cluster) -> anyhow::Result<(String, String)> {
    let file = Kubeconfig::read_from(&cluster.kubeconfig)?;
    let context = file
        .current_context
        .context("the kubeconfig has no current context")?;
    let of_context = |it: &kube::config::NamedContext| {
        (it.name == context).then(|| it.context.as_ref().map(|it| it.cluster.clone()))?
    };
    let name = file.contexts.iter().find_map(of_context);
    let named = file
        .clusters
        .into_iter()
        .find(|it| Some(&it.name) == name.as_ref());
    let server = named.and_then(|it| it.cluster?.server).unwrap_or_default();
    Ok((context, server))
}

fn agree(text: &str, yes: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{text}")?;
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        bail!("there is no terminal to ask on; --yes says yes beforehand");
    }
    write!(out, "Go on? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        bail!("nothing was done")
    }
}
