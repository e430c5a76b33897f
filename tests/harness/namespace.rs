//! A namespace for one test alone.

use std::process::Output;
use std::time::Duration;

use crate::{Kubectl, Workload, until_blocking};

/// A namespace that is deleted, without waiting for its end, when dropped.
#[derive(Debug)]
pub struct TestNamespace {
    name: String,
    kubectl: Kubectl,
}

impl TestNamespace {
    pub(crate) fn create(admin: &Kubectl, prefix: &str) -> Self {
        let name = format!("{prefix}-{}", crate::trial::unique());
        admin.ok(&["create", "namespace", &name]);
        let kubectl = admin.in_namespace(&name);
        let namespace = Self { name, kubectl };
        // before it has this account, the API server refuses its pods
        until_blocking("the default account", Duration::from_secs(30), || {
            let found = namespace
                .kubectl
                .output(&["get", "serviceaccount", "default"]);
            if found.status.success() {
                Ok(())
            } else {
                Err(String::from_utf8_lossy(&found.stderr).into_owned())
            }
        });
        namespace
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// kubectl as the administrator, with this namespace as its default.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// Applies objects that name no namespace, or this one.
    pub fn apply(&self, yaml: &str) -> String {
        self.kubectl.apply(yaml)
    }

    /// [`apply`](Self::apply) that returns a refusal instead of panicking.
    pub fn try_apply(&self, yaml: &str) -> Output {
        self.kubectl.try_apply(yaml)
    }

    /// Creates a workload here.
    pub fn create_workload(&self, workload: &Workload) {
        self.apply(&workload.manifest());
    }

    /// Sets annotations of a running pod, which is how one of several equal pods
    /// is made to misbehave: see `tests/kit/manifests` for what they may be.
    ///
    /// A leak that starts now needs `sim.kubeskippy.io/started-at` as well, or it
    /// counts from the pod's creation.
    pub fn annotate_pod(&self, pod: &str, annotations: &[(&str, &str)]) {
        let pairs: Vec<_> = annotations
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut args = vec!["annotate", "pod", pod, "--overwrite"];
        args.extend(pairs.iter().map(String::as_str));
        self.kubectl.ok(&args);
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        // the cluster may be gone already, and its namespaces with it
        drop(
            self.kubectl
                .output(&["delete", "namespace", &self.name, "--wait=false"]),
        );
    }
}
