//! A real control plane, owned by a handle.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Once;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::kit::{Kit, Part, script};
use crate::{AuditLog, Kubectl, RealNode, TestNamespace};

/// What a control plane should have beyond API server, controllers, scheduler,
/// KWOK and metrics-server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many fake nodes to create.
    pub nodes: u32,
    /// Whether to run Prometheus.
    pub prometheus: bool,
    /// More settings for `tests/kit/up.sh`, by the names it documents.
    pub settings: BTreeMap<String, String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 5,
            prometheus: false,
            settings: BTreeMap::new(),
        }
    }
}

/// A running control plane; dropping it takes it down, also in a panic.
///
/// The kit's guard holds the other end of `owner`, so that it is taken down as
/// well when this process is killed.
#[derive(Debug)]
pub struct ControlPlane {
    dir: PathBuf,
    env: BTreeMap<String, String>,
    kubectl: Kubectl,
    owner: Option<ChildStdin>,
}

impl ControlPlane {
    /// Boots one, with progress on standard error. Takes some seconds.
    pub fn start(options: &Options) -> Self {
        let mut up = Command::new(script("up.sh"))
            .env_remove("CLUSTER_DIR")
            .env_remove("PORT_BASE")
            .env("KIT_OWNER", "stdin")
            .env("NODES", options.nodes.to_string())
            .env("WITH_PROM", if options.prometheus { "1" } else { "0" })
            .envs(&options.settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/kit/up.sh can be run");
        let owner = up.stdin.take();
        let env_file = printed(up);
        let env = read_env(&env_file);
        let dir = env_file.parent().expect("a file has a folder").to_owned();
        let kit = Kit::ensure(&[Part::Core]);
        let kubectl = Kubectl::new(kit.binary("kubectl"), dir.join("admin.kubeconfig"));
        Self {
            dir,
            env,
            kubectl,
            owner,
        }
    }

    /// kubectl as the administrator.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// Applies objects as the administrator, server-side and under strict validation.
    pub fn apply(&self, yaml: &str) -> String {
        self.kubectl.apply(yaml)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("admin.kubeconfig")
    }

    /// The URL of Prometheus; there only when it was asked for.
    pub fn prometheus_url(&self) -> &str {
        &self.env["PROM_URL"]
    }

    /// The environment that `up.sh` printed, such as `KUBE_API` and `KWOK_URL`.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// Where state and logs are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A client as the administrator.
    pub async fn client(&self) -> Client {
        client_from(&self.kubeconfig()).await
    }

    /// A client as a service account, by a token that the API server issues.
    pub async fn client_for(&self, namespace: &str, service_account: &str) -> Client {
        client_from(&self.kubeconfig_for(namespace, service_account).await).await
    }

    /// Writes a kubeconfig with a token of a service account, for a program to use.
    pub async fn kubeconfig_for(&self, namespace: &str, service_account: &str) -> PathBuf {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(24 * 60 * 60),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(service_account, &PostParams::default(), &request)
            .await
            .expect("a token is issued for a service account that exists");
        let token = answer.status.expect("a token request is answered").token;
        let path = self
            .dir
            .join(format!("{namespace}-{service_account}.kubeconfig"));
        let server = &self.env["KUBE_API"];
        let authority = self.dir.join("pki/ca.crt");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: kit\n\
             clusters: [{{name: kit, cluster: {{server: \"{server}\", certificate-authority: \"{}\"}}}}]\n\
             users: [{{name: kit, user: {{token: \"{token}\"}}}}]\n\
             contexts: [{{name: kit, context: {{cluster: kit, user: kit}}}}]\n",
            authority.display()
        );
        // Trials share the file, and a program that starts may read it just now.
        let mut file =
            tempfile::NamedTempFile::new_in(&self.dir).expect("the folder can be written");
        file.write_all(text.as_bytes())
            .expect("the folder can be written");
        file.persist(&path).expect("the folder can be written");
        path
    }

    /// Every write that the API server was asked for so far.
    pub fn audit_entries(&self) -> AuditLog {
        let log = std::fs::read_to_string(self.dir.join("log/audit.log"));
        AuditLog::parse(&log.expect("the API server keeps an audit log"))
    }

    /// A namespace of its own for a test, with a name that starts with `prefix`.
    pub fn test_namespace(&self, prefix: &str) -> TestNamespace {
        TestNamespace::create(&self.kubectl, prefix)
    }

    /// Joins a real node with a real kubelet, or says why that cannot be done here.
    pub fn join_real_node(&self) -> Result<RealNode, String> {
        RealNode::join(&self.env)
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let down = Command::new(script("down.sh")).arg(&self.dir).status();
        // closing the pipe lets the guard end; it also takes down what down.sh could not
        drop(self.owner.take());
        if !std::thread::panicking() {
            assert!(
                down.is_ok_and(|status| status.success()),
                "the control plane in {} was not taken down",
                self.dir.display()
            );
        }
    }
}

/// Waits for `up.sh` and reads the path it prints.
fn printed(up: Child) -> PathBuf {
    let output = up.wait_with_output().expect("up.sh ends");
    assert!(
        output.status.success(),
        "the control plane did not start; the reason is above"
    );
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// Reads lines such as `export NAME=value`.
fn read_env(file: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file).expect("up.sh wrote its environment");
    text.lines()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

async fn client_from(kubeconfig: &Path) -> Client {
    choose_crypto();
    let file = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig can be read");
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .expect("a kubeconfig is complete");
    Client::try_from(config).expect("a client can be made")
}

/// Makes the process's choice of a TLS library, which rustls leaves to the program.
pub(crate) fn choose_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // an error says that the process has chosen before, which is as good
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    });
}
