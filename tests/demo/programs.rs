//! The three programs, each a process of its own under its own service account.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use harness::{Program, free_port, http_get};
use serde_json::Value;

use crate::cluster::Cluster;

/// The namespace of the service accounts.
pub(crate) const SYSTEM: &str = "kubeskippy-system";

/// The cluster's name on the bus.
pub(crate) const CLUSTER: &str = "demo";

/// How long a program may take until it is ready.
const READY: Duration = Duration::from_mins(1);

/// One running program.
pub(crate) struct Running {
    /// `collector`, `analyzer` or `actuator`.
    pub(crate) name: &'static str,
    /// The user that the API server takes it for.
    pub(crate) user: String,
    program: Program,
    address: String,
}

/// The three of them.
pub(crate) struct Programs(Vec<Running>);

impl Programs {
    /// Starts them for one namespace; they find their way from there in any order.
    pub(crate) async fn start(
        cluster: &Cluster,
        nats_url: &str,
        namespace: &str,
    ) -> anyhow::Result<Self> {
        let mut running = Vec::new();
        for name in ["collector", "analyzer", "actuator"] {
            let account = format!("kubeskippy-{name}");
            let kubeconfig = cluster.kubeconfig_for(SYSTEM, &account).await?;
            let kubeconfig = kubeconfig.display().to_string();
            let address = format!("127.0.0.1:{}", free_port());
            let mut args = vec![name, "--nats-url", nats_url, "--cluster", CLUSTER];
            args.extend(["--kubeconfig", &kubeconfig, "--namespaces", namespace]);
            args.extend(["--listen", &address, "--lease-namespace", SYSTEM]);
            if name == "collector" {
                args.extend(["--interval", "5"]);
            }
            running.push(Running {
                name,
                user: whoami(cluster, &kubeconfig).await?,
                program: Program::spawn("kubeskippy", &args, &[]),
                address,
            });
        }
        Ok(Self(running))
    }

    /// Waits until each says that it is ready.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        for running in &mut self.0 {
            running.ready(start).await?;
        }
        Ok(())
    }

    /// The three.
    pub(crate) fn all(&self) -> &[Running] {
        &self.0
    }

    /// What each logged last, for when something went wrong.
    pub(crate) fn tails(&self, lines: usize) -> String {
        let tail = |it: &Running| format!("--- {}\n{}\n", it.name, it.program.logs_tail(lines));
        self.0.iter().map(tail).collect()
    }
}

impl Running {
    async fn ready(&mut self, start: Instant) -> anyhow::Result<()> {
        loop {
            if !self.program.is_running() {
                bail!("the {} ended:\n{}", self.name, self.program.logs_tail(15));
            }
            let address = self.address.clone();
            let answer = tokio::task::spawn_blocking(move || http_get(&address, "/readyz"));
            let gates = match answer.await.context("a thread was lost")? {
                Ok((200, _)) => return Ok(()),
                Ok((_, gates)) => gates,
                Err(error) => error,
            };
            if start.elapsed() > READY {
                let log = self.program.logs_tail(15);
                bail!("the {} is not ready: {}\n{log}", self.name, gates.trim());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Whom the API server takes the holder of a kubeconfig for.
async fn whoami(cluster: &Cluster, kubeconfig: &str) -> anyhow::Result<String> {
    let args = ["--kubeconfig", kubeconfig, "auth", "whoami", "-o", "json"];
    let answer: Value = serde_json::from_str(&cluster.kubectl(&args).await?)?;
    let user = answer.pointer("/status/userInfo/username");
    Ok(user.and_then(Value::as_str).unwrap_or_default().to_owned())
}
