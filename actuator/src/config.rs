//! The actuator's options.

use std::time::Duration;

use clap::Args;
use runtime::config::CommonArgs;

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

    /// Fewer sick pods than this are no storm, whatever their share.
    #[arg(
        long = "storm-pods",
        env = "KUBESKIPPY_STORM_PODS",
        default_value_t = 10
    )]
    pub storm_pods: u32,

    /// Seconds that an actuator looks on after it began to act. Left out: the duration of the lease.
    #[arg(long = "warmup-seconds", env = "KUBESKIPPY_WARMUP_SECONDS")]
    pub warmup_seconds: Option<u16>,

    /// Actions that are looked at concurrently. Budgets hold whatever this says.
    #[arg(long = "reconciles", env = "KUBESKIPPY_RECONCILES", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub reconciles: u16,
}

/// The `ConfigMap` in the system namespace whose existence stops all healing.
/// `kubectl -n kubeskippy-system create configmap kubeskippy-pause --from-literal=reason=…`
pub const PAUSE: &str = "kubeskippy-pause";

/// How long one pass may take: gathering is a dozen reads and one write, so a
/// pass that takes longer waits for a server that does not answer.
pub const PASS_LIMIT: Duration = Duration::from_mins(1);
