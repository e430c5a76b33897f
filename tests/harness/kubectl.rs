//! kubectl against one cluster, as a person would use it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A kubectl with its kubeconfig.
#[must_use]
#[derive(Clone, Debug)]
pub struct Kubectl {
    binary: PathBuf,
    kubeconfig: PathBuf,
    namespace: Option<String>,
}

impl Kubectl {
    pub(crate) fn new(binary: PathBuf, kubeconfig: PathBuf) -> Self {
        Self {
            binary,
            kubeconfig,
            namespace: None,
        }
    }

    /// A kubectl of the kit for any cluster that `kubeconfig` names.
    pub fn at(binary: PathBuf, kubeconfig: PathBuf) -> Self {
        Self::new(binary, kubeconfig)
    }

    /// The same, with `namespace` as its default.
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            ..self.clone()
        }
    }

    /// The same, as whom `kubeconfig` names.
    pub fn as_user(&self, kubeconfig: &Path) -> Self {
        Self {
            kubeconfig: kubeconfig.to_owned(),
            ..self.clone()
        }
    }

    /// Runs it and returns whatever came of it.
    pub fn output(&self, args: &[&str]) -> Output {
        self.run(args, "")
    }

    /// Runs it, panics with its words when it fails, and returns what it printed.
    pub fn ok(&self, args: &[&str]) -> String {
        succeed(&self.run(args, ""), args)
    }

    /// Applies objects server-side under strict validation; panics on a refusal.
    pub fn apply(&self, yaml: &str) -> String {
        succeed(&self.try_apply(yaml), &["apply"])
    }

    /// [`apply`](Self::apply) that returns a refusal instead.
    pub fn try_apply(&self, yaml: &str) -> Output {
        let args = ["apply", "--server-side", "--validate=strict", "-f", "-"];
        self.run(&args, yaml)
    }

    fn run(&self, args: &[&str], input: &str) -> Output {
        let mut command = Command::new(&self.binary);
        command
            .env("KUBECONFIG", &self.kubeconfig)
            // kubectl keeps what kinds a server has for hours, by its address; ports come back.
            .env("KUBECACHEDIR", self.kubeconfig.with_extension("cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(namespace) = &self.namespace {
            command.args(["--namespace", namespace]);
        }
        let mut child = command.args(args).spawn().expect("kubectl can be run");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // kubectl may refuse its arguments before it reads; its exit status tells then
        drop(stdin.write_all(input.as_bytes()));
        drop(stdin);
        child.wait_with_output().expect("kubectl ends")
    }
}

fn succeed(output: &Output, args: &[&str]) -> String {
    assert!(
        output.status.success(),
        "kubectl {} failed: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
