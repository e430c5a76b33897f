//! kubectl as the administrator, without blocking others.

use anyhow::{Context as _, Result, bail};
use harness::Kubectl;
use serde_json::Value;

/// kubectl, in one namespace where it is told one.
#[derive(Clone, Debug)]
pub(crate) struct Admin(Kubectl);

impl Admin {
    /// Administers through `kubectl`.
    pub(crate) const fn new(kubectl: Kubectl) -> Self {
        Self(kubectl)
    }

    /// Runs it and returns what it printed.
    pub(crate) async fn run(&self, args: &[&str]) -> Result<String> {
        let kubectl = self.0.clone();
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let task = tokio::task::spawn_blocking(move || {
            let words: Vec<&str> = args.iter().map(String::as_str).collect();
            let output = kubectl.output(&words);
            (output, args)
        });
        let (output, args) = task.await.context("a thread was lost")?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("kubectl {} failed: {}", args.join(" "), words.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The object, or the list of objects, that these arguments of `get` name.
    pub(crate) async fn get(&self, args: &[&str]) -> Result<Value> {
        let text = self.run(&[&["get", "-o", "json"], args].concat()).await?;
        serde_json::from_str(&text).context("kubectl printed no JSON")
    }

    /// Applies an object in its own namespace, or in `namespace` where it names none; `more` are further arguments.
    pub(crate) async fn apply(&self, object: &Value, namespace: &str, more: &[&str]) -> Result<()> {
        let own = object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str);
        let file = tempfile::NamedTempFile::new().context("failed to make a temporary file")?;
        std::fs::write(file.path(), object.to_string()).context("failed to write an object")?;
        let path = file.path().display().to_string();
        let namespace = own.unwrap_or(namespace);
        let args = [
            "apply",
            "--server-side",
            "--validate=strict",
            "--force-conflicts",
            "-n",
            namespace,
            "-f",
            &path,
        ];
        self.run(&[&args, more].concat()).await.map(|_| ())
    }
}
