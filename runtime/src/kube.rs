//! A client of the Kubernetes API.

use std::path::PathBuf;

use clap::Args;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

/// Which cluster, and as whom.
#[derive(Clone, Debug, Args)]
pub struct KubeArgs {
    /// Kubeconfig to use. Left out: the one of the environment, or inside a
    /// cluster the service account of the pod.
    #[arg(long, env = "KUBESKIPPY_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig cannot be read.
    #[error("failed to read the kubeconfig {path}")]
    Kubeconfig {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it.
        source: kube::config::KubeconfigError,
    },
    /// Nothing says where the cluster is.
    #[error("failed to find a cluster: give --kubeconfig, set KUBECONFIG, or run inside a pod")]
    Infer(#[source] kube::config::InferConfigError),
    /// The client cannot be built from the configuration.
    #[error("failed to build the Kubernetes client")]
    Client(#[source] Box<kube::Error>),
}

/// A client for the cluster that `args` name, which calls itself `user_agent`.
///
/// # Errors
/// When there is no usable configuration. The cluster itself is not asked.
pub async fn client(args: &KubeArgs, user_agent: &str) -> Result<Client, Error> {
    build(config(args, user_agent).await?)
}

/// As [`client`], but each request is sent once. The client's own retries (429,
/// 503, 504) repeat writes, too: an eviction that a disruption budget refuses
/// would be asked for again and again, and a write whose answer was lost would
/// be made twice. Whoever writes decides for itself.
///
/// # Errors
/// When there is no usable configuration. The cluster itself is not asked.
pub async fn client_without_retries(args: &KubeArgs, user_agent: &str) -> Result<Client, Error> {
    let mut config = config(args, user_agent).await?;
    config.default_retry = false;
    build(config)
}

fn build(config: Config) -> Result<Client, Error> {
    Client::try_from(config).map_err(|source| Error::Client(Box::new(source)))
}

async fn config(args: &KubeArgs, user_agent: &str) -> Result<Config, Error> {
    let KubeArgs { kubeconfig } = args;
    let mut config = match kubeconfig {
        Some(path) => {
            let wrap = |source| Error::Kubeconfig {
                path: path.clone(),
                source,
            };
            let read = Kubeconfig::read_from(path).map_err(wrap)?;
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
                .await
                .map_err(wrap)?
        }
        None => Config::infer().await.map_err(Error::Infer)?,
    };
    let agent = format!("kubeskippy-{user_agent}/{}", env!("CARGO_PKG_VERSION"));
    if let Ok(value) = agent.parse::<axum::http::HeaderValue>() {
        config.headers.push((axum::http::header::USER_AGENT, value));
    }
    Ok(config)
}
