//! The actuator's options.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use runtime::config::CommonArgs;

use crate::webhook::address::Opened;

/// The options of `kubeskippy actuator`.
#[derive(Clone, Debug, Args)]
pub struct Config {
    /// What every program has.
    #[command(flatten)]
    pub common: CommonArgs,

    /// The actuator's own.
    #[command(flatten)]
    pub options: Options,
}

/// The options that only the actuator has.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub struct Options {
    /// Actions that may be started in the whole cluster within any hour, whatever the policies allow.
    #[arg(
        long = "cluster-actions-per-hour",
        env = "KUBESKIPPY_CLUSTER_ACTIONS_PER_HOUR",
        default_value_t = 60
    )]
    pub cluster_per_hour: u32,

    /// Actions that may be started in one namespace within any hour, whatever the policies allow.
    #[arg(
        long = "namespace-actions-per-hour",
        env = "KUBESKIPPY_NAMESPACE_ACTIONS_PER_HOUR",
        default_value_t = 30
    )]
    pub namespace_per_hour: u32,

    /// Percent of a namespace's, or the cluster's, pods that may be sick at once before healing waits for the
    /// storm to end: the cause is then rarely in the pods.
    #[arg(long = "storm-percent", env = "KUBESKIPPY_STORM_PERCENT", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub storm_percent: u32,

    /// Percent of the nodes that may be unschedulable or not ready at once when one is to be cordoned or drained.
    /// One always may.
    #[arg(long = "node-percent", env = "KUBESKIPPY_NODE_PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub node_percent: u32,

    /// Fewer sick pods than this are no storm, whatever their share.
    #[arg(
        long = "storm-pods",
        env = "KUBESKIPPY_STORM_PODS",
        default_value_t = 10
    )]
    pub storm_pods: u32,

    /// Seconds for which a pod still counts as sick after the action about it ended, so that healing goes on only
    /// after a quiet while.
    #[arg(
        long = "storm-quiet-seconds",
        env = "KUBESKIPPY_STORM_QUIET_SECONDS",
        default_value_t = 300
    )]
    pub storm_quiet_seconds: u32,

    /// Seconds that an actuator looks on after it began to act. Left out: the duration of the lease.
    #[arg(long = "warmup-seconds", env = "KUBESKIPPY_WARMUP_SECONDS")]
    pub warmup_seconds: Option<u16>,

    /// Finished actions of one policy that are kept as objects; the journal keeps all. What a limit still counts is
    /// kept whatever this says.
    #[arg(
        long = "keep-actions",
        env = "KUBESKIPPY_KEEP_ACTIONS",
        default_value_t = 100
    )]
    pub keep_actions: u32,

    /// Finished actions in the whole cluster that are kept as objects.
    #[arg(
        long = "keep-actions-in-cluster",
        env = "KUBESKIPPY_KEEP_ACTIONS_IN_CLUSTER",
        default_value_t = 2000
    )]
    pub keep_actions_in_cluster: u32,

    /// Hours after which a finished action is removed; its history stays in the journal.
    #[arg(
        long = "keep-actions-hours",
        env = "KUBESKIPPY_KEEP_ACTIONS_HOURS",
        default_value_t = 168
    )]
    pub keep_actions_hours: u32,

    /// Seconds between two looks at what finished actions say about their policies, and which of them can go.
    #[arg(long = "upkeep-seconds", env = "KUBESKIPPY_UPKEEP_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    pub upkeep_seconds: u16,

    /// Seconds that a deletion may take beyond its grace before it counts as hanging, so that `stripFinalizers` may act:
    /// what removes a finalizer is a controller, which may have been restarted.
    #[arg(long = "hanging-seconds", env = "KUBESKIPPY_HANGING_SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub hanging_seconds: u32,

    /// How webhooks of policies are called.
    #[command(flatten)]
    pub webhooks: WebhookArgs,

    /// Actions that are looked at concurrently. Budgets hold whatever this says.
    #[arg(long = "reconciles", env = "KUBESKIPPY_RECONCILES", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub reconciles: u16,
}

/// How webhooks of policies are called.
#[derive(Clone, Debug, Default, Args)]
#[group(skip)]
pub struct WebhookArgs {
    /// Folder to which the Secrets that sign webhooks are mounted: the token of Secret NAME is the file NAME/token.
    #[arg(
        long = "webhook-secrets",
        env = "KUBESKIPPY_WEBHOOK_SECRETS",
        value_name = "DIR"
    )]
    pub secrets: Option<PathBuf>,

    /// File with certificates (PEM) to trust when a webhook is called, besides the system's.
    #[arg(
        long = "webhook-ca",
        env = "KUBESKIPPY_WEBHOOK_CA",
        value_name = "FILE"
    )]
    pub certificates: Option<PathBuf>,

    /// Hosts, addresses or networks that webhooks may be called at although they are not public, such as
    /// hooks.shop.svc or 10.1.0.0/16. A host's link-local addresses stay closed unless named themselves.
    #[arg(
        long = "webhook-allow",
        env = "KUBESKIPPY_WEBHOOK_ALLOW",
        value_delimiter = ',',
        value_name = "HOST_OR_CIDR"
    )]
    pub allow: Vec<Opened>,

    /// Whether webhooks may be called without encryption.
    #[arg(long = "webhook-allow-http", env = "KUBESKIPPY_WEBHOOK_ALLOW_HTTP")]
    pub http: bool,
}

/// The `ConfigMap` in the system namespace whose existence stops all healing.
/// `kubectl -n kubeskippy-system create configmap kubeskippy-pause --from-literal=reason=…`
pub const PAUSE: &str = "kubeskippy-pause";

/// How long one pass may take: gathering is a dozen reads and one write, so a
/// pass that takes longer waits for a server that does not answer.
pub const PASS_LIMIT: Duration = Duration::from_mins(1);
