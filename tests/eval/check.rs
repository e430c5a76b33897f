//! `--check`: whether the API server would take every object of the scenarios.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use harness::{ControlPlane, Kit, Kubectl, Options, Part};
use serde_json::json;

use crate::admin::Admin;
use crate::bed;
use crate::fill::Fill;
use crate::scenario::Scenario;

/// The namespace that objects are tried in. It exists only for a moment.
const NAMESPACE: &str = "scenarios-are-tried";

/// Tries every object as a server-side dry run, on a cluster of its own or on one where KubeSkippy's definitions are installed.
pub(crate) async fn check(kubeconfig: Option<&Path>, scenarios: &[Arc<Scenario>]) -> Result<u8> {
    let own = match kubeconfig {
        Some(_) => None,
        None => Some(tokio::task::block_in_place(|| {
            let options = Options {
                nodes: 0,
                ..Options::default()
            };
            ControlPlane::start(&options)
        })),
    };
    let admin = match (&own, kubeconfig) {
        (Some(plane), _) => {
            let admin = Admin::new(plane.kubectl().clone());
            bed::install(&admin).await?;
            admin
        }
        (None, path) => {
            let kit = tokio::task::block_in_place(|| Kit::ensure(&[Part::Core]));
            let path = path.unwrap_or_else(|| Path::new(""));
            Admin::new(Kubectl::at(kit.binary("kubectl"), path.to_owned()))
        }
    };
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    admin.apply(&[namespace], "default", &[]).await?;
    let tried = tried(&admin, scenarios).await;
    admin
        .run(&["delete", "namespace", NAMESPACE, "--wait=false"])
        .await?;
    let tried = tried?;
    let count = scenarios.len();
    writeln!(
        std::io::stdout(),
        "{count} scenarios are well-formed, {tried} objects would be applied"
    )?;
    Ok(0)
}

async fn tried(admin: &Admin, scenarios: &[Arc<Scenario>]) -> Result<usize> {
    let fill = Fill {
        namespace: NAMESPACE,
        now: runtime::clock::now(),
    };
    let mut count = 0;
    for scenario in scenarios {
        let objects = scenario.given.iter().chain(scenario.applied());
        let filled: Vec<_> = objects.map(|object| fill.value(object)).collect();
        let tried = admin.apply(&filled, NAMESPACE, &["--dry-run=server"]).await;
        tried.with_context(|| format!("an object of {} would be refused", scenario.name))?;
        count += filled.len();
    }
    Ok(count)
}
