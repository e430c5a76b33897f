//! What the demo can be told.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Shows KubeSkippy at work: a leaking pod and a crash-looping pod are noticed,
/// healed and verified on a real control plane, in about three minutes.
///
/// It boots etcd, kube-apiserver, controller manager, scheduler, metrics-server
/// and nats-server on free loopback ports, with KWOK for nodes and pods; applies
/// the CRDs and roles of deploy/; and starts collector, analyzer and actuator
/// as processes of their own, each under its own service account. Then one of
/// several equal pods starts to leak, and one starts to crash. What follows
/// is KubeSkippy's doing, and is shown as it happens.
///
/// It ends by itself, with a table of what took how long and exit status 0; with
/// another status and the reason when something was not healed. Ctrl-C ends
/// it at any time. Whatever it started ends with it.
#[derive(Clone, Debug, Parser)]
#[command(name = "demo", max_term_width = 100)]
pub(crate) struct Args {
    /// Where the leak happens: in a simulated pod, or as a real process under a
    /// real cgroup limit on a real kubelet (root and Linux), where it is healed
    /// before the kernel kills it. Exit status 3 says that no real node can run here.
    #[arg(long, value_enum, default_value = "simulated")]
    pub(crate) node: Node,

    /// Runs on a cluster of yours instead, in two namespaces of its own, after
    /// asking. The programs run here, with tokens of the service accounts they
    /// create there. It removes what it created and touches nothing else.
    #[arg(long, value_name = "FILE", conflicts_with = "node")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Image with a shell for the pods on a cluster of yours.
    #[arg(long, default_value = "busybox:stable", requires = "kubeconfig")]
    pub(crate) image: String,

    /// Answers yes to the question before a cluster of yours is used.
    #[arg(long, requires = "kubeconfig")]
    pub(crate) yes: bool,

    /// Leaves everything up when the story is told, and says how to look around and how to end it.
    #[arg(long)]
    pub(crate) keep: bool,

    /// Writes the timeline and the table to a file as well, as plain text.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,

    /// Seconds after which it gives up, counted from the start.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(crate) timeout: u64,
}

/// What the leak happens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Node {
    /// A fake node of KWOK, whose pods use what their annotations say.
    Simulated,
    /// A real kubelet with containerd.
    Real,
}
