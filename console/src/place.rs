//! Which cluster and namespace a person means.

use clap::Args;
use kube::Client;
use runtime::kube::KubeArgs;

/// Where to look.
#[derive(Clone, Debug, Args)]
pub struct PlaceArgs {
    /// Which cluster, and as whom.
    #[command(flatten)]
    pub kube: KubeArgs,

    /// Namespace. Left out: the one of the kubeconfig's context, as with kubectl.
    #[arg(short, long, env = "KUBESKIPPY_NAMESPACE")]
    pub namespace: Option<String>,
}

/// A cluster and a namespace in it.
pub(crate) struct Place {
    /// Asks the API server; each request is sent once.
    pub(crate) client: Client,
    /// The namespace.
    pub(crate) namespace: String,
}

impl Place {
    /// The same cluster, another namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Self {
        Self {
            client: self.client.clone(),
            namespace: namespace.to_owned(),
        }
    }
}

/// Finds out what `args` mean. The cluster itself is not asked.
pub(crate) async fn open(args: &PlaceArgs) -> Result<Place, runtime::kube::Error> {
    let PlaceArgs { kube, namespace } = args;
    let client = runtime::kube::client_without_retries(kube, "console").await?;
    let namespace = match namespace {
        Some(name) => name.clone(),
        None => client.default_namespace().to_owned(),
    };
    Ok(Place { client, namespace })
}
