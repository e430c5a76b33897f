//! One Kubernetes cluster, as its administrator: a client and kubectl.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::Kubeconfig;
use kube::{Api, Client};
use runtime::kube::KubeArgs;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A cluster and the right to administer it.
pub(crate) struct Cluster {
    /// A client as the administrator.
    pub(crate) client: Client,
    /// The administrator's kubeconfig.
    pub(crate) kubeconfig: PathBuf,
    kubectl: PathBuf,
    /// Where the tokens of the service accounts are kept.
    private: TempDir,
}

impl Cluster {
    /// The cluster that a kubeconfig names; it is not asked yet.
    pub(crate) async fn open(kubeconfig: &Path, kubectl: PathBuf) -> anyhow::Result<Self> {
        let args = KubeArgs {
            kubeconfig: Some(kubeconfig.to_owned()),
        };
        Ok(Self {
            client: runtime::kube::client(&args, "demo").await?,
            kubeconfig: kubeconfig.to_owned(),
            kubectl,
            private: tempfile::Builder::new()
                .prefix("kubeskippy-demo-")
                .tempdir()
                .context("failed to make a temporary folder")?,
        })
    }

    /// Runs kubectl and returns what it printed.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        self.run(args, "").await
    }

    /// Creates objects from JSON or YAML under strict validation.
    pub(crate) async fn create(&self, namespace: &str, objects: &str) -> anyhow::Result<String> {
        let args = ["create", "--validate=strict", "-n", namespace, "-f", "-"];
        self.run(&args, objects).await
    }

    async fn run(&self, args: &[&str], input: &str) -> anyhow::Result<String> {
        let mut child = Command::new(&self.kubectl)
            .env("KUBECONFIG", &self.kubeconfig)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("failed to run kubectl")?;
        if let Some(mut stdin) = child.stdin.take() {
            // kubectl may refuse its arguments before it reads; its exit status tells then
            drop(stdin.write_all(input.as_bytes()).await);
        }
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("kubectl {} failed: {}", args.join(" "), words.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Writes a kubeconfig that has only a token of a service account.
    pub(crate) async fn kubeconfig_for(
        &self,
        namespace: &str,
        account: &str,
    ) -> anyhow::Result<PathBuf> {
        let token = self.token(namespace, account).await?;
        let own = Kubeconfig::read_from(&self.kubeconfig)?;
        let context = own.current_context.as_deref().unwrap_or_default();
        let context = own.contexts.iter().find(|it| it.name == context);
        let cluster = context
            .and_then(|it| it.context.as_ref())
            .map(|it| it.cluster.clone())
            .context("the kubeconfig has no current context")?;
        let clusters: Vec<_> = own
            .clusters
            .iter()
            .filter(|it| it.name == cluster)
            .collect();
        let file = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": account,
            "clusters": clusters,
            "users": [{"name": account, "user": {"token": token}}],
            "contexts": [{"name": account, "context": {"cluster": cluster, "user": account}}],
        });
        let path = self.private.path().join(format!("{account}.kubeconfig"));
        std::fs::write(&path, file.to_string()).context("failed to write a kubeconfig")?;
        Ok(path)
    }

    async fn token(&self, namespace: &str, account: &str) -> anyhow::Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(24 * 60 * 60),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .with_context(|| format!("failed to get a token of {namespace}/{account}"))?;
        let status = answer
            .status
            .context("the token request was not answered")?;
        Ok(status.token)
    }
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> String {
    let root = harness::tests_dir().join("..");
    let root = root.canonicalize().unwrap_or(root);
    root.join(path).display().to_string()
}
