//! `--keep`: how to look around in what is left up.

use crate::programs::CLUSTER;
use crate::scenario::NAMESPACE;
use crate::servers::Servers;

/// Lines to paste.
pub(crate) fn look_around(servers: &Servers) -> String {
    let nats = servers.nats.url();
    let shell = match servers.env_file() {
        Some(file) => format!(". {file}"),
        None => format!("export KUBECONFIG={}", servers.cluster.kubeconfig.display()),
    };
    format!(
        "\nEverything is left up. In another terminal:\n\n  \
         {shell}; export NATS_URL={nats}\n  \
         kubectl get hp,ha -A\n  \
         kubectl -n {NAMESPACE} get pods\n  \
         kubectl -n {NAMESPACE} describe ha\n  \
         nats sub 'kubeskippy.{CLUSTER}.alerts.>'\n  \
         nats stream ls\n\n\
         To end it all: Ctrl-C here, or  kill {}",
        std::process::id()
    )
}
