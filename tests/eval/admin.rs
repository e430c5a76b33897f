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

    /// Applies objects, each in its own namespace, or in `namespace` where it names none; `more` are further arguments.
    pub(crate) async fn apply(
        &self,
        objects: &[Value],
        namespace: &str,
        more: &[&str],
    ) -> Result<()> {
        let own = |object: &'_ Value| {
            let own = object
                .pointer("/metadata/namespace")
                .and_then(Value::as_str);
            own.unwrap_or(namespace).to_owned()
        };
        for of_one in objects.chunk_by(|one, other| own(one) == own(other)) {
            let file = tempfile::NamedTempFile::new().context("failed to make a temporary file")?;
            let texts: Vec<String> = of_one.iter().map(Value::to_string).collect();
            std::fs::write(file.path(), texts.join("\n---\n"))
                .context("failed to write objects")?;
            let path = file.path().display().to_string();
            let namespace = of_one.first().map(own).unwrap_or_default();
            let apply = [
                "apply",
                "--server-side",
                "--validate=strict",
                "--force-conflicts",
            ];
            let which = ["-n", &namespace, "-f", &path];
            self.run(&[&apply, which.as_slice(), more].concat()).await?;
        }
        Ok(())
    }
}
